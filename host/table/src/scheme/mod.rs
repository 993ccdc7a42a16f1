//! The kinds of partition tables: one module for each behind one trait.
//!
//! What a table takes of a disk, how far it reaches, how its partitions are numbered and how it is read and written is
//! asked of the [`Scheme`], and known nowhere else. Here are their names, in [`format`](self::format) what each has to
//! answer, and in `kinds` which module answers.

pub(crate) mod format;
mod kinds;

use std::fmt;
use std::ops::Range;

use crate::Lba;

/// The kind of a partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// A GUID partition table (UEFI 2.10, 5.3), behind a protective MBR.
    Gpt,
    /// A master boot record, with a chain of extended boot records for logical partitions.
    Mbr,
    /// No table at all: the partitions are places on the disk that only their maker knows of.
    None,
}

impl Scheme {
    /// Every kind, in the order in which a disk is asked for them.
    pub const ALL: &'static [Self] = &[Self::Gpt, Self::Mbr, Self::None];
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Gpt => "GPT",
            Self::Mbr => "MBR",
            Self::None => "a disk without a table",
        })
    }
}

/// The sectors that a table takes at both ends of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Ranges from the start of the disk on, ascending, without overlaps. Partitions follow the last; what is between two
    /// is free for boot loaders.
    pub at_start: Vec<Range<Lba>>,
    /// The number of sectors at the end.
    pub at_end: u64,
}

impl Reserved {
    /// The first sector that a partition may have.
    #[must_use]
    pub fn first_usable(&self) -> Lba {
        self.at_start.last().map_or(Lba(0), |range| range.end)
    }
}
