//! What the system is asked for: the time of the environment, and random bytes.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;

use super::ArgumentError;

/// The environment variable with the time, in seconds since 1970, that reproducible builds stamp things with.
pub(super) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Where random bytes come from.
pub(super) const RANDOM: &str = "/dev/urandom";

/// The time that the environment asks for, in seconds since 1970. Nothing else of the environment reaches an image.
///
/// # Errors
/// When the variable holds anything but a whole number; an empty one counts as unset.
pub fn source_date_epoch() -> Result<Option<i64>, ArgumentError> {
    match std::env::var_os(SOURCE_DATE_EPOCH) {
        Some(text) if !text.is_empty() => epoch(text).map(Some),
        _ => Ok(None),
    }
}

pub(super) fn epoch(text: OsString) -> Result<i64, ArgumentError> {
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.ok_or(ArgumentError::SourceDateEpoch { text })
}

/// Sixteen bytes of the system's random source, for a seed that is to be random.
///
/// # Errors
/// When the system gives none.
pub fn drawn_seed() -> Result<[u8; 16], ArgumentError> {
    let mut bytes = [0; 16];
    File::open(RANDOM)
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|source| ArgumentError::Random { source })?;
    Ok(bytes)
}
