//! The sectors of a partition, as errors and findings name them.

use std::fmt;

use super::Lba;
use cellblock_text::grouped;

/// The sectors of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The partition's number.
    pub number: u32,
    /// The first sector.
    pub first: Lba,
    /// The last sector.
    pub last: Lba,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (grouped(self.first.0), grouped(self.last.0));
        write!(f, "partition {} (sectors {first} to {last})", self.number)
    }
}
