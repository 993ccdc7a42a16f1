//! One level of a tree: digests of blocks, gathered in blocks, on several threads.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cellblock_hash::Prefixed;

use crate::{ImageError, PartitionFile, copy};

/// The bytes that are read at a time.
const READ: usize = 1 << 20;

/// A level of a tree: hash blocks in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Where it begins in the hash partition, in bytes.
    pub(super) offset: u64,
    /// Its blocks.
    pub(super) blocks: u64,
}

/// What is hashed: blocks in a row.
pub(super) struct Blocks<'a> {
    pub(super) file: &'a PartitionFile,
    pub(super) offset: u64,
    pub(super) block: u32,
    pub(super) count: u64,
}

/// Where the digests go.
pub(super) struct Target<'a> {
    pub(super) file: &'a PartitionFile,
    pub(super) offset: u64,
    pub(super) block: u32,
    /// From one digest to the next, in bytes.
    pub(super) stride: u32,
}

/// The digest of a single block.
pub(super) fn one(salted: &Prefixed, blocks: &Blocks<'_>) -> Result<Vec<u8>, ImageError> {
    let mut bytes = vec![0; blocks.block as usize];
    blocks.file.read(blocks.offset, &mut bytes)?;
    Ok(salted.digest(&bytes))
}

/// Hashes `blocks` into `target`. Each thread makes whole blocks of digests, so that the number of threads shows nowhere.
pub(super) fn level(
    salted: &Prefixed,
    blocks: &Blocks<'_>,
    target: &Target<'_>,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), ImageError> {
    let groups = blocks.count.div_ceil(digests(target));
    let worker = Worker {
        salted,
        zeros: salted.digest(&vec![0; blocks.block as usize]),
        data: blocks.file.data()?,
        blocks,
        target,
        progress,
        next: AtomicU64::new(0),
        groups,
    };
    // No machine has as many threads as groups that a usize cannot count.
    let threads = threads.min(usize::try_from(groups).unwrap_or(usize::MAX));
    if threads <= 1 {
        return worker.work();
    }
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map_while(|_| {
                let work = || worker.work();
                // Where no more threads may be started, those that there are do all of it.
                thread::Builder::new().spawn_scoped(scope, work).ok()
            })
            .collect();
        let mine = worker.work();
        others.into_iter().fold(mine, |result, other| {
            let theirs = other
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result.and(theirs)
        })
    })
}

fn digests(target: &Target<'_>) -> u64 {
    u64::from(target.block / target.stride)
}

struct Worker<'a> {
    salted: &'a Prefixed,
    /// The digest of a block of zeros.
    zeros: Vec<u8>,
    /// Where the source has data, ascending; the rest reads as zeros.
    data: Vec<Range<u64>>,
    blocks: &'a Blocks<'a>,
    target: &'a Target<'a>,
    progress: &'a (dyn Fn(u64) + Sync),
    next: AtomicU64,
    /// Blocks of digests to make.
    groups: u64,
}

impl Worker<'_> {
    fn work(&self) -> Result<(), ImageError> {
        let mut buffer = Vec::new();
        let mut made = vec![0; self.target.block as usize];
        loop {
            let group = self.next.fetch_add(1, Ordering::Relaxed);
            if group >= self.groups {
                return Ok(());
            }
            if let Err(error) = self.make(group, &mut buffer, &mut made) {
                self.next.store(self.groups, Ordering::Relaxed);
                return Err(error);
            }
        }
    }

    fn make(&self, group: u64, buffer: &mut Vec<u8>, made: &mut [u8]) -> Result<(), ImageError> {
        let block = u64::from(self.blocks.block);
        let first = group * digests(self.target);
        let count = digests(self.target).min(self.blocks.count - first);
        let begin = self.blocks.offset + first * block;
        let end = begin + count * block;
        let mut places = made.chunks_exact_mut(self.target.stride as usize);
        let mut put = |digest: &[u8]| {
            let place = places.next().expect("a digest has its place");
            place[..digest.len()].copy_from_slice(digest);
        };
        let mut at = begin;
        while at < end {
            let bytes = copy::at_most(end - at, READ.max(self.blocks.block as usize));
            if self.has_data(at..at + bytes as u64) {
                buffer.resize(bytes, 0);
                self.blocks.file.read(at, buffer)?;
                self.salted
                    .digests(buffer, self.blocks.block as usize, &mut put);
            } else {
                for _ in 0..bytes as u64 / block {
                    put(&self.zeros);
                }
            }
            at += bytes as u64;
        }
        for unused in places {
            unused.fill(0);
        }
        let offset = self.target.offset + group * u64::from(self.target.block);
        self.target.file.write(offset, made)?;
        (self.progress)(end - begin);
        Ok(())
    }

    /// Whether there is data in this range of the source.
    fn has_data(&self, range: Range<u64>) -> bool {
        let behind = self.data.partition_point(|data| data.end <= range.start);
        self.data
            .get(behind)
            .is_some_and(|data| data.start < range.end)
    }
}
