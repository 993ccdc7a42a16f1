//! Who runs the codecs.

use crate::{Codec, Failure, Piece, Settings};

/// Starts codec workers: one for each thread that encodes, when it has its first block.
pub trait Workers: Send + Sync {
    /// A worker for the thread that asks.
    ///
    /// # Errors
    /// [`WorkerError`] if there can be none here.
    fn start(&self) -> Result<Box<dyn Worker>, WorkerError>;
}

/// One codec worker. It is used by one thread: the thread fills [`Worker::room`] with the content of a block, or of several that
/// are short, and takes what [`Worker::encode`] made of them before it asks for room again.
///
/// What comes out depends on the settings and the block alone, not on those beside it. After an error the worker is not used
/// again, and another is started in its place for the next block.
pub trait Worker {
    /// Room for the content of blocks of `length` bytes together, from 1 to [`crate::BLOCK_LIMIT`]. What stands in it is
    /// not said.
    ///
    /// # Errors
    /// [`WorkerError`] if the worker is gone.
    fn room(&mut self, length: usize) -> Result<&mut [u8], WorkerError>;

    /// Compresses the blocks in the room that was given last, which they may leave a part of: what came of each.
    ///
    /// # Errors
    /// [`WorkerError`] if the codec fails, or the worker is gone or answers what cannot be: [`Encoded::is_of`] says what can.
    fn encode(&mut self, blocks: &[Block]) -> Result<Vec<Encoded<'_>>, WorkerError>;
}

/// A block in the room of a worker: each stands behind the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// How it is compressed.
    pub settings: Settings,
    /// In bytes, from 1 on.
    pub length: usize,
}

/// What came of a block.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'w> {
    /// The pieces, in the order of the block's bytes.
    pub pieces: &'w [Piece],
    /// The bytes of those that were kept, one behind the other.
    pub bytes: &'w [u8],
}

impl<'w> Encoded<'w> {
    /// What came of each of `blocks`, of whose pieces and kept bytes all stand one behind the other; nothing if pieces do not
    /// end where blocks do, or are not all of the bytes.
    #[must_use]
    pub fn of_each(blocks: &[Block], pieces: &'w [Piece], bytes: &'w [u8]) -> Option<Vec<Self>> {
        let (mut pieces, mut bytes) = (pieces, bytes);
        let mut each = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (mut count, mut consumed, mut produced) = (0, 0_u64, 0_u64);
            while consumed < block.length as u64 {
                let piece = pieces.get(count)?;
                consumed += u64::from(piece.consumed);
                produced += u64::from(piece.produced);
                count += 1;
            }
            if consumed != block.length as u64 {
                return None;
            }
            let (own, others) = pieces.split_at(count);
            let (kept, rest) = bytes.split_at_checked(usize::try_from(produced).ok()?)?;
            each.push(Self {
                pieces: own,
                bytes: kept,
            });
            (pieces, bytes) = (others, rest);
        }
        (pieces.is_empty() && bytes.is_empty()).then_some(each)
    }

    /// Whether the lengths can be those of a block of `length` bytes under `settings`: all that is believed of a worker.
    pub fn is_of(&self, settings: &Settings, length: usize) -> bool {
        let sum = |of: fn(&Piece) -> u32| {
            self.pieces
                .iter()
                .map(|piece| u64::from(of(piece)))
                .sum::<u64>()
        };
        let unit = settings.unit.max(1);
        let can_be = |piece: &Piece| {
            let saves = piece.produced.div_ceil(unit) < piece.consumed.div_ceil(unit);
            let fits = settings.limit == 0 || piece.produced <= settings.limit;
            piece.consumed > 0 && (piece.produced == 0 || (saves && fits))
        };
        (settings.limit != 0 || self.pieces.len() == 1)
            && sum(|piece| piece.consumed) == length as u64
            && sum(|piece| piece.produced) == self.bytes.len() as u64
            && self.pieces.iter().all(can_be)
    }
}

/// Small blocks are given to a worker together, up to so many bytes: to have a process do something is two switches.
pub const TOGETHER: usize = 256 << 10;
/// The most blocks that it is given together.
pub const MOST_TOGETHER: usize = 64;

/// What `worker` makes of the blocks in its room: one of each, with lengths that can be.
///
/// # Errors
/// As [`Worker::encode`], and if it answers what cannot be.
pub fn encoded<'w>(
    worker: &'w mut dyn Worker,
    blocks: &[Block],
) -> Result<Vec<Encoded<'w>>, WorkerError> {
    let encoded = worker.encode(blocks)?;
    let can_be = |(one, block): (&Encoded<'_>, &Block)| one.is_of(&block.settings, block.length);
    if encoded.len() == blocks.len() && encoded.iter().zip(blocks).all(can_be) {
        return Ok(encoded);
    }
    let what = "answers lengths that cannot be".to_owned();
    Err(WorkerError::Lost(what))
}

/// Why a block was not encoded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WorkerError {
    /// The codec failed.
    #[error(transparent)]
    Codec(#[from] Failure),
    /// The worker is gone, does not answer, or answers what cannot be: what of it.
    #[error("the codec worker {0}")]
    Lost(String),
}

/// Compresses `blocks` of `room`: their pieces and what of them is kept go behind those that are there.
///
/// # Errors
/// [`Failure`] of the first that cannot be compressed, or does not stand in `room`.
pub fn encode_all(
    codec: &mut Codec,
    blocks: &[Block],
    room: &[u8],
    pieces: &mut Vec<Piece>,
    bytes: &mut Vec<u8>,
) -> Result<(), Failure> {
    let mut room = room;
    for Block { settings, length } in blocks {
        let missing = || Failure::Block { length: *length };
        let (block, rest) = room.split_at_checked(*length).ok_or_else(missing)?;
        pieces.extend(codec.encode(settings, block, bytes)?);
        room = rest;
    }
    Ok(())
}

/// Workers that are threads of this process.
pub struct Threads;

impl Workers for Threads {
    fn start(&self) -> Result<Box<dyn Worker>, WorkerError> {
        Ok(Box::new(Here::default()))
    }
}

/// A codec in the thread that uses it.
#[derive(Default)]
struct Here {
    codec: Codec,
    /// The blocks; their room is kept.
    room: Vec<u8>,
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
}

impl Worker for Here {
    fn room(&mut self, length: usize) -> Result<&mut [u8], WorkerError> {
        self.room.resize(length, 0);
        Ok(&mut self.room)
    }

    fn encode(&mut self, blocks: &[Block]) -> Result<Vec<Encoded<'_>>, WorkerError> {
        self.bytes.clear();
        self.pieces.clear();
        encode_all(
            &mut self.codec,
            blocks,
            &self.room,
            &mut self.pieces,
            &mut self.bytes,
        )?;
        let each = Encoded::of_each(blocks, &self.pieces, &self.bytes);
        Ok(each.expect("the codec takes whole blocks"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::Method;

    use super::*;

    #[test]
    fn a_worker_is_used_for_block_after_block() {
        let mut worker = Threads.start().unwrap();
        let settings = Settings::new(Method::Zstd, 1);
        for length in [100_000, 10, 50_000] {
            worker.room(length).unwrap().fill(7);
            let encoded = worker.encode(&[Block { settings, length }]).unwrap();
            assert!(encoded[0].is_of(&settings, length), "{encoded:?}");
        }
    }

    #[test]
    fn blocks_become_together_what_they_become_alone() {
        let whole = Settings::new(Method::Zstd, 3);
        let limited = Settings {
            limit: 4096,
            unit: 512,
            ..Settings::new(Method::Lz4, 0)
        };
        let blocks = [(whole, 9000), (limited, 100_000), (limited, 1), (whole, 70)]
            .map(|(settings, length)| Block { settings, length });
        let content: Vec<u8> = (0..120_000_u32)
            .map(|at| (at / 7 % 251).to_le_bytes()[0])
            .collect();
        let mut worker = Threads.start().unwrap();
        let room = worker.room(content.len()).unwrap();
        room.copy_from_slice(&content);
        let together = worker.encode(&blocks).unwrap();
        assert_eq!(together.len(), blocks.len());
        let mut start = 0;
        for (block, encoded) in blocks.iter().zip(together) {
            let own = &content[start..][..block.length];
            let mut bytes = Vec::new();
            let pieces = Codec::new()
                .encode(&block.settings, own, &mut bytes)
                .unwrap();
            assert_eq!((encoded.pieces, encoded.bytes), (&pieces[..], &bytes[..]));
            start += block.length;
        }
    }

    #[test]
    fn pieces_belong_to_the_blocks_that_they_end_with() {
        let blocks = [1000, 500].map(|length| Block {
            settings: Settings::new(Method::Lz4, 0),
            length,
        });
        let each = |lengths: &[(u32, u32)], kept: usize| {
            let pieces: Vec<Piece> = lengths
                .iter()
                .map(|&(consumed, produced)| Piece { consumed, produced })
                .collect();
            let bytes = vec![0; kept];
            Encoded::of_each(&blocks, &pieces, &bytes)
                .map(|each| each.iter().map(|it| it.bytes.len()).collect::<Vec<_>>())
        };
        assert_eq!(each(&[(400, 7), (600, 0), (500, 3)], 10), Some(vec![7, 3]));
        // A piece of two blocks, too few, too many, and other bytes than there are.
        assert_eq!(each(&[(1500, 10)], 10), None);
        assert_eq!(each(&[(1000, 10)], 10), None);
        assert_eq!(each(&[(1000, 5), (500, 5), (0, 0)], 10), None);
        assert_eq!(each(&[(1000, 5), (500, 5)], 11), None);
        assert_eq!(each(&[(1000, 5), (500, u32::MAX)], 10), None);
    }

    #[test]
    fn lengths_that_cannot_be_are_not_believed() {
        let whole = Settings {
            unit: 512,
            ..Settings::new(Method::Zstd, 1)
        };
        let limited = Settings {
            limit: 1024,
            ..whole
        };
        let piece = |consumed, produced| Piece { consumed, produced };
        let is_of = |settings: &Settings, pieces: &[Piece], bytes: usize, length| {
            Encoded {
                pieces,
                bytes: &vec![0; bytes],
            }
            .is_of(settings, length)
        };
        assert!(is_of(&whole, &[piece(2000, 512)], 512, 2000));
        assert!(is_of(&whole, &[piece(2000, 0)], 0, 2000));
        assert!(is_of(
            &limited,
            &[piece(1500, 1024), piece(500, 0)],
            1024,
            2000
        ));
        // Other numbers of bytes than there are.
        assert!(!is_of(&whole, &[piece(2000, 512)], 511, 2000));
        assert!(!is_of(&whole, &[piece(1999, 512)], 512, 2000));
        assert!(!is_of(&whole, &[piece(u32::MAX, 512)], 512, 2000));
        // No piece, an empty one, or more than one.
        assert!(!is_of(&whole, &[], 0, 2000));
        assert!(!is_of(
            &limited,
            &[piece(2000, 512), piece(0, 512)],
            1024,
            2000
        ));
        assert!(!is_of(
            &whole,
            &[piece(1000, 512), piece(1000, 512)],
            1024,
            2000
        ));
        // Longer than the limit, or kept without a unit saved.
        assert!(!is_of(&limited, &[piece(2000, 1025)], 1025, 2000));
        assert!(!is_of(&whole, &[piece(2000, 1537)], 1537, 2000));
    }
}
