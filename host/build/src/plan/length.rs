//! How long each partition is, as far as it follows from itself.

use super::error::{Locate, PlanError, Reason};
use super::layout::{Disk, Length};
use super::raw::{self, RawLengths};
use super::sectors::{too_large, whole_sectors, with_margin};
use cellblock_spec::{PartitionSpec, SizeRule};

/// The length of a partition, unless it takes the rest.
pub(super) fn length(
    disk: &Disk,
    partition: &PartitionSpec,
    measured: Option<&u64>,
    raw_lengths: &RawLengths,
) -> Result<Length, PlanError> {
    let place = partition
        .size
        .as_ref()
        .map_or(&partition.place, |size| &size.place);
    let sector = disk.sector_size.bytes();
    let bytes = match partition.size_rule() {
        SizeRule::Rest => return Ok(Length::Rest),
        SizeRule::Fixed(0) => Err(Reason::EmptySize),
        SizeRule::Fixed(bytes) => whole_sectors("size", bytes, sector),
        SizeRule::Minimum(margin) if partition.filesystem.is_some() => {
            let measured = *measured.expect("every partition of minimum size has been measured");
            with_margin(measured, margin, disk.alignment).ok_or_else(too_large)
        }
        SizeRule::Minimum(margin) => {
            let end = raw::end_of(&partition.raw, raw_lengths).ok_or_else(too_large);
            end.and_then(|end| with_margin(end.max(1), margin, sector).ok_or_else(too_large))
        }
    };
    bytes
        .map(Length::Bytes)
        .map_err(|reason| reason.at(Some(place.clone())))
}
