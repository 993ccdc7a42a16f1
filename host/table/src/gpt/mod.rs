//! GUID partition tables (UEFI 2.10, section 5.3).
//!
//! Two equal sets of entries, each with a header: the primary after the protective MBR, the backup
//! at the disk's end, where the entries come first. Checksums are CRC-32/ISO-HDLC (polynomial
//! 0x04C11DB7, reflected, seed and final XOR 0xFFFFFFFF): one over the header with its own field
//! zero, one over all entries, used or not.

mod decode;
mod encode;
mod format;

pub(super) use decode::{decode, has_primary};
pub(super) use encode::encode;
pub use format::MAX_NAME_UNITS;

use super::{Lba, Partition, Scheme, SectorSize, TableError};

/// The most partitions that are written: the 16 KiB of entries that UEFI asks for at least.
pub const MAX_PARTITIONS: u32 = 128;

/// The sectors of an MBR and a header.
const MBR_AND_HEADER_SECTORS: u64 = 2;

/// The length of all entries, in sectors.
fn entries_sectors(sector_size: SectorSize) -> u64 {
    sector_size.sectors_for(u64::from(MAX_PARTITIONS) * u64::from(format::ENTRY_BYTES))
}

/// The first and the last sector that both copies of the table leave free.
pub(super) fn usable(sector_size: SectorSize, disk_sectors: u64) -> Result<(Lba, Lba), TableError> {
    let first = MBR_AND_HEADER_SECTORS + entries_sectors(sector_size);
    let backup = entries_sectors(sector_size) + 1;
    let needed = first + 1 + backup;
    if disk_sectors < needed {
        return Err(TableError::DiskTooSmall {
            scheme: Scheme::Gpt,
            sectors: disk_sectors,
            needed,
            sector_size,
        });
    }
    Ok((Lba(first), Lba(disk_sectors - backup - 1)))
}

/// Refuses a partition that a GPT cannot store.
pub(super) fn check(partition: &Partition) -> Result<(), TableError> {
    let number = partition.number;
    let not_stored = |what| {
        Err(TableError::NotStored {
            number,
            what,
            scheme: Scheme::Gpt,
        })
    };
    if partition.active && partition.mbr_type.is_none() {
        return not_stored("the active flag (use the attribute legacy-boot)");
    }
    if partition.boot_record.is_some() {
        return not_stored("a boot record");
    }
    if partition.id.is_none_or(|id| id.is_nil()) {
        return Err(TableError::MissingId { number });
    }
    if partition.name.contains('\0') {
        return Err(TableError::NameHasNul { number });
    }
    let units = partition.name.encode_utf16().count();
    if units > MAX_NAME_UNITS {
        return Err(TableError::NameTooLong {
            number,
            name: partition.name.clone(),
            units,
        });
    }
    Ok(())
}
