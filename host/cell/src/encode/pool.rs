//! The threads that encode for a cell, and what they made.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use cellblock_codec::{MOST_TOGETHER, Piece, TOGETHER};
use cellblock_contract::EncodedCounts;
use cellblock_tree::{NodeId, Reader, Tree};

use super::hashing::{Hash, Hashing};
use super::task::{Key, Task, encode_together};
use super::{Failure, Worker, Workers};

/// Threads that encode content of a tree, and keep what comes of it in a file without a name.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    jobs: usize,
}

pub(super) struct Shared {
    pub(super) tree: Arc<Tree>,
    workers: Arc<dyn Workers>,
    spool: Arc<File>,
    /// The bytes of the spool that are taken.
    taken: AtomicU64,
    /// No call is under way: nobody waits for what is not begun.
    unwanted: AtomicBool,
    state: Mutex<Encodings>,
    /// Signalled when the queue gets a job or is closed.
    asked: Condvar,
    /// Signalled when a job is done.
    done: Condvar,
}

/// The position of a block among all that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockId(usize);

#[derive(Default)]
pub(super) struct Encodings {
    queue: VecDeque<Job>,
    closed: bool,
    /// A thread has panicked.
    broken: bool,
    /// The calls that are under way.
    sessions: usize,
    blocks: Vec<Block>,
    /// The pieces of blocks that are done.
    pieces: Vec<Piece>,
    found: HashMap<Key, BlockId>,
    pub(super) digests: HashMap<NodeId, Hash>,
    counts: EncodedCounts,
}

enum Job {
    Block(BlockId),
    Hashing(Arc<Hashing>, usize),
}

enum Block {
    Waiting(Box<(Key, Task)>),
    Running,
    Done(Done),
    /// Why, until it is told.
    Failed(Option<Box<Failure>>),
    /// Its call ended before it was begun.
    Dropped,
}

/// Where what came of a block is.
#[derive(Clone, Copy)]
pub(super) struct Done {
    /// The first of its pieces.
    first: usize,
    count: usize,
    /// Where its bytes begin in the spool.
    pub(super) at: u64,
}

/// What a thread takes from the queue at once.
enum Taken {
    Blocks(Vec<(BlockId, Box<(Key, Task)>)>),
    Hashing(Arc<Hashing>, usize),
}

impl Pool {
    /// Threads that encode content of `tree`, at most `jobs`, once there is something for them. `spool` is an empty file.
    pub(crate) fn new(
        tree: &Arc<Tree>,
        workers: Arc<dyn Workers>,
        jobs: usize,
        spool: File,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                tree: Arc::clone(tree),
                workers,
                spool: Arc::new(spool),
                taken: AtomicU64::new(0),
                unwanted: AtomicBool::new(true),
                state: Mutex::default(),
                asked: Condvar::new(),
                done: Condvar::new(),
            }),
            threads: Mutex::default(),
            jobs: jobs.max(1),
        }
    }

    /// What was encoded so far.
    pub(crate) fn counts(&self) -> EncodedCounts {
        self.shared.lock().counts
    }

    pub(super) fn tree(&self) -> &Arc<Tree> {
        &self.shared.tree
    }

    pub(super) fn spool(&self) -> &Arc<File> {
        &self.shared.spool
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Encodings> {
        self.shared.lock()
    }

    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.sessions += 1;
        self.shared.unwanted.store(false, Ordering::Relaxed);
    }

    /// Once no call is under way, nobody waits for what was not begun.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.sessions -= 1;
        if state.sessions == 0 {
            self.shared.unwanted.store(true, Ordering::Relaxed);
            state.drop_waiting();
            drop(state);
            self.shared.asked.notify_all();
        }
    }

    /// Has `tasks` encoded that were not before; where each is found.
    pub(super) fn encode(&self, tasks: Vec<Task>) -> Result<Vec<BlockId>, Failure> {
        let keyed: Vec<(Key, Task)> = tasks.into_iter().map(|task| (task.key(), task)).collect();
        let mut state = self.lock();
        let ids = keyed
            .into_iter()
            .map(|(key, task)| state.ask(key, task))
            .collect();
        drop(state);
        self.start()?;
        Ok(ids)
    }

    /// Has the parts of `hashing` done.
    pub(super) fn hash(&self, hashing: &Arc<Hashing>) -> Result<(), Failure> {
        let mut state = self.lock();
        for part in 0..hashing.parts() {
            state
                .queue
                .push_back(Job::Hashing(Arc::clone(hashing), part));
        }
        drop(state);
        self.start()
    }

    /// Wakes the threads, and starts as many as there is work for.
    fn start(&self) -> Result<(), Failure> {
        let waiting = self.lock().queue.len();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        while threads.len() < self.jobs.min(waiting) {
            let working = Arc::clone(&self.shared);
            match std::thread::Builder::new().spawn(move || working.work()) {
                Ok(thread) => threads.push(thread),
                // Those that there are do all of it.
                Err(_) if !threads.is_empty() => break,
                Err(error) => return Err(Failure::Thread(error)),
            }
        }
        self.shared.asked.notify_all();
        Ok(())
    }

    /// Waits until `look` sees what it looks for, or `deadline` has passed: then there is nothing.
    pub(super) fn wait<T>(
        &self,
        deadline: Option<Instant>,
        mut look: impl FnMut(&mut Encodings) -> Option<Result<T, Failure>>,
    ) -> Option<Result<T, Failure>> {
        let mut state = self.lock();
        loop {
            if let Some(seen) = look(&mut state) {
                return Some(seen);
            }
            if state.broken {
                return Some(Err(Failure::Panic));
            }
            state = match deadline {
                None => {
                    let woken = self.shared.done.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    let woken = self.shared.done.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Fills `buffer` from the spool.
    pub(super) fn read(&self, at: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        self.shared
            .spool
            .read_exact_at(buffer, at)
            .map_err(Failure::Spool)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.shared.asked.notify_all();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            if let Err(panic) = thread.join()
                && !std::thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Encodings {
    fn ask(&mut self, key: Key, task: Task) -> BlockId {
        if let Some(id) = self.found.get(&key) {
            self.counts.reused += 1;
            return *id;
        }
        let id = BlockId(self.blocks.len());
        self.found.insert(key, id);
        self.blocks.push(Block::Waiting(Box::new((key, task))));
        self.queue.push_back(Job::Block(id));
        id
    }

    /// How many jobs wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Begins a block, and up to `most` with those that wait behind it, as long as they are small.
    fn take_together(&mut self, first: BlockId, most: usize) -> Vec<(BlockId, Box<(Key, Task)>)> {
        let (mut tasks, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(id) = next {
            let block = std::mem::replace(&mut self.blocks[id.0], Block::Running);
            let Block::Waiting(task) = block else {
                unreachable!("a block in the queue waits");
            };
            bytes += task.1.length();
            tasks.push((id, task));
            next = match self.queue.front() {
                Some(Job::Block(id)) if tasks.len() < most => Some(*id),
                _ => None,
            };
            next = next.filter(|id| match &self.blocks[id.0] {
                Block::Waiting(task) => bytes + task.1.length() <= TOGETHER,
                _ => unreachable!("a block in the queue waits"),
            });
            if next.is_some() {
                self.queue.pop_front();
            }
        }
        tasks
    }

    fn drop_waiting(&mut self) {
        for job in std::mem::take(&mut self.queue) {
            match job {
                Job::Block(id) => {
                    let dropped = std::mem::replace(&mut self.blocks[id.0], Block::Dropped);
                    if let Block::Waiting(waiting) = dropped {
                        self.found.remove(&waiting.0);
                    }
                }
                Job::Hashing(hashing, _) => hashing.stop(),
            }
        }
    }

    /// What came of a block, if anything has.
    pub(super) fn done(&mut self, id: BlockId) -> Option<Result<Done, Failure>> {
        match &mut self.blocks[id.0] {
            Block::Waiting(_) | Block::Running => None,
            Block::Done(done) => Some(Ok(*done)),
            // It is told once: whoever asks again has ended the first time.
            Block::Failed(failure) => {
                let told = failure.take().map_or(Failure::Told, |failure| *failure);
                Some(Err(told))
            }
            Block::Dropped => Some(Err(Failure::Dropped)),
        }
    }

    pub(super) fn pieces(&self, done: Done) -> &[Piece] {
        &self.pieces[done.first..][..done.count]
    }

    fn finish(&mut self, id: BlockId, finished: Result<Finished, Failure>) {
        self.blocks[id.0] = match finished {
            Ok(finished) => {
                self.counts.blocks += 1;
                for piece in &finished.pieces {
                    self.counts.bytes_in += u64::from(piece.consumed);
                    self.counts.bytes_out += u64::from(piece.produced);
                }
                let first = self.pieces.len();
                let count = finished.pieces.len();
                self.pieces.extend(finished.pieces);
                Block::Done(Done {
                    first,
                    count,
                    at: finished.at,
                })
            }
            Err(failure) => Block::Failed(Some(Box::new(failure))),
        };
    }
}

/// What a thread made of a block: the pieces, and where their bytes are in the spool.
struct Finished {
    pieces: Vec<Piece>,
    at: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Encodings> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let broken = Broken(self);
        let mut reader = self.tree.reader();
        let mut worker = None;
        while let Some(taken) = self.take(&mut worker) {
            match taken {
                Taken::Blocks(tasks) => self.encode(&mut reader, &mut worker, tasks),
                Taken::Hashing(hashing, part) => hashing.run(&mut reader, part),
            }
            // Whoever looks holds the lock until it waits.
            drop(self.lock());
            self.done.notify_all();
        }
        drop(broken);
    }

    /// The next of the queue; a worker does not outlive the call that it works for, as it may hold much memory.
    fn take(&self, worker: &mut Option<Box<dyn Worker>>) -> Option<Taken> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            match state.queue.pop_front() {
                Some(Job::Hashing(hashing, part)) => return Some(Taken::Hashing(hashing, part)),
                Some(Job::Block(id)) => {
                    // The others get their share of a short queue.
                    let most = (state.queue.len() / 4).clamp(1, MOST_TOGETHER);
                    return Some(Taken::Blocks(state.take_together(id, most)));
                }
                None => {
                    if self.unwanted.load(Ordering::Relaxed) && worker.is_some() {
                        drop(state);
                        *worker = None;
                        state = self.lock();
                        continue;
                    }
                    let woken = self.asked.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Encodes `tasks`, and puts what comes of them into the spool, one behind the other.
    fn encode(
        &self,
        reader: &mut Reader<'_>,
        worker: &mut Option<Box<dyn Worker>>,
        tasks: Vec<(BlockId, Box<(Key, Task)>)>,
    ) {
        let mut together = Vec::new();
        let mut finished = Vec::with_capacity(tasks.len());
        let is_alone = tasks.len() == 1;
        let (mut ids, mut wanted, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        let unwanted = self.unwanted.load(Ordering::Relaxed);
        for (id, waiting) in tasks {
            let (key, task) = *waiting;
            if unwanted {
                dropped.push((id, key));
            } else {
                ids.push(id);
                wanted.push(task);
            }
        }
        let mut ids = ids.into_iter();
        let workers = &*self.workers;
        encode_together(&wanted, &self.tree, reader, workers, worker, |encoded| {
            let placed = encoded.and_then(|encoded| {
                let at = if is_alone {
                    self.keep(encoded.bytes).map_err(Failure::Spool)?
                } else {
                    together.extend_from_slice(encoded.bytes);
                    (together.len() - encoded.bytes.len()) as u64
                };
                Ok(Finished {
                    pieces: encoded.pieces.to_vec(),
                    at,
                })
            });
            finished.push((ids.next().expect("each is told of once"), placed));
        });
        let base = self.keep(&together);
        let mut state = self.lock();
        for (id, key) in dropped {
            state.blocks[id.0] = Block::Dropped;
            state.found.remove(&key);
        }
        for (id, encoded) in finished {
            let placed = match (&base, encoded) {
                (Ok(base), Ok(finished)) => Ok(Finished {
                    at: if is_alone {
                        finished.at
                    } else {
                        base + finished.at
                    },
                    ..finished
                }),
                // Each block has its own.
                (Err(error), Ok(_)) => Err(Failure::Spool(io::Error::from(error.kind()))),
                (_, Err(failure)) => Err(failure),
            };
            state.finish(id, placed);
        }
    }

    /// Appends to the spool: where.
    fn keep(&self, bytes: &[u8]) -> io::Result<u64> {
        let at = self.taken.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.spool.write_all_at(bytes, at)?;
        Ok(at)
    }
}

/// Tells those who wait of a panic.
struct Broken<'a>(&'a Shared);

impl Drop for Broken<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().broken = true;
            self.0.done.notify_all();
        }
    }
}
