//! The bytes of files, compared on threads.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::parallel;
use cellblock_tree::source::SourceError;
use cellblock_tree::{NodeId, Reader, Tree};

/// The bytes that are compared at once: both buffers stay in the processor's cache.
const PIECE: u64 = 128 << 10;
/// The bytes of files that a thread takes at once: what is compressed together is often decoded once then.
const TAKEN: u64 = 1 << 20;

/// A file of each tree, of the same size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files {
    pub(super) first: NodeId,
    pub(super) second: NodeId,
    pub(super) size: u64,
}

/// The files of two trees, and who compares them.
#[derive(Debug)]
pub(super) struct Contents<'t> {
    first: &'t Tree,
    second: &'t Tree,
    jobs: usize,
    /// Those that nobody uses at the moment.
    idle: Mutex<Vec<Hand<'t>>>,
}

/// What one thread works with.
#[derive(Debug)]
struct Hand<'t> {
    readers: [Reader<'t>; 2],
    buffers: [Vec<u8>; 2],
}

impl<'t> Contents<'t> {
    pub(super) fn new(first: &'t Tree, second: &'t Tree, jobs: usize) -> Self {
        Self {
            first,
            second,
            jobs,
            idle: Mutex::default(),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Hand<'t>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the bytes of each are the same, in the order of `files`; nothing behind the first error.
    pub(super) fn are_same(&self, files: &[Files]) -> Vec<Result<bool, SourceError>> {
        let portions = portions(files);
        let compared = parallel::map(self.jobs, &portions, |portion| {
            let idle = self.idle().pop();
            let mut hand = idle.unwrap_or_else(|| Hand {
                readers: [self.first.reader(), self.second.reader()],
                buffers: [vec![0; small(PIECE)], vec![0; small(PIECE)]],
            });
            let mut same = Vec::with_capacity(portion.len());
            for files in &files[portion.clone()] {
                let is_same = hand.is_same(*files);
                let failed = is_same.is_err();
                same.push(is_same);
                if failed {
                    break;
                }
            }
            self.idle().push(hand);
            Ok::<_, Infallible>(same)
        });
        let compared = match compared {
            Ok(compared) => compared,
            Err(never) => match never {},
        };
        let mut all = Vec::with_capacity(files.len());
        for is_same in compared.into_iter().flatten() {
            let failed = is_same.is_err();
            all.push(is_same);
            if failed {
                break;
            }
        }
        all
    }
}

/// Neighbours that one thread compares.
fn portions(files: &[Files]) -> Vec<Range<usize>> {
    let mut portions = Vec::new();
    let (mut start, mut bytes) = (0, 0_u64);
    for (index, one) in files.iter().enumerate() {
        bytes = bytes.saturating_add(one.size);
        if bytes >= TAKEN {
            portions.push(start..index + 1);
            (start, bytes) = (index + 1, 0);
        }
    }
    if start < files.len() {
        portions.push(start..files.len());
    }
    portions
}

impl Hand<'_> {
    fn is_same(&mut self, files: Files) -> Result<bool, SourceError> {
        let [first, second] = &mut self.readers;
        let mut ranges = first.ranges(files.first)?;
        ranges.extend(second.ranges(files.second)?);
        ranges.sort_by_key(|range| range.offset);
        let [one, other] = &mut self.buffers;
        let mut done = 0;
        for range in ranges {
            // What neither has data of is zeros in both.
            done = done.max(range.offset);
            let end = (range.offset + range.length).min(files.size);
            while done < end {
                let length = small((end - done).min(PIECE));
                let (one, other) = (&mut one[..length], &mut other[..length]);
                first.read(files.first, done, one)?;
                second.read(files.second, done, other)?;
                if one != other {
                    return Ok(false);
                }
                done += length as u64;
            }
        }
        Ok(true)
    }
}

fn small(length: u64) -> usize {
    usize::try_from(length).expect("at most PIECE")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init)]
    use super::*;

    #[test]
    fn neighbours_are_taken_together_and_each_once() {
        let files = |sizes: &[u64]| -> Vec<Files> {
            let one = |size: &u64| Files {
                first: NodeId(1),
                second: NodeId(1),
                size: *size,
            };
            sizes.iter().map(one).collect()
        };
        assert!(portions(&[]).is_empty());
        assert_eq!(portions(&files(&[0, 5])), [0..2]);
        assert_eq!(portions(&files(&[TAKEN, 5])), [0..1, 1..2]);
        assert_eq!(portions(&files(&[5, TAKEN - 5, 0])), [0..2, 2..3]);
        assert_eq!(portions(&files(&[u64::MAX, u64::MAX])), [0..1, 1..2]);
    }
}
