//! Sizes that are whole sectors, and no longer than a file can be.

use super::error::Reason;
use super::space::MOST_BYTES;
use cellblock_spec::Margin;

/// Parts in a whole, for margins in parts per million.
const MILLION: u128 = 1_000_000;

/// The reason why something longer than a file cannot be.
pub(super) fn too_large() -> Reason {
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
