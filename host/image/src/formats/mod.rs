//! The formats that a disk is written in beside its plain bytes: what clouds and hypervisors take, and what is sent over wires.
//!
//! ```text
//!     the disk's file, ranges of data ──> blocks, packed on threads ──> one file without a name ──> published with the others
//! ```
//!
//! Each module is a format. It reads the finished disk once, its data alone, and writes a file of its own; or the disk's file becomes that of
//! the format, where most of the disk can stay where it is (`units`). What comes out is the same either way. It depends on the disk, the options and the time that is given: identifiers that a format wants are digests of the disk's first bytes, in
//! which its own identifiers are.

mod android;
mod blocks;
mod bmap;
mod gzip;
mod options;
mod ova;
mod plain;
mod qcow2;
mod raw;
mod stored;
#[cfg(test)]
mod tests;
mod units;
mod vhd;
mod vhdx;
mod vmdk;
mod xz;
mod zst;

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cellblock_codec::Workers;
use cellblock_text::{exact, nearest};
use cellblock_tree::recognise::{Class, recognise};
use cellblock_tree::volume::Decoders;
use sha2::{Digest as _, Sha256};

pub use options::FormatError;

use crate::copy::Part;
use crate::structures::qcow2::MAGIC as QCOW2;
use crate::{Bytes, Copying, Existing, Image, ImageError, Scratch, copy};
use options::Options;

/// All formats, the plain one first.
static KINDS: [&Kind; 11] = [
    &raw::KIND,
    &qcow2::KIND,
    &vmdk::KIND,
    &vhd::KIND,
    &vhdx::KIND,
    &ova::KIND,
    &zst::KIND,
    &gzip::KIND,
    &xz::KIND,
    &android::KIND,
    &bmap::KIND,
];

/// What a tar is called that is compressed.
const COMPRESSED_TAR: &str =
    "a compressed tar archive (`cellblock tar IMAGE -o -` writes a plain one to a pipe)";

/// The suffixes of files that are no plain disk and not written, and what they are.
const NOT_WRITTEN: [(&str, &str); 13] = [
    ("qcow", "a qcow image of version 1"),
    ("vdi", "a VDI image"),
    ("bz2", "compressed with bzip2"),
    ("lz4", "compressed with LZ4"),
    ("tar", "a tar archive of a disk"),
    ("tar.gz", COMPRESSED_TAR),
    ("tar.xz", COMPRESSED_TAR),
    ("tar.zst", COMPRESSED_TAR),
    ("tgz", COMPRESSED_TAR),
    ("txz", COMPRESSED_TAR),
    ("tzst", COMPRESSED_TAR),
    ("iso", "an ISO 9660 image"),
    ("zip", "a zip archive"),
];

/// As much of a disk's beginning stands for it where a format wants an identifier: tables and superblocks, with theirs.
const STANDS_FOR_DISK: usize = 64 << 10;

/// A kind of format.
struct Kind {
    /// What it is called.
    name: &'static str,
    /// What others call it.
    also: &'static [&'static str],
    /// The suffix of a file that is named after its image.
    suffix: &'static str,
    /// The suffixes by which it is chosen.
    suffixes: &'static [&'static str],
    /// What it is, in a line.
    about: &'static str,
    /// Its options, and what they are.
    options: &'static [(&'static str, &'static str)],
    /// Whether it stands beside the disk, and does not hold it.
    is_beside: bool,
    make: fn(&Options<'_>) -> Result<Arc<dyn Format>, FormatError>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// A format with its options.
trait Format: fmt::Debug + Send + Sync {
    /// Whether the disk's own file can become it: what it is written to may have the disk already then.
    fn takes_file(&self) -> bool {
        false
    }

    /// The disk that it only differs from.
    fn base(&self) -> Option<&Base> {
        None
    }

    /// Writes the disk to a file that is empty, or [has it](Writer::has_disk) already.
    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError>;
}

/// A disk that an output only differs from.
#[derive(Debug)]
struct Base {
    /// What the output calls it.
    name: String,
    path: PathBuf,
    /// Whether it is a qcow2; if nothing was said, it is found out.
    is_qcow2: Option<bool>,
}

/// A format that was chosen for an output, with its options.
#[derive(Clone, Debug)]
pub struct OutputFormat {
    kind: &'static Kind,
    format: Arc<dyn Format>,
}

impl Default for OutputFormat {
    /// The plain bytes of the disk.
    fn default() -> Self {
        Self {
            kind: &raw::KIND,
            format: Arc::new(raw::Raw),
        }
    }
}

impl OutputFormat {
    /// The format that is named, or else that of the suffix of `path`, with these options.
    ///
    /// # Errors
    /// [`FormatError`] if there is none, or it has no such options.
    pub fn choose(
        name: Option<&str>,
        path: &Path,
        options: &[(String, String)],
    ) -> Result<Self, FormatError> {
        let kind = match name {
            Some(name) => named(name)?,
            None => of_suffix(path)?,
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            kind,
            format: (kind.make)(&Options::of(kind, options, folder)?)?,
        })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// The suffix of its files where nothing else names them.
    #[must_use]
    pub fn suffix(&self) -> &'static str {
        self.kind.suffix
    }

    /// Whether it holds the plain bytes of the disk.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.name() == raw::KIND.name
    }

    /// Whether the disk's own file can become it, with little of it moved.
    #[must_use]
    pub fn takes_file(&self) -> bool {
        self.format.takes_file()
    }

    /// The disk that is read for it, as one that it only differs from.
    #[must_use]
    pub fn base(&self) -> Option<&Path> {
        self.format.base().map(|base| &*base.path)
    }

    /// Whether it stands beside the disk, and does not hold it.
    #[must_use]
    pub fn is_beside(&self) -> bool {
        self.kind.is_beside
    }

    fn write(
        &self,
        disk: &Disk<'_>,
        how: &Conversion<'_>,
        scratch: &Scratch,
        file: &File,
        has_disk: bool,
    ) -> Result<(), ImageError> {
        let mut writer = Writer {
            file,
            has_disk,
            scratch,
            watch: how.watch,
            start: 0,
            position: 0,
        };
        self.format.write(disk, &mut writer)
    }
}

/// The names of all formats.
pub fn names() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

/// The formats for people: name, what it is, and its options with what they are.
pub fn described() -> impl Iterator<
    Item = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
    ),
> {
    KINDS
        .iter()
        .map(|kind| (kind.name, kind.about, kind.options))
}

fn named(name: &str) -> Result<&'static Kind, FormatError> {
    let is_it = |kind: &&&Kind| kind.name == name || kind.also.contains(&name);
    let found = KINDS.iter().find(is_it).copied();
    found.ok_or_else(|| FormatError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name, names()),
    })
}

fn of_suffix(path: &Path) -> Result<&'static Kind, FormatError> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let ends_with = |suffix: &&str| {
        let before = name.strip_suffix(*suffix);
        before.is_some_and(|before| before.len() > 1 && before.ends_with('.'))
    };
    if let Some((_, is)) = NOT_WRITTEN.iter().find(|(suffix, _)| ends_with(suffix)) {
        return Err(FormatError::NotWritten { is });
    }
    let found = KINDS
        .iter()
        .find(|kind| kind.suffixes.iter().any(ends_with));
    Ok(found.copied().unwrap_or(&raw::KIND))
}

/// How a disk is written in a format; nothing of it but `time` and `name` changes a byte.
pub struct Conversion<'a> {
    /// How many threads compress and copy.
    pub jobs: usize,
    /// Who compresses.
    pub codecs: &'a dyn Workers,
    /// Who takes apart what is compressed in a disk that an output only differs from.
    pub decoders: &'a Arc<dyn Decoders>,
    /// The time for formats that have one, in seconds since 1970.
    pub time: Option<i64>,
    /// The name of the output's file, which a few formats repeat within.
    pub name: &'a str,
    /// Is told of each number of bytes of the disk that is done.
    pub watch: &'a dyn Fn(u64),
}

/// The disk that is written.
struct Disk<'a> {
    bytes: Bytes<'a>,
    size: u64,
    /// The disk that the output only differs from.
    base: Option<&'a Existing>,
    jobs: usize,
    codecs: &'a dyn Workers,
    time: Option<i64>,
    name: &'a str,
}

impl Disk<'_> {
    fn copying<'a>(&self, watch: &'a dyn Fn(u64)) -> Copying<'a> {
        Copying {
            threads: self.jobs,
            watch,
        }
    }

    /// Where it or its base has data, ascending; the rest are zeros.
    fn extents(&self) -> Result<Vec<Range<u64>>, ImageError> {
        let failed = |source| ImageError::Read { offset: 0, source };
        let own = self.bytes.extents(self.size).map_err(failed)?;
        let Some(base) = self.base else {
            return Ok(own);
        };
        let (bytes, size) = base.whole();
        let base = bytes.extents(size.min(self.size)).map_err(failed)?;
        Ok(joined(own, base))
    }

    /// A digest of what identifies the disk, for an identifier of a format: its size, and its first bytes, in which its own
    /// identifiers are.
    fn identifier(&self, purpose: &str) -> Result<[u8; 16], ImageError> {
        let mut head = vec![0; copy::at_most(self.size, STANDS_FOR_DISK)];
        let read = self.bytes.read(0, &mut head);
        read.map_err(|source| ImageError::Read { offset: 0, source })?;
        let mut hash = Sha256::new();
        hash.update(purpose.as_bytes());
        hash.update(self.size.to_le_bytes());
        hash.update(&head);
        let mut identifier = [0; 16];
        identifier.copy_from_slice(&hash.finalize()[..16]);
        Ok(identifier)
    }

    /// The disk in whole units.
    fn in_units(&self, format: &'static str, unit: u64, advice: &str) -> Result<u64, ImageError> {
        if self.size.is_multiple_of(unit) {
            return Ok(self.size / unit);
        }
        Err(ImageError::Unfit {
            format,
            reason: format!(
                "the disk has {}, which is no multiple of {}; {advice}",
                exact(self.size),
                exact(unit)
            ),
        })
    }

    /// Refuses a disk of more than so many bytes.
    fn at_most(&self, format: &'static str, most: u64) -> Result<(), ImageError> {
        if self.size <= most {
            return Ok(());
        }
        Err(ImageError::Unfit {
            format,
            reason: format!(
                "the disk has {}, and the format holds {} at the most",
                exact(self.size),
                exact(most)
            ),
        })
    }
}

/// What is in one of two lists of ranges, or in both. All ascend.
fn joined(one: Vec<Range<u64>>, other: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut all = [one, other].concat();
    all.sort_unstable_by_key(|it| it.start);
    all.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    all
}

/// The file that a format is written to.
struct Writer<'a> {
    file: &'a File,
    /// The file is the disk's own: plain, from its beginning on, and as long as the disk.
    has_disk: bool,
    scratch: &'a Scratch,
    /// Is told of each number of bytes of the disk that is done.
    watch: &'a dyn Fn(u64),
    /// Where in the file it begins: what stands before is somebody else's.
    start: u64,
    /// Where the next bytes go, for what is written one behind the other.
    position: u64,
}

impl Writer<'_> {
    /// Writes at an offset.
    fn at(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        let written = self.file.write_all_at(bytes, self.start + offset);
        written.map_err(|source| self.failed(offset, bytes.len() as u64, source))
    }

    fn failed(&self, offset: u64, length: u64, source: io::Error) -> ImageError {
        self.scratch
            .transfer_error("writing", offset, length, source)
    }

    /// Copies parts of `source`, which may be this file, to where it has zeros. They go to offsets of the file itself, whatever stands before.
    fn parts(&self, source: &File, parts: Vec<Part>, how: Copying<'_>) -> Result<(), ImageError> {
        let Some(first) = parts.first() else {
            return Ok(());
        };
        let (offset, length) = (first.to, parts.iter().map(Part::length).sum());
        let copied = copy::parts(source, parts, self.file, how);
        copied.map_err(|source| self.failed(offset, length, source))
    }

    /// Makes a range zeros.
    fn erase(&self, range: Range<u64>) -> Result<(), ImageError> {
        let there = self.start + range.start..self.start + range.end;
        let erased = copy::erase(self.file, there);
        erased.map_err(|source| self.failed(range.start, range.end - range.start, source))
    }

    /// Writes behind what was written like this before.
    fn append(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.at(self.position, bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Leaves zeros up to a multiple of `unit`.
    fn align(&mut self, unit: u64) {
        self.position = self.position.next_multiple_of(unit);
    }

    /// Makes the file so long: what was not written is zeros.
    fn set_length(&self, length: u64) -> Result<(), ImageError> {
        let set = self.file.set_len(self.start + length);
        set.map_err(|source| {
            self.scratch
                .transfer_error("making room", 0, length, source)
        })
    }
}

/// Writes a disk in a format, to a file without a name beside what `scratch` is for.
fn convert(
    disk: Disk<'_>,
    how: &Conversion<'_>,
    scratch: &Scratch,
    format: &OutputFormat,
) -> Result<Image, ImageError> {
    let base = match format.format.base() {
        Some(base) => Some(base.open(how.decoders)?),
        None => None,
    };
    let disk = Disk {
        base: base.as_ref(),
        ..disk
    };
    let file = scratch.create()?;
    format.write(&disk, how, scratch, &file, false)?;
    let mut image = Image::whole(scratch, file, 0);
    image.measure()?;
    Ok(image)
}

impl Base {
    fn open(&self, decoders: &Arc<dyn Decoders>) -> Result<Existing, ImageError> {
        let base = Existing::open(&self.path)?;
        if self.is_qcow2 == Some(false) {
            return Ok(base);
        }
        let format = base.recognise().map_err(|source| ImageError::Open {
            path: self.path.clone(),
            source,
        })?;
        let name = format.map(|format| format.name);
        match (self.is_qcow2, format.map(|it| it.class)) {
            _ if name == recognise(&QCOW2).map(|it| it.name) => base.with_disk(decoders),
            (None, Some(Class::DiskImage | Class::ReadDiskImage | Class::Compressed(_)))
            | (Some(_), _) => Err(ImageError::Base {
                path: self.path.clone(),
                is: name.unwrap_or("no qcow2 image"),
            }),
            _ => Ok(base),
        }
    }
}

impl<'a> Conversion<'a> {
    fn disk(&self, bytes: Bytes<'a>, size: u64) -> Disk<'a> {
        Disk {
            bytes,
            size,
            base: None,
            jobs: self.jobs,
            codecs: self.codecs,
            time: self.time,
            name: self.name,
        }
    }
}

impl Image {
    /// The disk in a format, in a file without a name beside what `scratch` is for.
    ///
    /// # Errors
    /// [`ImageError`] if the format cannot hold the disk, or it cannot be read, compressed or written.
    pub fn convert(
        &self,
        scratch: &Scratch,
        format: &OutputFormat,
        how: &Conversion<'_>,
    ) -> Result<Self, ImageError> {
        let disk = how.disk(Bytes::File(self.file()), self.size());
        convert(disk, how, scratch, format)
    }

    /// Makes the disk's own file one of a format that [takes it](OutputFormat::takes_file): the same bytes as [`Image::convert`] writes.
    /// The image is no disk any more then, and none if it fails.
    ///
    /// # Errors
    /// [`ImageError`] if the format cannot hold the disk, or it cannot be read or written.
    ///
    /// # Panics
    /// If the format does not take it.
    pub fn become_one(
        &mut self,
        format: &OutputFormat,
        how: &Conversion<'_>,
    ) -> Result<(), ImageError> {
        assert!(format.takes_file(), "a disk becomes what takes its file");
        let disk = how.disk(Bytes::File(self.file()), self.size());
        format.write(&disk, how, self.scratch(), self.file(), true)?;
        self.measure()
    }
}

impl Existing {
    /// The disk in a format, in a file without a name beside what `scratch` is for.
    ///
    /// # Errors
    /// [`ImageError`] if the format cannot hold the disk, or it cannot be read, compressed or written.
    pub fn convert(
        &self,
        scratch: &Scratch,
        format: &OutputFormat,
        how: &Conversion<'_>,
    ) -> Result<Image, ImageError> {
        let (bytes, size) = self.whole();
        convert(how.disk(bytes, size), how, scratch, format)
    }
}
