//! Where data is cut into chunks: where its content says so, so that two versions of a partition share what lies between.
//!
//! Where content moves by whole blocks, chunks end with the block in which FastCDC finds a cut: a disk that can have files share blocks then needs no
//! copy of a chunk. FastCDC (Xia et al., USENIX ATC 2016, in the form of 2020) finds them.

use std::io;
use std::ops::Range;

use fastcdc::v2020::FastCDC;

/// The fewest bytes of a chunk, unless its data ends.
pub(crate) const LEAST: usize = 64 << 10;
/// What chunks have on average.
const AVERAGE: usize = 256 << 10;
/// The most bytes of a chunk: what nginx takes unless it is told otherwise.
pub const MOST: u32 = 1 << 20;
/// The bytes that are looked at together.
const WINDOW: usize = 8 << 20;

/// Cuts the data of `range`, which `read` fills a buffer with by its offset, and hands each chunk with its offset to `take`. Chunks end at
/// multiples of `block` bytes, a divisor of 64 KiB, or with the range.
///
/// # Errors
/// Those of `read` and `take`.
pub fn cut(
    range: Range<u64>,
    block: u32,
    read: &dyn Fn(u64, &mut [u8]) -> io::Result<()>,
    take: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    // Where the buffer begins.
    let mut start = range.start;
    while start < range.end {
        let kept = buffer.len();
        let left = range.end - start - kept as u64;
        let more = usize::try_from(left).map_or(WINDOW, |left| left.min(WINDOW));
        buffer.resize(kept + more, 0);
        read(start + kept as u64, &mut buffer[kept..])?;
        let is_last = more as u64 == left;
        let mut done = 0;
        let chunks = FastCDC::new(&buffer, LEAST, AVERAGE, MOST as usize);
        // As long as nothing that follows may move its end.
        while done < buffer.len() && (is_last || buffer.len() - done >= MOST as usize) {
            let (_, end) = chunks.cut(done, buffer.len() - done);
            let end = block_end(start, done..end, block).min(buffer.len());
            take(start + done as u64, &buffer[done..end])?;
            done = end;
        }
        buffer.drain(..done);
        start += done as u64;
    }
    Ok(())
}

/// Where a chunk ends that may be cut at the end of `chunk`, which is a range of what begins at `start`: with a block, after at most
/// [`MOST`] bytes.
fn block_end(start: u64, chunk: Range<usize>, block: u32) -> usize {
    let end = start + chunk.end as u64;
    let ahead = end.next_multiple_of(block.into()) - end;
    let end = chunk.end + usize::try_from(ahead).expect("less than a block");
    match end - chunk.start > MOST as usize {
        true => end - block as usize,
        false => end,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    fn noise(length: usize, mut state: u64) -> Vec<u8> {
        let bytes = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        });
        bytes.take(length).collect()
    }

    fn chunks(data: &[u8]) -> Vec<(u64, Vec<u8>)> {
        chunks_of(data, 1)
    }

    fn chunks_of(data: &[u8], block: u32) -> Vec<(u64, Vec<u8>)> {
        let mut chunks = Vec::new();
        let read = |offset: u64, buffer: &mut [u8]| {
            let offset = usize::try_from(offset).unwrap() - 4096;
            buffer.copy_from_slice(&data[offset..offset + buffer.len()]);
            Ok(())
        };
        let range = 4096..4096 + data.len() as u64;
        cut(range, block, &read, &mut |offset, chunk| {
            chunks.push((offset - 4096, chunk.to_vec()));
            Ok(())
        })
        .unwrap();
        chunks
    }

    #[test]
    fn chunks_are_the_data_whatever_the_windows() {
        for length in [0, 1, LEAST, WINDOW - 1, WINDOW, WINDOW * 2 + 12_345] {
            let data = noise(length, 1);
            let mut joined = Vec::new();
            for (offset, chunk) in chunks(&data) {
                assert_eq!(offset, joined.len() as u64);
                assert!(chunk.len() <= MOST as usize);
                joined.extend(chunk);
            }
            assert!(joined == data, "{length} bytes");
            // The cuts are those of all data at once: windows leave no trace.
            let lengths: Vec<usize> = chunks(&data).iter().map(|(_, it)| it.len()).collect();
            let whole: Vec<usize> = FastCDC::new(&data, LEAST, AVERAGE, MOST as usize)
                .map(|chunk| chunk.length)
                .collect();
            assert_eq!(lengths, whole);
        }
    }

    #[test]
    fn an_insertion_changes_the_chunks_around_it_alone() {
        let before = noise(WINDOW, 2);
        let mut after = before.clone();
        after.splice(3_000_000..3_000_000, noise(5000, 3));
        let of = |data: &[u8]| -> BTreeSet<Vec<u8>> {
            chunks(data).into_iter().map(|(_, chunk)| chunk).collect()
        };
        let (before, after) = (of(&before), of(&after));
        let new = after.difference(&before).count();
        assert!(after.len() >= 16, "{} chunks", after.len());
        assert!(new <= 3, "{new} of {} chunks are new", after.len());
    }

    #[test]
    fn chunks_end_with_blocks_and_are_no_longer_than_they_may_be() {
        let zeros = vec![0; 5 << 20];
        for data in [noise(WINDOW * 2 + 12_345, 4), zeros] {
            let all = chunks_of(&data, 4096);
            let mut joined: Vec<u8> = Vec::new();
            for (offset, chunk) in &all {
                assert_eq!(*offset, joined.len() as u64);
                assert!(offset.is_multiple_of(4096) && chunk.len() <= MOST as usize);
                joined.extend(chunk);
            }
            assert!(joined == data);
        }
    }

    #[test]
    fn a_range_may_begin_within_a_block() {
        let data = noise(5 << 20, 6);
        let mut ends = Vec::new();
        let read = |offset: u64, buffer: &mut [u8]| {
            let offset = usize::try_from(offset).unwrap() - 512;
            buffer.copy_from_slice(&data[offset..offset + buffer.len()]);
            Ok(())
        };
        let range = 512..512 + data.len() as u64;
        cut(range.clone(), 4096, &read, &mut |offset, chunk| {
            assert!(chunk.len() <= MOST as usize);
            assert_eq!(offset, ends.last().copied().unwrap_or(range.start));
            ends.push(offset + chunk.len() as u64);
            Ok(())
        })
        .unwrap();
        assert_eq!(ends.pop(), Some(range.end));
        assert!(ends.len() > 5 && ends.iter().all(|end| end.is_multiple_of(4096)));
    }

    #[test]
    fn blocks_that_are_inserted_change_the_chunks_around_them_alone() {
        let before = noise(WINDOW, 2);
        let mut after = before.clone();
        let at = 700 * 4096;
        after.splice(at..at, noise(3 * 4096, 3));
        let of = |data: &[u8]| -> BTreeSet<Vec<u8>> {
            let chunks = chunks_of(data, 4096).into_iter();
            chunks.map(|(_, chunk)| chunk).collect()
        };
        let (before, after) = (of(&before), of(&after));
        let new = after.difference(&before).count();
        assert!(after.len() >= 16, "{} chunks", after.len());
        assert!(new <= 3, "{new} of {} chunks are new", after.len());
    }
}
