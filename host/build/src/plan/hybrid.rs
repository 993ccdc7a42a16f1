//! What the MBR of a hybrid table can describe.

use super::error::{Locate, PlanError, Reason};
use super::identity::Identity;
use super::layout::{Disk, Layout};
use cellblock_spec::{Spec, TableName};
use cellblock_table::{MAX_HYBRID, PartitionType, Scheme};

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
        let all = spec.partitions.iter().zip(identities).zip(&layout.spans);
        all.filter_map(|((partition, identity), span)| {
            Some((partition.mbr_type.as_ref()?, identity, span))
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
            .of(identity.named()));
    }
    let limit = disk.addressable_by(Scheme::Mbr);
    for (kind, identity, span) in members() {
        let type_in_mbr = PartitionType::Mbr(kind.value);
        let reason = if type_in_mbr.is_protective() || type_in_mbr.is_extended() {
            Reason::HybridType { kind: kind.value }
        } else if span.end() > limit {
            Reason::HybridBeyond {
                end: span.end(),
                limit,
                sector: disk.sector_size.bytes(),
            }
        } else {
            continue;
        };
        return Err(reason.at(Some(kind.place.clone())).of(identity.named()));
    }
    Ok(())
}
