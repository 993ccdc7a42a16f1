//! Files of a file system that a reader has read: in pieces of its partition, plain or encoded.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

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
    blocks: BTreeMap<EncodedBlock, Arc<[u8]>>,
    order: VecDeque<EncodedBlock>,
    bytes: usize,
}

impl Cache {
    fn put(&mut self, block: EncodedBlock, bytes: &Arc<[u8]>) {
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
        }
    }

    fn pieces(&self, file: Wanted<'_>, range: &Range<u64>) -> &[VolumePiece] {
        let pieces = &self.files[index(file.stored.number)];
        let first = pieces.partition_point(|piece| piece.end() <= range.start);
        let last = pieces.partition_point(|piece| piece.offset < range.end);
        &pieces[first..last.max(first)]
    }
}

impl Store for VolumeStore {
    fn reader(&self) -> Box<dyn StoreReader + '_> {
        Box::new(VolumeReader {
            store: self,
            decoder: None,
            held: Vec::new(),
        })
    }
}

/// One thread's way to the bytes.
struct VolumeReader<'s> {
    store: &'s VolumeStore,
    decoder: Option<Box<dyn Decoder>>,
    /// What the last extents point into.
    held: Vec<Arc<[u8]>>,
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
    /// What comes out of a block; at least `least` bytes.
    fn decoded(
        &mut self,
        block: &EncodedBlock,
        least: usize,
        is_shared: bool,
    ) -> io::Result<Arc<[u8]>> {
        let cache = || {
            let cache = self.store.cache.lock();
            cache.unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(found) = cache().blocks.get(block) {
            return enough(Arc::clone(found), least);
        }
        let mut bytes = vec![0; small(block.length.into())];
        self.store.blocks.read(block.offset, &mut bytes)?;
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(self.store.decoders.start()?),
        };
        let decoded: Arc<[u8]> = match decoder.decode(block, &bytes) {
            Ok(decoded) => decoded.into(),
            Err(error) => {
                // It may be its process that is gone.
                self.decoder = None;
                let error = format!(
                    "the block of {} bytes at byte {} of the partition: {error}",
                    block.length, block.offset
                );
                return Err(io::Error::other(error));
            }
        };
        if is_shared {
            cache().put(*block, &decoded);
        }
        enough(decoded, least)
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
                let is_shared = long(buffer.len()) < u64::from(block.decoded);
                let decoded = self.decoded(block, end, is_shared)?;
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

fn enough(decoded: Arc<[u8]>, least: usize) -> io::Result<Arc<[u8]>> {
    if decoded.len() < least {
        let found = decoded.len();
        return Err(io::Error::other(format!(
            "{found} bytes come out of a block that has {least} of the file"
        )));
    }
    Ok(decoded)
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
            self.held.push(bytes.into());
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

    fn verify(&mut self, file: Wanted<'_>) -> Result<(), SourceError> {
        let verified = self.store.blocks.verify();
        verified.map_err(|error| self.failed(file, error))
    }

    fn name(&self, file: Wanted<'_>) -> (PathBuf, PathBytes) {
        (self.store.name.clone(), file.path())
    }
}
