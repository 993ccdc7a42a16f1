//! What is written as it is: files and addresses, onto the disk or into a raw partition.

use std::path::PathBuf;

use super::place::{Place, Placed};

/// Bytes that are written as they are, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawSpec {
    /// What is written.
    pub what: RawWhat,
    /// Where it goes, in bytes from the start of the disk or of the partition.
    pub offset: u64,
}

/// What is written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawWhat {
    /// A file.
    File {
        /// The file.
        file: Placed<PathBuf>,
        /// The bytes that it has to itself: it may have fewer, and zeros follow. Its own length when absent.
        size: Option<Placed<u64>>,
    },
    /// The sector of this offset on the disk, in bytes, as 4 bytes, little-endian. It may lie in a file, which it then
    /// changes.
    Lba(Placed<u64>),
    /// The sector at which a partition lies, in the same way.
    LbaOf {
        /// The name of the partition.
        partition: Placed<String>,
        /// The distance from the start of the partition, in bytes.
        plus: u64,
    },
}

impl RawSpec {
    /// The file, unless it is an address that is written.
    pub fn file(&self) -> Option<&Placed<PathBuf>> {
        match &self.what {
            RawWhat::File { file, .. } => Some(file),
            RawWhat::Lba(_) | RawWhat::LbaOf { .. } => None,
        }
    }

    /// Where the file or the partition is named.
    pub fn place(&self) -> Place {
        match &self.what {
            RawWhat::File { file, .. } => file.place.clone(),
            RawWhat::Lba(place) => place.place.clone(),
            RawWhat::LbaOf { partition, .. } => partition.place.clone(),
        }
    }
}
