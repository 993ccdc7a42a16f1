#![allow(clippy::unwrap_used)]

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::super::small;
use super::reader::{Place, VolumeReader};
use super::*;
use crate::volume::{Coding, Decoder, Decoding};

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
        let mut reader = VolumeReader::of(&store);
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

/// What came of blocks, or which one failed.
type Together = Result<Vec<Vec<u8>>, (usize, io::Error)>;

/// Blocks at these offsets, each of so many bytes: what came of them, and how many were decoded together.
fn decoded_together(offsets: Range<u64>, size: u32) -> (Together, Vec<usize>) {
    let together = Arc::default();
    let decoders = Arc::new(Offsets(Arc::clone(&together)));
    let store = VolumeStore::new(PathBuf::new(), Arc::new(Zeros), decoders, vec![]);
    let mut reader = VolumeReader::of(&store);
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
    let places = blocks.iter().zip(places).enumerate();
    let places = places.map(|(number, (block, place))| (number, block, place));
    let done = reader.decode_whole(places.collect());
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
    let (number, error) = found.unwrap_err();
    assert_eq!(number, 2);
    assert_eq!(
        error.to_string(),
        "the block of 109 bytes at byte 99 of the partition: no"
    );
    let (found, _) = decoded_together(97..99, 100);
    let (number, error) = found.unwrap_err();
    assert_eq!(number, 1);
    assert_eq!(
        error.to_string(),
        "99 bytes come out of a block that has 100 of the file"
    );
}

/// A part of what comes out of the block at `offset`: `length` bytes from `skip` on.
fn part(offset: u64, skip: u32, length: u64) -> VolumePiece {
    let block = EncodedBlock {
        coding: Coding::Zstd,
        offset,
        length: 10,
        padded: false,
        decoded: 100,
    };
    VolumePiece {
        offset: 0,
        length,
        place: VolumePlace::Encoded(Box::new(block), skip),
    }
}

#[test]
fn blocks_that_files_share_are_decoded_together_and_once() {
    let together = Arc::default();
    let decoders = Arc::new(Offsets(Arc::clone(&together)));
    let store = VolumeStore::new(PathBuf::new(), Arc::new(Zeros), decoders, vec![]);
    let fill = |parts: &[VolumePiece]| {
        let mut reader = VolumeReader::of(&store);
        let lengths = parts.iter().map(|piece| vec![0; small(piece.length)]);
        let mut contents: Vec<Vec<u8>> = lengths.collect();
        let places = parts.iter().zip(&mut contents).map(|(piece, bytes)| Place {
            piece,
            skip: 0,
            bytes,
        });
        let filled = reader.fill(places.collect());
        filled.map(|()| contents)
    };
    // The third is a whole block.
    let parts = [
        part(1, 0, 10),
        part(1, 10, 90),
        part(2, 0, 100),
        part(3, 99, 1),
    ];
    let expected = [vec![1; 10], vec![1; 90], vec![2; 100], vec![3; 1]];
    assert!(fill(&parts).unwrap() == expected);
    assert_eq!(std::mem::take(&mut *together.lock().unwrap()), [2, 1]);
    // What is known is not decoded again.
    assert!(fill(&parts[..2]).unwrap() == expected[..2]);
    assert!(together.lock().unwrap().is_empty());
    // Of those that fail together, the one that is damaged is told, and the others can be had.
    let (number, error) = fill(&[part(4, 5, 1), part(99, 5, 1), part(5, 5, 1)]).unwrap_err();
    assert_eq!(number, 1);
    assert!(error.to_string().ends_with(": no"), "{error}");
    assert!(fill(&[part(4, 5, 1), part(5, 5, 1)]).unwrap() == [[4], [5]]);
}
