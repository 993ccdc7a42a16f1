//! The bytes of an MBR and its extended boot records to a table.

use std::collections::BTreeSet;

use zerocopy::FromBytes;

use super::format::{ACTIVE, BootRecord, Entry};
use super::{MAX_PARTITIONS, MAX_PRIMARIES};
use crate::detect::{Detected, Disk};
use crate::{
    Absence, Decoded, DiskId, Finding, Lba, Partition, PartitionType, Scheme, SectorSize, Shape,
    Table, TableError, check, gpt,
};

/// Where boot sectors of file systems carry their name, and the names: NTFS, exFAT, FAT12 and
/// FAT16, FAT32.
const FILE_SYSTEM_MARKS: [(usize, &[u8]); 4] = [
    (3, b"NTFS    "),
    (3, b"EXFAT   "),
    (0x36, b"FAT1"),
    (0x52, b"FAT32"),
];

impl BootRecord {
    /// The boot record at an offset in bytes, signed or not; `None` beyond the disk.
    pub(crate) fn read(disk: &Disk<'_>, offset: u64) -> Result<Option<Self>, TableError> {
        let bytes = disk.read(offset, size_of::<Self>())?;
        Ok(bytes.and_then(|bytes| Self::read_from_bytes(&bytes).ok()))
    }

    /// Why this is no partition table, if it is none.
    fn absence(&self) -> Option<Absence> {
        if !self.is_signed() {
            return Some(Absence::NoSignature);
        }
        let marked = |(at, name): (usize, &[u8])| self.code.get(at..at + name.len()) == Some(name);
        let is_file_system = FILE_SYSTEM_MARKS.into_iter().any(marked) || self.is_fat();
        if self.entries_in_use() == 0 && is_file_system {
            return Some(Absence::FileSystem);
        }
        let indicators = self.entries.iter().map(|entry| entry.indicator);
        let odd = indicators
            .into_iter()
            .find(|byte| ![0, ACTIVE].contains(byte));
        odd.map(|byte| Absence::BootIndicator { byte })
    }

    /// Whether Linux would mount it as a FAT, which need not carry a name (`fat_read_bpb` of fs/fat/inode.c).
    fn is_fat(&self) -> bool {
        let half = |at: usize| u16::from_le_bytes([self.code[at], self.code[at + 1]]);
        let (sector, cluster, media) = (half(11), self.code[13], self.code[21]);
        let (reserved, tables) = (half(14), self.code[16]);
        sector.is_power_of_two()
            && (512..=4096).contains(&sector)
            && cluster.is_power_of_two()
            && reserved > 0
            && tables > 0
            && (media == 0xf0 || media >= 0xf8)
    }
}

/// Reads the MBR of a disk, in sectors of the size that is known of it, or else of 512 bytes.
pub(super) fn detect(disk: &Disk<'_>) -> Result<Detected, TableError> {
    let Some(record) = BootRecord::read(disk, 0)? else {
        return Ok(Detected::Absent(Some(Absence::TooShort {
            size: disk.size,
        })));
    };
    if let Some(absence) = record.absence() {
        return Ok(Detected::Absent(Some(absence)));
    }
    let known = disk.sector_size();
    let mut decoded = decode(disk, &record, known.unwrap_or(SectorSize::B512))?;
    if known.is_none() && fits(&decoded.table, disk, SectorSize::B4096) {
        decoded.findings.insert(0, Finding::SectorSizeUnknown);
    }
    for size in disk.sector_sizes() {
        if gpt::has_primary(disk, size)? {
            decoded.findings.insert(0, Finding::GptBehindMbr);
        }
    }
    if is_iso(disk)? {
        excuse_iso(&mut decoded);
    }
    Ok(Detected::Table(decoded))
}

/// Whether a table that was read in smaller sectors describes partitions, all of which are on the disk in these as well.
fn fits(table: &Table, disk: &Disk<'_>, sector_size: SectorSize) -> bool {
    let is_inside = |partition: &Partition| {
        let sectors = disk.size / sector_size.bytes();
        partition.last().0 < sectors
    };
    !table.partitions.is_empty() && table.partitions.iter().all(is_inside)
}

/// Where an ISO 9660 file system has its first volume descriptor, in bytes, and what it begins with (ECMA-119, 8.1).
const ISO_DESCRIPTOR: u64 = 16 * 2048;
const ISO_MARK: &[u8] = b"\x01CD001";

fn is_iso(disk: &Disk<'_>) -> Result<bool, TableError> {
    let found = disk.read(ISO_DESCRIPTOR, ISO_MARK.len())?;
    Ok(found.is_some_and(|bytes| bytes == ISO_MARK))
}

/// An ISO 9660 file system that also starts from a disk has an MBR whose first partition is the whole of it, from its
/// first sector on, and others inside of that: what would be damage elsewhere, and one finding here.
fn excuse_iso(decoded: &mut Decoded) {
    let partitions = &decoded.table.partitions;
    let Some(whole) = partitions.iter().find(|one| one.start == Lba(0)) else {
        return;
    };
    let number = whole.number;
    decoded.findings.retain(|finding| match finding {
        Finding::Overlap { first, .. } => first.number != number,
        Finding::OutsideUsable { span, .. } => span.number != number,
        Finding::GptBehindMbr => false,
        _ => true,
    });
    decoded.findings.insert(0, Finding::Isohybrid { number });
}

fn decode(
    disk: &Disk<'_>,
    record: &BootRecord,
    sector_size: SectorSize,
) -> Result<Decoded, TableError> {
    let disk_sectors = disk.size / sector_size.bytes();
    let shape = Shape::default();
    let (first_usable, last_usable) = Scheme::Mbr.usable(sector_size, disk_sectors, &shape)?;
    let primaries = (1..)
        .zip(&record.entries)
        .filter(|(_, entry)| entry.is_in_use());
    let mut table = Table {
        disk_id: DiskId::Mbr(record.disk_id.get()),
        sector_size,
        disk_sectors,
        first_usable,
        last_usable,
        shape,
        partitions: primaries
            .map(|(number, entry)| partition(number, entry, Lba(0)))
            .collect(),
    };

    let mut findings = Vec::new();
    let seconds = table
        .partitions
        .iter()
        .filter(|partition| partition.kind.is_extended())
        .skip(1);
    findings.extend(seconds.map(|second| Finding::SecondExtended {
        number: second.number,
    }));
    if let Some(extended) = table.extended().cloned() {
        let logicals = chain(disk, sector_size, extended.start, &mut findings)?;
        let outside = logicals
            .iter()
            .filter(|one| one.start < extended.start || one.last() > extended.last());
        findings.extend(outside.map(|one| Finding::OutsideExtended {
            logical: one.span(),
            extended: extended.span(),
        }));
        findings.extend(records_inside(&logicals));
        table.partitions.extend(logicals);
    }
    findings.extend(check::findings(&table));
    Ok(Decoded {
        table,
        entries: None,
        findings,
    })
}

/// Every boot record that lies inside a logical partition.
fn records_inside(logicals: &[Partition]) -> Vec<Finding> {
    let records = logicals
        .iter()
        .filter_map(|logical| Some((logical.number, logical.boot_record?)));
    records
        .flat_map(|(number, boot_record)| {
            let around = logicals
                .iter()
                .map(Partition::span)
                .filter(move |one| (one.first..=one.last).contains(&boot_record));
            around.map(move |inside| Finding::BootRecordInside {
                number,
                boot_record,
                inside,
            })
        })
        .collect()
}

/// The logical partitions, numbered from 5 in the order of the chain.
fn chain(
    disk: &Disk<'_>,
    sector_size: SectorSize,
    extended: Lba,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Partition>, TableError> {
    let mut logicals = Vec::new();
    let mut visited = BTreeSet::new();
    let mut number = MAX_PRIMARIES + 1;
    let mut at = extended;
    loop {
        if !visited.insert(at) || number > MAX_PARTITIONS {
            findings.push(Finding::ChainEndless { at });
            return Ok(logicals);
        }
        let record = BootRecord::read(disk, at.to_bytes(sector_size))?;
        let Some(record) = record.filter(BootRecord::is_signed) else {
            findings.push(Finding::ChainBroken { at });
            return Ok(logicals);
        };
        let (links, data): (Vec<&Entry>, Vec<&Entry>) = record
            .entries
            .iter()
            .filter(|entry| entry.is_in_use())
            .partition(|entry| kind(entry).is_extended());
        for entry in data {
            if ![0, ACTIVE].contains(&entry.indicator) {
                findings.push(Finding::BootIndicator {
                    number,
                    byte: entry.indicator,
                });
            }
            logicals.push(Partition {
                boot_record: Some(at),
                ..partition(number, entry, at)
            });
            number += 1;
        }
        match links.first() {
            Some(link) if link.first.get() != 0 => {
                at = Lba(extended.0 + u64::from(link.first.get()))
            }
            _ => return Ok(logicals),
        }
    }
}

/// The partition of an entry, whose start counts from a base.
fn partition(number: u32, entry: &Entry, base: Lba) -> Partition {
    let start = Lba(base.0 + u64::from(entry.first.get()));
    Partition {
        active: entry.indicator == ACTIVE,
        ..Partition::new(number, start, entry.sectors.get().into(), kind(entry))
    }
}

fn kind(entry: &Entry) -> PartitionType {
    PartitionType::Mbr(entry.kind)
}
