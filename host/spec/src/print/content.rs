//! What goes into a file system, as TOML.

use super::{PathError, boot, braced, list, quoted, quoted_path};
use crate::{Content, Template};
use cellblock_tree::source::{Disk, Dump, HardLinks, Image, ModeRule, Source, Times, What};

pub(super) fn print_content(content: &Content) -> Result<String, PathError> {
    match content {
        Content::Source(source) => print_source(source),
        Content::Template(template) => print_template(template),
        // Only the builder adds such content, and prints none of it.
        Content::Kernel(kernel) => boot::print_parts(&kernel.parts),
    }
}

fn print_template(template: &Template) -> Result<String, PathError> {
    let Template {
        file,
        to,
        owner,
        mode,
    } = template;
    let mut entries = vec![format!("template = {}", quoted_path(file)?)];
    add_properties(&mut entries, Some(to), *owner, mode.as_ref());
    Ok(braced(entries))
}

/// Where something goes, and whose it is.
fn add_properties(
    entries: &mut Vec<String>,
    to: Option<&Vec<u8>>,
    owner: Option<(u32, u32)>,
    mode: Option<&ModeRule>,
) {
    if let Some(to) = to {
        entries.push(format!("to = {}", quoted(&String::from_utf8_lossy(to))));
    }
    if let Some((user, group)) = owner {
        entries.push(format!("owner = {}", quoted(&format!("{user}:{group}"))));
    }
    if let Some(mode) = mode {
        entries.push(format!("mode = {}", quoted(&mode.to_string())));
    }
}

fn print_source(source: &Source) -> Result<String, PathError> {
    let Source {
        what,
        to,
        owner,
        mode,
        exclude,
        times,
        from,
        strip,
        follow,
        hard_links,
        metadata,
        // The partition says what may be dropped.
        drop_attributes: _,
    } = source;
    let mut entries = vec![match what {
        What::Directory(path) => format!("directory = {}", quoted_path(path)?),
        What::Archive(path) => format!("archive = {}", quoted_path(path)?),
        What::Image(image) => image_entries(image)?,
        What::Composefs(dump) => dump_entries(dump)?,
        What::Disk(disk) => disk_entries(disk)?,
        What::File(path) => format!("file = {}", quoted_path(path)?),
        What::Bytes(bytes) => format!("text = {}", quoted(&String::from_utf8_lossy(bytes))),
    }];
    add_properties(&mut entries, to.as_ref(), *owner, mode.as_ref());
    if !exclude.is_empty() {
        let patterns = list(exclude.iter().map(|pattern| quoted(pattern)));
        entries.push(format!("exclude = {patterns}"));
    }
    if *times == Times::Keep {
        entries.push("times = \"keep\"".to_owned());
    }
    if let Some(from) = from {
        entries.push(format!("from = {}", quoted(&String::from_utf8_lossy(from))));
    }
    if *strip > 0 {
        entries.push(format!("strip = {strip}"));
    }
    if *follow {
        entries.push("follow = true".to_owned());
    }
    if *hard_links == HardLinks::Break {
        entries.push("hard-links = \"break\"".to_owned());
    }
    if let Some(metadata) = metadata {
        entries.push(format!("metadata = {}", quoted_path(metadata)?));
    }
    Ok(braced(entries))
}

/// The keys of a dumpfile.
fn dump_entries(dump: &Dump) -> Result<String, PathError> {
    let Dump { file, basedir } = dump;
    let mut entries = vec![format!("composefs = {}", quoted_path(file)?)];
    if let Some(basedir) = basedir {
        entries.push(format!("basedir = {}", quoted_path(basedir)?));
    }
    Ok(entries.join(", "))
}

/// The keys of a container image.
fn image_entries(image: &Image) -> Result<String, PathError> {
    let Image {
        path,
        reference,
        platform,
        overlay_whiteouts,
        // Whoever writes it down says it.
        recognised: _,
    } = image;
    let mut entries = vec![format!("oci = {}", quoted_path(path)?)];
    if let Some(reference) = reference {
        entries.push(format!("reference = {}", quoted(reference)));
    }
    if let Some(platform) = platform {
        entries.push(format!("platform = {}", quoted(&platform.to_string())));
    }
    if *overlay_whiteouts {
        entries.push("overlay-whiteouts = true".to_owned());
    }
    Ok(entries.join(", "))
}

/// The keys of a disk image.
fn disk_entries(disk: &Disk) -> Result<String, PathError> {
    let Disk { path, partition } = disk;
    let mut entries = vec![format!("image = {}", quoted_path(path)?)];
    if let Some(partition) = partition {
        entries.push(format!("partition = {}", quoted(partition)));
    }
    Ok(entries.join(", "))
}
