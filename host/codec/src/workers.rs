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

/// One codec worker. It is used by one thread, and for one block at a time: the thread fills [`Worker::room`] with the content
/// of a block, and takes what [`Worker::encode`] made of it before it asks for room again.
///
/// What comes out depends on the settings and the block alone. After an error the worker is not used again, and another is
/// started in its place for the next block.
pub trait Worker {
    /// Room for the content of a block of `length` bytes, from 1 to [`crate::BLOCK_LIMIT`]. What stands in it is
    /// not said.
    ///
    /// # Errors
    /// [`WorkerError`] if the worker is gone.
    fn room(&mut self, length: usize) -> Result<&mut [u8], WorkerError>;

    /// Compresses the block in the room that was given last.
    ///
    /// # Errors
    /// [`WorkerError`] if the codec fails, or the worker is gone or answers what cannot be: [`Encoded::is_of`] says what can.
    fn encode(&mut self, settings: &Settings) -> Result<Encoded<'_>, WorkerError>;
}

/// What came of a block.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'w> {
    /// The pieces, in the order of the block's bytes.
    pub pieces: &'w [Piece],
    /// The bytes of those that were kept, one behind the other.
    pub bytes: &'w [u8],
}

impl Encoded<'_> {
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

/// Why a block was not encoded.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The codec failed.
    #[error(transparent)]
    Codec(#[from] Failure),
    /// The worker is gone, does not answer, or answers what cannot be: what of it.
    #[error("the codec worker {0}")]
    Lost(String),
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
    /// The block; its room is kept.
    block: Vec<u8>,
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
}

impl Worker for Here {
    fn room(&mut self, length: usize) -> Result<&mut [u8], WorkerError> {
        self.block.resize(length, 0);
        Ok(&mut self.block)
    }

    fn encode(&mut self, settings: &Settings) -> Result<Encoded<'_>, WorkerError> {
        self.bytes.clear();
        self.pieces = self.codec.encode(settings, &self.block, &mut self.bytes)?;
        Ok(Encoded {
            pieces: &self.pieces,
            bytes: &self.bytes,
        })
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
            let encoded = worker.encode(&settings).unwrap();
            assert!(encoded.is_of(&settings, length), "{encoded:?}");
        }
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
