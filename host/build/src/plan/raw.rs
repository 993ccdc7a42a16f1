//! What is written as it is: into raw partitions, and onto the disk around its partitions.
//!
//! ```text
//!  0         440                                                                            end
//!  | boot code | table |  gap  | partition: raw pieces of its own |  gap  | … | backup table |
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::error::{Locate, PlanError, Reason};
use super::identity::{Identity, position};
use super::sectors::whole_sectors;
use super::space::{ByteSpan, MOST_BYTES, Occupant, Taken};
use super::{RawContent, RawPiece};
use cellblock_spec::{Placed, RawSpec, RawWhat, Spec};

/// The bytes of an address: 32 bits.
const ADDRESS_BYTES: u64 = 4;

/// The lengths in bytes of the files that are copied as they are.
pub type RawLengths = BTreeMap<PathBuf, u64>;

/// Looks how long the files are that are copied as they are.
///
/// # Errors
/// When one of them is missing, cannot be looked at, or is no regular file.
pub fn raw_lengths(spec: &Spec) -> Result<RawLengths, PlanError> {
    let mut lengths = RawLengths::new();
    let identities = super::identity::identities(spec, super::identity::seed(spec)?)?;
    let of_partitions = spec.partitions.iter().zip(&identities);
    let entries = of_partitions
        .map(|(partition, identity)| (&partition.raw, Some(identity)))
        .chain([(&spec.disk.raw, None)]);
    for (raw, identity) in entries {
        for file in raw.iter().filter_map(RawSpec::file) {
            let length = regular_file_length(file).map_err(|reason| {
                let error = reason.at(Some(file.place.clone()));
                match identity {
                    Some(identity) => error.of(identity.named()),
                    None => error,
                }
            })?;
            lengths.insert(file.value.clone(), length);
        }
    }
    if let Some(grub) = &spec.boot.grub_bios {
        let core = &grub.core_image;
        let length =
            regular_file_length(core).map_err(|reason| reason.at(Some(core.place.clone())))?;
        lengths.insert(core.value.clone(), length);
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

/// Where the last of the entries ends, in bytes; `None` beyond what can be counted.
pub(super) fn end_of(raw: &[RawSpec], lengths: &RawLengths) -> Option<u64> {
    raw.iter().try_fold(0, |end, entry| {
        Some(entry.offset.checked_add(room(entry, lengths))?.max(end))
    })
}

/// The bytes that an entry has to itself.
fn room(entry: &RawSpec, lengths: &RawLengths) -> u64 {
    match &entry.what {
        RawWhat::File {
            size: Some(size), ..
        } => size.value,
        RawWhat::File { file, size: None } => length(file, lengths),
        RawWhat::Lba(_) | RawWhat::LbaOf { .. } => ADDRESS_BYTES,
    }
}

pub(super) fn length(file: &Placed<PathBuf>, lengths: &RawLengths) -> u64 {
    *lengths
        .get(&file.value)
        .expect("the length of every raw file has been looked up")
}

/// What entries are written into: a partition, or the disk around its partitions.
#[derive(Debug)]
pub(super) struct Ground {
    /// `partition` or `disk`.
    pub(super) what: &'static str,
    /// In bytes.
    pub(super) size: u64,
    /// What nothing may be written over.
    pub(super) taken: Vec<Taken>,
}

/// Where the partitions lie.
#[derive(Debug)]
pub(super) struct Addresses<'a> {
    pub(super) identities: &'a [Identity],
    pub(super) spans: &'a [ByteSpan],
    /// In bytes.
    pub(super) sector: u64,
}

impl Addresses<'_> {
    /// The sector `plus` bytes into a partition.
    fn lba(&self, partition: &str, plus: u64) -> Result<u32, Reason> {
        let index = position(partition, self.identities)?;
        let span = self.spans[index];
        let plus = whole_sectors("`plus`", plus, self.sector)?;
        if plus >= span.size {
            return Err(Reason::BeyondPartition {
                plus,
                partition: self.identities[index].named(),
                size: span.size,
            });
        }
        let lba = (span.start + plus) / self.sector;
        u32::try_from(lba).map_err(|_| Reason::LongAddress { lba })
    }
}

/// The entries as pieces, in the order of writing: files in ascending order, and then addresses, which may change them.
pub(super) fn pieces(
    entries: &[RawSpec],
    ground: &Ground,
    addresses: &Addresses<'_>,
    lengths: &RawLengths,
) -> Result<Vec<RawPiece>, PlanError> {
    let mut sorted: Vec<&RawSpec> = entries.iter().collect();
    sorted.sort_by_key(|entry| (entry.file().is_none(), entry.offset));
    let mut before: Option<(&RawSpec, Taken)> = None;
    let mut pieces = Vec::with_capacity(sorted.len());
    for entry in sorted {
        let at = |reason: Reason| reason.at(Some(entry.place()));
        let (content, length) = content(entry, addresses, lengths).map_err(at)?;
        let taken = taken(entry, ground, lengths).map_err(at)?;
        for fixed in &ground.taken {
            check(&taken, fixed).map_err(at)?;
        }
        // An address lies in a file or in none, and files do not overlap: it is enough to look at the same kind.
        if let Some((other, before)) = &before
            && other.file().is_some() == entry.file().is_some()
        {
            check(&taken, before).map_err(|reason| at(reason).with_related(other.place()))?;
        }
        pieces.push(RawPiece {
            content,
            offset: entry.offset,
            length,
        });
        before = Some((entry, taken));
    }
    Ok(pieces)
}

fn content(
    entry: &RawSpec,
    addresses: &Addresses<'_>,
    lengths: &RawLengths,
) -> Result<(RawContent, u64), Reason> {
    match &entry.what {
        RawWhat::File { file, size } => {
            let length = length(file, lengths);
            match size {
                Some(size) if length > size.value => Err(Reason::RawLargerThanSize {
                    file: file.value.clone(),
                    length,
                    size: size.value,
                }),
                _ => Ok((RawContent::File(file.value.clone()), length)),
            }
        }
        RawWhat::Lba(place) => {
            let start = whole_sectors("`lba`", place.value, addresses.sector)?;
            let lba = start / addresses.sector;
            let lba = u32::try_from(lba).map_err(|_| Reason::LongAddress { lba })?;
            Ok((RawContent::Bytes(lba.to_le_bytes().into()), ADDRESS_BYTES))
        }
        RawWhat::LbaOf { partition, plus } => {
            let lba = addresses.lba(&partition.value, *plus)?;
            Ok((RawContent::Bytes(lba.to_le_bytes().into()), ADDRESS_BYTES))
        }
    }
}

/// What an entry takes of its ground.
fn taken(entry: &RawSpec, ground: &Ground, lengths: &RawLengths) -> Result<Taken, Reason> {
    let occupant = match &entry.what {
        RawWhat::File { file, .. } => Occupant::File(file.value.clone()),
        RawWhat::Lba(_) => Occupant::Address,
        RawWhat::LbaOf { partition, .. } => Occupant::AddressOf(partition.value.clone()),
    };
    let end = entry
        .offset
        .checked_add(room(entry, lengths))
        .filter(|end| *end <= MOST_BYTES)
        .ok_or(Reason::TooLarge { most: MOST_BYTES })?;
    if end > ground.size {
        return Err(Reason::RawTooLong {
            occupant,
            end,
            ground: ground.what,
            size: ground.size,
        });
    }
    Ok(Taken {
        range: entry.offset..end,
        occupant,
    })
}

fn check(taken: &Taken, other: &Taken) -> Result<(), Reason> {
    if !taken.overlaps(other) {
        return Ok(());
    }
    Err(Reason::RawOverlap {
        first: taken.occupant.clone(),
        first_range: taken.range.clone(),
        second: other.occupant.clone(),
        second_range: other.range.clone(),
    })
}
