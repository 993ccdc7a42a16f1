//! A table whose copies are damaged, missing or misplaced, made sound again.

use std::path::Path;

use super::DiskError;
use crate::error::Error;
use cellblock_image::Existing;
use cellblock_table::{Repair, RepairError, SectorSize, Table};

/// Finds out how the table of an image can be mended, and with `write` does it: one thing after the other, each on the disk
/// before the next is begun, so that the image has a sound copy of its table at any moment. Nothing else is written.
///
/// `waiting` is called before waiting for somebody else who has locked the image.
///
/// # Errors
/// [`Error`] when the table cannot be mended, and then nothing has been written; or when writing fails.
pub fn repair_table(
    path: &Path,
    sector_size: Option<SectorSize>,
    write: bool,
    waiting: fn(&Path),
) -> Result<Repair, Error> {
    let waiting = || waiting(path);
    let image = if write {
        Existing::open_alone(path, &waiting)?
    } else {
        Existing::open_unchanging(path, &waiting)?
    };
    // What cannot be read has no table either, and says why when that is read.
    let format = image.recognise().unwrap_or_default();
    if let Some(format) = format.filter(|format| format.excludes_table()) {
        return Err(DiskError::Recognised {
            path: path.to_owned(),
            format,
        }
        .into());
    }
    let repair = Table::repair(&image, sector_size).map_err(|source| match (source, format) {
        (RepairError::Table(_), Some(format)) => DiskError::Recognised {
            path: path.to_owned(),
            format,
        },
        (source, _) => DiskError::Repair {
            path: path.to_owned(),
            source,
        },
    })?;
    if write {
        for mend in &repair.mends {
            image.write_through(mend.region.offset, &mend.region.bytes)?;
        }
    }
    Ok(repair)
}
