//! A spec as TOML: the way back, in one form for everything that means the same.
//!
//! Tables and keys come in the order of the reference, sizes in the largest unit that divides them, identifiers with
//! hyphens and types by their names. What is not given is not printed, so that what is printed means what was read.

mod boot;
mod content;
mod identity;
mod table;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::size::written;
use super::value::written_time;
use super::{
    CachePlace, CacheSpec, DiskSize, DiskSpec, FilesystemId, FilesystemSpec, GuestSpec, Margin,
    PartitionSpec, Placed, RawSpec, RawWhat, Seed, SelinuxSpec, SignSpec, SignedBy, SizeRule, Spec,
    TableName, VeritySpec,
};
use cellblock_contract::{Argument, Loss, Word};
use cellblock_table::PartitionType;
use cellblock_text::hexadecimal;

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
            cache,
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
        if let Some(cache) = cache {
            tables.push(print_cache(cache)?);
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
    lines.add("time", time.as_ref().map(|time| written_time(time.value)));
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
        gpt_name,
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
    lines.add(
        "gpt-name",
        gpt_name.as_ref().map(|name| quoted(&name.value)),
    );
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
            .map(content::print_content)
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
    if let Some(path) = file.value.path() {
        quoted_path(path)?;
    }
    let file = quoted(&file.value.to_string());
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

fn print_cache(cache: &CacheSpec) -> Result<String, PathError> {
    let CacheSpec {
        place: _,
        places,
        trust,
    } = cache;
    let mut lines = Lines::new("[cache]");
    let places = places.iter().map(|place| match &place.value {
        CachePlace::Folder(path) => quoted_path(path),
        CachePlace::Address(address) => Ok(quoted(address)),
    });
    let places: Vec<String> = places.collect::<Result<_, _>>()?;
    lines.add("places", Some(list(places.into_iter())));
    if !trust.is_empty() {
        let files = trust.iter().map(|file| quoted_path(&file.value));
        let files: Vec<String> = files.collect::<Result<_, _>>()?;
        lines.add("trust", Some(list(files.into_iter())));
    }
    Ok(lines.0)
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
