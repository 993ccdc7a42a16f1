//! VMDK in one file: grains, found through a directory of tables, plain (monolithicSparse) or compressed (streamOptimized).
//!
//! By VMware's Virtual Disk Format 5.0. A descriptor says in text of which files a disk consists: one that tells of more than its own
//! is refused with the name of the first.

use std::io;

use zerocopy::{FromBytes, IntoBytes, LE, U32, U64, Unaligned};

use super::{DiskFault, Layout, Mapping, Packed, Piece, Stored, called, each_once};
use crate::structures::vmdk::{AT_END, DEFLATE, Header, MAGIC, SECTOR, flags};
use cellblock_tree::volume::Coding;

/// The most bytes of a descriptor.
const MOST_DESCRIPTOR: u64 = 64 << 10;
/// The most bytes of a grain (32 MiB in the format; a compressed one is decoded at once).
const MOST_GRAIN: u64 = 8 << 20;

/// What stands before a compressed grain.
#[derive(FromBytes, IntoBytes, Unaligned)]
#[repr(C)]
struct Marker {
    sector: U64<LE>,
    /// The bytes behind it.
    length: U32<LE>,
}

#[derive(Debug)]
pub(super) struct Vmdk {
    size: u64,
    /// The bytes of a grain.
    grain: u64,
    /// The entries of a table.
    entries: u64,
    is_compressed: bool,
    has_zero_grains: bool,
    /// Where the tables are, in sectors; 0 for one that is not there.
    directory: Vec<u32>,
}

impl Vmdk {
    pub(super) fn open(stored: &Stored) -> io::Result<Self> {
        /// Where the footer of a stream is, before its last marker.
        const FOOTER: u64 = 1024;
        let first: Header = stored.get("its header", 0)?;
        check_descriptor(stored, &first)?;
        let header = if first.directory.get() == AT_END {
            let end = stored.length.saturating_sub(FOOTER);
            let footer: Header = stored.get("its footer", end)?;
            if footer.magic != MAGIC {
                let what = "the footer of the stream, which may have been cut short,";
                return Err(DiskFault::Malformed { what }.into());
            }
            footer
        } else {
            first
        };
        let version = header.version.get();
        if !(1..=3).contains(&version) {
            let read = "versions 1 to 3";
            return Err(DiskFault::Version { version, read }.into());
        }
        let bits = header.flags.get();
        let is_compressed = bits & flags::IS_COMPRESSED != 0;
        let compression = header.compression.get();
        if is_compressed && compression != DEFLATE {
            let fault = DiskFault::Number {
                what: "the kind of compression",
                value: compression.into(),
                expected: "1 (DEFLATE)".to_owned(),
            };
            return Err(fault.into());
        }
        let number = |what, value, expected: &str| DiskFault::Number {
            what,
            value,
            expected: expected.to_owned(),
        };
        let grain = header.grain.get();
        let grain_bytes = grain.checked_mul(SECTOR);
        let grain_bytes = grain_bytes.filter(|it| it.is_power_of_two() && *it <= MOST_GRAIN);
        let grain_bytes = grain_bytes.ok_or_else(|| {
            let expected = "a power of two up to 16384";
            number("the number of sectors of a grain", grain, expected)
        })?;
        let entries = u64::from(header.table_entries.get());
        if !(1..=512).contains(&entries) {
            return Err(number("the number of entries of a table", entries, "1 to 512").into());
        }
        let capacity = header.capacity.get();
        let size = capacity.checked_mul(SECTOR).ok_or_else(|| {
            let expected = "at most 2^55";
            number("the number of sectors of the disk", capacity, expected)
        })?;
        let place = header.directory.get().saturating_mul(SECTOR);
        let tables = size.div_ceil(grain_bytes * entries);
        let directory = stored.table("its directory of tables", place, tables)?;
        let directory: Vec<u32> = directory.into_iter().map(u32::from_le_bytes).collect();
        let there = directory.iter().filter(|it| **it != 0);
        each_once("a table of grains", there.map(|it| u64::from(*it) * SECTOR))?;
        Ok(Self {
            size,
            grain: grain_bytes,
            entries,
            is_compressed,
            has_zero_grains: bits & flags::HAS_ZERO_GRAINS != 0,
            directory,
        })
    }
}

impl Layout for Vmdk {
    fn size(&self) -> u64 {
        self.size
    }

    fn piece(&self, stored: &Stored, at: u64) -> io::Result<Piece> {
        /// A grain that is zeros, where there are such.
        const ZEROS: u32 = 1;
        let of_table = self.grain * self.entries;
        let index = usize::try_from(at / of_table).expect("the directory is in memory");
        let table = self.directory[index];
        if table == 0 {
            let start = at / of_table * of_table;
            return Ok(Piece {
                range: start..start.saturating_add(of_table),
                mapping: Mapping::Zeros,
            });
        }
        let grain = at / self.grain;
        let offset = u64::from(table) * SECTOR + grain % self.entries * 4;
        let what = "an entry of a table of grains";
        let entry = u32::from_le_bytes(stored.entry(what, offset)?);
        let data = u64::from(entry) * SECTOR;
        let start = grain * self.grain;
        Ok(Piece {
            range: start..start.saturating_add(self.grain),
            mapping: match entry {
                0 => Mapping::Zeros,
                ZEROS if self.has_zero_grains => Mapping::Zeros,
                _ if self.is_compressed => Mapping::Packed(Packed {
                    coding: Coding::Zlib,
                    offset: data,
                    // Its marker says it.
                    length: 0,
                }),
                _ => Mapping::Plain(data),
            },
        })
    }

    fn bare(&self, stored: &Stored, piece: &Piece, packed: Packed) -> io::Result<Packed> {
        let marker: Marker = stored.get("the marker of a grain", packed.offset)?;
        let expected = piece.range.start / SECTOR;
        if marker.sector.get() != expected {
            let fault = DiskFault::Number {
                what: "the sector that a grain says it is of",
                value: marker.sector.get(),
                expected: expected.to_string(),
            };
            return Err(fault.into());
        }
        Ok(Packed {
            offset: packed.offset + size_of::<Marker>() as u64,
            length: marker.length.get(),
            ..packed
        })
    }
}

/// Refuses a sparse file that is not a disk of its own.
fn check_descriptor(stored: &Stored, header: &Header) -> io::Result<()> {
    let offset = header.descriptor.get().saturating_mul(SECTOR);
    let length = header.descriptor_length.get().saturating_mul(SECTOR);
    if offset == 0 || length == 0 {
        return Err(DiskFault::OneOfSeveral.into());
    }
    let text = descriptor(stored, offset, length)?;
    let said = Said::of(&text);
    match said.extents[..] {
        _ if said.base.is_some() => {}
        // Its own name, whatever the file is called now.
        [
            ExtentLine {
                is_sparse: true, ..
            },
        ] => return Ok(()),
        [] => {
            let what = "its descriptor, which tells of no extent,";
            return Err(DiskFault::Malformed { what }.into());
        }
        _ => {}
    }
    Err(said.fault().into())
}

/// A file that is a descriptor and nothing else: what it has to be refused with.
pub(super) fn descriptor_alone(stored: &Stored) -> io::Result<DiskFault> {
    let text = descriptor(stored, 0, stored.length)?;
    Ok(Said::of(&text).fault())
}

fn descriptor(stored: &Stored, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = length.min(MOST_DESCRIPTOR);
    let mut text = vec![0; usize::try_from(length).expect("at most MOST_DESCRIPTOR")];
    stored.read("its descriptor", offset, &mut text)?;
    let end = text.iter().position(|byte| *byte == 0);
    text.truncate(end.unwrap_or(text.len()));
    Ok(text)
}

/// What a descriptor says of other files.
struct Said<'a> {
    extents: Vec<ExtentLine<'a>>,
    /// The disk that it differs from.
    base: Option<&'a [u8]>,
}

struct ExtentLine<'a> {
    is_sparse: bool,
    is_flat: bool,
    file: &'a [u8],
}

impl<'a> Said<'a> {
    fn of(text: &'a [u8]) -> Self {
        let mut said = Self {
            extents: Vec::new(),
            base: None,
        };
        let mut has_base = false;
        for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            if let Some(extent) = ExtentLine::of(line) {
                said.extents.push(extent);
            } else if let Some(value) = value(line, b"parentCID") {
                has_base = !value.eq_ignore_ascii_case(b"ffffffff");
            } else if let Some(value) = value(line, b"parentFileNameHint") {
                said.base = Some(value);
            }
        }
        if has_base {
            said.base.get_or_insert(b"");
        } else {
            said.base = None;
        }
        said
    }

    fn fault(&self) -> DiskFault {
        if let Some(base) = self.base {
            return DiskFault::Base { base: called(base) };
        }
        match &self.extents[..] {
            [] => DiskFault::Malformed {
                what: "its descriptor, which tells of no extent,",
            },
            [first, rest @ ..] => DiskFault::DataFile {
                file: called(first.file),
                is_plain: first.is_flat && rest.is_empty(),
            },
        }
    }
}

/// The value of a line `key = "value"`.
fn value<'a>(line: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(key)?.trim_ascii();
    let value = rest.strip_prefix(b"=")?.trim_ascii();
    let unquoted = value.strip_prefix(b"\"");
    Some(unquoted.map_or(value, |it| it.strip_suffix(b"\"").unwrap_or(it)))
}

impl<'a> ExtentLine<'a> {
    /// A line such as `RW 2048 SPARSE "disk.vmdk"`.
    fn of(line: &'a [u8]) -> Option<Self> {
        let access = [&b"RW "[..], b"RDONLY ", b"NOACCESS "];
        let rest = access.iter().find_map(|it| line.strip_prefix(*it))?;
        let mut words = rest.split(|byte| *byte == b' ').filter(|it| !it.is_empty());
        let (_, kind) = (words.next()?, words.next()?);
        let mut quoted = line.split(|byte| *byte == b'"');
        Some(Self {
            is_sparse: kind == b"SPARSE",
            is_flat: kind == b"FLAT",
            file: quoted.nth(1).unwrap_or_default(),
        })
    }
}
