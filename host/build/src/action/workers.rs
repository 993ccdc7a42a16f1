//! Workers, and what has become of them in this run.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cellblock_cell::Walls;

use super::farm::Farm;
use super::program::Program;

/// How workers are asked; nothing of it changes a byte of what is made.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// What the server is called in messages.
    pub place: String,
    /// What a worker has to be: platform properties, as `OSFamily` and `linux`.
    pub platform: Vec<(String, String)>,
    /// The program `cellblock`, of this version, that workers run; absent, the one that runs here.
    pub program: Option<PathBuf>,
    /// The fewest bytes of content that are worth a worker: what has less is made here.
    pub least: u64,
    /// What is to stand around cells there, whatever can stand here.
    pub walls: Walls,
}

/// Workers that make partitions: the file systems of a build that has them in its [options](crate::BuildOptions::remote).
///
/// What a worker has not made, after it was asked twice, is made here, with a line that says why.
#[derive(Debug)]
pub struct Remote {
    pub(super) farm: Box<dyn Farm>,
    /// The server, for messages.
    pub(super) place: String,
    pub(super) program: Program,
    pub(super) platform: Vec<(String, String)>,
    /// The fewest bytes of content that are worth a worker.
    least: u64,
    /// What is to stand around cells there.
    pub(super) walls: Walls,
    /// Whether it failed: it is not asked again.
    is_down: AtomicBool,
    /// What is to be said of the partitions, by their index.
    unsaid: Mutex<BTreeMap<usize, Vec<String>>>,
    /// What is to be said with the first partition that workers are asked for.
    of_program: Mutex<Option<String>>,
}

impl Remote {
    /// Workers behind a server.
    ///
    /// # Errors
    /// If the program that they are to run cannot be read.
    pub fn new(farm: Box<dyn Farm>, options: RemoteOptions) -> io::Result<Self> {
        let RemoteOptions {
            place,
            platform,
            program,
            least,
            walls,
        } = options;
        let program = Program::open(program.as_deref())?;
        Ok(Self {
            farm,
            place,
            platform,
            least,
            walls,
            is_down: AtomicBool::new(false),
            unsaid: Mutex::default(),
            of_program: Mutex::new(program.warning()),
            program,
        })
    }

    /// Whether workers are asked for a file system with so many bytes of content: they are many, and the server has not failed.
    pub(super) fn is_asked(&self, content_bytes: u64) -> bool {
        content_bytes >= self.least && !self.is_down.load(Ordering::Relaxed)
    }

    /// The server is not asked again.
    pub(super) fn give_up(&self) {
        self.is_down.store(true, Ordering::Relaxed);
    }

    /// Has something said of the partition with this index, once it is there.
    pub(super) fn say(&self, index: usize, text: String) {
        locked(&self.unsaid).entry(index).or_default().push(text);
    }

    /// What is to be said of the program, the first time that this is asked.
    pub(super) fn take_of_program(&self) -> Option<String> {
        locked(&self.of_program).take()
    }

    /// What is to be said of the partition with this index.
    pub(super) fn take_unsaid(&self, index: usize) -> Vec<String> {
        locked(&self.unsaid).remove(&index).unwrap_or_default()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
