//! How long each partition is, as far as it follows from itself.

use super::error::{Locate, PlanError, Reason};
use super::layout::{Disk, Length, MOST_BYTES};
use super::raw::{self, RawLengths};
use cellblock_spec::{Margin, PartitionSpec, SizeRule};

/// Parts in a whole, for margins in parts per million.
const MILLION: u128 = 1_000_000;

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

fn too_large() -> Reason {
    Reason::TooLarge { most: MOST_BYTES }
}

/// The bytes, when they are whole sectors.
pub(super) fn whole_sectors(what: &'static str, bytes: u64, sector: u64) -> Result<u64, Reason> {
    let below = bytes - bytes % sector;
    if below == bytes {
        return Ok(bytes);
    }
    let above = below.checked_add(sector).ok_or_else(too_large)?;
    Err(Reason::NotWholeSectors {
        what,
        bytes,
        sector,
        below,
        above,
    })
}

/// The size and its margin, rounded up to a multiple; `None` when that is longer than a file can be.
pub(super) fn with_margin(measured: u64, margin: Margin, multiple: u64) -> Option<u64> {
    let measured = u128::from(measured);
    let sum = match margin {
        Margin::Bytes(bytes) => measured + u128::from(bytes),
        Margin::PartsPerMillion(parts) => {
            let share = measured.checked_mul(u128::from(parts))?.div_ceil(MILLION);
            measured + share
        }
    };
    let rounded = sum.next_multiple_of(u128::from(multiple));
    u64::try_from(rounded)
        .ok()
        .filter(|bytes| *bytes <= MOST_BYTES)
}
