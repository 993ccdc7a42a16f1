//! The boot regions (sections 3 and 3.1): what stands where, twice.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::{Partition, ReaderError};

/// The bytes of a boot sector that have a meaning, whatever a sector's size is.
const BOOT_SECTOR: usize = 512;
/// Section 3.1.2.
const NAME: &[u8] = b"EXFAT   ";
/// Section 3.1.20.
const SIGNATURE: [u8; 2] = [0x55, 0xAA];
/// The exponents of a sector's size, in bytes (section 3.1.14).
const SECTORS: std::ops::RangeInclusive<u8> = 9..=12;
/// That of the largest cluster: 32 MiB (section 3.1.15).
const LARGEST_CLUSTER: u8 = 25;
/// The sectors of a region, the last of which has the checksum of the others (section 3.4).
const REGION: u64 = 12;
/// The bytes of the boot sector that the checksum leaves out: flags, and the percentage in use.
const UNCHECKED: [usize; 3] = [106, 107, 112];
/// The most clusters (section 3.1.9).
const CLUSTERS_LIMIT: u32 = 0xFFFF_FFF5;

/// Bits of the flags (section 3.1.13).
const SECOND_TABLE: u16 = 1;
const DIRTY: u16 = 2;
const MEDIA_FAILURE: u16 = 4;

/// What the boot sector says, held against the partition. Bytes, but for `clusters` and `root`.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    pub(crate) sector_size: u64,
    pub(crate) cluster_size: u64,
    pub(crate) clusters: u32,
    /// The table that counts.
    pub(crate) table: u64,
    /// Whether that is the second one, and so is the bitmap.
    pub(crate) is_second: bool,
    /// Where cluster 2 begins.
    pub(crate) heap: u64,
    /// The first cluster of the root directory.
    pub(crate) root: u32,
    pub(crate) size: u64,
    pub(crate) serial: u32,
    pub(crate) revision: u16,
    /// What is to be said of the boot regions.
    pub(crate) warnings: Vec<String>,
}

/// Numbers as they are stored.
struct Raw {
    sectors: u64,
    table_start: u32,
    table_length: u32,
    heap_start: u32,
    clusters: u32,
    root: u32,
    serial: u32,
    revision: u16,
    flags: u16,
    sector_shift: u8,
    cluster_shift: u8,
    tables: u8,
}

/// Whether the partition says that it is an exFAT.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn is_exfat(partition: &dyn Partition) -> Result<bool, ReaderError> {
    if partition.size() < BOOT_SECTOR as u64 {
        return Ok(false);
    }
    Ok(partition.bytes(3, NAME.len())? == NAME)
}

impl Raw {
    fn parse(sector: &[u8]) -> Option<Self> {
        let mut fields = Fields(sector.get(72..)?);
        Some(Self {
            sectors: fields.u64()?,
            table_start: fields.u32()?,
            table_length: fields.u32()?,
            heap_start: fields.u32()?,
            clusters: fields.u32()?,
            root: fields.u32()?,
            serial: fields.u32()?,
            revision: fields.u16()?,
            flags: fields.u16()?,
            sector_shift: *fields.bytes(1)?.first()?,
            cluster_shift: *fields.bytes(1)?.first()?,
            tables: *fields.bytes(1)?.first()?,
        })
    }

    /// The region that begins at the byte `start`, in sectors of this size; or what is wrong with it.
    fn region(
        partition: &dyn Partition,
        start: u64,
        sector_shift: u8,
    ) -> Result<Result<Self, String>, ReaderError> {
        let sector = 1_usize << sector_shift;
        let length = usize::try_from(REGION).expect("it is 12") * sector;
        if start + length as u64 > partition.size() {
            return Ok(Err("ends behind the partition".to_owned()));
        }
        let bytes = partition.bytes(start, length)?;
        let (region, checksums) = bytes.split_at(length - sector);
        if &region[3..11] != NAME || region[BOOT_SECTOR - 2..BOOT_SECTOR] != SIGNATURE {
            return Ok(Err("has no boot sector".to_owned()));
        }
        let sum = checksum(region);
        let (words, _) = checksums.as_chunks();
        let stored = words.iter().map(|word| u32::from_le_bytes(*word));
        if let Some(other) = stored.into_iter().find(|stored| *stored != sum) {
            let problem = format!("has the checksum {other:#010x}, and its bytes {sum:#010x}");
            return Ok(Err(problem));
        }
        let raw = Self::parse(region).filter(|raw| raw.sector_shift == sector_shift);
        Ok(raw.ok_or_else(|| "has sectors of another size".to_owned()))
    }
}

/// Section 3.4.
fn checksum(region: &[u8]) -> u32 {
    let checked = region.iter().enumerate();
    let checked = checked.filter(|(at, _)| !UNCHECKED.contains(at));
    checked.fold(0, |sum: u32, (_, byte)| {
        sum.rotate_right(1).wrapping_add((*byte).into())
    })
}

impl Boot {
    /// By the main region, or by the backup where that one is damaged.
    ///
    /// # Errors
    /// [`ReaderError::Damaged`] if both regions are, or what they say cannot be.
    pub(crate) fn read(partition: &dyn Partition) -> Result<Self, ReaderError> {
        let first = partition.bytes(0, BOOT_SECTOR)?;
        let shift = first[108];
        let main = match SECTORS.contains(&shift) {
            true => Raw::region(partition, 0, shift)?,
            false => Err(format!(
                "has sectors of 2^{shift} bytes, and there are those of 2^9 to 2^12"
            )),
        };
        let mut warnings = Vec::new();
        let (raw, from) = match main {
            Ok(raw) => {
                if let Err(problem) = Raw::region(partition, REGION << shift, shift)? {
                    warnings.push(format!("the backup boot region {problem}"));
                }
                (raw, 0)
            }
            Err(problem) => {
                let Some((raw, from)) = Self::backup(partition)? else {
                    let problem = format!("{problem}, and no backup of it is whole");
                    return Err(ReaderError::damaged("the main boot region", 0, problem));
                };
                warnings.push(format!(
                    "the main boot region {problem}; the backup is taken"
                ));
                (raw, from)
            }
        };
        if raw.revision >> 8 != 1 {
            let revision = revision(raw.revision);
            let what = format!("exFAT of revision {revision}");
            return Err(ReaderError::Unsupported(what));
        }
        if raw.flags & DIRTY != 0 {
            warnings.push("it was not unmounted: VolumeDirty is set".to_owned());
        }
        if raw.flags & MEDIA_FAILURE != 0 {
            warnings.push("its medium has failed before: MediaFailure is set".to_owned());
        }
        let boot = Self::lay_out(&raw, partition.size(), warnings);
        boot.map_err(|problem| ReaderError::damaged("the boot sector", from, problem))
    }

    /// The backup, which stands behind 12 sectors of a size that only it tells.
    fn backup(partition: &dyn Partition) -> Result<Option<(Raw, u64)>, ReaderError> {
        for shift in SECTORS {
            let start = REGION << shift;
            if let Ok(raw) = Raw::region(partition, start, shift)? {
                return Ok(Some((raw, start)));
            }
        }
        Ok(None)
    }

    fn lay_out(raw: &Raw, partition: u64, warnings: Vec<String>) -> Result<Self, String> {
        let shift = raw.sector_shift;
        let sectors = raw.sectors;
        let size = sectors.checked_mul(1 << shift);
        let Some(size) = size.filter(|size| *size <= partition) else {
            return Err(format!(
                "says that the file system has {sectors} sectors of {} bytes, and the partition has {partition} bytes",
                1_u32 << shift
            ));
        };
        let cluster_shift = shift.saturating_add(raw.cluster_shift);
        if cluster_shift > LARGEST_CLUSTER {
            return Err(format!(
                "has clusters of 2^{cluster_shift} bytes, more than 2^{LARGEST_CLUSTER}"
            ));
        }
        if !matches!(raw.tables, 1 | 2) {
            return Err(format!("has {} tables, and not 1 or 2", raw.tables));
        }
        let is_second = raw.flags & SECOND_TABLE != 0;
        if is_second && raw.tables == 1 {
            return Err("names the second of 1 tables".to_owned());
        }
        let tables = u64::from(raw.table_length) * u64::from(raw.tables);
        let (table_start, heap_start) = (u64::from(raw.table_start), u64::from(raw.heap_start));
        if table_start < 2 * REGION || table_start + tables > heap_start || heap_start > sectors {
            return Err(format!(
                "has tables from sector {table_start} to {}, and clusters from {heap_start} to {sectors}",
                table_start + tables
            ));
        }
        let clusters = raw.clusters;
        let room = (sectors - heap_start) >> raw.cluster_shift;
        if clusters == 0 || u64::from(clusters) > room || clusters > CLUSTERS_LIMIT {
            return Err(format!(
                "has {clusters} clusters, and there is room for {room}"
            ));
        }
        let table_size = u64::from(raw.table_length) << shift;
        let wanted = (u64::from(clusters) + 2) * 4;
        if table_size < wanted {
            return Err(format!(
                "has a table of {table_size} bytes, and {clusters} clusters take {wanted}"
            ));
        }
        if raw.root < 2 || raw.root - 2 >= clusters {
            return Err(format!(
                "has its root at cluster {}, and there are 2 to {}",
                raw.root,
                u64::from(clusters) + 1
            ));
        }
        Ok(Self {
            sector_size: 1 << shift,
            cluster_size: 1 << cluster_shift,
            clusters,
            table: (table_start << shift) + if is_second { table_size } else { 0 },
            is_second,
            heap: heap_start << shift,
            root: raw.root,
            size,
            serial: raw.serial,
            revision: raw.revision,
            warnings,
        })
    }
}

/// A revision as it is written (section 3.1.12).
pub(crate) fn revision(number: u16) -> String {
    format!("{}.{:02}", number >> 8, number & 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_leaves_out_what_changes() {
        let mut region = vec![0; 11 * 512];
        assert_eq!(checksum(&region), 0);
        region[106..108].fill(0xFF);
        region[112] = 0xFF;
        assert_eq!(checksum(&region), 0);
        // The last byte is added as it is, the one before it turned by one bit.
        let end = region.len() - 1;
        region[end - 1] = 1;
        region[end] = 2;
        assert_eq!(checksum(&region), 0x8000_0002);
    }

    #[test]
    fn revisions_are_written_with_two_digits() {
        assert_eq!(revision(0x0100), "1.00");
        assert_eq!(revision(0x0101), "1.01");
    }
}
