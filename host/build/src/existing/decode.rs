//! The table of an image, or what the image is in place of a raw disk.

use std::path::Path;

use super::DiskError;
use cellblock_image::Existing;
use cellblock_table::{Decoded, DiskId, SectorSize, Table};

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
    match (decoded, recognised) {
        (Ok(decoded), Some(recognised)) if is_mere_signature(&decoded) => Err(recognised),
        (Ok(decoded), _) => Ok(decoded),
        (Err(_), Some(recognised)) => Err(recognised),
        (Err(source), None) => Err(DiskError::Table {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whether an MBR is nothing but the signature of a boot sector, which file systems may have, too.
fn is_mere_signature(decoded: &Decoded) -> bool {
    decoded.table.disk_id == DiskId::Mbr(0) && decoded.table.partitions.is_empty()
}
