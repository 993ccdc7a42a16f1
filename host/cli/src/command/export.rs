//! `cellblock export`: an image that exists, in other formats; or what is in a partition of it.

use std::time::Instant;

use cellblock_build::export_image;
use cellblock_build::footprint::Footprint;
use cellblock_build::image::{Document, Folder};
use cellblock_build::layout::{Marks, architecture_of, write_layout};
use cellblock_build::reading::Opened;
use cellblock_build::text::printable;
use cellblock_build::tree::source::ImagePlatform;
use cellblock_build::tree::{NodeId, Tree};
use cellblock_build::{Output, OutputRecord, Record, Target};

use super::looking::{node_of, open_with};
use super::record::RecordFile;
use super::tar::{digest_of, into_document, line, to_standard_output, warn_of_sockets};
use super::{Failure, print};
use crate::arguments::{self, Export, TreeForm, TreeOutput};

pub(super) fn run(export: &Export) -> Result<(), Failure> {
    super::uses_neither(&export.run, "export")?;
    match export.trees().map_err(Failure::usage)? {
        Some(outputs) => trees(export, &outputs),
        None => disks(export, &export.targets().map_err(Failure::usage)?),
    }
}

/// The whole image.
fn disks(export: &Export, targets: &[Target]) -> Result<(), Failure> {
    let image = export.whole_image().map_err(Failure::usage)?;
    let mut footprint = Footprint::default();
    footprint.reads("the image", image);
    let to_stdout = super::writes(&mut footprint, targets)?;
    let mut record = RecordFile::prepare(&export.run, &mut footprint, to_stdout)?;
    footprint.check()?;
    let time = arguments::source_date_epoch().map_err(Failure::usage)?;
    let options = super::build_options(&export.run, time, false);
    let runtime = super::runtime(&export.run)?;
    let is_quiet = export.run.quiet;
    let waiting = || {
        if !is_quiet {
            super::waiting(image);
        }
    };
    let exported = export_image(image, targets, &runtime, &options, &waiting);
    options.progress.clear();
    let (packed, done) = exported?;
    super::warn_of_codecs(&runtime, &done);
    super::warn_of_snapshots(image, packed.snapshots.as_ref());
    record.write(&done)?;
    if export.run.says() && !to_stdout {
        print(&super::outputs(&done))?;
    }
    packed.deliver()?;
    record.publish()
}

/// What is written of a tree.
enum Written {
    Archive(Document),
    Layout(Folder),
    /// It is on its way.
    Stdout,
}

/// What is in a partition.
fn trees(export: &Export, outputs: &[TreeOutput]) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut footprint = Footprint::default();
    footprint.reads("the image", &export.image.image);
    if let Some(base) = &export.base {
        footprint.reads("the base", &base.image);
    }
    let mut to_stdout = false;
    for output in outputs {
        match output.form {
            TreeForm::Tar => footprint.writes_output("the archive", &output.output),
            TreeForm::Oci => footprint.writes_output("the image layout", &output.output),
        }
        to_stdout |= output.output == Output::Stdout;
    }
    let mut record = RecordFile::prepare(&export.run, &mut footprint, to_stdout)?;
    footprint.check()?;
    let runtime = super::runtime(&export.run)?;
    let opened = open_with(
        &runtime,
        (&export.by(), &export.run.limits),
        &export.image,
        true,
        export.run.verbose,
    )?;
    if node_of(&opened, &export.image)? != NodeId::ROOT {
        return Err(Failure::usage(
            "a whole file system is exported: leave the path out, or use `cellblock cp`",
        ));
    }
    let base = match &export.base {
        Some(base) => Some(open_with(
            &runtime,
            (&export.by(), &export.run.limits),
            base,
            true,
            export.run.verbose,
        )?),
        None => None,
    };
    let mut ready = Vec::with_capacity(outputs.len());
    let mut records = Vec::with_capacity(outputs.len());
    let mut lines = String::new();
    for output in outputs {
        let (written, told) = write(export, output, &opened, base.as_ref())?;
        ready.push(written);
        records.push(told.0);
        lines.push_str(&told.1);
    }
    let size = opened.volume.size;
    let done = Record::of_trees(&opened.called, size, records, begun.elapsed());
    record.write(&done)?;
    if export.run.says() && !to_stdout {
        print(&lines)?;
    }
    let durability = super::durability(export.run.sync);
    for written in ready {
        match written {
            Written::Archive(document) => document.publish_as(durability),
            Written::Layout(folder) => folder.publish(durability),
            Written::Stdout => Ok(()),
        }
        .map_err(Failure::failed)?;
    }
    record.publish()
}

/// Writes one output, which has no name yet; what the record and what people are told of it.
fn write(
    export: &Export,
    output: &TreeOutput,
    opened: &Opened,
    base: Option<&Opened>,
) -> Result<(Written, (OutputRecord, String)), Failure> {
    let jobs = export.run.jobs().get();
    let tree = &opened.tree;
    let path = match (&output.output, output.form) {
        (Output::Stdout, _) => {
            let (written, size) = to_standard_output(tree, jobs)?;
            warn_of_sockets(opened, written.sockets);
            let told = told(output, size, None);
            return Ok((Written::Stdout, (told, String::new())));
        }
        (Output::File(path), TreeForm::Tar) => {
            let document = Document::prepare(path)?;
            let (document, written) = into_document(tree, document, jobs)?;
            warn_of_sockets(opened, written.sockets);
            let line = line(path, written.members, opened);
            let (size, digest) = digest_of(&document, export.run.json.is_some())?;
            let told = told(output, size, digest);
            return Ok((Written::Archive(document), (told, line)));
        }
        (Output::File(path), TreeForm::Oci) => path,
    };
    let mut folder = Folder::prepare(path)?;
    let platform = platform(export, opened)?;
    let base = base.map(|base| &base.tree);
    let written = write_layout(base, tree, &platform, &mut folder, jobs)
        .map_err(|error| Failure::failed(format_args!("{}: {error}", printable(&opened.called))))?;
    warn_of_sockets(opened, written.sockets);
    warn_of_marks(opened, written.marks.as_ref());
    let members: Vec<String> = written.members.iter().map(u64::to_string).collect();
    let line = format!(
        "{}: an image for {platform} with {} members of {}, sha256:{}\n",
        path.display(),
        members.join(" and "),
        printable(&opened.called),
        written.manifest,
    );
    let told = told(output, written.size, Some(written.manifest));
    Ok((Written::Layout(folder), (told, line)))
}

/// Where layers are mounted and not unpacked, overlayfs makes something else of what it takes for its own.
fn warn_of_marks(opened: &Opened, marks: Option<&Marks>) {
    if let Some(Marks { first, what, count }) = marks {
        let others = match count - 1 {
            0 => String::new(),
            1 => "; so it is with another file".to_owned(),
            others => format!("; so it is with {others} other files"),
        };
        tell!(
            "warning: {}: {first} is {what}: where the layers are mounted by overlayfs, that is a mark by which it hides what lower \
             layers have, and no file{others}",
            printable(&opened.called)
        );
    }
}

fn told(output: &TreeOutput, size: u64, sha256: Option<String>) -> OutputRecord {
    OutputRecord {
        file: output.output.to_string(),
        format: output.form.name(),
        size,
        sha256,
    }
}

/// The platform that is typed, or what the programs in the image are for.
fn platform(export: &Export, opened: &Opened) -> Result<ImagePlatform, Failure> {
    if let Some(platform) = &export.platform {
        return Ok(platform.clone());
    }
    let tree: &Tree = &opened.tree;
    let found = architecture_of(tree).map_err(Failure::failed)?;
    if found.is_none() {
        tell!(
            "warning: {}: no program in it tells its platform: the image says linux/unknown; --platform OS/ARCHITECTURE says it",
            printable(&opened.called)
        );
    }
    Ok(ImagePlatform {
        os: "linux".to_owned(),
        architecture: found.unwrap_or("unknown").to_owned(),
        variant: None,
    })
}
