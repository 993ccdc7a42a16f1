//! A table to the bytes of a GPT.

use std::collections::BTreeMap;

use zerocopy::IntoBytes;
use zerocopy::little_endian::U16;

use super::format::{
    ENTRY_BYTES, Entry, HEADER_BYTES, Header, MAX_NAME_UNITS, REVISION, SIGNATURE,
};
use super::{BEHIND_HEADER, MAX_PARTITIONS, PRIMARY, entries_sectors};
use crate::{DiskId, Lba, Partition, PartitionType, Region, SectorSize, Table, TableError, mbr};

/// The protective or hybrid MBR with the primary copy, and the backup.
pub(super) fn encode(table: &Table) -> Result<Vec<Region>, TableError> {
    if table.shape.entries < BEHIND_HEADER {
        return Err(TableError::EntriesOverHeader {
            entries: table.shape.entries,
        });
    }
    distinct_ids(&table.partitions)?;
    mbr::check_hybrid(&table.partitions, &table.shape)?;

    let entries = entries(table);
    let last = Lba(table.disk_sectors - 1);
    let alternate = if table.shape.backup { last } else { PRIMARY };
    let header = |my, alternate, entries_lba| Header {
        my_lba: lba(my),
        alternate_lba: lba(alternate),
        entries_lba: lba(entries_lba),
        entries_checksum: crc32fast::hash(&entries).into(),
        ..header(table)
    };

    let mut start = padded(mbr::before_gpt(table).as_bytes(), table.sector_size);
    let primary = header(PRIMARY, alternate, table.shape.entries);
    start.extend(sealed(primary, table.sector_size));
    let mut regions = vec![Region {
        offset: 0,
        bytes: start,
    }];
    if table.shape.entries == BEHIND_HEADER {
        regions[0].bytes.extend(&entries);
    } else {
        regions.push(Region {
            offset: table.shape.entries.to_bytes(table.sector_size),
            bytes: entries.clone(),
        });
    }
    if table.shape.backup {
        let backup_entries = Lba(last.0 - entries_sectors(table.sector_size));
        let mut bytes = entries.clone();
        let backup = header(last, PRIMARY, backup_entries);
        bytes.extend(sealed(backup, table.sector_size));
        regions.push(Region {
            offset: backup_entries.to_bytes(table.sector_size),
            bytes,
        });
    }
    Ok(regions)
}

fn distinct_ids(partitions: &[Partition]) -> Result<(), TableError> {
    let mut seen = BTreeMap::new();
    for partition in partitions {
        if let Some(other) = seen.insert(partition.id, partition.number) {
            let (first, second) = (other.min(partition.number), other.max(partition.number));
            return Err(TableError::IdTaken { first, second });
        }
    }
    Ok(())
}

/// What both headers have in common.
fn header(table: &Table) -> Header {
    let disk_id = match table.disk_id {
        DiskId::Gpt(id) => id,
        DiskId::Mbr(_) | DiskId::None => {
            unreachable!("the disk's identifier says which table it is")
        }
    };
    Header {
        signature: SIGNATURE,
        revision: REVISION.into(),
        header_bytes: HEADER_BYTES.into(),
        checksum: 0.into(),
        reserved: 0.into(),
        my_lba: 0.into(),
        alternate_lba: 0.into(),
        first_usable: lba(table.first_usable),
        last_usable: lba(table.last_usable),
        disk_id: disk_id.to_bytes_le(),
        entries_lba: 0.into(),
        entry_count: MAX_PARTITIONS.into(),
        entry_bytes: ENTRY_BYTES.into(),
        entries_checksum: 0.into(),
    }
}

pub(super) fn lba(lba: Lba) -> zerocopy::little_endian::U64 {
    lba.0.into()
}

/// The header with its checksum, filled up to a sector.
pub(super) fn sealed(mut header: Header, sector_size: SectorSize) -> Vec<u8> {
    header.checksum = crc32fast::hash(header.as_bytes()).into();
    padded(header.as_bytes(), sector_size)
}

fn padded(bytes: &[u8], sector_size: SectorSize) -> Vec<u8> {
    let mut sector = bytes.to_vec();
    sector.resize(sector_size.length(), 0);
    sector
}

/// All entries, each in the place of its number.
fn entries(table: &Table) -> Vec<u8> {
    let by_number: BTreeMap<u32, &Partition> = table
        .partitions
        .iter()
        .map(|one| (one.number, one))
        .collect();
    let unused = [0; size_of::<Entry>()];
    (1..=MAX_PARTITIONS)
        .flat_map(|number| match by_number.get(&number) {
            Some(partition) => entry(partition).as_bytes().to_vec(),
            None => unused.to_vec(),
        })
        .collect()
}

fn entry(partition: &Partition) -> Entry {
    let kind = match partition.kind {
        PartitionType::Gpt(kind) => kind,
        PartitionType::Mbr(_) | PartitionType::None => {
            unreachable!("types of other tables were refused")
        }
    };
    let mut name = [U16::ZERO; MAX_NAME_UNITS];
    for (unit, value) in name.iter_mut().zip(partition.name.encode_utf16()) {
        unit.set(value);
    }
    Entry {
        kind: kind.to_bytes_le(),
        id: partition.id.unwrap_or_default().to_bytes_le(),
        first: lba(partition.start),
        last: lba(partition.last()),
        attributes: partition.attributes.bits().into(),
        name,
    }
}
