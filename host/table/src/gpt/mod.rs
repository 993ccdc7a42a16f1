//! GUID partition tables (UEFI 2.10, section 5.3).
//!
//! Two equal sets of entries, each with a header: the primary after the protective MBR, the backup
//! at the disk's end, where the entries come first. Checksums are CRC-32/ISO-HDLC (polynomial
//! 0x04C11DB7, reflected, seed and final XOR 0xFFFFFFFF): one over the header with its own field
//! zero, one over all entries, used or not.

mod decode;
mod encode;
mod format;
mod mend;

pub(super) use decode::has_primary;
pub use format::MAX_NAME_UNITS;

use uuid::Uuid;

use crate::detect::{Detected, Disk};
use crate::repair::{Mend, RepairError};
use crate::scheme::Reserved;
use crate::scheme::format::Format;
use crate::{
    Decoded, Lba, Partition, PartitionType, Region, Scheme, SectorSize, Shape, Table, TableError,
    types,
};

/// The most partitions that are written: the 16 KiB of entries that UEFI asks for at least.
pub const MAX_PARTITIONS: u32 = 128;

/// The sector of the primary header.
const PRIMARY: Lba = Lba(1);

/// The first sector behind the MBR and the primary header.
const BEHIND_HEADER: Lba = Lba(2);

/// The length of all entries, in sectors.
fn entries_sectors(sector_size: SectorSize) -> u64 {
    sector_size.sectors_for(u64::from(MAX_PARTITIONS) * u64::from(format::ENTRY_BYTES))
}

/// See the [module](self).
pub(super) struct Gpt;

impl Format for Gpt {
    fn sfdisk_label(&self) -> &'static str {
        "gpt"
    }

    fn stores_names(&self) -> bool {
        true
    }

    fn most_partitions(&self) -> u32 {
        MAX_PARTITIONS
    }

    fn reserved(&self, sector_size: SectorSize, shape: &Shape) -> Reserved {
        let entries = entries_sectors(sector_size);
        let behind_entries = Lba(shape.entries.0.saturating_add(entries));
        Reserved {
            at_start: if shape.entries == BEHIND_HEADER {
                vec![Lba(0)..behind_entries]
            } else {
                vec![Lba(0)..BEHIND_HEADER, shape.entries..behind_entries]
            },
            at_end: if shape.backup { entries + 1 } else { 0 },
        }
    }

    fn parse_type(&self, text: &str) -> Option<PartitionType> {
        types::by_name(text)
            .or_else(|| Uuid::try_parse(text).ok())
            .map(PartitionType::Gpt)
    }

    fn type_names(&self) -> Vec<&'static str> {
        types::gpt_names()
    }

    fn type_forms(&self) -> &'static str {
        "a name such as 'esp', 'root-x86-64' or 'linux-generic', or a GUID"
    }

    fn check(&self, partition: &Partition) -> Result<(), TableError> {
        check(partition)
    }

    fn encode(&self, table: &Table) -> Result<Vec<Region>, TableError> {
        encode::encode(table)
    }

    fn detect(&self, disk: &Disk<'_>) -> Result<Detected, TableError> {
        decode::detect(disk)
    }

    fn mend(&self, disk: &Disk<'_>, decoded: &Decoded) -> Result<Vec<Mend>, RepairError> {
        mend::mend(disk, &decoded.table)
    }
}

/// Refuses a partition that a GPT cannot store.
fn check(partition: &Partition) -> Result<(), TableError> {
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
