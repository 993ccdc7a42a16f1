//! Images with flipped bytes: each is read, or refused with a word, in a bounded number of steps.

use std::cell::{Cell, RefCell};

use cellblock_codec::Unpacker;
use cellblock_guest::reader::{
    DecodeError, Encoded, FileExtent, Listing, Partition, Reader, ReaderError, ReaderRequest,
    Volume,
};
use cellblock_guest::{Batch, PartitionError};

/// The most bytes that are decoded of an image.
const DECODED: u64 = 64 << 20;

/// An image in memory, which counts what is asked of it.
pub struct BytesPartition<'a> {
    image: &'a [u8],
    read: Cell<u64>,
    decoded: Cell<u64>,
    unpacker: &'a RefCell<Unpacker>,
}

impl<'a> BytesPartition<'a> {
    /// Nothing was asked of it yet.
    pub fn new(image: &'a [u8], unpacker: &'a RefCell<Unpacker>) -> Self {
        Self {
            image,
            read: Cell::new(0),
            decoded: Cell::new(0),
            unpacker,
        }
    }
}

impl Partition for BytesPartition<'_> {
    fn size(&self) -> u64 {
        self.image.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), PartitionError> {
        // A call costs something even if it reads nothing.
        self.read.set(self.read.get() + buffer.len() as u64 + 16);
        let start = usize::try_from(offset).map_err(|_| PartitionError::OutOfRange)?;
        let bytes = start
            .checked_add(buffer.len())
            .and_then(|end| self.image.get(start..end))
            .ok_or(PartitionError::OutOfRange)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn decode(&self, blocks: &[Encoded]) -> Result<Vec<Vec<u8>>, DecodeError> {
        let mut unpacker = self.unpacker.borrow_mut();
        let decoded = (0..).zip(blocks).map(|(index, block)| {
            if block.length == 0 || block.decoded == 0 {
                return Err(DecodeError::Outside(index));
            }
            let total = self.decoded.get() + u64::from(block.decoded);
            self.decoded.set(total);
            if total > DECODED {
                return Err(DecodeError::Exhausted);
            }
            let bytes = self
                .bytes(block.offset, block.length as usize)
                .map_err(|_| DecodeError::Outside(index))?;
            unpacker
                .unpack(
                    block.codec.into(),
                    &bytes,
                    block.padded,
                    block.decoded as usize,
                )
                .map_err(|_| DecodeError::Damaged(index))
        });
        decoded.collect()
    }
}

/// Counts what it is told.
#[derive(Default)]
struct Count {
    nodes: usize,
    extents: usize,
}

impl Listing for Count {
    fn nodes(&mut self, batch: Batch) {
        self.nodes += batch.len();
    }

    fn extents(&mut self, batch: Vec<FileExtent>) {
        assert!(batch.iter().all(|extent| extent.length > 0));
        self.extents += batch.len();
    }

    fn warn(&mut self, message: &str) {
        assert!(!message.is_empty());
    }
}

/// What comes of reading `image`.
///
/// # Panics
/// If the reader takes more steps than an image of this size can ask for.
pub fn outcome<R: Reader>(image: &[u8]) -> Result<Volume, ReaderError> {
    outcome_with::<R>(image, &RefCell::default())
}

fn outcome_with<R: Reader>(
    image: &[u8],
    unpacker: &RefCell<Unpacker>,
) -> Result<Volume, ReaderError> {
    let partition = BytesPartition::new(image, unpacker);
    let mut count = Count::default();
    let read = R::read(&ReaderRequest { extents: true }, &partition, &mut count);
    let metadata = image.len() + usize::try_from(partition.decoded.get()).unwrap();
    assert!(count.nodes <= metadata, "{} nodes", count.nodes);
    assert!(count.extents <= metadata, "{} extents", count.extents);
    let read_bytes = partition.read.get();
    assert!(read_bytes <= 64 * metadata as u64, "{read_bytes} bytes");
    if let Err(ReaderError::Damaged {
        structure, problem, ..
    }) = &read
    {
        assert!(!structure.is_empty() && !problem.is_empty());
    }
    read
}

/// How often each image is read: `CELLBLOCK_FLIPS`, or often enough for a test among others.
fn rounds() -> u64 {
    let rounds = std::env::var("CELLBLOCK_FLIPS");
    rounds.map_or(300, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Reads `image` with bytes of it flipped, again and again: in `places`, if it has bytes that matter more than others.
/// How many were read, and how many refused.
///
/// # Panics
/// If the reader does, or takes too many steps; the round is printed.
pub fn survives_flips<R: Reader>(
    image: &[u8],
    places: &[std::ops::Range<usize>],
) -> (usize, usize) {
    survives_mended_flips::<R>(image, places, &|_| {})
}

/// The same, with `mend` at work on each image after its bytes are flipped, so that what checksums guard is reached.
///
/// # Panics
/// As [`survives_flips`].
pub fn survives_mended_flips<R: Reader>(
    image: &[u8],
    places: &[std::ops::Range<usize>],
    mend: &dyn Fn(&mut [u8]),
) -> (usize, usize) {
    let unpacker = RefCell::default();
    let (mut read, mut refused) = (0, 0);
    let mut flipped = image.to_vec();
    for round in 0..rounds() {
        println!("round {round}");
        let mut random = Random(round.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..=random.below(4) {
            let range = match places {
                [] => 0..image.len(),
                places => places[random.below(places.len())].clone(),
            };
            let at = range.start + random.below(range.len());
            let kind = random.below(4);
            for byte in flipped[at..].iter_mut().take(4) {
                match kind {
                    0 => *byte ^= 1 << random.below(8),
                    1 => *byte = 0xFF,
                    2 => *byte = 0,
                    _ => *byte = random.next().to_le_bytes()[0],
                }
                if random.below(2) == 0 {
                    break;
                }
            }
        }
        mend(&mut flipped);
        match outcome_with::<R>(&flipped, &unpacker) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
        // What was mended may be anywhere.
        flipped.copy_from_slice(image);
    }
    (read, refused)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap();
        usize::try_from((self.next() >> 8) % limit).unwrap()
    }
}
