//! Who watches a build.
//!
//! ```text
//!     a partition:  reading ──> measuring ──> writing ──> copying     the image:  hashing ──> packing ──> flushing
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Content is looked for in directories and archives. Files are counted.
    Reading,
    /// A formatter finds out how large its file system has to be. Nothing is counted.
    Measuring,
    /// A file system is made. The bytes of its files are counted.
    Writing,
    /// What was made is put where it belongs in an image, or taken out of one. Bytes are counted.
    Copying,
    /// Hash trees and digests of what was made are computed. Bytes are counted; of the digests of a partition, nothing is.
    Hashing,
    /// A file system is read back and compared with what went in. Nothing is counted.
    Verifying,
    /// An image is written in the format of an output. The bytes of the image are counted.
    Packing,
    /// What was made is flushed to the disk. Nothing is counted.
    Flushing,
}

impl Phase {
    /// What is being done, in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Measuring => "measuring",
            Self::Writing => "writing",
            Self::Copying => "copying",
            Self::Hashing => "hashing",
            Self::Verifying => "verifying",
            Self::Packing => "packing",
            Self::Flushing => "flushing",
        }
    }
}

/// Tells at any time how much of a phase is done: files of [`Phase::Reading`], otherwise bytes.
pub type Done = Box<dyn Fn() -> u64 + Send + Sync>;

/// Shows how far a build is. It is called from several threads.
pub trait Progress: fmt::Debug + Send + Sync {
    /// A phase begins, of a partition or of the image: `name` is what it is called. `total` is how much there is to be done,
    /// where that is known.
    fn begin(&self, phase: Phase, name: &str, total: Option<u64>, done: Done) -> Ongoing;

    /// Something was found or done, in a sentence: for who wants to know it all.
    fn say(&self, _text: &str) {}

    /// The build has ended, well or not: nothing more is to be shown.
    fn clear(&self) {}
}

/// A phase that somebody watches. It ends when this is dropped.
#[derive(Default)]
pub struct Ongoing(Option<Box<dyn FnOnce() + Send>>);

impl Ongoing {
    /// A phase at whose end this is called.
    #[must_use]
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hidden;

impl Progress for Hidden {
    fn begin(&self, _: Phase, _: &str, _: Option<u64>, _: Done) -> Ongoing {
        Ongoing::default()
    }
}

/// Counts what is done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<AtomicU64>);

impl Tally {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn done(&self) -> Done {
        let count = Arc::clone(&self.0);
        Box::new(move || count.load(Ordering::Relaxed))
    }
}

/// Does a part of the work while it is shown; the work says how much more of it is done.
pub(crate) fn watched<T>(
    progress: &dyn Progress,
    phase: Phase,
    name: &str,
    total: Option<u64>,
    work: impl FnOnce(&dyn Fn(u64)) -> T,
) -> T {
    let tally = Tally::default();
    let _ongoing = progress.begin(phase, name, total, tally.done());
    work(&|amount| tally.add(amount))
}
