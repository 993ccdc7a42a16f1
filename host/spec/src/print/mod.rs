//! A spec as TOML: the way back, in one form for everything that means the same.
//!
//! Tables and keys come in the order of the reference, sizes in the largest unit that divides them, identifiers with
//! hyphens and types by their names. What is not given is not printed, so that what is printed means what was read.

mod boot;
mod identity;
mod table;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::size::written;
use super::{
    Content, DiskSize, DiskSpec, FilesystemId, FilesystemSpec, GuestSpec, Margin, PartitionSpec,
    Placed, RawSpec, RawWhat, Seed, SelinuxSpec, SignSpec, SignedBy, SizeRule, Spec, TableName,
    Template, VeritySpec,
};
use cellblock_contract::{Argument, Loss, Word};
use cellblock_table::PartitionType;
use cellblock_text::hexadecimal;
use cellblock_tree::source::{Disk, Dump, HardLinks, Image, ModeRule, Source, Times, What};

/// A path that TOML, which is Unicode, has no way to write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} cannot be written in TOML: its name is not UTF-8", .path.display())]
pub struct PathError {
    /// The path.
    pub path: PathBuf,
}

impl Spec {
    /// The spec as TOML. Relative paths are printed as the host opens them, so that the text means the same in the
    /// current folder.
    ///
    /// # Errors
    /// When the name of a file is not UTF-8.
    pub fn to_toml(&self) -> Result<String, PathError> {
        let Self {
            disk,
            partitions,
            boot,
            guests,
        } = self;
        let mut tables = vec![print_disk(disk)?];
        for partition in partitions {
            tables.push(print_partition(partition)?);
        }
        tables.extend(boot::print_boot(boot)?);
        if !guests.is_empty() {
            let mut table = Lines::new("[guests]");
            for (name, guest) in guests {
                table.add(&key(name), Some(print_guest(guest)?));
            }
            tables.push(table.0);
        }
        tables.retain(|table| !table.is_empty());
        Ok(tables.join("\n"))
    }

    /// The same as a document, for other formats.
    ///
    /// # Errors
    /// As [`Self::to_toml`].
    ///
    /// # Panics
    /// If what that prints were no TOML.
    pub fn to_table(&self) -> Result<toml::Table, PathError> {
        let printed = self.to_toml()?;
        Ok(printed.parse().expect("what is printed is TOML"))
    }
}

/// The lines of a table.
struct Lines(String);

impl Lines {
    fn new(header: &str) -> Self {
        Self(format!("{header}\n"))
    }

    /// Adds a key whose value is TOML, unless there is none.
    fn add(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            let _ = writeln!(self.0, "{key} = {value}");
        }
    }
}

/// The disk, or nothing where nothing is given.
fn print_disk(disk: &DiskSpec) -> Result<String, PathError> {
    let DiskSpec {
        table,
        size,
        sector_size,
        seed,
        id,
        time,
        alignment,
        layout,
        raw,
    } = disk;
    let mut lines = Lines::new("[disk]");
    let begun = lines.0.len();
    lines.add(
        "table",
        table.as_ref().map(|table| print_table_name(table.value)),
    );
    lines.add(
        "size",
        size.as_ref().map(|size| print_disk_size(size.value)),
    );
    lines.add(
        "sector-size",
        sector_size.as_ref().map(|size| size.value.to_string()),
    );
    lines.add(
        "seed",
        seed.as_ref().map(|seed| match seed.value {
            Seed::Given(bytes) => quoted(&uuid::Uuid::from_bytes(bytes).to_string()),
            Seed::Random => quoted("random"),
        }),
    );
    lines.add("id", id.as_ref().map(|id| quoted(&id.value.to_string())));
    lines.add("time", time.as_ref().map(|time| time.value.to_string()));
    lines.add(
        "alignment",
        alignment
            .as_ref()
            .map(|alignment| quoted(&written(alignment.value))),
    );
    layout.print(&mut lines);
    lines.add("raw", print_raw_list(raw)?);
    if lines.0.len() == begun {
        return Ok(String::new());
    }
    Ok(lines.0)
}

fn print_table_name(table: TableName) -> String {
    quoted(match table {
        TableName::Gpt => "gpt",
        TableName::Mbr => "mbr",
        TableName::Hybrid => "hybrid",
        TableName::None => "none",
    })
}

fn print_disk_size(size: DiskSize) -> String {
    quoted(&match size {
        DiskSize::Auto => "auto".to_owned(),
        DiskSize::Fixed(bytes) => written(bytes),
    })
}

fn print_partition(partition: &PartitionSpec) -> Result<String, PathError> {
    let PartitionSpec {
        place: _,
        name,
        is_unnamed,
        kind,
        size,
        offset,
        number,
        id,
        attributes,
        mbr_type,
        active,
        filesystem,
        raw,
        verity,
        verity_signature,
    } = partition;
    let mut lines = Lines::new("[[partition]]");
    let empty = is_unnamed.then(|| quoted(""));
    let name = name.as_ref().map(|name| quoted(&name.value));
    lines.add("name", name.or(empty));
    let is_stored = kind.value != PartitionType::None;
    lines.add("type", is_stored.then(|| quoted(&kind.value.to_string())));
    lines.add("size", size.as_ref().map(|size| print_rule(size.value)));
    lines.add(
        "offset",
        offset.as_ref().map(|offset| quoted(&written(offset.value))),
    );
    lines.add(
        "number",
        number.as_ref().map(|number| number.value.to_string()),
    );
    lines.add("id", id.as_ref().map(|id| quoted(&id.value.to_string())));
    lines.add(
        "attributes",
        attributes.as_ref().map(|flags| {
            let names = flags.value.names();
            list(names.iter().map(|name| quoted(name)))
        }),
    );
    lines.add(
        "mbr-type",
        mbr_type
            .as_ref()
            .map(|kind| quoted(&PartitionType::Mbr(kind.value).to_string())),
    );
    lines.add(
        "active",
        active.as_ref().map(|active| active.value.to_string()),
    );
    if let Some(filesystem) = filesystem {
        print_filesystem(&mut lines, filesystem)?;
    }
    lines.add("raw", print_raw_list(raw)?);
    lines.add("verity", verity.as_ref().map(print_verity));
    let signature = verity_signature.as_ref().map(|signature| {
        let of = format!("of = {}", quoted(&signature.of.value));
        Ok(braced(std::iter::once(of).chain(signer(&signature.sign)?)))
    });
    lines.add("verity-signature", signature.transpose()?);
    Ok(lines.0)
}

fn print_verity(verity: &VeritySpec) -> String {
    let VeritySpec {
        place: _,
        of,
        behind,
        hash,
        data_block_size,
        hash_block_size,
        salt,
        superblock,
        uuid,
        fec_roots,
    } = verity;
    let mut entries = Vec::new();
    let mut add = |key: &str, value: Option<String>| {
        entries.extend(value.map(|value| format!("{key} = {value}")));
    };
    let size = |size: &Placed<u32>| quoted(&written(size.value.into()));
    add("of", of.as_ref().map(|of| quoted(&of.value)));
    let behind = behind.as_ref().filter(|behind| behind.value);
    add("behind", behind.map(|_| "true".to_owned()));
    add("hash", hash.as_ref().map(|hash| quoted(hash.value.name())));
    add("data-block-size", data_block_size.as_ref().map(size));
    add("hash-block-size", hash_block_size.as_ref().map(size));
    add(
        "salt",
        salt.as_ref().map(|salt| match salt.value.as_slice() {
            [] => quoted("none"),
            bytes => quoted(&hexadecimal(bytes)),
        }),
    );
    add(
        "superblock",
        superblock.as_ref().map(|given| given.value.to_string()),
    );
    add(
        "uuid",
        uuid.as_ref().map(|uuid| quoted(&uuid.value.to_string())),
    );
    add(
        "fec-roots",
        fec_roots.as_ref().map(|roots| roots.value.to_string()),
    );
    braced(entries)
}

/// Who signs, as entries of a table.
fn signer(sign: &SignSpec) -> Result<[String; 2], PathError> {
    let SignSpec {
        place: _,
        certificate,
        by,
    } = sign;
    let by = match by {
        SignedBy::Key(file) => format!("key = {}", quoted_path(&file.value)?),
        SignedBy::Signature(file) => format!("signature = {}", quoted_path(&file.value)?),
    };
    let certificate = quoted_path(&certificate.value)?;
    Ok([by, format!("certificate = {certificate}")])
}

fn print_rule(rule: SizeRule) -> String {
    quoted(&match rule {
        SizeRule::Fixed(bytes) => written(bytes),
        SizeRule::Minimum(Margin::Bytes(0)) => "minimum".to_owned(),
        SizeRule::Minimum(Margin::Bytes(bytes)) => format!("minimum + {}", written(bytes)),
        SizeRule::Minimum(Margin::PartsPerMillion(parts)) => {
            format!("minimum + {}%", percentage(parts))
        }
        SizeRule::Rest => "rest".to_owned(),
    })
}

/// Parts per million as a percentage, without zeros at its end.
fn percentage(parts: u64) -> String {
    const PARTS: u64 = 10_000;
    let (whole, rest) = (parts / PARTS, parts % PARTS);
    let digits = format!("{whole}.{rest:04}");
    digits
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

fn print_filesystem(lines: &mut Lines, filesystem: &FilesystemSpec) -> Result<(), PathError> {
    let FilesystemSpec {
        kind,
        label,
        uuid,
        content,
        content_places: _,
        options,
        drop,
        selinux,
    } = filesystem;
    lines.add("filesystem", Some(quoted(&kind.value)));
    lines.add("label", label.as_ref().map(|label| quoted(&label.value)));
    lines.add(
        "uuid",
        uuid.as_ref().map(|uuid| match uuid.value {
            FilesystemId::Uuid(uuid) => quoted(&uuid.to_string()),
            FilesystemId::Serial(serial) => {
                quoted(&format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff))
            }
        }),
    );
    if !content.is_empty() {
        let sources: Vec<String> = content
            .iter()
            .map(print_content)
            .collect::<Result<_, _>>()?;
        lines.add("content", Some(long_list(&sources)));
    }
    if !options.is_empty() {
        let options = options
            .iter()
            .map(|(name, value)| format!("{} = {}", key(name), quoted(&value.value)));
        lines.add("options", Some(braced(options)));
    }
    if !drop.is_empty() {
        let mut names: Vec<Loss> = drop.clone();
        names.sort_unstable();
        names.dedup();
        lines.add(
            "drop",
            Some(list(names.iter().map(|loss| quoted(loss.name())))),
        );
    }
    if let Some(SelinuxSpec { place: _, contexts }) = selinux {
        let contexts = format!("contexts = {}", quoted_path(&contexts.value)?);
        lines.add("selinux", Some(braced([contexts])));
    }
    Ok(())
}

fn print_content(content: &Content) -> Result<String, PathError> {
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

fn print_raw_list(raw: &[RawSpec]) -> Result<Option<String>, PathError> {
    let entries: Vec<String> = raw.iter().map(print_raw).collect::<Result<_, _>>()?;
    Ok((!entries.is_empty()).then(|| long_list(&entries)))
}

fn print_raw(raw: &RawSpec) -> Result<String, PathError> {
    let RawSpec { what, offset } = raw;
    let mut entries = Vec::new();
    match what {
        RawWhat::File { file, size } => {
            entries.push(format!("file = {}", quoted_path(&file.value)?));
            if let Some(size) = size {
                entries.push(format!("size = {}", quoted(&written(size.value))));
            }
        }
        RawWhat::Lba(place) => entries.push(format!("lba = {}", quoted(&written(place.value)))),
        RawWhat::LbaOf { partition, plus } => {
            entries.push(format!("lba-of = {}", quoted(&partition.value)));
            if *plus != 0 {
                entries.push(format!("plus = {}", quoted(&written(*plus))));
            }
        }
    }
    if *offset != 0 {
        entries.push(format!("offset = {}", quoted(&written(*offset))));
    }
    Ok(braced(entries))
}

fn print_guest(guest: &GuestSpec) -> Result<String, PathError> {
    let GuestSpec {
        file,
        sha256,
        command,
    } = guest;
    let file = quoted_path(&file.value)?;
    if sha256.is_none() && command.is_none() {
        return Ok(file);
    }
    let mut entries = vec![format!("file = {file}")];
    if let Some(digest) = sha256 {
        entries.push(format!("sha256 = {}", quoted(&hexadecimal(digest))));
    }
    if let Some(line) = command {
        let words = |words: &[Word]| list(words.iter().map(|word| quoted(word.text())));
        let arguments = line.arguments().iter().map(|argument| match argument {
            Argument::Word(word) => quoted(word.text()),
            Argument::Group(group) => words(group),
        });
        entries.push(format!("command = {}", list(arguments)));
    }
    Ok(braced(entries))
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quoted_path(path: &Path) -> Result<String, PathError> {
    path.to_str().map(quoted).ok_or_else(|| PathError {
        path: path.to_owned(),
    })
}

/// A key, in quotes where it needs them (TOML 1.0, "Keys").
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// A list with a line for each value, unless there is one alone.
fn long_list(values: &[String]) -> String {
    match values {
        [value] => format!("[{value}]"),
        values => format!("[\n    {},\n]", values.join(",\n    ")),
    }
}

fn braced(entries: impl IntoIterator<Item = String>) -> String {
    let entries: Vec<String> = entries.into_iter().collect();
    format!("{{ {} }}", entries.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Everything that can be printed, in the form that it is printed in.
    const PRINTED: &str = r#"[disk]
table = "hybrid"
size = "4GiB"
sector-size = 4096
seed = "5f0c1a2b-3c4d-5e6f-7081-92a3b4c5d6e7"
id = "6f8c47a6-1c2d-4b35-8b1e-9de3c4e9e3ff"
time = -1
alignment = "4KiB"
gpt-location = "16KiB"
gpt-backup = false
protective-number = 4
raw = [
    { file = "boot.img", size = "440B" },
    { lba-of = 'bios "boot"', plus = "4KiB", offset = "92B" },
]

[[partition]]
name = 'bios "boot"'
type = "bios-boot"
size = "1MiB"
offset = "1MiB"
raw = [{ file = "core.img" }]

[[partition]]
name = "ä"
type = "11111111-2222-3333-4444-555555555555"
size = "minimum + 12.5%"
number = 7
id = "00000000-0000-0000-0000-000000000001"
attributes = ["required", "bit-5", "grow-fs"]
mbr-type = "fat32"
active = true
filesystem = "vfat"
label = "L"
uuid = "ABCD-0001"
content = [
    { directory = "dir", owner = "0:1", mode = "u=rwX,go-ws,ug+t", exclude = ["*.o", "a b"] },
    { archive = "root.tar", to = "/", times = "keep", from = "rootfs", strip = 2, follow = true, hard-links = "break", metadata = "root.mtree" },
    { composefs = "root.dump", basedir = "objects", to = "/x" },
    { file = "fstab", to = "/etc/fstab", mode = "0644" },
    { text = 'quoted "text"', to = "/etc/motd" },
    { template = "fstab.in", to = "/etc/fstab2", owner = "0:0", mode = "0600" },
]
options = { "a b" = "1", cluster-size = "4096" }
drop = ["symlinks", "owners"]

[[partition]]
type = "linux-generic"
size = "minimum + 1000B"
filesystem = "minix"
uuid = "0fc63daf-8483-4772-8e79-3d69d8477de4"
selinux = { contexts = "file_contexts" }

[[partition]]
type = "swap"
size = "rest"
filesystem = "swap"

[boot]
unified-kernels = ["a.efi"]

[boot.grub-bios]
boot-image = "boot.img"
core-image = "core.img"

[boot.systemd-boot]
image = "sd.efi"
config = { text = "timeout 3" }
entries = { debian = { template = "debian.in" }, rescue = "rescue.conf" }

[guests]
"m x" = { file = "m.wasm", sha256 = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f" }
minix = "minix.wasm"
"#;

    #[test]
    fn what_is_printed_is_read_as_it_was() {
        let spec = Spec::parse(PRINTED, Path::new("")).unwrap();
        let printed = spec.to_toml().unwrap();
        let difference = printed.lines().zip(PRINTED.lines()).find(|(a, b)| a != b);
        assert_eq!(difference, None);
        assert_eq!(printed, PRINTED);
    }

    #[test]
    fn what_only_one_kind_of_table_has_is_read_as_it_was() {
        for printed in [
            "[disk]\ntable = \"mbr\"\nextended-number = 2\nextended-type = \"extended-chs\"\n\
             boot-record-space = \"512B\"\n\n[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\n",
            "[disk]\ntable = \"none\"\n\n[[partition]]\nsize = \"1MiB\"\noffset = \"8KiB\"\n",
        ] {
            let spec = Spec::parse(printed, Path::new("")).unwrap();
            assert_eq!(spec.to_toml().unwrap(), printed);
        }
    }

    #[test]
    fn other_forms_come_to_the_same() {
        let other = "disk = { }\n[[partition]]\nfilesystem = 'ext4'\ntype = '0FC63DAF-8483-4772-8E79-3D69D8477DE4'\n\
                     size = 1048576\ncontent = [{ text = \"\"\"a\nb\"\"\", to = '/x' }]\ndrop = ['owners', 'symlinks', 'owners']\n";
        let spec = Spec::parse(other, Path::new("")).unwrap();
        let printed = spec.to_toml().unwrap();
        assert!(
            printed.starts_with("[[partition]]\ntype = \"linux-generic\"\nsize = \"1MiB\"\n"),
            "{printed}"
        );
        assert!(
            printed.ends_with("drop = [\"symlinks\", \"owners\"]\n"),
            "{printed}"
        );
        let again = Spec::parse(&printed, Path::new("")).unwrap();
        assert_eq!(again.to_toml().unwrap(), printed);
        let content = |spec: &Spec| spec.partitions[0].filesystem.clone().unwrap().content;
        assert_eq!(content(&again), content(&spec));
    }
}
