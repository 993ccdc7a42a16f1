//! A table to the bytes of an MBR and its extended boot records.

use zerocopy::IntoBytes;

use super::format::{ACTIVE, BootRecord, Chs, Entry, LINK};
use crate::{DiskId, Lba, Partition, PartitionType, Region, Table, TableError, check};

/// The master boot record, and one extended record a logical partition, by ascending offset.
pub(super) fn encode(table: &Table) -> Result<Vec<Region>, TableError> {
    let disk_id = match table.disk_id {
        DiskId::Mbr(id) => id,
        DiskId::Gpt(_) | DiskId::None => {
            unreachable!("the disk's identifier says which table it is")
        }
    };
    one_extended(table)?;
    let mut entries = [Entry::default(); 4];
    for (number, slot) in (1..).zip(&mut entries) {
        if let Some(primary) = table
            .partitions
            .iter()
            .find(|partition| partition.number == number)
        {
            *slot = entry(primary, Lba(0));
        }
    }
    let mut regions = vec![region(table, Lba(0), &BootRecord::new(disk_id, entries))];
    regions.extend(chain(table)?);
    regions.sort_by_key(|region| region.offset);
    Ok(regions)
}

fn one_extended(table: &Table) -> Result<(), TableError> {
    let mut extended = table
        .partitions
        .iter()
        .filter(|partition| partition.kind.is_extended());
    match (extended.next(), extended.next()) {
        (Some(first), Some(second)) => {
            let (first, second) = (
                first.number.min(second.number),
                first.number.max(second.number),
            );
            Err(TableError::TwoExtended { first, second })
        }
        _ => Ok(()),
    }
}

/// A logical partition and where its boot record goes.
#[derive(Clone, Copy)]
struct Logical<'a> {
    partition: &'a Partition,
    record: Lba,
}

/// The extended boot records, in the order of the chain; an empty one for an extended partition without logical ones.
fn chain(table: &Table) -> Result<Vec<Region>, TableError> {
    let mut logicals: Vec<Logical<'_>> = table
        .partitions
        .iter()
        .filter_map(|partition| {
            Some(Logical {
                partition,
                record: table.boot_record(partition)?,
            })
        })
        .collect();
    logicals.sort_by_key(|logical| logical.partition.number);
    let Some(first) = logicals.first() else {
        // What else stands at its start may be taken for a boot record.
        let empty = BootRecord::new(0, [Entry::default(); 4]);
        let records = table.extended().map(|it| region(table, it.start, &empty));
        return Ok(records.into_iter().collect());
    };
    let Some(extended) = table.extended() else {
        return Err(TableError::NoExtended {
            number: first.partition.number,
        });
    };
    check_chain(extended, &logicals)?;
    let following = logicals.iter().skip(1).map(Some).chain([None]);
    let records = logicals.iter().zip(following).map(|(logical, next)| {
        let link = next.map_or_else(Entry::default, |next| link(next, extended.start));
        let entries = [
            entry(logical.partition, logical.record),
            link,
            Entry::default(),
            Entry::default(),
        ];
        region(table, logical.record, &BootRecord::new(0, entries))
    });
    Ok(records.collect())
}

fn check_chain(extended: &Partition, logicals: &[Logical<'_>]) -> Result<(), TableError> {
    let mut previous = super::MAX_PRIMARIES;
    for logical in logicals {
        let number = logical.partition.number;
        if number != previous + 1 {
            return Err(TableError::LogicalGap { number, previous });
        }
        previous = number;
        let (start, last) = (
            logical.record.min(logical.partition.start),
            logical.partition.last(),
        );
        if start < extended.start || last > extended.last() {
            return Err(TableError::OutsideExtended {
                logical: logical.partition.span(),
                boot_record: logical.record,
                extended: extended.span(),
            });
        }
    }
    if let Some(&(first, second)) =
        check::overlaps(logicals.iter().map(|logical| logical.partition)).first()
    {
        return Err(TableError::Overlap { first, second });
    }
    check_records(extended, logicals)
}

/// Refuses boot records that are not in free space before their partitions, or do not begin the chain.
fn check_records(extended: &Partition, logicals: &[Logical<'_>]) -> Result<(), TableError> {
    for logical in logicals {
        let (number, boot_record) = (logical.partition.number, logical.record);
        let collides = logicals.iter().any(|other| {
            let inside = (other.partition.start..=other.partition.last()).contains(&boot_record);
            inside || (other.record == boot_record && other.partition.number != number)
        });
        if collides || boot_record >= logical.partition.start {
            return Err(TableError::BootRecordInTheWay {
                number,
                boot_record,
            });
        }
    }
    match logicals.first() {
        Some(first) if first.record != extended.start => Err(TableError::FirstBootRecord {
            number: first.partition.number,
            boot_record: first.record,
            extended: extended.start,
        }),
        _ => Ok(()),
    }
}

fn region(table: &Table, at: Lba, record: &BootRecord) -> Region {
    let mut bytes = record.as_bytes().to_vec();
    bytes.resize(table.sector_size.length(), 0);
    Region {
        offset: at.to_bytes(table.sector_size),
        bytes,
    }
}

/// The entry of a partition, whose start counts from a base.
pub(super) fn entry(partition: &Partition, base: Lba) -> Entry {
    let kind = match partition.kind {
        PartitionType::Mbr(kind) => kind,
        PartitionType::Gpt(_) | PartitionType::None => partition
            .mbr_type
            .expect("only members of a hybrid MBR come here from other tables"),
    };
    let indicator = if partition.active { ACTIVE } else { 0 };
    Entry {
        indicator,
        ..covering(kind, base, partition.start, partition.last())
    }
}

/// The entry that leads to a boot record: it covers that and its partition, and counts from the
/// extended partition.
fn link(next: &Logical<'_>, extended: Lba) -> Entry {
    covering(LINK, extended, next.record, next.partition.last())
}

pub(super) fn covering(kind: u8, base: Lba, first: Lba, last: Lba) -> Entry {
    Entry {
        indicator: 0,
        first_chs: Chs::new(first.0),
        kind,
        last_chs: Chs::new(last.0),
        first: bits32(first.0 - base.0),
        sectors: bits32(last.0 - first.0 + 1),
    }
}

/// A number of sectors in 32 bits, which the last usable sector ensures.
fn bits32(sectors: u64) -> zerocopy::little_endian::U32 {
    u32::try_from(sectors)
        .expect("partitions beyond what 32 bits address were refused")
        .into()
}
