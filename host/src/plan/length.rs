//! How long each partition is, as far as it follows from itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::RawPiece;
use super::error::{Locate, PlanError, Reason};
use super::layout::{Disk, Length, MOST_BYTES};
use crate::spec::{Margin, PartitionSpec, Placed, RawSpec, SizeRule, Spec};

/// Parts in a whole, for margins in parts per million.
const MILLION: u128 = 1_000_000;

/// The lengths in bytes of the files that are copied into raw partitions.
pub type RawLengths = BTreeMap<PathBuf, u64>;

/// Looks how long the files of the raw partitions are.
///
/// # Errors
/// When one of them is missing, cannot be looked at, or is no regular file.
pub fn raw_lengths(spec: &Spec) -> Result<RawLengths, PlanError> {
    let mut lengths = RawLengths::new();
    let identities = super::identity::identities(spec)?;
    for (partition, identity) in spec.partitions.iter().zip(&identities) {
        for RawSpec { file, .. } in &partition.raw {
            let length = regular_file_length(file)
                .map_err(|reason| reason.at(Some(file.place.clone())).of(identity))?;
            lengths.insert(file.value.clone(), length);
        }
    }
    Ok(lengths)
}

fn regular_file_length(file: &Placed<PathBuf>) -> Result<u64, Reason> {
    let cannot = |why: String| Reason::RawFile {
        file: file.value.clone(),
        why,
    };
    let metadata = fs::metadata(&file.value).map_err(|error| cannot(error.to_string()))?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(cannot("it is no regular file".to_owned()))
    }
}

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
            let end = raw_end(&partition.raw, raw_lengths).ok_or_else(too_large);
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

/// Where the last of the files ends, in bytes from the start of the partition.
fn raw_end(raw: &[RawSpec], lengths: &RawLengths) -> Option<u64> {
    raw.iter().try_fold(0, |end, piece| {
        Some(
            piece
                .offset
                .checked_add(raw_length(piece, lengths))?
                .max(end),
        )
    })
}

fn raw_length(piece: &RawSpec, lengths: &RawLengths) -> u64 {
    *lengths
        .get(&piece.file.value)
        .expect("the length of every raw file has been looked up")
}

/// The files of a raw partition of `size` bytes, in ascending order.
pub(super) fn raw_pieces(
    partition: &PartitionSpec,
    size: u64,
    lengths: &RawLengths,
) -> Result<Vec<RawPiece>, PlanError> {
    let mut specs: Vec<&RawSpec> = partition.raw.iter().collect();
    specs.sort_by_key(|spec| spec.offset);
    let mut pieces: Vec<RawPiece> = Vec::with_capacity(specs.len());
    for spec in specs {
        let piece = RawPiece {
            file: spec.file.value.clone(),
            offset: spec.offset,
            length: raw_length(spec, lengths),
        };
        let place = Some(spec.file.place.clone());
        let end = piece
            .offset
            .checked_add(piece.length)
            .ok_or_else(|| too_large().at(place.clone()))?;
        if end > size {
            return Err(Reason::RawTooLong {
                file: piece.file,
                end,
                size,
            }
            .at(place));
        }
        if let Some(before) = pieces
            .last()
            .filter(|before| before.offset + before.length > piece.offset)
        {
            let reason = Reason::RawOverlap {
                first: before.file.clone(),
                end: before.offset + before.length,
                second: piece.file,
                offset: piece.offset,
            };
            return Err(reason.at(place));
        }
        pieces.push(piece);
    }
    Ok(pieces)
}
