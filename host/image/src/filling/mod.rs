//! Fills a partition file for a cell: writes at once, placements on threads of their own.

mod sharing;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use self::sharing::{Job, Joined, Sharing, jobs, joined_pieces, small};
use super::{ImageError, PartitionFile, copy};
use cellblock_contract::{Part, Partition, PiecePlacement, Placement, Run};
use cellblock_tree::{Data, Portion, Reader, Tree};

/// A partition file that a cell fills. [`Filling::finish`] gives it back.
pub struct Filling {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    partition: PartitionFile,
    tree: Arc<Tree>,
    queue: Mutex<Queue>,
    /// Signalled when the queue gets a job or is closed.
    filled: Condvar,
    /// Signalled when a job is taken or done.
    drained: Condvar,
    /// How ranges of large files get into the partition.
    way: copy::Way,
    /// Told of bytes that have been placed.
    progress: Box<dyn Fn(u64) + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Placements in `jobs`.
    waiting: usize,
    /// Bytes of the guest's own in `jobs`.
    own: usize,
    running: usize,
    closed: bool,
    failure: Option<ImageError>,
}

/// As many placements as this, and one more for each node, can wait before the cell waits as well.
const WAITING: usize = 4096;
/// So many bytes of the guest's own can.
const OWN_WAITING: usize = 8 << 20;

impl Queue {
    fn push(&mut self, job: Job) {
        self.waiting += job.placements();
        self.own += job.own();
        self.jobs.push_back(job);
    }

    fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        self.waiting -= job.placements();
        self.own -= job.own();
        Some(job)
    }

    fn clear(&mut self) {
        self.jobs.clear();
        (self.waiting, self.own) = (0, 0);
    }
}

impl Filling {
    /// Fills `partition` with content of `tree` on `threads` threads; `progress` is told of each number of bytes that
    /// has been placed.
    #[must_use]
    pub fn new(
        partition: PartitionFile,
        tree: Arc<Tree>,
        threads: usize,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Self {
        let way = match threads {
            0 | 1 => copy::Way::Kernel,
            _ => copy::Way::of_threads(&partition.file),
        };
        let shared = Arc::new(Shared {
            partition,
            tree,
            queue: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
            way,
            progress: Box::new(progress),
        });
        let mut workers = Vec::new();
        for _ in 0..threads.max(1) {
            let working = Arc::clone(&shared);
            match std::thread::Builder::new().spawn(move || working.work()) {
                Ok(worker) => workers.push(worker),
                // Those that there are do all of it.
                Err(_) if !workers.is_empty() => break,
                Err(error) => {
                    shared.lock().failure = Some(ImageError::Thread(error));
                    break;
                }
            }
        }
        Self {
            shared,
            workers: Mutex::new(workers),
        }
    }

    /// Waits until all that was placed is there, and gives the partition.
    ///
    /// # Errors
    /// The first failure of a write or a placement, also of one that the cell was told of.
    ///
    /// # Panics
    /// If a cell still holds the filling.
    pub fn finish(self: Arc<Self>) -> Result<PartitionFile, ImageError> {
        self.stop();
        let filling = Arc::into_inner(self).expect("the cell has ended");
        let shared = Arc::clone(&filling.shared);
        drop(filling);
        let shared = Arc::into_inner(shared).expect("the workers have ended");
        let queue = shared
            .queue
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match queue.failure {
            Some(failure) => Err(failure),
            None => Ok(shared.partition),
        }
    }

    fn stop(&self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_all();
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        for worker in workers.drain(..) {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // Nobody wants the partition any more.
            self.shared.lock().clear();
            self.stop();
        }
    }
}

impl Partition for Filling {
    fn size(&self) -> u64 {
        self.shared.partition.size()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let result = self.shared.partition.read(offset, buffer);
        self.shared.keep(result)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let result = self.shared.partition.write(offset, bytes);
        self.shared.keep(result)
    }

    fn place(&self, batch: Vec<Placement>) -> io::Result<()> {
        self.shared.submit(jobs(batch))
    }

    fn compose(&self, run: Run) -> io::Result<()> {
        let mut sharing = Sharing::default();
        for part in run.parts() {
            match part {
                Part::Own(offset, bytes) => sharing.write(offset, bytes),
                Part::Content(placement) => sharing.place(*placement),
            }
        }
        self.shared.submit(sharing.finish())
    }

    fn place_pieces(&self, spool: &Arc<File>, batch: Vec<PiecePlacement>) -> io::Result<()> {
        let jobs = joined_pieces(batch).into_iter();
        let jobs = jobs.map(|pieces| Job::Pieces(Arc::clone(spool), pieces));
        self.shared.submit(jobs.collect())
    }

    fn settle(&self) -> io::Result<()> {
        let mut queue = self.shared.lock();
        while !queue.jobs.is_empty() || queue.running > 0 {
            queue = wait(&self.shared.drained, queue);
        }
        match queue.failure {
            Some(_) => Err(io::ErrorKind::Other.into()),
            None => Ok(()),
        }
    }
}

fn wait<'a>(condition: &Condvar, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
    condition
        .wait(queue)
        .unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands jobs to the threads, and waits while too much waits.
    fn submit(&self, jobs: Vec<Job>) -> io::Result<()> {
        let limit = WAITING + self.tree.len() as usize;
        for job in jobs {
            let mut queue = self.lock();
            while queue.waiting >= limit || queue.own >= OWN_WAITING {
                queue = wait(&self.drained, queue);
            }
            if queue.failure.is_some() {
                return Err(io::ErrorKind::Other.into());
            }
            queue.push(job);
            drop(queue);
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Remembers the first failure, and tells the cell only that there was one.
    fn keep<T>(&self, result: Result<T, ImageError>) -> io::Result<T> {
        result.map_err(|error| {
            self.lock().failure.get_or_insert(error);
            io::ErrorKind::Other.into()
        })
    }

    fn work(&self) {
        let mut reader = self.tree.reader();
        let mut buffer = Vec::new();
        while let Some(job) = self.take() {
            let running = Running(self);
            let result = match &job {
                Job::Joined(joined) => self.join(&mut reader, joined, &mut buffer),
                Job::Large(placement) => self.copy(&mut reader, placement, &mut buffer),
                Job::Pieces(spool, pieces) => self.join_pieces(spool, pieces, &mut buffer),
            };
            if let Err(error) = result {
                let mut queue = self.lock();
                queue.failure.get_or_insert(error);
                queue.clear();
            }
            drop(running);
        }
    }

    fn take(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.pop() {
                queue.running += 1;
                drop(queue);
                self.drained.notify_all();
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = wait(&self.filled, queue);
        }
    }

    fn join(
        &self,
        reader: &mut Reader<'_>,
        joined: &Joined,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ImageError> {
        let length = small(joined.end - joined.start);
        let buffer = copy::room(buffer, length);
        let mut own = joined.own.as_slice();
        let mut filled = 0;
        let mut portions = Vec::with_capacity(joined.placements.len());
        for placement in &joined.placements {
            let start = small(placement.partition_offset - joined.start);
            let content_end = start + small(placement.length);
            let (before, rest) = own.split_at(start - filled);
            buffer[filled..start].copy_from_slice(before);
            own = rest;
            filled = content_end + small(u64::from(placement.padding));
            buffer[content_end..filled].fill(0);
            portions.push(Portion {
                file: placement.file,
                offset: placement.file_offset,
                into: start..content_end,
            });
        }
        buffer[filled..].copy_from_slice(own);
        reader.read_joined(&portions, buffer)?;
        self.partition.write(joined.start, buffer)?;
        let content = joined.placements.iter().map(|placement| placement.length);
        (self.progress)(content.sum());
        Ok(())
    }

    /// Writes neighbours at once.
    fn join_pieces(
        &self,
        spool: &File,
        pieces: &[PiecePlacement],
        buffer: &mut Vec<u8>,
    ) -> Result<(), ImageError> {
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
            return Ok(());
        };
        let length = small(last.end() - first.partition_offset);
        let buffer = copy::room(buffer, length);
        let read = |bytes: &mut [u8], at| {
            let read = spool.read_exact_at(bytes, at);
            read.map_err(ImageError::Spool)
        };
        // What stands together in the spool is read to where its last piece ends, and goes from there, piece by piece, to where it
        // belongs: that is never behind, and never over what did not go yet.
        let mut end = 0;
        let neighbours = |one: &PiecePlacement, other: &PiecePlacement| {
            one.spool_offset + u64::from(one.length) == other.spool_offset
        };
        for together in pieces.chunk_by(neighbours) {
            let begin = end;
            let placed = |piece: &PiecePlacement| small(piece.end() - first.partition_offset);
            end = together.last().map_or(end, placed);
            let (Some(head), Some(tail)) = (together.first(), together.last()) else {
                continue;
            };
            let bytes = together
                .iter()
                .map(|piece| piece.length as usize)
                .sum::<usize>();
            let mut from = end - tail.padding as usize - bytes;
            read(&mut buffer[from..from + bytes], head.spool_offset)?;
            let mut filled = begin;
            for piece in together {
                let start =
                    small(piece.partition_offset - first.partition_offset) + piece.leading as usize;
                let length = piece.length as usize;
                buffer.copy_within(from..from + length, start);
                buffer[filled..start].fill(0);
                from += length;
                filled = start + length;
            }
            buffer[filled..end].fill(0);
        }
        self.partition.write(first.partition_offset, buffer)?;
        (self.progress)(pieces.iter().map(|piece| u64::from(piece.content)).sum());
        Ok(())
    }

    fn copy(
        &self,
        reader: &mut Reader<'_>,
        placement: &Placement,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ImageError> {
        let partition = &self.partition;
        let failed = |source| {
            partition.error(
                "writing",
                placement.partition_offset,
                placement.length,
                source,
            )
        };
        partition
            .inside(placement.partition_offset, placement.length)
            .map_err(failed)?;
        for extent in reader.extents(placement.file, placement.file_offset, placement.length)? {
            let offset = placement.partition_offset + (extent.offset - placement.file_offset);
            match extent.data {
                Data::Memory(bytes) => partition.write(offset, bytes)?,
                Data::Descriptor { fd, position } => {
                    let to = partition.base + offset;
                    // A source that ends early has changed, which `verify` tells.
                    self.way
                        .copy(fd, position, &partition.file, to, extent.length, buffer)
                        .map_err(failed)?;
                }
            }
        }
        reader.verify(placement.file)?;
        (self.progress)(placement.length);
        Ok(())
    }
}

/// A job that a thread works on; whoever waits is told when it ends, even by a panic.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.running -= 1;
        if std::thread::panicking() {
            queue.clear();
        }
        drop(queue);
        self.0.drained.notify_all();
    }
}
