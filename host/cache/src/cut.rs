//! Where data is cut into chunks: where its content says so, so that two versions of a partition share what lies between.
//!
//! FastCDC (Xia et al., USENIX ATC 2016, in the form of 2020) finds the cuts.

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

/// Cuts the data of `range`, which `read` fills a buffer with by its offset, and hands each chunk with its offset to `take`.
///
/// # Errors
/// Those of `read` and `take`.
pub fn cut(
    range: Range<u64>,
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
        for chunk in FastCDC::new(&buffer, LEAST, AVERAGE, MOST as usize) {
            let end = chunk.offset + chunk.length;
            if !is_last && buffer.len() - chunk.offset < MOST as usize {
                // What follows may move its end.
                break;
            }
            take(start + chunk.offset as u64, &buffer[chunk.offset..end])?;
            done = end;
        }
        buffer.drain(..done);
        start += done as u64;
    }
    Ok(())
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
        let mut chunks = Vec::new();
        let read = |offset: u64, buffer: &mut [u8]| {
            let offset = usize::try_from(offset).unwrap() - 4096;
            buffer.copy_from_slice(&data[offset..offset + buffer.len()]);
            Ok(())
        };
        let range = 4096..4096 + data.len() as u64;
        cut(range, &read, &mut |offset, chunk| {
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
}
