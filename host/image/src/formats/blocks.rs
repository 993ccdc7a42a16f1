//! The data of a disk in blocks, worked on by several threads and handed over in order.
//!
//! ```text
//!     extents ──> block, block, block ──> threads, each with a codec worker ──> in order ──> the format's file
//! ```
//!
//! At most twice as many blocks are under way as there are threads, whatever the size of the disk; a thread takes some that are small
//! together, since to have a worker do something is two switches of process.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::vec;

use cellblock_codec::{Block, MOST_TOGETHER, Settings, TOGETHER, Worker, Workers, encoded};

use super::Disk;
use crate::ImageError;

/// How many blocks, or groups of small ones, are under way for each thread.
const AHEAD: u64 = 2;

/// What a block became.
#[derive(Debug)]
pub(super) enum Packed {
    /// All its bytes are zeros.
    Zeros,
    /// Compressed, and shorter for it.
    Kept(Vec<u8>),
    /// As it is: compression makes it no shorter, or was not asked for.
    Plain(Vec<u8>),
}

/// What one thread works with.
pub(super) struct Hand<'a> {
    disk: &'a Disk<'a>,
    worker: Option<Box<dyn Worker>>,
}

impl<'a> Hand<'a> {
    fn new(disk: &'a Disk<'a>) -> Self {
        Self { disk, worker: None }
    }

    /// The bytes of the disk at `offset`, `length` of them; those beyond its end are zeros.
    pub(super) fn plain(&self, offset: u64, length: usize) -> Result<Packed, ImageError> {
        let mut bytes = vec![0; length];
        self.read(offset, &mut bytes)?;
        Ok(if is_zero(&bytes) {
            Packed::Zeros
        } else {
            Packed::Plain(bytes)
        })
    }

    /// The same, compressed. `look` is shown them before.
    pub(super) fn encoded(
        &mut self,
        offset: u64,
        length: usize,
        settings: &Settings,
        look: &mut dyn FnMut(&[u8]),
    ) -> Result<Packed, ImageError> {
        let mut packed = self.encode_each(&[offset], length, settings, look)?;
        Ok(packed.pop().expect("one of one"))
    }

    /// The bytes of the disk at each of `offsets`, `length` of them, compressed.
    pub(super) fn encoded_together(
        &mut self,
        offsets: &[u64],
        length: usize,
        settings: &Settings,
    ) -> Result<Vec<Packed>, ImageError> {
        self.encode_each(offsets, length, settings, &mut |_| {})
    }

    fn encode_each(
        &mut self,
        offsets: &[u64],
        length: usize,
        settings: &Settings,
        look: &mut dyn FnMut(&[u8]),
    ) -> Result<Vec<Packed>, ImageError> {
        if offsets.is_empty() {
            return Ok(Vec::new());
        }
        let mut worker = self.take_worker()?;
        let room = worker.room(length * offsets.len()).map_err(failed)?;
        let mut packed = Vec::with_capacity(offsets.len());
        let mut has_data = Vec::with_capacity(offsets.len());
        for (place, offset) in offsets.iter().enumerate() {
            // Blocks of zeros leave their room to the next one.
            let own = &mut room[has_data.len() * length..][..length];
            self.read(*offset, own)?;
            packed.push(Packed::Zeros);
            if !is_zero(own) {
                look(own);
                has_data.push(place);
            }
        }
        if !has_data.is_empty() {
            let encoded = encode(&mut *worker, settings, length, has_data.len())?;
            for (place, bytes) in has_data.into_iter().zip(encoded) {
                packed[place] = match bytes {
                    Some(bytes) => Packed::Kept(bytes),
                    None => self.plain(offsets[place], length)?,
                };
            }
        }
        self.worker = Some(worker);
        Ok(packed)
    }

    fn take_worker(&mut self) -> Result<Box<dyn Worker>, ImageError> {
        match self.worker.take() {
            Some(worker) => Ok(worker),
            None => self.disk.codecs.start().map_err(failed),
        }
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), ImageError> {
        let left = self.disk.size.saturating_sub(offset);
        let there = crate::copy::at_most(left, bytes.len());
        let (there, beyond) = bytes.split_at_mut(there);
        beyond.fill(0);
        let read = self.disk.bytes.read(offset, there);
        read.map_err(|source| ImageError::Read { offset, source })
    }
}

/// Has `bytes` compressed; none if that makes them no shorter.
pub(super) fn encode_once(
    codecs: &dyn Workers,
    settings: &Settings,
    bytes: &[u8],
) -> Result<Option<Vec<u8>>, ImageError> {
    let mut worker = codecs.start().map_err(failed)?;
    let room = worker.room(bytes.len()).map_err(failed)?;
    room.copy_from_slice(bytes);
    let mut encoded = encode(&mut *worker, settings, bytes.len(), 1)?;
    Ok(encoded.pop().expect("one of one"))
}

/// Compresses `count` blocks of `length` bytes that stand in the worker's room.
fn encode(
    worker: &mut dyn Worker,
    settings: &Settings,
    length: usize,
    count: usize,
) -> Result<Vec<Option<Vec<u8>>>, ImageError> {
    let block = Block {
        settings: *settings,
        length,
    };
    let encoded = encoded(worker, &vec![block; count]).map_err(failed)?;
    let kept = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
    Ok(encoded.into_iter().map(|one| kept(one.bytes)).collect())
}

fn failed(error: cellblock_codec::WorkerError) -> ImageError {
    ImageError::Compress {
        reason: error.to_string(),
    }
}

/// Whether all bytes are zeros.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    const STEP: usize = 64;
    let chunks = bytes.chunks_exact(STEP);
    let rest = chunks.remainder();
    let has_none = |chunk: &[u8]| chunk.iter().fold(0, |sum, byte| sum | byte) == 0;
    chunks.into_iter().all(has_none) && has_none(rest)
}

/// The blocks of a disk in which there is data, ascending.
pub(super) struct Grid {
    extents: vec::IntoIter<Range<u64>>,
    /// What is left of the extent.
    current: Range<u64>,
    /// The bytes of a block.
    block: u64,
}

impl Grid {
    /// Those of `block` bytes that `extents` touch.
    pub(super) fn new(extents: Vec<Range<u64>>, block: u64) -> Self {
        Self {
            extents: extents.into_iter(),
            current: 0..0,
            block,
        }
    }
}

impl Iterator for Grid {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while self.current.is_empty() {
            let next = self.extents.next()?;
            // The end of one extent and the beginning of the next may share a block.
            self.current = next.start.max(self.current.start)..next.end;
        }
        let index = self.current.start / self.block;
        self.current.start = (index + 1) * self.block;
        Some(index)
    }
}

/// Where threads meet.
struct Line<T> {
    state: Mutex<Window<T>>,
    /// Signalled when a block is taken, so that another may be begun.
    taken: Condvar,
    /// Signalled when a block is done.
    done: Condvar,
    /// The most groups under way.
    most: u64,
    /// The most blocks of a group.
    together: usize,
}

/// The indices of a group of blocks, and what each became.
type Made<T> = (Vec<u64>, Result<Vec<T>, ImageError>);

struct Window<T> {
    grid: Grid,
    /// The groups that were begun, and those that were handed over.
    begun: u64,
    handed_over: u64,
    /// Nothing more is to be begun.
    is_over: bool,
    /// A thread has panicked.
    is_broken: bool,
    /// What was made of a group, by its place in the order.
    made: BTreeMap<u64, Made<T>>,
}

impl<T> Line<T> {
    fn lock(&self) -> MutexGuard<'_, Window<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next group to work on: its place in the order, and the indices of its blocks.
    fn begin(&self) -> Option<(u64, Vec<u64>)> {
        let mut state = self.lock();
        while !state.is_over && state.begun - state.handed_over >= self.most {
            let woken = self.taken.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_over {
            return None;
        }
        let group: Vec<u64> = state.grid.by_ref().take(self.together).collect();
        if group.is_empty() {
            state.is_over = true;
            drop(state);
            self.taken.notify_all();
            self.done.notify_all();
            return None;
        }
        let place = state.begun;
        state.begun += 1;
        Some((place, group))
    }

    fn finish(&self, place: u64, made: Made<T>) {
        self.lock().made.insert(place, made);
        self.done.notify_all();
    }

    /// The next group in order.
    fn next(&self) -> Option<Made<T>> {
        let mut state = self.lock();
        loop {
            let place = state.handed_over;
            if let Some(made) = state.made.remove(&place) {
                state.handed_over += 1;
                self.taken.notify_all();
                return Some(made);
            }
            if state.is_broken || (state.is_over && state.handed_over == state.begun) {
                return None;
            }
            let woken = self.done.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Ends the line when it is dropped.
struct End<'a, T> {
    line: &'a Line<T>,
    /// Whether it is a thread's, which only ends it for a panic.
    of_thread: bool,
}

impl<T> Drop for End<'_, T> {
    fn drop(&mut self) {
        let panics = thread::panicking();
        if self.of_thread && !panics {
            return;
        }
        let mut state = self.line.lock();
        state.is_over = true;
        state.is_broken |= panics;
        drop(state);
        self.line.taken.notify_all();
        self.line.done.notify_all();
    }
}

/// Does `work` for each block of `block` bytes in which the disk has data, on as many threads as it says, and hands what came of
/// it to `take`, with the index of the block, ascending. `watch` is
/// told of each number of bytes of the disk that is done.
pub(super) fn in_order<T: Send>(
    disk: &Disk<'_>,
    watch: &dyn Fn(u64),
    block: u64,
    work: impl Fn(&mut Hand<'_>, u64) -> Result<T, ImageError> + Sync,
    take: impl FnMut(u64, T) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let each = |hand: &mut Hand<'_>, offsets: &[u64]| {
        offsets.iter().map(|offset| work(hand, *offset)).collect()
    };
    in_groups(disk, watch, block, 1, each, take)
}

/// The same of a disk whose blocks all become parts of the output, one behind the other: `put` gets each, and nothing where the block
/// is all zeros.
pub(super) fn parts_in_order<T: Send>(
    disk: &Disk<'_>,
    watch: &dyn Fn(u64),
    part: u64,
    work: impl Fn(&mut Hand<'_>, u64) -> Result<Option<T>, ImageError> + Sync,
    mut put: impl FnMut(u64, Option<T>) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let mut next = 0;
    in_order(disk, watch, part, work, |index, made| {
        for hole in next..index {
            put(hole, None)?;
        }
        next = index + 1;
        put(index, made)
    })?;
    for hole in next..disk.size.div_ceil(part) {
        put(hole, None)?;
    }
    Ok(())
}

/// As [`in_order`], with `work` for several blocks where they are small: it is given their offsets, and makes something of each.
pub(super) fn in_order_together<T: Send>(
    disk: &Disk<'_>,
    watch: &dyn Fn(u64),
    block: u64,
    work: impl Fn(&mut Hand<'_>, &[u64]) -> Result<Vec<T>, ImageError> + Sync,
    take: impl FnMut(u64, T) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let together = TOGETHER / usize::try_from(block).unwrap_or(usize::MAX);
    let together = together.clamp(1, MOST_TOGETHER);
    in_groups(disk, watch, block, together, work, take)
}

/// As [`in_order`], with `work` for up to `together` blocks at a time.
pub(super) fn in_groups<T: Send>(
    disk: &Disk<'_>,
    watch: &dyn Fn(u64),
    block: u64,
    together: usize,
    work: impl Fn(&mut Hand<'_>, &[u64]) -> Result<Vec<T>, ImageError> + Sync,
    mut take: impl FnMut(u64, T) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let jobs = disk.jobs.max(1);
    let line = Line {
        state: Mutex::new(Window {
            grid: Grid::new(disk.extents()?, block),
            begun: 0,
            handed_over: 0,
            is_over: false,
            is_broken: false,
            made: BTreeMap::new(),
        }),
        taken: Condvar::new(),
        done: Condvar::new(),
        most: jobs as u64 * AHEAD,
        together,
    };
    let worker = || {
        let _end = End {
            line: &line,
            of_thread: true,
        };
        let mut hand = Hand::new(disk);
        while let Some((place, group)) = line.begin() {
            let offsets: Vec<u64> = group.iter().map(|index| index * block).collect();
            let made = work(&mut hand, &offsets);
            line.finish(place, (group, made));
        }
    };
    thread::scope(|scope| {
        let _end = End {
            line: &line,
            of_thread: false,
        };
        for started in 0..jobs {
            match thread::Builder::new().spawn_scoped(scope, worker) {
                Ok(_) => {}
                // Those that there are do all of it.
                Err(_) if started > 0 => break,
                Err(error) => return Err(ImageError::Thread(error)),
            }
        }
        let mut done = 0;
        while let Some((group, made)) = line.next() {
            for (index, made) in group.into_iter().zip(made?) {
                take(index, made)?;
                let end = ((index + 1) * block).min(disk.size);
                watch(end - done);
                done = end;
            }
        }
        watch(disk.size - done);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
    use super::*;

    fn grid(extents: &[Range<u64>], block: u64) -> Vec<u64> {
        Grid::new(Vec::from(extents), block).collect()
    }

    #[test]
    fn blocks_are_those_with_data_and_each_comes_once() {
        assert!(grid(&[], 10).is_empty());
        assert_eq!(grid(&[0..1], 10), [0]);
        assert_eq!(grid(&[0..10, 10..11], 10), [0, 1]);
        assert_eq!(grid(&[5..6, 7..8, 9..31], 10), [0, 1, 2, 3]);
        assert_eq!(grid(&[25..26, 27..28, 70..80], 10), [2, 7]);
    }

    #[test]
    fn zeros_are_told_from_a_single_bit() {
        for length in [0, 1, 63, 64, 65, 4096] {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes), "{length}");
            for at in [0, length / 2, length.saturating_sub(1)] {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = 1;
                    assert!(!is_zero(&bytes), "{length} {at}");
                    bytes[at] = 0;
                }
            }
        }
    }
}
