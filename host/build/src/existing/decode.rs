//! The table of an image, or what the image is in place of a raw disk.

use std::path::Path;

use super::DiskError;
use cellblock_image::Existing;
use cellblock_table::{Decoded, SectorSize, Table};

/// Reads the table of an image whose sectors have this size, or the one that the table shows.
///
/// # Errors
/// [`DiskError::Recognised`] if it is something else than a raw disk, or [`DiskError::Table`] if it has no table that can be
/// read.
pub fn decode_table(
    image: &Existing,
    path: &Path,
    sector_size: Option<SectorSize>,
) -> Result<Decoded, DiskError> {
    // What cannot be read has no table either, and says why when that is read.
    let format = image.recognise().unwrap_or_default();
    let recognised = format.map(|format| DiskError::Recognised {
        path: path.to_owned(),
        format,
    });
    if format.is_some_and(|format| format.excludes_table())
        && let Some(recognised) = recognised
    {
        return Err(recognised);
    }
    let decoded = match sector_size {
        Some(sector_size) => Table::decode_as(image, sector_size),
        None => Table::decode(image),
    };
    decoded.map_err(|source| {
        recognised.unwrap_or_else(|| DiskError::Table {
            path: path.to_owned(),
            source,
        })
    })
}
