//! Where the bytes of two things differ.

use std::ops::{ControlFlow, Range};

/// The bytes that are compared at once.
const PIECE: u64 = 1 << 20;

/// The first byte in which two pieces differ; the end of the shorter one if that is all.
pub(crate) fn first_of(one: &[u8], other: &[u8]) -> Option<usize> {
    let mut pairs = one.iter().zip(other);
    let found = pairs.position(|(one, other)| one != other);
    let shorter = one.len().min(other.len());
    found.or((one.len() != other.len()).then_some(shorter))
}

/// The pieces of a range in which two things differ, in order, until `told` has enough: each with the place where it begins. Each
/// thing fills a buffer with its bytes from a place on.
pub(crate) fn pieces<E>(
    range: Range<u64>,
    mut one: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    mut other: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    mut told: impl FnMut(u64, &[u8], &[u8]) -> ControlFlow<()>,
) -> Result<(), E> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut at = range.start;
    while at < range.end {
        let count = (range.end - at).min(PIECE);
        let length = usize::try_from(count).expect("at most PIECE");
        first.resize(length, 0);
        second.resize(length, 0);
        one(at, &mut first)?;
        other(at, &mut second)?;
        if first != second && told(at, &first, &second).is_break() {
            break;
        }
        at += count;
    }
    Ok(())
}

/// The first byte of a range in which two things differ.
pub(crate) fn first<E>(
    range: Range<u64>,
    one: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
    other: impl FnMut(u64, &mut [u8]) -> Result<(), E>,
) -> Result<Option<u64>, E> {
    let mut first = None;
    pieces(range, one, other, |at, one, other| {
        first = first_of(one, other).map(|found| at + found as u64);
        ControlFlow::Break(())
    })?;
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_is_found_in_whichever_piece_it_is() {
        let size = 3 * PIECE + 7;
        let reader = |other: Option<u64>| {
            move |at: u64, bytes: &mut [u8]| {
                for (place, byte) in (at..).zip(bytes) {
                    *byte = u8::from(Some(place) == other);
                }
                Ok::<_, ()>(())
            }
        };
        for place in [0, 1, PIECE - 1, PIECE, 3 * PIECE, size - 1] {
            let found = first(0..size, reader(None), reader(Some(place)));
            assert_eq!(found, Ok(Some(place)));
            let behind = first(place + 1..size, reader(None), reader(Some(place)));
            assert_eq!(behind, Ok(None));
        }
        assert_eq!(first_of(b"ab", b"abc"), Some(2));
        assert_eq!(first_of(b"abc", b"abc"), None);
    }

    #[test]
    fn every_piece_that_differs_is_told_and_what_fails_ends_it() {
        let mut told = Vec::new();
        let zeros = |_: u64, bytes: &mut [u8]| {
            bytes.fill(0);
            Ok(())
        };
        let ones = |at: u64, bytes: &mut [u8]| {
            bytes.fill(1);
            if at == 2 * PIECE {
                Err("no more")
            } else {
                Ok(())
            }
        };
        let done = pieces(0..4 * PIECE, zeros, ones, |at, _, _| {
            told.push(at);
            ControlFlow::Continue(())
        });
        assert_eq!(done, Err("no more"));
        assert_eq!(told, [0, PIECE]);
    }
}
