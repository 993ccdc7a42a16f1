//! Copies shared out among threads.
//!
//! ```text
//!     parts ──> pieces ──> taken one by one, worked on side by side ──> one file
//! ```

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use super::{UNWATCHED, Way, by_hand, exact, room};

/// What is large is shared out among the threads in pieces of this many bytes: no thread copies on when the others have ended.
const PIECE: u64 = 4 << 20;
/// What is moved within a file is moved in pieces of this many bytes, which are in memory.
const MOVED: u64 = 1 << 20;

/// How a copy goes.
#[derive(Clone, Copy)]
pub struct Copying<'a> {
    /// The most threads that copy.
    pub threads: usize,
    /// Is told, in the caller's thread, of each number of bytes that is done: copied, or left as a hole.
    pub watch: &'a dyn Fn(u64),
}

impl Copying<'_> {
    /// On one thread, and nobody watches.
    pub(crate) const ALONE: Copying<'static> = Copying {
        threads: 1,
        watch: UNWATCHED,
    };
}

/// A range of a file, and where its bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) from: Range<u64>,
    pub(crate) to: u64,
}

impl Part {
    pub(crate) fn length(&self) -> u64 {
        self.from.end - self.from.start
    }

    fn pieces(&self, piece: u64) -> impl DoubleEndedIterator<Item = Self> + use<> {
        let (from, to) = (self.from.start, self.to);
        cut(self.length(), piece).map(move |it| Self {
            from: from + it.start..from + it.end,
            to: to + it.start,
        })
    }

    fn moves_up(&self) -> bool {
        self.to > self.from.start
    }
}

/// So many bytes of something large, as the pieces that are shared out.
pub(crate) fn pieces(length: u64) -> impl Iterator<Item = Range<u64>> {
    cut(length, PIECE)
}

fn cut(length: u64, piece: u64) -> impl DoubleEndedIterator<Item = Range<u64>> {
    (0..length.div_ceil(piece)).map(move |at| at * piece..((at + 1) * piece).min(length))
}

/// Copies parts of `source` to `target`, all of them, on several threads where that is faster. Of several errors it is the first in
/// the order of the parts.
pub(crate) fn parts(
    source: &File,
    parts: Vec<Part>,
    target: &File,
    how: Copying<'_>,
) -> io::Result<()> {
    let bytes: u64 = parts.iter().map(Part::length).sum();
    if how.threads < 2 || bytes < 2 * PIECE || Way::of_threads(target) == Way::Kernel {
        return parts
            .into_iter()
            .try_for_each(|part| exact(source, part.from, target, part.to, how.watch));
    }
    let mut pieces = parts.iter().flat_map(|part| part.pieces(PIECE));
    let take = |_: &mut Vec<u8>| pieces.next();
    let copy = |piece: Part, buffer: &mut Vec<u8>| {
        let (source, from, length) = (source.as_fd(), piece.from.start, piece.length());
        let copied = by_hand(source, from, target, piece.to, 0..length, buffer, UNWATCHED)?;
        if copied < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(length)
    };
    share(how, take, copy)
}

/// Moves parts within `file`. They ascend, and so do the places where they go; neither overlap among themselves.
pub(crate) fn shift(file: &File, parts: &[Part], how: Copying<'_>) -> io::Result<()> {
    let mut pieces = in_order(parts).into_iter();
    // One at a time is read, and it is written when all before it have been read.
    let take = |buffer: &mut Vec<u8>| {
        let piece = pieces.next()?;
        let bytes = room(buffer, super::at_most(piece.length(), usize::MAX));
        let read = file.read_exact_at(bytes, piece.from.start);
        Some(read.map(|()| piece))
    };
    let write = |piece: io::Result<Part>, buffer: &mut Vec<u8>| {
        let piece = piece?;
        let bytes = room(buffer, super::at_most(piece.length(), usize::MAX));
        file.write_all_at(bytes, piece.to)?;
        Ok(piece.length())
    };
    share(how, take, write)
}

/// The pieces of such parts in an order in which none is written over before it is read.
fn in_order(parts: &[Part]) -> Vec<Part> {
    let mut ordered = Vec::new();
    // What moves up ends before whatever follows and moves down, so that only those have to go first that move up with it.
    for together in parts.chunk_by(|one, other| one.moves_up() == other.moves_up()) {
        let pieces = together.iter().flat_map(|part| part.pieces(MOVED));
        if together.first().is_some_and(Part::moves_up) {
            ordered.extend(pieces.rev());
        } else {
            ordered.extend(pieces);
        }
    }
    ordered
}

/// What threads take their work from.
struct Queue<N, E> {
    next: N,
    /// How many were taken.
    taken: u64,
    /// What failed, and which one in the order.
    failure: Option<(u64, E)>,
}

/// Has threads `take` one thing after the other, one thread at a time, and `work` on them side by side, each with a buffer of its own. `work`
/// returns how many bytes are done. After an error nothing more is taken; of several it is that of what was taken first.
pub(crate) fn share<T, E: Send>(
    how: Copying<'_>,
    mut take: impl FnMut(&mut Vec<u8>) -> Option<T> + Send,
    work: impl Fn(T, &mut Vec<u8>) -> Result<u64, E> + Sync,
) -> Result<(), E> {
    if how.threads < 2 {
        let mut buffer = Vec::new();
        while let Some(taken) = take(&mut buffer) {
            (how.watch)(work(taken, &mut buffer)?);
        }
        return Ok(());
    }
    let queue = Mutex::new(Queue {
        next: take,
        taken: 0,
        failure: None::<(u64, E)>,
    });
    let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
    let next = |buffer: &mut Vec<u8>| {
        let mut queue = lock();
        if queue.failure.is_some() {
            return None;
        }
        let taken = (queue.next)(buffer)?;
        queue.taken += 1;
        Some((queue.taken, taken))
    };
    let worker = |done: mpsc::Sender<u64>| {
        let mut buffer = Vec::new();
        while let Some((place, taken)) = next(&mut buffer) {
            match work(taken, &mut buffer) {
                Ok(count) => {
                    // Nobody listens any more where the watcher has panicked.
                    let _ = done.send(count);
                }
                Err(error) => {
                    let mut queue = lock();
                    let is_first = queue.failure.as_ref().is_none_or(|(at, _)| place < *at);
                    if is_first {
                        queue.failure = Some((place, error));
                    }
                }
            }
        }
    };
    thread::scope(|scope| {
        let (done, counts) = mpsc::channel();
        for started in 0..how.threads {
            let (own, worker) = (done.clone(), &worker);
            let spawned = thread::Builder::new().spawn_scoped(scope, move || worker(own));
            if spawned.is_err() {
                // Those that there are do all of it, or this one does.
                if started == 0 {
                    worker(done.clone());
                }
                break;
            }
        }
        drop(done);
        counts.iter().for_each(how.watch);
    });
    let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    queue.failure.map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests;
