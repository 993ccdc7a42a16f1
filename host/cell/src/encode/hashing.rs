//! Digests of content, on all threads.
//!
//! A file of at most [`BLOCK`] bytes has the digest of its one block; a larger one that of the list of its blocks' digests.
//! A block of zeros has a digest that depends on its length alone, so that holes are not read and equal zeros that are stored.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cellblock_tree::source::SourceError;
use cellblock_tree::{NodeId, Portion, Range, Reader};

/// 256 bits.
pub(super) type Hash = [u8; 32];

/// The bytes that are hashed at once.
pub(super) const BLOCK: u64 = 1 << 20;
/// A file has no more blocks than this: those of larger files are larger.
const MOST_BLOCKS: u64 = 1 << 20;
/// One part of the work has so many bytes, or so many files.
const PART_BYTES: u64 = 4 << 20;
const PART_FILES: usize = 256;
/// Files of at most so many bytes are read together, up to [`BLOCK`] bytes at a time.
const SMALL: u64 = 64 << 10;
/// More parts than this need not be for one file.
const MOST_PARTS: u64 = 1024;

/// A range of a file that is hashed in blocks of `block` bytes, a power of two; the last may be shorter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) file: NodeId,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) block: u64,
}

impl Run {
    /// A whole file, in blocks that depend on its size alone.
    pub(super) fn whole(file: NodeId, size: u64) -> Self {
        let block = size.div_ceil(MOST_BLOCKS).next_power_of_two().max(BLOCK);
        Self {
            file,
            offset: 0,
            length: size,
            block,
        }
    }

    /// How many digests it gives.
    pub(super) fn blocks(&self) -> u64 {
        self.length.div_ceil(self.block)
    }

    /// The digest of the whole, from those of its blocks.
    pub(super) fn combined(&self, digests: &[Hash]) -> Hash {
        match digests {
            [] => *blake3::hash(b"").as_bytes(),
            [one] => *one,
            many => {
                let mut hash = blake3::Hasher::new_derive_key("cellblock: the blocks of a file");
                hash.update(&self.length.to_le_bytes());
                for digest in many {
                    hash.update(digest);
                }
                *hash.finalize().as_bytes()
            }
        }
    }

    /// The run in pieces that threads share.
    fn parts(self) -> impl Iterator<Item = Self> {
        let share = self.length.div_ceil(MOST_PARTS).max(PART_BYTES);
        let step = share.div_ceil(self.block) * self.block;
        (0..self.length.div_ceil(step)).map(move |index| Self {
            offset: self.offset + index * step,
            length: step.min(self.length - index * step),
            ..self
        })
    }
}

/// The digests of a part.
type Hashed = Result<Vec<Hash>, SourceError>;

/// Runs that are hashed by several threads.
pub(super) struct Hashing {
    parts: Vec<Vec<Run>>,
    results: Mutex<Vec<Option<Hashed>>>,
    left: AtomicUsize,
    stopped: AtomicBool,
}

impl Hashing {
    pub(super) fn new(runs: &[Run]) -> Self {
        let mut parts: Vec<Vec<Run>> = Vec::new();
        let mut bytes = PART_BYTES;
        for run in runs.iter().flat_map(|run| run.parts()) {
            match parts.last_mut() {
                Some(part) if bytes + run.length <= PART_BYTES && part.len() < PART_FILES => {
                    part.push(run);
                    bytes += run.length;
                }
                _ => {
                    parts.push(vec![run]);
                    bytes = run.length;
                }
            }
        }
        Self {
            results: Mutex::new(parts.iter().map(|_| None).collect()),
            left: AtomicUsize::new(parts.len()),
            stopped: AtomicBool::new(false),
            parts,
        }
    }

    pub(super) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Nobody waits for it any more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_done(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// The digests of all blocks, in order.
    pub(super) fn digests(&self) -> Result<Vec<Hash>, SourceError> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let mut digests = Vec::new();
        for result in results.drain(..) {
            digests.extend(result.unwrap_or_else(|| Ok(Vec::new()))?);
        }
        Ok(digests)
    }

    /// Does a part.
    pub(super) fn run(&self, reader: &mut Reader<'_>, part: usize) {
        let mut digests = Vec::new();
        let mut buffer = Vec::new();
        let hashed = together(&self.parts[part]).try_for_each(|runs| match runs {
            [run] => self.hash(reader, run, &mut buffer, &mut digests),
            small => self.hash_small(reader, small, &mut buffer, &mut digests),
        });
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results[part] = Some(hashed.map(|()| digests));
        drop(results);
        self.left.fetch_sub(1, Ordering::Release);
    }

    fn hash(
        &self,
        reader: &mut Reader<'_>,
        run: &Run,
        buffer: &mut Vec<u8>,
        digests: &mut Vec<Hash>,
    ) -> Result<(), SourceError> {
        if run.length == 0 {
            return Ok(());
        }
        let data = reader.ranges(run.file)?;
        let end = run.offset + run.length;
        let mut offset = run.offset;
        while offset < end && !self.stopped.load(Ordering::Relaxed) {
            let length = run.block.min(end - offset);
            digests.push(if has_data(&data, offset, offset + length) {
                self.block(reader, run.file, offset, length, buffer)?
            } else {
                zeros(length)
            });
            offset += length;
        }
        Ok(())
    }

    /// Hashes runs of one block each, which are read together.
    fn hash_small(
        &self,
        reader: &mut Reader<'_>,
        runs: &[Run],
        buffer: &mut Vec<u8>,
        digests: &mut Vec<Hash>,
    ) -> Result<(), SourceError> {
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut end = 0;
        let portions: Vec<Portion> = runs
            .iter()
            .map(|run| {
                let start = end;
                end += usize::try_from(run.length).expect("small");
                Portion {
                    file: run.file,
                    offset: run.offset,
                    into: start..end,
                }
            })
            .collect();
        if buffer.len() < end {
            buffer.resize(end, 0);
        }
        reader.read_joined(&portions, buffer)?;
        digests.extend(portions.iter().zip(runs).map(|(portion, run)| {
            let bytes = &buffer[portion.into.clone()];
            if bytes.iter().all(|byte| *byte == 0) {
                zeros(run.length)
            } else {
                *blake3::hash(bytes).as_bytes()
            }
        }));
        Ok(())
    }

    fn block(
        &self,
        reader: &mut Reader<'_>,
        file: NodeId,
        start: u64,
        length: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<Hash, SourceError> {
        let mut hash = blake3::Hasher::new();
        let mut only_zeros = true;
        let mut done = 0;
        while done < length && !self.stopped.load(Ordering::Relaxed) {
            let step = BLOCK.min(length - done);
            buffer.resize(usize::try_from(step).expect("at most 1 MiB"), 0);
            reader.read(file, start + done, buffer)?;
            only_zeros = only_zeros && buffer.iter().all(|byte| *byte == 0);
            hash.update(buffer);
            done += step;
        }
        Ok(if only_zeros {
            zeros(length)
        } else {
            *hash.finalize().as_bytes()
        })
    }
}

/// Shares a part out: small runs of one block together, every other one alone.
fn together(mut rest: &[Run]) -> impl Iterator<Item = &[Run]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let small = rest.iter().take_while(|run| {
            bytes += run.length;
            (1..=SMALL.min(run.block)).contains(&run.length) && bytes <= BLOCK
        });
        let count = small.count().max(1).min(rest.len());
        let (now, later) = rest.split_at(count);
        rest = later;
        (!now.is_empty()).then_some(now)
    })
}

/// Whether one of `data`, which is ascending, has bytes from `start` to `end`.
fn has_data(data: &[Range], start: u64, end: u64) -> bool {
    let next = data.partition_point(|range| range.offset + range.length <= start);
    data.get(next).is_some_and(|range| range.offset < end)
}

/// The digest of so many zeros.
fn zeros(length: u64) -> Hash {
    let mut hash = blake3::Hasher::new_derive_key("cellblock: a block of zeros");
    hash.update(&length.to_le_bytes());
    *hash.finalize().as_bytes()
}
