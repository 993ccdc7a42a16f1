//! Master boot records, the extended boot records of logical partitions, and the protective and
//! hybrid records before a GPT.
//!
//! The fifth and later partitions are logical. They lie in one primary partition, the extended one,
//! as a chain: a boot record describes one logical partition and leads to the next record.
//!
//! ```text
//! | EBR |  gap  | 5 ............ | EBR |  gap  | 6 ............ |
//!   ^ start of the extended        ^ from here, 6 starts 1 MiB later
//! ```

mod decode;
mod encode;
mod format;
mod hybrid;

use zerocopy::little_endian::U32;

pub(super) use format::{BootRecord, PROTECTIVE};
pub use format::{MAX_HYBRID, MAX_SECTORS};
pub(super) use hybrid::{check as check_hybrid, read as read_hybrid};

use crate::detect::{Detected, Disk};
use crate::repair::{Mend, RepairError};
use crate::scheme::Reserved;
use crate::scheme::format::Format;
use crate::{
    BOOT_CODE, BOOT_RECORD_SPACE, Decoded, Lba, Partition, PartitionType, Region, Scheme,
    SectorSize, Shape, Table, TableError, types,
};
use format::{Chs, EXTENDED, Entry, SIGNATURE};

/// The partitions that the master boot record has room for.
const MAX_PRIMARIES: u32 = 4;

/// The highest partition number that is written and read; the chain itself knows no end.
const MAX_PARTITIONS: u32 = 128;

/// See the [module](self).
pub(super) struct Mbr;

impl Format for Mbr {
    fn sfdisk_label(&self) -> &'static str {
        "dos"
    }

    fn stores_names(&self) -> bool {
        false
    }

    fn most_partitions(&self) -> u32 {
        MAX_PARTITIONS
    }

    fn primaries(&self) -> Option<u32> {
        Some(MAX_PRIMARIES)
    }

    fn addressable_sectors(&self) -> u64 {
        MAX_SECTORS
    }

    fn reserved(&self, _: SectorSize, _: &Shape) -> Reserved {
        Reserved {
            at_start: vec![Lba(0)..Lba(1)],
            at_end: 0,
        }
    }

    fn parse_type(&self, text: &str) -> Option<PartitionType> {
        types::mbr_by_name(text)
            .or_else(|| types::parse_byte(text))
            .map(PartitionType::Mbr)
    }

    fn type_names(&self) -> Vec<&'static str> {
        types::mbr_names()
    }

    fn type_forms(&self) -> &'static str {
        "a name such as 'fat32', 'linux' or 'swap', or a byte such as '0x83'"
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

    /// No part of an MBR has a second copy or a checksum, so nothing tells what was there.
    fn mend(&self, _: &Disk<'_>, _: &Decoded) -> Result<Vec<Mend>, RepairError> {
        Ok(Vec::new())
    }
}

/// Refuses a partition that an MBR cannot store.
fn check(partition: &Partition) -> Result<(), TableError> {
    let number = partition.number;
    let not_stored = |what| {
        Err(TableError::NotStored {
            number,
            what,
            scheme: Scheme::Mbr,
        })
    };
    if partition.id.is_some() {
        return not_stored("a GUID");
    }
    if !partition.attributes.is_empty() {
        return not_stored("attributes");
    }
    if partition.mbr_type.is_some() {
        return not_stored("a type in a hybrid MBR");
    }
    if partition.kind == PartitionType::Mbr(PROTECTIVE) {
        return Err(TableError::ProtectiveInMbr { number });
    }
    if partition.is_logical() && partition.kind.is_extended() {
        return not_stored("an extended type on a logical partition");
    }
    if !partition.is_logical() && partition.boot_record.is_some() {
        return not_stored("a boot record of its own on a primary partition");
    }
    Ok(())
}

/// See [`Table::boot_record`].
pub(super) fn boot_record(table: &Table, partition: &Partition) -> Option<Lba> {
    let space = BOOT_RECORD_SPACE / table.sector_size.bytes();
    // A partition too near to the start gets a record that `encode` refuses.
    let before = || Lba(partition.start.0.saturating_sub(space));
    partition
        .is_logical()
        .then(|| partition.boot_record.unwrap_or_else(before))
}

/// See [`Table::extended_around`].
pub(super) fn extended_around(
    table: &Table,
    number: u32,
    logicals: &[Partition],
) -> Option<Partition> {
    let records = logicals
        .iter()
        .filter_map(|logical| boot_record(table, logical));
    let start = records.min()?;
    let last = logicals.iter().map(Partition::last).max()?;
    Some(Partition::new(
        number,
        start,
        (last.0 - start.0).saturating_add(1),
        PartitionType::Mbr(EXTENDED),
    ))
}

/// The sectors that the protective entry covers: all but the MBR's own, as far as 32 bits count
/// (UEFI 2.10, table 5-4).
pub(super) fn protective_sectors(disk_sectors: u64) -> u32 {
    // The saturation is the standard's own.
    u32::try_from(disk_sectors.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// The MBR before a GPT: a hybrid one when partitions are to be in it.
pub(super) fn before_gpt(table: &Table) -> BootRecord {
    if table.is_hybrid() {
        hybrid::record(table)
    } else {
        protective(table.disk_sectors)
    }
}

/// The MBR that only guards a GPT (UEFI 2.10, 5.2.3).
fn protective(disk_sectors: u64) -> BootRecord {
    let entry = protective_entry(disk_sectors);
    BootRecord::new(
        0,
        [entry, Entry::default(), Entry::default(), Entry::default()],
    )
}

/// The entry that guards a GPT (UEFI 2.10, table 5-4). An image has no geometry, so the entry's last sector counts as
/// beyond any cylinder.
fn protective_entry(disk_sectors: u64) -> Entry {
    Entry {
        indicator: 0,
        first_chs: Chs([0x00, 0x02, 0x00]),
        kind: PROTECTIVE,
        last_chs: Chs([0xff, 0xff, 0xff]),
        first: U32::new(1),
        sectors: protective_sectors(disk_sectors).into(),
    }
}

impl BootRecord {
    fn new(disk_id: u32, entries: [Entry; 4]) -> Self {
        Self {
            code: [0; BOOT_CODE],
            disk_id: disk_id.into(),
            reserved: 0.into(),
            entries,
            signature: SIGNATURE.into(),
        }
    }

    /// Whether it ends as a boot record does.
    fn is_signed(&self) -> bool {
        self.signature.get() == SIGNATURE
    }

    /// Whether it announces a GPT.
    pub(super) fn is_protective(&self) -> bool {
        self.protective_range().is_some()
    }

    /// Whether it is the disk's partition table itself.
    pub(super) fn is_in_force(&self) -> bool {
        self.is_signed() && !self.is_protective()
    }

    /// The number of entries that describe something.
    fn entries_in_use(&self) -> u32 {
        self.entries
            .iter()
            .map(|entry| u32::from(entry.is_in_use()))
            .sum()
    }

    /// The number of entries that describe partitions, and not the guarded GPT.
    pub(super) fn beside_protective(&self) -> u32 {
        let partitions = self
            .entries
            .iter()
            .filter(|entry| entry.is_partition() && !entry.is_protective());
        partitions.map(|_| 1).sum()
    }

    /// The same record with an entry that guards all of a disk, where it has one alone or none at all; `None` where it
    /// describes partitions.
    pub(super) fn protecting(&self, disk_sectors: u64) -> Option<Self> {
        let mut record = self.clone();
        let is_free = |entry: &Entry| !entry.is_in_use() || entry.is_protective();
        if !record.entries.iter().all(is_free) {
            return None;
        }
        let guard = record.entries.iter().position(Entry::is_protective);
        let slot = &mut record.entries[guard.unwrap_or(0)];
        // Firmware of some boards boots only a disk with an active entry.
        let indicator = slot.indicator;
        *slot = Entry {
            indicator,
            ..protective_entry(disk_sectors)
        };
        record.signature = SIGNATURE.into();
        Some(record)
    }

    /// The first sector and the length of the entry that guards a GPT, if there is one.
    pub(super) fn protective_range(&self) -> Option<(u32, u32)> {
        let entry = self.entries.iter().find(|entry| entry.is_protective())?;
        self.is_signed()
            .then(|| (entry.first.get(), entry.sectors.get()))
    }
}

impl Entry {
    fn is_in_use(&self) -> bool {
        self.sectors.get() != 0
    }

    /// Whether it describes a partition: some firmware wants an active entry of type 0, which is none.
    fn is_partition(&self) -> bool {
        self.is_in_use() && self.kind != 0
    }

    fn is_protective(&self) -> bool {
        self.kind == PROTECTIVE && self.is_in_use()
    }
}
