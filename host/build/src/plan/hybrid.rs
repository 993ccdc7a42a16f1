//! What the MBR of a hybrid table can describe.

use super::error::{Locate, PlanError, Reason};
use super::identity::Identity;
use super::layout::{Disk, Layout};
use cellblock_spec::{Spec, TableName};
use cellblock_table::{MAX_HYBRID, PartitionType};

/// The type of the entry that guards the GPT.
const PROTECTIVE: u8 = 0xee;

/// Refuses a hybrid table that cannot be, or that is none.
pub(super) fn check(
    spec: &Spec,
    disk: &Disk,
    identities: &[Identity],
    layout: &Layout,
) -> Result<(), PlanError> {
    if spec.disk.table_name() != TableName::Hybrid {
        return Ok(());
    }
    let members = || {
        let all = spec.partitions.iter().zip(identities).zip(&layout.extents);
        all.filter_map(|((partition, identity), extent)| {
            Some((partition.mbr_type.as_ref()?, identity, extent))
        })
    };
    let count = members().count();
    if count == 0 {
        let place = spec.disk.table.as_ref().map(|table| table.place.clone());
        return Err(Reason::HybridEmpty.at(place));
    }
    if let Some((one_too_many, identity, _)) = members().nth(MAX_HYBRID) {
        return Err(Reason::HybridTooMany { count }
            .at(Some(one_too_many.place.clone()))
            .of(identity));
    }
    let limit = disk.addressable_by_mbr();
    for (kind, identity, extent) in members() {
        let reason = if kind.value == PROTECTIVE || PartitionType::Mbr(kind.value).is_extended() {
            Reason::HybridType { kind: kind.value }
        } else if extent.end() > limit {
            Reason::HybridBeyond {
                end: extent.end(),
                limit,
                sector: disk.sector_size.bytes(),
            }
        } else {
            continue;
        };
        return Err(reason.at(Some(kind.place.clone())).of(identity));
    }
    Ok(())
}
