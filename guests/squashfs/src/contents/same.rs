//! Which files hold the same: those of one size are compared by digest, and no others are read for it.

use std::collections::BTreeMap;

use cellblock_guest::{Digest, Encoder, FormatError};

use crate::census::{Census, FileId};
use crate::contents::plan::Data;

/// How many files are asked for at once.
const BATCH: usize = 1 << 14;

/// A file is not compared with others if more than this many times its data is holes: storing it again costs next to nothing.
const HOLES: u64 = 8;

/// Whether it is worth reading a file of `size` bytes, holes and all, for what storing it once saves.
pub(super) fn is_worth_reading(data: &Data<'_>, size: u64) -> bool {
    match data {
        Data::All => true,
        Data::Ranges(ranges) => {
            let bytes: u64 = ranges.iter().map(|range| range.length).sum();
            size / HOLES <= bytes && bytes > 0
        }
    }
}

/// For each file the first that holds the same: often itself.
///
/// # Errors
/// [`FormatError`] if the host fails.
pub(super) fn firsts<'a>(
    census: &Census,
    data: impl Fn(FileId) -> Data<'a>,
    encoder: &mut dyn Encoder,
) -> Result<Vec<FileId>, FormatError> {
    let count = u32::try_from(census.files.len()).expect("there are fewer than nodes");
    let mut firsts: Vec<FileId> = (0..count).map(FileId).collect();
    let size = |file: FileId| census.files[file.index()].size;
    let mut by_size: Vec<FileId> = firsts
        .iter()
        .copied()
        .filter(|file| size(*file) > 0 && is_worth_reading(&data(*file), size(*file)))
        .collect();
    by_size.sort_by_key(|file| (size(*file), *file));
    let mut alike: Vec<FileId> = by_size
        .chunk_by(|a, b| size(*a) == size(*b))
        .filter(|group| group.len() > 1)
        .flatten()
        .copied()
        .collect();
    drop(by_size);
    // As they lie in the source.
    alike.sort_unstable();
    let mut first_with: BTreeMap<(u64, Digest), FileId> = BTreeMap::new();
    for batch in alike.chunks(BATCH) {
        let nodes: Vec<_> = batch
            .iter()
            .map(|file| census.files[file.index()].node)
            .collect();
        for (file, digest) in batch.iter().zip(encoder.digests(&nodes)?) {
            let first = first_with.entry((size(*file), digest)).or_insert(*file);
            firsts[file.index()] = *first;
        }
    }
    Ok(firsts)
}
