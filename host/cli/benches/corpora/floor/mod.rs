//! What nothing can be faster than: the codec alone, from memory, its results thrown away; and the same with the least that a program
//! has to do beside it, where content comes out of files and the results go into files.

mod codec;
mod files;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow};
use cellblock_codec::Settings;

pub(crate) use codec::AllBytes;
pub(crate) use files::{Outputs, copied};

/// How blocks are cut and compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub(crate) settings: Settings,
    /// The bytes of a block, before it is compressed.
    pub(crate) block: usize,
    /// The ends of files are compressed one by one, and not together as fragments are.
    pub(crate) ends_alone: bool,
}

/// The seconds that the threads of this machine take for all of `pieces`; each makes what works on them for itself, of its number.
pub(crate) fn on_all_threads<T: Sync, W: FnMut(&T) -> Result<()>>(
    pieces: &[T],
    worker: impl Fn(usize) -> W + Sync,
) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let work = |number| -> Result<()> {
        let mut work = worker(number);
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(piece)?;
        }
        Ok(())
    };
    let threads = threads()?;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .map_err(|_| anyhow!("a thread of the floor panicked"))?
        })
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

fn threads() -> Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}
