//! What an image holds: its partitions, and the file systems in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::error::is_without_table;
use super::{DiskError, decode_table};
use crate::error::Error;
use cellblock_image::{Existing, Superblock};
use cellblock_table::{Decoded, SectorSize, TableError};
use cellblock_tree::volume::Decoders;

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

/// Looks at an image, or at a disk that may be read, whose sectors have this size, or the one that its table shows.
///
/// `decoders` are asked for what is compressed in an image that is not raw.
///
/// # Errors
/// [`Error`] when it cannot be read, or is neither a disk nor a file system.
pub fn look_at(
    path: &Path,
    sector_size: Option<SectorSize>,
    decoders: &Arc<dyn Decoders>,
) -> Result<Seen, Error> {
    let image = Existing::open(path)?.with_disk(decoders)?;
    let find = |place| {
        Superblock::find(&image, place).map_err(|source| DiskError::Table {
            path: path.to_owned(),
            source: TableError::Io { offset: 0, source },
        })
    };
    let decoded = match decode_table(&image, path, sector_size) {
        Ok(decoded) => decoded,
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
