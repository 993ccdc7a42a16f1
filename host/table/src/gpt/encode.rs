//! A table to the bytes of a GPT.

use std::collections::BTreeMap;

use uuid::Uuid;
use zerocopy::IntoBytes;
use zerocopy::little_endian::U16;

use super::format::{
    ENTRY_BYTES, Entry, HEADER_BYTES, Header, MAX_NAME_UNITS, REVISION, SIGNATURE,
};
use super::{MAX_PARTITIONS, entries_sectors};
use crate::{Lba, Partition, PartitionType, Region, SectorSize, Table, TableError, mbr};

/// The sector of the primary header.
const PRIMARY: Lba = Lba(1);

/// The protective or hybrid MBR with the primary copy, and the backup.
pub(crate) fn encode(table: &Table, disk_id: Uuid) -> Result<Vec<Region>, TableError> {
    let (free_first, free_last) = super::usable(table.sector_size, table.disk_sectors)?;
    let (first, last) = (table.first_usable, table.last_usable);
    if first < free_first || last > free_last || first > last {
        return Err(TableError::UsableRange {
            first,
            last,
            free_first,
            free_last,
        });
    }
    distinct_ids(&table.partitions)?;
    mbr::check_hybrid(&table.partitions)?;

    let entries = entries(table);
    let backup = Lba(table.disk_sectors - 1);
    let backup_entries = Lba(backup.0 - entries_sectors(table.sector_size));
    let header = |my, alternate, entries_lba| Header {
        my_lba: lba(my),
        alternate_lba: lba(alternate),
        entries_lba: lba(entries_lba),
        entries_checksum: crc32fast::hash(&entries).into(),
        ..header(table, disk_id)
    };

    let mut start = padded(mbr::before_gpt(table).as_bytes(), table.sector_size);
    start.extend(sealed(header(PRIMARY, backup, Lba(2)), table.sector_size));
    start.extend(&entries);
    let mut end = entries.clone();
    end.extend(sealed(
        header(backup, PRIMARY, backup_entries),
        table.sector_size,
    ));
    Ok(vec![
        Region {
            offset: 0,
            bytes: start,
        },
        Region {
            offset: backup_entries.to_bytes(table.sector_size),
            bytes: end,
        },
    ])
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
fn header(table: &Table, disk_id: Uuid) -> Header {
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

fn lba(lba: Lba) -> zerocopy::little_endian::U64 {
    lba.0.into()
}

/// The header with its checksum, filled up to a sector.
fn sealed(mut header: Header, sector_size: SectorSize) -> Vec<u8> {
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
        PartitionType::Mbr(_) => Uuid::nil(),
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
