//! Which table a disk has, and in sectors of which size it counts.

use super::{Absence, Decoded, Finding, ReadAt, SectorSize, TableError};
use super::{gpt, mbr};

/// A disk that is being read, and its length.
pub(super) struct Disk<'a> {
    reader: &'a dyn ReadAt,
    /// The length in bytes.
    pub(super) size: u64,
}

impl Disk<'_> {
    /// The bytes at an offset, or `None` when the disk ends before they do.
    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Option<Vec<u8>>, TableError> {
        let end = u64::try_from(length)
            .ok()
            .and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.size) {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        let read = self.reader.read_at(offset, &mut bytes);
        read.map_err(|source| TableError::Io { offset, source })?;
        Ok(Some(bytes))
    }
}

/// Reads the table of a disk whose sectors have one of these sizes.
///
/// As in the kernel, the MBR decides: with a boot signature and no protective entry it is the table
/// itself.
pub(super) fn decode(reader: &dyn ReadAt, sizes: &[SectorSize]) -> Result<Decoded, TableError> {
    let size = reader
        .size()
        .map_err(|source| TableError::Io { offset: 0, source })?;
    let disk = Disk { reader, size };
    let Some(record) = mbr::BootRecord::read(&disk, 0)? else {
        return Err(TableError::NoTable(Absence::TooShort { size }));
    };
    if record.is_in_force() {
        return decode_mbr(&disk, &record, sizes);
    }
    let (with_primary, without): (Vec<SectorSize>, Vec<SectorSize>) =
        partition_by(sizes, |size| gpt::has_primary(&disk, size))?;
    let mut damaged = None;
    for &sector_size in with_primary.iter().chain(&without) {
        match gpt::decode(&disk, &record, sector_size) {
            // Where no size fits, the one whose primary header is recognisable tells most.
            Err(TableError::Damaged { primary, backup }) => {
                damaged.get_or_insert(TableError::Damaged { primary, backup });
            }
            result => return result,
        }
    }
    match damaged {
        Some(error) if record.is_protective() || !with_primary.is_empty() => Err(error),
        _ => decode_mbr(&disk, &record, sizes),
    }
}

fn decode_mbr(
    disk: &Disk<'_>,
    record: &mbr::BootRecord,
    sizes: &[SectorSize],
) -> Result<Decoded, TableError> {
    let sector_size = sizes.first().copied().unwrap_or(SectorSize::B512);
    let mut decoded = mbr::decode(disk, record, sector_size)?;
    for &size in sizes {
        if gpt::has_primary(disk, size)? {
            decoded.findings.insert(0, Finding::GptBehindMbr);
        }
    }
    Ok(decoded)
}

/// Divides the sizes by a test that may fail.
fn partition_by(
    sizes: &[SectorSize],
    test: impl Fn(SectorSize) -> Result<bool, TableError>,
) -> Result<(Vec<SectorSize>, Vec<SectorSize>), TableError> {
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for &size in sizes {
        if test(size)? {
            passed.push(size)
        } else {
            failed.push(size)
        }
    }
    Ok((passed, failed))
}
