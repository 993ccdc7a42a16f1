//! What a codec alone takes: the same blocks, the same library, all threads, from memory, and the results thrown away.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow};
use cellblock_codec::{Codec, Settings};

/// How blocks are cut and compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub(crate) settings: Settings,
    /// The bytes of a block, before it is compressed.
    pub(crate) block: usize,
}

/// The bytes of all files, each once.
pub(crate) struct Content(Vec<Vec<u8>>);

impl Content {
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let mut content = Self(Vec::new());
        let mut seen = std::collections::BTreeSet::new();
        content.add(directory, &mut seen)?;
        Ok(content)
    }

    /// What of a disk is not zeros, in pieces of `block` bytes.
    pub(crate) fn of_disk(path: &Path, block: usize) -> Result<Self> {
        let bytes = fs::read(path)?;
        let blocks = bytes.chunks(block);
        let is_data = |block: &&[u8]| block.iter().any(|byte| *byte != 0);
        Ok(Self(blocks.filter(is_data).map(<[u8]>::to_vec).collect()))
    }

    /// Equal content is compressed once by either program, and so it is here.
    fn add(
        &mut self,
        directory: &Path,
        seen: &mut std::collections::BTreeSet<[u8; 32]>,
    ) -> Result<()> {
        use sha2::Digest as _;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                self.add(&entry.path(), seen)?;
            } else if metadata.is_file() && metadata.size() > 0 {
                let bytes = fs::read(entry.path())?;
                if seen.insert(sha2::Sha256::digest(&bytes).into()) {
                    self.0.push(bytes);
                }
            }
        }
        Ok(())
    }

    /// The seconds that compressing all of it takes; the ends of files in one block after the other, as fragments are.
    pub(crate) fn compress(&self, floor: Floor) -> Result<f64> {
        let ends: Vec<u8> = self
            .0
            .iter()
            .flat_map(|file| {
                file[file.len() / floor.block * floor.block..]
                    .iter()
                    .copied()
            })
            .collect();
        let whole = self
            .0
            .iter()
            .flat_map(|file| file.chunks_exact(floor.block));
        let blocks: Vec<&[u8]> = whole.chain(ends.chunks(floor.block)).collect();
        let threads = std::thread::available_parallelism()?.get();
        let next = AtomicUsize::new(0);
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| work(&blocks, &next, &floor.settings)))
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker
                    .join()
                    .map_err(|_| anyhow!("a thread of the floor panicked"))?
            })
        })?;
        Ok(begun.elapsed().as_secs_f64())
    }
}

fn work(blocks: &[&[u8]], next: &AtomicUsize, settings: &Settings) -> Result<()> {
    let mut codec = Codec::new();
    let mut output = Vec::new();
    while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
        output.clear();
        codec
            .encode(settings, block, &mut output)
            .map_err(|failure| anyhow!("{failure}"))?;
    }
    Ok(())
}
