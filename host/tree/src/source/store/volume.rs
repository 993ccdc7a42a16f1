//! Files of a file system that a reader has read: in pieces of its partition, plain or encoded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use cellblock_text::PathBytes;

use super::{Store, StoreReader, Wanted, long, small};
use crate::source::error::SourceError;
use crate::volume::{Blocks, Decoder, Decoders, EncodedBlock};
use crate::{Data, Extent, index};

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
        Box::new(VolumeReader {
            store: self,
            decoder: None,
            encoded: Vec::new(),
            held: Vec::new(),
        })
    }
}

/// One thread's way to the bytes.
struct VolumeReader<'s> {
    store: &'s VolumeStore,
    decoder: Option<Box<dyn Decoder>>,
    /// The block that is decoded, as it is in the partition.
    encoded: Vec<u8>,
    /// What the last extents point into.
    held: Vec<Vec<u8>>,
}

impl fmt::Debug for VolumeReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VolumeReader")
            .field("store", &self.store.name)
            .finish_non_exhaustive()
    }
}

impl VolumeReader<'_> {
    /// What comes out of a block of which others may have parts.
    fn shared(&mut self, block: &EncodedBlock) -> io::Result<Arc<Vec<u8>>> {
        let store = self.store;
        let under_way = match store.shared(block) {
            Ok(found) => return Ok(found),
            Err(under_way) => under_way,
        };
        let mut decoded = vec![0; small(block.decoded.into())];
        let found = self.decode(block, &mut decoded)?;
        decoded.truncate(found);
        let decoded = Arc::new(decoded);
        store.cache().put(*block, &decoded);
        drop(under_way);
        Ok(decoded)
    }

    /// Puts what comes out of a block into `content`: how many bytes came.
    fn decode(&mut self, block: &EncodedBlock, content: &mut [u8]) -> io::Result<usize> {
        self.encoded.resize(small(block.length.into()), 0);
        self.store.blocks.read(block.offset, &mut self.encoded)?;
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(self.store.decoders.start()?),
        };
        let decoded = decoder.decode(block, &self.encoded, content);
        decoded.map_err(|error| {
            // It may be its process that is gone.
            self.decoder = None;
            io::Error::other(format!(
                "the block of {} bytes at byte {} of the partition: {error}",
                block.length, block.offset
            ))
        })
    }

    /// What is in memory of the bytes of `piece`, from `skip` on.
    fn fill(&mut self, piece: &VolumePiece, skip: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &piece.place {
            VolumePlace::Plain(start) => self.store.blocks.read(start + skip, buffer),
            VolumePlace::Inline(bytes) => {
                buffer.copy_from_slice(&bytes[small(skip)..][..buffer.len()]);
                Ok(())
            }
            VolumePlace::Encoded(block, before) => {
                let start = small(u64::from(*before) + skip);
                let end = start + buffer.len();
                let is_whole = start == 0 && long(buffer.len()) == u64::from(block.decoded);
                if is_whole && !self.store.cache().blocks.contains_key(block) {
                    let found = self.decode(block, buffer)?;
                    return check_enough(found, end);
                }
                let decoded = self.shared(block)?;
                check_enough(decoded.len(), end)?;
                buffer.copy_from_slice(&decoded[start..end]);
                Ok(())
            }
        }
    }

    fn failed(&self, file: Wanted<'_>, error: io::Error) -> SourceError {
        SourceError::Io {
            root: self.store.name.clone(),
            path: file.path(),
            action: "read",
            error,
        }
    }
}

/// Fails where less has come out of a block than a file has of it.
fn check_enough(found: usize, end: usize) -> io::Result<()> {
    if found >= end {
        return Ok(());
    }
    let what = format!("{found} bytes come out of a block that has {end} of the file");
    Err(io::Error::other(what))
}

impl StoreReader for VolumeReader<'_> {
    fn read(
        &mut self,
        file: Wanted<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), SourceError> {
        let range = offset..offset + long(buffer.len());
        let mut at = offset;
        let store = self.store;
        for piece in store.pieces(file, &range) {
            let from = piece.offset.max(range.start);
            let to = piece.end().min(range.end);
            buffer[small(at - offset)..small(from - offset)].fill(0);
            let target = &mut buffer[small(from - offset)..small(to - offset)];
            self.fill(piece, from - piece.offset, target)
                .map_err(|error| self.failed(file, error))?;
            at = to;
        }
        buffer[small(at - offset)..].fill(0);
        Ok(())
    }

    fn extents(
        &mut self,
        file: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<Extent<'_>>, SourceError> {
        let store = self.store;
        let pieces = store.pieces(file, &range);
        self.held.clear();
        for piece in pieces {
            let is_plain = matches!(piece.place, VolumePlace::Plain(at) if store.blocks.position(at).is_some());
            if is_plain {
                continue;
            }
            let from = piece.offset.max(range.start);
            let to = piece.end().min(range.end);
            let mut bytes = vec![0; small(to - from)];
            self.fill(piece, from - piece.offset, &mut bytes)
                .map_err(|error| self.failed(file, error))?;
            self.held.push(bytes);
        }
        let mut held = self.held.iter();
        let extents = pieces.iter().map(|piece| {
            let from = piece.offset.max(range.start);
            let to = piece.end().min(range.end);
            let plain = match piece.place {
                VolumePlace::Plain(at) => store.blocks.position(at + (from - piece.offset)),
                _ => None,
            };
            let data = match plain {
                Some((fd, position)) => Data::Descriptor { fd, position },
                None => Data::Memory(held.next().expect("it was read above")),
            };
            Extent {
                offset: from,
                length: to - from,
                data,
            }
        });
        Ok(extents.collect())
    }

    fn ranges(
        &mut self,
        file: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<crate::Range>, SourceError> {
        // Nothing is decoded for it.
        let pieces = self.store.pieces(file, &range).iter();
        let within = |piece: &VolumePiece| {
            let offset = piece.offset.max(range.start);
            let length = piece.end().min(range.end) - offset;
            crate::Range { offset, length }
        };
        Ok(pieces.map(within).collect())
    }

    fn verify(&mut self, file: Wanted<'_>) -> Result<(), SourceError> {
        let verified = self.store.blocks.verify();
        verified.map_err(|error| self.failed(file, error))
    }

    fn name(&self, file: Wanted<'_>) -> (PathBuf, PathBytes) {
        (self.store.name.clone(), file.path())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::fd::BorrowedFd;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;
    use crate::volume::Coding;

    #[derive(Debug)]
    struct Zeros;

    impl Blocks for Zeros {
        fn size(&self) -> u64 {
            1 << 20
        }

        fn read(&self, _: u64, buffer: &mut [u8]) -> io::Result<()> {
            buffer.fill(0);
            Ok(())
        }

        fn position(&self, _: u64) -> Option<(BorrowedFd<'_>, u64)> {
            None
        }
    }

    /// Decodes ones, and fails so many times before that.
    #[derive(Clone, Debug)]
    struct Ones {
        begun: Arc<AtomicU32>,
        fails: u32,
    }

    impl Decoders for Ones {
        fn start(&self) -> io::Result<Box<dyn Decoder>> {
            Ok(Box::new(self.clone()))
        }
    }

    impl Decoder for Ones {
        fn decode(&mut self, _: &EncodedBlock, _: &[u8], content: &mut [u8]) -> io::Result<usize> {
            if self.begun.fetch_add(1, Ordering::SeqCst) < self.fails {
                return Err(io::Error::other("not yet"));
            }
            content.fill(1);
            Ok(content.len())
        }
    }

    /// On eight threads at once; how often the block was decoded, and how many of them got it.
    fn decoded_by_many(fails: u32) -> (u32, usize) {
        const THREADS: usize = 8;
        let begun = Arc::new(AtomicU32::new(0));
        let ones = Ones {
            begun: Arc::clone(&begun),
            fails,
        };
        let store = VolumeStore::new(PathBuf::new(), Arc::new(Zeros), Arc::new(ones), vec![]);
        let block = EncodedBlock {
            coding: Coding::Zstd,
            offset: 0,
            length: 10,
            padded: false,
            decoded: 1 << 20,
        };
        let barrier = Barrier::new(THREADS);
        let one = || {
            let mut reader = VolumeReader {
                store: &store,
                decoder: None,
                encoded: Vec::new(),
                held: Vec::new(),
            };
            barrier.wait();
            reader.shared(&block).is_ok()
        };
        let got = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(one)).collect();
            let got = threads.into_iter().map(|it| it.join().unwrap());
            got.filter(|it| *it).count()
        });
        (begun.load(Ordering::SeqCst), got)
    }

    #[test]
    fn a_block_that_many_have_parts_of_is_decoded_once() {
        assert_eq!(decoded_by_many(0), (1, 8));
    }

    #[test]
    fn who_waits_for_a_block_that_fails_decodes_it() {
        assert_eq!(decoded_by_many(1), (2, 7));
        assert_eq!(decoded_by_many(8), (8, 0));
    }
}
