//! What an image holds: its partitions, and the file systems in them.

use std::collections::BTreeMap;

use super::error::is_without_table;
use super::{DiskError, OpenedImage};
use crate::error::Error;
use cellblock_image::Superblock;
use cellblock_table::{Decoded, TableError};

/// What is seen of an image.
#[derive(Debug)]
pub enum Seen {
    /// A disk.
    Disk {
        /// Its partition table.
        decoded: Decoded,
        /// What its partitions hold, by their numbers, as far as that is known.
        holds: BTreeMap<u32, Superblock>,
    },
    /// A file system without a table around it.
    Filesystem(Superblock),
}

impl OpenedImage {
    /// What the image holds.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read, or is neither a disk nor a file system.
    pub fn look(&self) -> Result<Seen, Error> {
        let find = |place| {
            Superblock::find(&self.existing, place).map_err(|source| DiskError::Table {
                path: self.path.clone(),
                source: TableError::Io { offset: 0, source },
            })
        };
        let decoded = match self.table() {
            Ok(decoded) => decoded.clone(),
            Err(error) if is_without_table(&error) => {
                return match find(0..u64::MAX)? {
                    Some(found) => Ok(Seen::Filesystem(found)),
                    None => Err(error.into()),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let table = &decoded.table;
        let mut holds = BTreeMap::new();
        for partition in table.with_content() {
            if let Some(found) = find(table.place_of(partition))? {
                holds.insert(partition.number, found);
            }
        }
        Ok(Seen::Disk { decoded, holds })
    }
}
