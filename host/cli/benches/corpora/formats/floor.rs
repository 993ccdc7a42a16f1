//! What a codec alone takes, both ways: the same blocks, the same library, all threads, from memory, and the results thrown away.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow};
use cellblock_codec::{Codec, Method, Settings};

/// How blocks are cut and compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    pub(crate) settings: Settings,
    /// The bytes of a block, before it is compressed.
    pub(crate) block: usize,
    /// The ends of files are compressed one by one, and not together as fragments are.
    pub(crate) ends_alone: bool,
}

/// The bytes of all files, each once.
pub(crate) struct AllBytes(Vec<Vec<u8>>);

impl AllBytes {
    pub(crate) fn read(directory: &Path) -> Result<Self> {
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

    /// The seconds that compressing all of it takes.
    pub(crate) fn compress(&self, floor: Floor) -> Result<f64> {
        let ends = self.ends(floor);
        let blocks = self.blocks(floor, &ends);
        on_all_threads(&blocks, || {
            let mut codec = Codec::new();
            let mut output = Vec::new();
            move |block: &&[u8]| {
                output.clear();
                let made = codec.encode(&floor.settings, block, &mut output);
                made.map(drop).map_err(|failure| anyhow!("{failure}"))
            }
        })
    }

    /// All of it, compressed; what that makes no shorter is left out, since nobody has to decode it.
    pub(crate) fn compressed(&self, floor: Floor) -> Result<Blocks> {
        let mut codec = Codec::new();
        let mut made = Vec::new();
        let ends = self.ends(floor);
        for block in self.blocks(floor, &ends) {
            let mut output = Vec::new();
            codec
                .encode(&floor.settings, block, &mut output)
                .map_err(|failure| anyhow!("{failure}"))?;
            if !output.is_empty() {
                made.push((output, block.len()));
            }
        }
        Ok(Blocks {
            method: floor.settings.method,
            made,
        })
    }

    /// The ends of files, one behind the other, as fragments are; nothing where there are none.
    fn ends(&self, floor: Floor) -> Vec<u8> {
        if floor.ends_alone {
            return Vec::new();
        }
        let ends = self
            .0
            .iter()
            .map(|file| &file[file.len() / floor.block * floor.block..]);
        ends.collect::<Vec<_>>().concat()
    }

    fn blocks<'a>(&'a self, floor: Floor, ends: &'a [u8]) -> Vec<&'a [u8]> {
        let whole = self
            .0
            .iter()
            .flat_map(|file| file.chunks_exact(floor.block));
        let alone = self
            .0
            .iter()
            .map(|file| file.chunks_exact(floor.block).remainder());
        let alone = alone.filter(|end| floor.ends_alone && !end.is_empty());
        whole.chain(alone).chain(ends.chunks(floor.block)).collect()
    }
}

/// Blocks that are compressed, each with its length.
pub(crate) struct Blocks {
    method: Method,
    made: Vec<(Vec<u8>, usize)>,
}

impl Blocks {
    /// The seconds that decompressing all of them takes.
    pub(crate) fn decompress(&self) -> Result<f64> {
        on_all_threads(&self.made, || {
            |(piece, length): &(Vec<u8>, usize)| {
                let plain = cellblock_codec::decode(self.method, piece, *length);
                plain.map(drop).map_err(|failure| anyhow!("{failure}"))
            }
        })
    }
}

/// The seconds that the threads of this machine take for all of `pieces`; each makes what works on them for itself.
fn on_all_threads<T: Sync, W: FnMut(&T) -> Result<()>>(
    pieces: &[T],
    worker: impl Fn() -> W + Sync,
) -> Result<f64> {
    let threads = std::thread::available_parallelism()?.get();
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let mut work = worker();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(piece)?;
        }
        Ok(())
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .map_err(|_| anyhow!("a thread of the floor panicked"))?
        })
    })?;
    Ok(begun.elapsed().as_secs_f64())
}
