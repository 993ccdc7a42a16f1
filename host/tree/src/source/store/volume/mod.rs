//! Files of a file system that a reader has read: in pieces of its partition, plain or encoded.

mod reader;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Store, StoreReader, Wanted};
use crate::index;
use crate::volume::{Blocks, Decoders, EncodedBlock};

use reader::VolumeReader;

/// The bytes of decoded blocks that are kept for the next file that has a part of them.
const CACHED: usize = 32 << 20;

/// The store of one file system.
#[derive(Debug)]
pub(crate) struct VolumeStore {
    name: PathBuf,
    blocks: Arc<dyn Blocks>,
    decoders: Arc<dyn Decoders>,
    files: Vec<Box<[VolumePiece]>>,
    cache: Mutex<Cache>,
    /// Signalled when a block of which files have parts is no longer under way.
    decoded: Condvar,
}

/// Bytes of a file in a row.
#[derive(Clone, Debug)]
pub(crate) struct VolumePiece {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) place: VolumePlace,
}

/// Where they are.
#[derive(Clone, Debug)]
pub(crate) enum VolumePlace {
    /// At this byte of the partition.
    Plain(u64),
    /// In what comes out of a block, behind so many bytes.
    Encoded(Box<EncodedBlock>, u32),
    Inline(Box<[u8]>),
}

impl VolumePiece {
    /// The byte of the file behind it.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// Decoded blocks of which other files may have parts, the oldest first.
#[derive(Debug, Default)]
struct Cache {
    blocks: BTreeMap<EncodedBlock, Arc<Vec<u8>>>,
    order: VecDeque<EncodedBlock>,
    bytes: usize,
    /// Those that a thread decodes at the moment: others wait for it.
    under_way: BTreeSet<EncodedBlock>,
}

impl Cache {
    fn put(&mut self, block: EncodedBlock, bytes: &Arc<Vec<u8>>) {
        if self.blocks.insert(block, Arc::clone(bytes)).is_some() {
            return;
        }
        self.order.push_back(block);
        self.bytes += bytes.len();
        while self.bytes > CACHED
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.blocks.remove(&oldest);
            self.bytes -= gone.map_or(0, |gone| gone.len());
        }
    }
}

impl VolumeStore {
    pub(crate) fn new(
        name: PathBuf,
        blocks: Arc<dyn Blocks>,
        decoders: Arc<dyn Decoders>,
        files: Vec<Box<[VolumePiece]>>,
    ) -> Self {
        Self {
            name,
            blocks,
            decoders,
            files,
            cache: Mutex::default(),
            decoded: Condvar::new(),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes out of a block of which files have parts, if that is known; else the caller is the one to decode it.
    fn shared(&self, block: &EncodedBlock) -> Result<Arc<Vec<u8>>, UnderWay<'_>> {
        let mut cache = self.cache();
        loop {
            if let Some(found) = cache.blocks.get(block) {
                return Ok(Arc::clone(found));
            }
            if cache.under_way.insert(*block) {
                return Err(UnderWay {
                    store: self,
                    block: *block,
                });
            }
            let woken = self.decoded.wait(cache);
            cache = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes the caller the one to decode a block, if nobody is or was.
    fn claim(&self, block: &EncodedBlock) -> Option<UnderWay<'_>> {
        let mut cache = self.cache();
        let is_free = !cache.blocks.contains_key(block) && cache.under_way.insert(*block);
        is_free.then(|| UnderWay {
            store: self,
            block: *block,
        })
    }

    fn pieces(&self, file: Wanted<'_>, range: &Range<u64>) -> &[VolumePiece] {
        let pieces = &self.files[index(file.stored.number)];
        let first = pieces.partition_point(|piece| piece.end() <= range.start);
        let last = pieces.partition_point(|piece| piece.offset < range.end);
        &pieces[first..last.max(first)]
    }
}

/// A block that this thread decodes. Whatever comes of it, others no longer wait when this is dropped.
struct UnderWay<'s> {
    store: &'s VolumeStore,
    block: EncodedBlock,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.store.cache().under_way.remove(&self.block);
        self.store.decoded.notify_all();
    }
}

impl Store for VolumeStore {
    fn reader(&self) -> Box<dyn StoreReader + '_> {
        Box::new(VolumeReader::of(self))
    }
}
