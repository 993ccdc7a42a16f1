//! The MBR of a hybrid table: it guards the GPT, and describes up to three of its partitions.
//!
//! ```text
//! | 0xee: sector 1 to before the first of them | entry | entry | entry |
//! ```
//!
//! No standard knows it; this is what gdisk makes, and it reads the guarding entry at any place.

use super::encode::{entry, extent};
use super::format::{ACTIVE, BootRecord, Entry, PROTECTIVE};
use super::{MAX_SECTORS, Partition, PartitionType};
use crate::{Finding, Lba, TableError};

/// The partitions that a hybrid MBR has room for, beside the entry that guards the GPT.
pub const MAX_HYBRID: usize = 3;

/// The partitions that are to be in the MBR, each with its type there.
fn described(partitions: &[Partition]) -> impl Iterator<Item = (&Partition, u8)> {
    partitions
        .iter()
        .filter_map(|partition| Some((partition, partition.mbr_type?)))
}

/// Refuses partitions that a hybrid MBR cannot describe.
pub(crate) fn check(partitions: &[Partition]) -> Result<(), TableError> {
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
            let extent = partition.extent();
            return Err(TableError::HybridBeyond { extent });
        }
    }
    Ok(())
}

/// The MBR that describes partitions which [`check`] has passed, in the order of their numbers.
pub(super) fn record(partitions: &[Partition]) -> BootRecord {
    let mut members: Vec<&Partition> = described(partitions).map(|(member, _)| member).collect();
    members.sort_by_key(|member| member.number);
    let first = members.iter().map(|member| member.start).min();
    let before = Lba(first.unwrap_or_default().0.saturating_sub(1));
    let guard = extent(PROTECTIVE, Lba(0), Lba(1), before);
    let mut entries = [guard, Entry::default(), Entry::default(), Entry::default()];
    for (slot, member) in entries[1..].iter_mut().zip(members) {
        *slot = entry(member, Lba(0));
    }
    BootRecord::new(0, entries)
}

/// Gives the partitions of a GPT the types that its MBR has for them, and tells which entries of it are none of theirs.
pub(crate) fn read(record: &BootRecord, partitions: &mut [Partition]) -> Vec<Finding> {
    let entries = (1..)
        .zip(&record.entries)
        .filter(|(_, entry)| entry.is_in_use() && !entry.is_protective());
    let mut strays = Vec::new();
    for (number, entry) in entries {
        let (first, sectors) = (
            Lba(entry.first.get().into()),
            u64::from(entry.sectors.get()),
        );
        let member = partitions
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
    strays
}
