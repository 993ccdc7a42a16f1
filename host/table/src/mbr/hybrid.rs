//! The MBR of a hybrid table: it guards the GPT, and describes up to three of its partitions.
//!
//! ```text
//! | 0xee: sector 1 to before the first of them | entry | entry | entry |
//! ```
//!
//! No standard knows it; this is what gdisk makes, and it reads the guarding entry at any place. Some firmware reads only
//! the first entry: [`Shape::guard_number`] then has the guard in another.

use super::encode::{covering, entry};
use super::format::{ACTIVE, BootRecord, Entry, PROTECTIVE};
use super::{MAX_HYBRID, MAX_PRIMARIES, MAX_SECTORS};
use crate::{Finding, Lba, Partition, PartitionType, Shape, Table, TableError};

/// The partitions that are to be in the MBR, each with its type there.
fn described(partitions: &[Partition]) -> impl Iterator<Item = (&Partition, u8)> {
    partitions
        .iter()
        .filter_map(|partition| Some((partition, partition.mbr_type?)))
}

/// Refuses partitions that a hybrid MBR cannot describe.
pub(crate) fn check(partitions: &[Partition], shape: &Shape) -> Result<(), TableError> {
    if !(1..=MAX_PRIMARIES).contains(&shape.guard_number) {
        return Err(TableError::GuardNumber {
            number: shape.guard_number,
        });
    }
    let count = described(partitions).count();
    if count > MAX_HYBRID {
        return Err(TableError::HybridTooMany { count });
    }
    for (partition, kind) in described(partitions) {
        let number = partition.number;
        let type_in_mbr = PartitionType::Mbr(kind);
        if type_in_mbr.is_unused() || type_in_mbr.is_extended() || kind == PROTECTIVE {
            return Err(TableError::HybridType { number, kind });
        }
        if partition.last().0 >= MAX_SECTORS {
            let span = partition.span();
            return Err(TableError::HybridBeyond { span });
        }
    }
    Ok(())
}

/// The MBR that describes partitions which [`check`] has passed, in the order of their numbers.
pub(super) fn record(table: &Table) -> BootRecord {
    let mut members: Vec<&Partition> = described(&table.partitions)
        .map(|(member, _)| member)
        .collect();
    members.sort_by_key(|member| member.number);
    let first = members.iter().map(|member| member.start).min();
    let first = first.expect("a hybrid table has a partition with a type in the MBR");
    let guard = covering(PROTECTIVE, Lba(0), Lba(1), Lba(first.0 - 1));
    let mut members = members.into_iter().map(|member| entry(member, Lba(0)));
    let mut entries = [Entry::default(); 4];
    for (number, slot) in (1..).zip(&mut entries) {
        *slot = if number == table.shape.guard_number {
            guard
        } else {
            members.next().unwrap_or_default()
        };
    }
    BootRecord::new(0, entries)
}

/// Gives the partitions of a GPT the types that its MBR has for them, and tells which entries of it are none of theirs.
pub(crate) fn read(record: &BootRecord, table: &mut Table) -> Vec<Finding> {
    let entries = (1_u32..)
        .zip(&record.entries)
        .filter(|(_, entry)| entry.is_partition() && !entry.is_protective());
    let mut strays = Vec::new();
    for (number, entry) in entries {
        let (first, sectors) = (
            Lba(entry.first.get().into()),
            u64::from(entry.sectors.get()),
        );
        let member = table
            .partitions
            .iter_mut()
            .find(|partition| (partition.start, partition.sectors) == (first, sectors));
        match member {
            Some(partition) => {
                partition.mbr_type = Some(entry.kind);
                partition.active = entry.indicator == ACTIVE;
            }
            None => strays.push(Finding::HybridStray {
                entry: number,
                kind: entry.kind,
                first,
                sectors,
            }),
        }
    }
    let guard = (1_u32..)
        .zip(&record.entries)
        .find(|(_, entry)| entry.is_protective());
    if let Some((number, _)) = guard
        && table.is_hybrid()
    {
        table.shape.guard_number = number;
    }
    strays
}
