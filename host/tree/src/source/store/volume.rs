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
use crate::volume::{Blocks, Decoder, Decoders, Decoding, EncodedBlock};
use crate::{Data, Extent, index};

/// The bytes of decoded blocks that are kept for the next file that has a part of them.
const CACHED: usize = 32 << 20;
/// The most blocks that are decoded together, and the bytes that they have, encoded or decoded, if there is more than one.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: u64 = 1 << 20;

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
    /// The blocks that are decoded, as they are in the partition.
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
        let came = self.decode(vec![(block, &mut decoded)])?;
        decoded.truncate(came[0]);
        let decoded = Arc::new(decoded);
        store.cache().put(*block, &decoded);
        drop(under_way);
        Ok(decoded)
    }

    /// Puts what comes out of each block into its place: how many bytes came.
    fn decode(&mut self, blocks: Vec<(&EncodedBlock, &mut [u8])>) -> io::Result<Vec<usize>> {
        let lengths = blocks.iter().map(|(block, _)| small(block.length.into()));
        self.encoded.resize(lengths.sum(), 0);
        let mut rest = &mut self.encoded[..];
        let mut decoding = Vec::with_capacity(blocks.len());
        for (block, content) in blocks {
            let (bytes, behind) = rest.split_at_mut(small(block.length.into()));
            self.store.blocks.read(block.offset, bytes)?;
            rest = behind;
            decoding.push(Decoding {
                block: *block,
                bytes,
                content,
                came: 0,
            });
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(self.store.decoders.start()?),
        };
        if let Err((number, error)) = decoder.decode_all(&mut decoding) {
            // It may be its process that is gone.
            self.decoder = None;
            let block = decoding[number].block;
            return Err(io::Error::other(format!(
                "the block of {} bytes at byte {} of the partition: {error}",
                block.length, block.offset
            )));
        }
        Ok(decoding.iter().map(|one| one.came).collect())
    }

    /// Fills each place with the whole block that goes there.
    fn decode_whole(&mut self, blocks: Vec<(&EncodedBlock, &mut [u8])>) -> io::Result<()> {
        let mut blocks = blocks.into_iter().peekable();
        while let Some(first) = blocks.next() {
            let size = |block: &EncodedBlock| u64::from(block.length.max(block.decoded));
            let mut bytes = size(first.0);
            let mut group = vec![first];
            while let Some(next) = blocks.next_if(|(block, _)| {
                group.len() < TOGETHER && bytes + size(block) <= TOGETHER_BYTES
            }) {
                bytes += size(next.0);
                group.push(next);
            }
            let wanted: Vec<usize> = group.iter().map(|(_, place)| place.len()).collect();
            for (came, wanted) in self.decode(group)?.into_iter().zip(wanted) {
                check_enough(came, wanted)?;
            }
        }
        Ok(())
    }

    /// The block that is all of the bytes of `piece` from `skip` on, so many, if nobody has decoded it yet.
    fn whole<'p>(
        &self,
        piece: &'p VolumePiece,
        skip: u64,
        length: usize,
    ) -> Option<&'p EncodedBlock> {
        match &piece.place {
            VolumePlace::Encoded(block, before) => {
                let is_whole = u64::from(*before) + skip == 0
                    && long(length) == u64::from(block.decoded)
                    && !self.store.cache().blocks.contains_key(&**block);
                is_whole.then_some(block)
            }
            VolumePlace::Plain(_) | VolumePlace::Inline(_) => None,
        }
    }

    /// The bytes of `piece`, from `skip` on.
    fn fill(&mut self, piece: &VolumePiece, skip: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self.whole(piece, skip, buffer.len()) {
            Some(block) => self.decode_whole(vec![(block, buffer)]),
            None => self.fill_part(piece, skip, buffer),
        }
    }

    /// The same where they are no whole block that nobody has decoded yet.
    fn fill_part(&mut self, piece: &VolumePiece, skip: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &piece.place {
            VolumePlace::Plain(start) => self.store.blocks.read(start + skip, buffer),
            VolumePlace::Inline(bytes) => {
                buffer.copy_from_slice(&bytes[small(skip)..][..buffer.len()]);
                Ok(())
            }
            VolumePlace::Encoded(block, before) => {
                let start = small(u64::from(*before) + skip);
                let end = start + buffer.len();
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
        let store = self.store;
        let mut whole = Vec::new();
        let (mut rest, mut at) = (buffer, offset);
        for piece in store.pieces(file, &range) {
            let from = piece.offset.max(range.start);
            let to = piece.end().min(range.end);
            let (hole, behind) = rest.split_at_mut(small(from - at));
            let (target, behind) = behind.split_at_mut(small(to - from));
            (rest, at) = (behind, to);
            hole.fill(0);
            let skip = from - piece.offset;
            match self.whole(piece, skip, target.len()) {
                Some(block) => whole.push((block, target)),
                None => self
                    .fill_part(piece, skip, target)
                    .map_err(|error| self.failed(file, error))?,
            }
        }
        rest.fill(0);
        self.decode_whole(whole)
            .map_err(|error| self.failed(file, error))
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
        fn decode(&mut self, one: &mut Decoding<'_>) -> io::Result<()> {
            if self.begun.fetch_add(1, Ordering::SeqCst) < self.fails {
                return Err(io::Error::other("not yet"));
            }
            one.content.fill(1);
            one.came = one.content.len();
            Ok(())
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

    /// Decodes each block to bytes of its offset, and keeps how many came together.
    #[derive(Clone, Debug)]
    struct Offsets(Arc<Mutex<Vec<usize>>>);

    impl Decoders for Offsets {
        fn start(&self) -> io::Result<Box<dyn Decoder>> {
            Ok(Box::new(self.clone()))
        }
    }

    impl Decoder for Offsets {
        fn decode(&mut self, one: &mut Decoding<'_>) -> io::Result<()> {
            let offset = one.block.offset;
            assert_eq!(one.bytes.len(), one.block.length as usize);
            if offset == 99 {
                return Err(io::Error::other("no"));
            }
            one.content.fill(offset.to_le_bytes()[0]);
            // One is shorter than its file has it.
            one.came = one.content.len() - usize::from(offset == 98);
            Ok(())
        }

        fn decode_all(&mut self, blocks: &mut [Decoding<'_>]) -> Result<(), (usize, io::Error)> {
            self.0.lock().unwrap().push(blocks.len());
            let mut blocks = blocks.iter_mut().enumerate();
            blocks.try_for_each(|(number, one)| self.decode(one).map_err(|error| (number, error)))
        }
    }

    /// Blocks at these offsets, each of so many bytes: what came of them, and how many were decoded together.
    fn decoded_together(offsets: Range<u64>, size: u32) -> (io::Result<Vec<Vec<u8>>>, Vec<usize>) {
        let together = Arc::default();
        let decoders = Arc::new(Offsets(Arc::clone(&together)));
        let store = VolumeStore::new(PathBuf::new(), Arc::new(Zeros), decoders, vec![]);
        let mut reader = VolumeReader {
            store: &store,
            decoder: None,
            encoded: Vec::new(),
            held: Vec::new(),
        };
        let blocks: Vec<EncodedBlock> = offsets
            .map(|offset| EncodedBlock {
                coding: Coding::Zstd,
                offset,
                length: 10 + u32::try_from(offset).unwrap(),
                padded: false,
                decoded: size,
            })
            .collect();
        let mut contents = vec![vec![0; size as usize]; blocks.len()];
        let places = contents.iter_mut().map(|content| &mut content[..]);
        let done = reader.decode_whole(blocks.iter().zip(places).collect());
        let together = together.lock().unwrap().clone();
        (done.map(|()| contents), together)
    }

    #[test]
    fn whole_blocks_are_decoded_together_within_bounds() {
        let expected = |count: u8, size: usize| -> Vec<Vec<u8>> {
            (0..count).map(|byte| vec![byte; size]).collect()
        };
        let (found, together) = decoded_together(0..70, 100);
        assert!(found.unwrap() == expected(70, 100));
        assert_eq!(together, [64, 6]);
        let (found, together) = decoded_together(0..5, 400 << 10);
        assert!(found.unwrap() == expected(5, 400 << 10));
        assert_eq!(together, [2, 2, 1]);
        let (found, together) = decoded_together(0..2, 2 << 20);
        assert!(found.unwrap() == expected(2, 2 << 20));
        assert_eq!(together, [1, 1]);
        assert!(decoded_together(0..0, 1).0.unwrap().is_empty());
    }

    #[test]
    fn the_block_that_is_damaged_or_too_short_is_told() {
        let (found, _) = decoded_together(97..101, 100);
        let error = found.unwrap_err().to_string();
        assert_eq!(
            error,
            "the block of 109 bytes at byte 99 of the partition: no"
        );
        let (found, _) = decoded_together(97..99, 100);
        let error = found.unwrap_err().to_string();
        assert_eq!(
            error,
            "99 bytes come out of a block that has 100 of the file"
        );
    }
}
