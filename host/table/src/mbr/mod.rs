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

pub(super) use decode::decode;
pub(super) use encode::encode;
pub(super) use format::BootRecord;
pub use hybrid::MAX_HYBRID;
pub(super) use hybrid::{check as check_hybrid, read as read_hybrid};

use super::{Lba, Partition, PartitionType, Scheme, SectorSize, Table, TableError};
use format::{Chs, EXTENDED, Entry, PROTECTIVE, SIGNATURE};

/// The partitions that the master boot record has room for.
pub(super) const MAX_PRIMARIES: u32 = 4;

/// The highest partition number that is written and read; the chain itself knows no end.
pub(super) const MAX_PARTITIONS: u32 = 128;

/// The number of sectors that 32 bits can address.
pub const MAX_SECTORS: u64 = 1 << 32;

/// The first and the last sector that partitions may use.
pub(super) fn usable(sector_size: SectorSize, disk_sectors: u64) -> Result<(Lba, Lba), TableError> {
    let needed = 2;
    if disk_sectors < needed {
        return Err(TableError::DiskTooSmall {
            scheme: Scheme::Mbr,
            sectors: disk_sectors,
            needed,
            sector_size,
        });
    }
    Ok((Lba(1), Lba(disk_sectors.min(MAX_SECTORS) - 1)))
}

/// Refuses a partition that an MBR cannot store.
pub(super) fn check(partition: &Partition) -> Result<(), TableError> {
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
    let before = || Lba(partition.start.0.saturating_sub(table.alignment()));
    partition
        .is_logical()
        .then(|| partition.boot_record.unwrap_or_else(before))
}

/// See [`Table::extended_around`].
pub(super) fn extended_around(
    alignment: u64,
    number: u32,
    logicals: &[Partition],
) -> Option<Partition> {
    let first = logicals.iter().map(|logical| logical.start).min()?;
    let last = logicals.iter().map(Partition::last).max()?;
    let start = first.0.saturating_sub(alignment);
    Some(Partition::new(
        number,
        Lba(start),
        (last.0 - start).saturating_add(1),
        PartitionType::Mbr(EXTENDED),
    ))
}

/// The sectors that the protective entry covers: all but the MBR's own, as far as 32 bits count
/// (UEFI 2.10, table 5-4).
pub(super) fn protective_sectors(disk_sectors: u64) -> u32 {
    u32::try_from(disk_sectors.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// The MBR before a GPT: a hybrid one when partitions are to be in it.
pub(super) fn before_gpt(table: &Table) -> BootRecord {
    if table.is_hybrid() {
        hybrid::record(&table.partitions)
    } else {
        protective(table.disk_sectors)
    }
}

/// The MBR that only guards a GPT (UEFI 2.10, 5.2.3). An image has no geometry, so the entry's last sector
/// counts as beyond any cylinder.
fn protective(disk_sectors: u64) -> BootRecord {
    let entry = Entry {
        indicator: 0,
        first_chs: Chs([0x00, 0x02, 0x00]),
        kind: PROTECTIVE,
        last_chs: Chs([0xff, 0xff, 0xff]),
        first: U32::new(1),
        sectors: protective_sectors(disk_sectors).into(),
    };
    BootRecord::new(
        0,
        [entry, Entry::default(), Entry::default(), Entry::default()],
    )
}

impl BootRecord {
    fn new(disk_id: u32, entries: [Entry; 4]) -> Self {
        Self {
            code: [0; 440],
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
        self.protective_extent().is_some()
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
        let protective = self
            .entries
            .iter()
            .filter(|entry| entry.is_protective())
            .count();
        self.entries_in_use()
            .saturating_sub(u32::try_from(protective).unwrap_or(u32::MAX))
    }

    /// The first sector and the length of the entry that guards a GPT, if there is one.
    pub(super) fn protective_extent(&self) -> Option<(u32, u32)> {
        let entry = self.entries.iter().find(|entry| entry.is_protective())?;
        self.is_signed()
            .then(|| (entry.first.get(), entry.sectors.get()))
    }
}

impl Entry {
    fn is_in_use(&self) -> bool {
        self.sectors.get() != 0
    }

    fn is_protective(&self) -> bool {
        self.kind == PROTECTIVE && self.is_in_use()
    }
}
