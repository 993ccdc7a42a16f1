//! One thread's way to the bytes of such files.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use cellblock_text::PathBytes;

use super::super::{StoreReader, Stretch, Wanted, long, small};
use super::{UnderWay, VolumePiece, VolumePlace, VolumeStore};
use crate::source::error::SourceError;
use crate::volume::{Decoder, Decoding, EncodedBlock};
use crate::{Data, Extent};

/// The most blocks that are decoded together, and the bytes that they have, encoded or decoded, if there is more than one.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: u64 = 1 << 20;

/// One thread's way to the bytes.
pub(super) struct VolumeReader<'s> {
    store: &'s VolumeStore,
    decoder: Option<Box<dyn Decoder>>,
    /// The blocks that are decoded, as they are in the partition.
    encoded: Vec<u8>,
    /// What the last extents point into; it keeps its length, so that it is not filled with zeros each time.
    held: Vec<u8>,
}

impl fmt::Debug for VolumeReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("VolumeReader")
            .field("store", &self.store.name)
            .finish_non_exhaustive()
    }
}

/// Where the bytes of a piece go, from the byte `skip` of it on.
pub(super) struct Place<'p> {
    pub(super) piece: &'p VolumePiece,
    pub(super) skip: u64,
    pub(super) bytes: &'p mut [u8],
}

impl<'s> VolumeReader<'s> {
    pub(super) fn of(store: &'s VolumeStore) -> Self {
        Self {
            store,
            decoder: None,
            encoded: Vec::new(),
            held: Vec::new(),
        }
    }

    /// What comes out of a block of which others may have parts.
    pub(super) fn shared(&mut self, block: &EncodedBlock) -> io::Result<Arc<Vec<u8>>> {
        match self.store.shared(block) {
            Ok(found) => Ok(found),
            Err(under_way) => {
                let decoded = self.decode_claimed(vec![under_way]);
                let mut decoded = decoded.map_err(|(_, error)| error)?;
                Ok(decoded.remove(0))
            }
        }
    }

    /// Decodes blocks that this thread has claimed, together.
    fn decode_claimed(
        &mut self,
        claimed: Vec<UnderWay<'_>>,
    ) -> Result<Vec<Arc<Vec<u8>>>, (usize, io::Error)> {
        let size = |block: &EncodedBlock| vec![0; small(block.decoded.into())];
        let mut decoded: Vec<Vec<u8>> = claimed.iter().map(|it| size(&it.block)).collect();
        let blocks = claimed.iter().map(|it| &it.block);
        let came = self.decode(
            blocks
                .zip(decoded.iter_mut().map(Vec::as_mut_slice))
                .collect(),
        )?;
        let mut all = Vec::with_capacity(decoded.len());
        for ((mut bytes, came), under_way) in decoded.into_iter().zip(came).zip(claimed) {
            bytes.truncate(came);
            let bytes = Arc::new(bytes);
            self.store.cache().put(under_way.block, &bytes);
            all.push(bytes);
        }
        Ok(all)
    }

    /// Decodes, together, blocks of which these places have parts and that nobody has. One that fails does so again, alone, when its
    /// place is filled.
    fn decode_parts(&mut self, places: &[Place<'_>]) {
        let store = self.store;
        let (mut claimed, mut bytes) = (Vec::new(), 0);
        for place in places {
            let VolumePlace::Encoded(block, _) = &place.piece.place else {
                continue;
            };
            let is_whole = self.whole(place.piece, place.skip, place.bytes.len());
            let Some(under_way) = is_whole.is_none().then(|| store.claim(block)).flatten() else {
                continue;
            };
            let size = u64::from(block.length.max(block.decoded));
            if claimed.len() == TOGETHER || bytes + size > TOGETHER_BYTES {
                let _ = self.decode_claimed(std::mem::take(&mut claimed));
                bytes = 0;
            }
            bytes += size;
            claimed.push(under_way);
        }
        if !claimed.is_empty() {
            let _ = self.decode_claimed(claimed);
        }
    }

    /// Puts what comes out of each block into its place: how many bytes came. An error has the number of the block.
    fn decode(
        &mut self,
        blocks: Vec<(&EncodedBlock, &mut [u8])>,
    ) -> Result<Vec<usize>, (usize, io::Error)> {
        let lengths = blocks.iter().map(|(block, _)| small(block.length.into()));
        self.encoded.resize(lengths.sum(), 0);
        let mut rest = &mut self.encoded[..];
        let mut decoding = Vec::with_capacity(blocks.len());
        for (number, (block, content)) in blocks.into_iter().enumerate() {
            let (bytes, behind) = rest.split_at_mut(small(block.length.into()));
            let read = self.store.blocks.read(block.offset, bytes);
            read.map_err(|error| (number, error))?;
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
            none => {
                let started = self.store.decoders.start();
                none.insert(started.map_err(|error| (0, error))?)
            }
        };
        if let Err((number, error)) = decoder.decode_all(&mut decoding) {
            // It may be its process that is gone.
            self.decoder = None;
            let block = decoding[number].block;
            let what = format!(
                "the block of {} bytes at byte {} of the partition: {error}",
                block.length, block.offset
            );
            return Err((number, io::Error::other(what)));
        }
        Ok(decoding.iter().map(|one| one.came).collect())
    }

    /// Fills each place with the whole block that goes there. An error has the number of the place.
    pub(super) fn decode_whole(
        &mut self,
        blocks: Vec<(usize, &EncodedBlock, &mut [u8])>,
    ) -> Result<(), (usize, io::Error)> {
        let mut blocks = blocks.into_iter().peekable();
        while let Some((number, block, place)) = blocks.next() {
            let size = |block: &EncodedBlock| u64::from(block.length.max(block.decoded));
            let mut bytes = size(block);
            let (mut numbers, mut group) = (vec![number], vec![(block, place)]);
            while let Some((number, block, place)) = blocks.next_if(|(_, block, _)| {
                group.len() < TOGETHER && bytes + size(block) <= TOGETHER_BYTES
            }) {
                bytes += size(block);
                numbers.push(number);
                group.push((block, place));
            }
            let wanted: Vec<usize> = group.iter().map(|(_, place)| place.len()).collect();
            let came = self.decode(group);
            let came = came.map_err(|(at, error)| (numbers[at], error))?;
            for ((number, came), wanted) in numbers.into_iter().zip(came).zip(wanted) {
                check_enough(came, wanted).map_err(|error| (number, error))?;
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

    /// Fills each place; blocks are decoded together. An error has the number of the place.
    pub(super) fn fill(&mut self, places: Vec<Place<'_>>) -> Result<(), (usize, io::Error)> {
        self.decode_parts(&places);
        let mut whole = Vec::new();
        for (number, Place { piece, skip, bytes }) in places.into_iter().enumerate() {
            match self.whole(piece, skip, bytes.len()) {
                Some(block) => whole.push((number, block, bytes)),
                None => {
                    let filled = self.fill_part(piece, skip, bytes);
                    filled.map_err(|error| (number, error))?;
                }
            }
        }
        self.decode_whole(whole)
    }

    /// The bytes of `piece` from `skip` on, which are no whole block that nobody has decoded yet.
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
        self.read_together(vec![Stretch {
            file,
            offset,
            buffer,
        }])
    }

    fn read_together(&mut self, stretches: Vec<Stretch<'_>>) -> Result<(), SourceError> {
        let store = self.store;
        let (mut places, mut files) = (Vec::new(), Vec::new());
        for Stretch {
            file,
            offset,
            buffer,
        } in stretches
        {
            let range = offset..offset + long(buffer.len());
            let (mut rest, mut at) = (buffer, offset);
            for piece in store.pieces(file, &range) {
                let from = piece.offset.max(range.start);
                let to = piece.end().min(range.end);
                let (hole, behind) = rest.split_at_mut(small(from - at));
                let (bytes, behind) = behind.split_at_mut(small(to - from));
                (rest, at) = (behind, to);
                hole.fill(0);
                let skip = from - piece.offset;
                places.push(Place { piece, skip, bytes });
                files.push(file);
            }
            rest.fill(0);
        }
        self.fill(places)
            .map_err(|(number, error)| self.failed(files[number], error))
    }

    fn extents(
        &mut self,
        file: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<Extent<'_>>, SourceError> {
        let store = self.store;
        let pieces = store.pieces(file, &range);
        let within =
            |piece: &VolumePiece| piece.offset.max(range.start)..piece.end().min(range.end);
        let plain = |piece: &VolumePiece| match piece.place {
            VolumePlace::Plain(at) => store
                .blocks
                .position(at + (within(piece).start - piece.offset)),
            VolumePlace::Encoded(..) | VolumePlace::Inline(_) => None,
        };
        let length = |piece: &VolumePiece| small(within(piece).end - within(piece).start);
        let held = || pieces.iter().filter(|piece| plain(piece).is_none());
        let mut buffer = std::mem::take(&mut self.held);
        let needed = held().map(length).sum();
        if buffer.len() < needed {
            buffer.resize(needed, 0);
        }
        let mut rest = &mut buffer[..needed];
        let mut places = Vec::new();
        for piece in held() {
            let (bytes, behind) = rest.split_at_mut(length(piece));
            let skip = within(piece).start - piece.offset;
            places.push(Place { piece, skip, bytes });
            rest = behind;
        }
        self.fill(places)
            .map_err(|(_, error)| self.failed(file, error))?;
        self.held = buffer;
        let mut rest = &self.held[..];
        let extents = pieces.iter().map(|piece| {
            let data = match plain(piece) {
                Some((fd, position)) => Data::Descriptor { fd, position },
                None => {
                    let (bytes, behind) = rest.split_at(length(piece));
                    rest = behind;
                    Data::Memory(bytes)
                }
            };
            Extent {
                offset: within(piece).start,
                length: within(piece).end - within(piece).start,
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
