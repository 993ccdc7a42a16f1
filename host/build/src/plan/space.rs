//! Room on a disk, in bytes: how much there can be, where something lies, and what is there.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// The longest file, in bytes: offsets are signed.
pub(super) const MOST_BYTES: u64 = u64::MAX >> 1;
/// The bytes at the start of the disk that a BIOS runs.
pub(super) const BOOT_CODE: u64 = cellblock_table::BOOT_CODE as u64;

/// Where a partition lies, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSpan {
    pub(super) start: u64,
    pub(super) size: u64,
}

impl ByteSpan {
    pub(super) fn end(self) -> u64 {
        self.start + self.size
    }
}

/// A range of bytes, and what is there.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) range: Range<u64>,
    pub(super) occupant: Occupant,
}

impl Taken {
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.range.start < other.range.end && other.range.start < self.range.end
    }
}

/// A partition, as errors call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its number in the table.
    pub number: u32,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "partition '{}' (number {})",
            self.name, self.number
        )
    }
}

/// The unit in which an offset is proposed. Bytes.
const MEBIBYTE: u64 = 1 << 20;

/// What takes room on a disk, as errors call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// The partition table, or a copy of it.
    Table,
    /// The boot record of a logical partition.
    BootRecord(Named),
    /// A partition.
    Partition(Named),
    /// A file that is copied as it is.
    File(PathBuf),
    /// The address of something on the disk.
    Address,
    /// The address of the partition of this name.
    AddressOf(String),
}

impl fmt::Display for Occupant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => write!(formatter, "the partition table"),
            Self::BootRecord(named) => write!(formatter, "the boot record of {named}"),
            Self::Partition(named) => write!(formatter, "{named}"),
            Self::File(file) => write!(formatter, "{}", file.display()),
            Self::Address => write!(formatter, "an address"),
            Self::AddressOf(name) => write!(formatter, "the address of partition '{name}'"),
        }
    }
}

impl Occupant {
    /// What to do about something else where this one is, at `range`; that other one ends at `other_end`. Bytes.
    pub(super) fn advice(&self, range: &Range<u64>, other_end: u64) -> String {
        match self {
            Self::Table if range.start == BOOT_CODE => format!(
                "there is room for {BOOT_CODE} bytes before it, and from {} on behind it",
                range.end
            ),
            Self::Table | Self::BootRecord(_) => "move it elsewhere".to_owned(),
            Self::Partition(_) => format!(
                "what goes into a partition is written in the partition's own `raw`; to have the partition begin behind this, \
                 give it an `offset` of \"{}MiB\" or more",
                other_end.div_ceil(MEBIBYTE)
            ),
            Self::File(_) | Self::Address | Self::AddressOf(_) => "move one of them".to_owned(),
        }
    }
}
