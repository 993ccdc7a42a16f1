//! Lists of numbers as they cross the wall: little-endian, in the order of the contract's fields, one behind the other.

use crate::bindings::encoding::cellblock::format::digests::Digest;
use crate::bindings::encoding::cellblock::format::encoding::{Blocks, Piece, PiecePlacement, Span};
use crate::bindings::reading::cellblock::format::listing::{
    Codec, Encoded, Extent, Extents, Part, Place,
};

/// A record of a list, in `N` bytes.
pub(super) trait Listed<const N: usize>: Sized {
    fn to_bytes(&self) -> [u8; N];
    fn from_bytes(bytes: &mut Fields<'_>) -> Self;
}

/// The bytes of a record that are not taken yet.
pub(super) struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self
            .0
            .split_first_chunk()
            .expect("a record has all its fields");
        self.0 = rest;
        *field
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

/// A list as bytes.
pub(super) fn to_bytes<T: Listed<N>, const N: usize>(list: &[T]) -> Vec<u8> {
    list.iter().flat_map(T::to_bytes).collect()
}

/// The list that was made into `bytes`; none if these are no whole number of records.
pub(super) fn from_bytes<T: Listed<N>, const N: usize>(bytes: &[u8]) -> Option<Vec<T>> {
    let (records, rest) = bytes.as_chunks::<N>();
    let record = |bytes: &[u8; N]| T::from_bytes(&mut Fields(bytes));
    rest.is_empty()
        .then(|| records.iter().map(record).collect())
}

/// Blocks as bytes, after the number of their counts.
pub(super) fn blocks_to_bytes(blocks: &Blocks) -> (u32, Vec<u8>) {
    let counts = u32::try_from(blocks.counts.len()).expect("what crosses in one call is bounded");
    let mut bytes = to_bytes(&blocks.counts);
    bytes.extend(to_bytes(&blocks.spans));
    (counts, bytes)
}

/// The blocks that were made into `bytes`; none if these are not as long as `counts` asks for.
pub(super) fn blocks_from_bytes(counts: u32, bytes: &[u8]) -> Option<Blocks> {
    let length = usize::try_from(counts)
        .ok()?
        .checked_mul(size_of::<u32>())?;
    let (counts, spans) = bytes.split_at_checked(length)?;
    Some(Blocks {
        counts: from_bytes(counts)?,
        spans: from_bytes(spans)?,
    })
}

/// Extents as bytes, after their number.
pub(super) fn extents_to_bytes(extents: &Extents) -> (u32, Vec<u8>) {
    let count = u32::try_from(extents.items.len()).expect("what crosses in one call is bounded");
    let mut bytes = to_bytes(&extents.items);
    bytes.extend(&extents.inline);
    (count, bytes)
}

/// The extents that were made into `bytes`; none if these are shorter than `count` asks for.
pub(super) fn extents_from_bytes(count: u32, bytes: &[u8]) -> Option<Extents> {
    let length = usize::try_from(count).ok()?.checked_mul(EXTENT)?;
    let (items, inline) = bytes.split_at_checked(length)?;
    Some(Extents {
        items: from_bytes::<Extent, EXTENT>(items)?,
        inline: inline.to_vec(),
    })
}

/// `bytes` in parts of these lengths; none if they are not as long as all of them.
pub(super) fn cut(lengths: &[u32], bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut rest = bytes;
    let parts = lengths.iter().map(|length| {
        let (part, behind) = rest.split_at_checked(usize::try_from(*length).ok()?)?;
        rest = behind;
        Some(part.to_vec())
    });
    let parts = parts.collect::<Option<_>>()?;
    rest.is_empty().then_some(parts)
}

impl Listed<4> for u32 {
    fn to_bytes(&self) -> [u8; 4] {
        self.to_le_bytes()
    }

    fn from_bytes(bytes: &mut Fields<'_>) -> Self {
        bytes.u32()
    }
}

/// The bytes of an encoded block.
const ENCODED: usize = 18;
/// The bytes of an extent: file, offset, length, what its place is, and the block with what to skip, or an offset.
const EXTENT: usize = 4 + 8 + 8 + 1 + ENCODED + 4;

/// Each codec with its number.
const CODECS: [Codec; 8] = [
    Codec::Deflate,
    Codec::Zlib,
    Codec::Lz4,
    Codec::Lzo,
    Codec::Zstd,
    Codec::Xz,
    Codec::Lzma,
    Codec::MicroLzma,
];

impl Listed<ENCODED> for Encoded {
    fn to_bytes(&self) -> [u8; ENCODED] {
        let mut bytes = [0; ENCODED];
        bytes[0] = self.codec as u8;
        bytes[1..9].copy_from_slice(&self.offset.to_le_bytes());
        bytes[9..13].copy_from_slice(&self.length.to_le_bytes());
        bytes[13] = self.padded.into();
        bytes[14..].copy_from_slice(&self.decoded.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &mut Fields<'_>) -> Self {
        let [number] = bytes.take();
        Self {
            // A number that is none is of somebody who has taken the process over: whatever comes of it is checked.
            codec: CODECS
                .into_iter()
                .find(|codec| *codec as u8 == number)
                .unwrap_or(Codec::Deflate),
            offset: bytes.u64(),
            length: bytes.u32(),
            padded: bytes.take() != [0],
            decoded: bytes.u32(),
        }
    }
}

impl Listed<EXTENT> for Extent {
    fn to_bytes(&self) -> [u8; EXTENT] {
        let mut bytes = [0; EXTENT];
        bytes[..4].copy_from_slice(&self.file.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.offset.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.length.to_le_bytes());
        match &self.place {
            Place::Plain(offset) => {
                bytes[20] = 1;
                bytes[22..30].copy_from_slice(&offset.to_le_bytes());
            }
            Place::Encoded(Part { block, skip }) => {
                bytes[20] = 2;
                bytes[21..21 + ENCODED].copy_from_slice(&block.to_bytes());
                bytes[21 + ENCODED..].copy_from_slice(&skip.to_le_bytes());
            }
            Place::Inline => {}
        }
        bytes
    }

    fn from_bytes(bytes: &mut Fields<'_>) -> Self {
        let (file, offset, length) = (bytes.u32(), bytes.u64(), bytes.u64());
        let [what] = bytes.take();
        let block = Encoded::from_bytes(bytes);
        let skip = bytes.u32();
        Self {
            file,
            offset,
            length,
            place: match what {
                1 => Place::Plain(block.offset),
                2 => Place::Encoded(Part { block, skip }),
                _ => Place::Inline,
            },
        }
    }
}

impl Listed<20> for Span {
    fn to_bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.file.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.offset.to_le_bytes());
        bytes[12..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &mut Fields<'_>) -> Self {
        Self {
            file: bytes.u32(),
            offset: bytes.u64(),
            length: bytes.u64(),
        }
    }
}

impl Listed<8> for Piece {
    fn to_bytes(&self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.consumed.to_le_bytes());
        bytes[4..].copy_from_slice(&self.produced.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &mut Fields<'_>) -> Self {
        Self {
            consumed: bytes.u32(),
            produced: bytes.u32(),
        }
    }
}

impl Listed<20> for PiecePlacement {
    fn to_bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.piece.to_le_bytes());
        bytes[4..12].copy_from_slice(&self.partition_offset.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.leading.to_le_bytes());
        bytes[16..].copy_from_slice(&self.padding.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &mut Fields<'_>) -> Self {
        Self {
            piece: bytes.u32(),
            partition_offset: bytes.u64(),
            leading: bytes.u32(),
            padding: bytes.u32(),
        }
    }
}

impl Listed<32> for Digest {
    fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (word, place) in [self.a, self.b, self.c, self.d]
            .iter()
            .zip(bytes.as_chunks_mut().0)
        {
            *place = word.to_le_bytes();
        }
        bytes
    }

    fn from_bytes(bytes: &mut Fields<'_>) -> Self {
        Self {
            a: bytes.u64(),
            b: bytes.u64(),
            c: bytes.u64(),
            d: bytes.u64(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn comes_back<T: Listed<N>, const N: usize>(list: &[T]) {
        let bytes = to_bytes(list);
        assert_eq!(bytes.len(), list.len() * N);
        assert_eq!(to_bytes(&from_bytes::<T, N>(&bytes).unwrap()), bytes);
        assert!(from_bytes::<T, N>(&bytes[1..]).is_none());
    }

    #[test]
    fn lists_arrive_as_they_went() {
        let span = |file| Span {
            file,
            offset: u64::MAX - 1,
            length: 1 << 40,
        };
        let spans = [span(7), span(u32::MAX)];
        comes_back(&spans);
        comes_back(&[
            Piece {
                consumed: 1,
                produced: u32::MAX,
            },
            Piece {
                consumed: 2,
                produced: 0,
            },
        ]);
        comes_back(&[PiecePlacement {
            piece: 1,
            partition_offset: u64::MAX,
            leading: 2,
            padding: u32::MAX,
        }]);
        comes_back(&[Digest {
            a: 1,
            b: u64::MAX,
            c: 3,
            d: 4,
        }]);
        let blocks = Blocks {
            counts: vec![2, 0],
            spans: spans.into(),
        };
        let (counts, bytes) = blocks_to_bytes(&blocks);
        let arrived = blocks_from_bytes(counts, &bytes).unwrap();
        assert_eq!(arrived.counts, [2, 0]);
        let seen: Vec<_> = arrived
            .spans
            .iter()
            .map(|it| (it.file, it.offset, it.length))
            .collect();
        assert_eq!(
            seen,
            [
                (7, u64::MAX - 1, 1 << 40),
                (u32::MAX, u64::MAX - 1, 1 << 40)
            ]
        );
        for counts in [1, 3, u32::MAX] {
            assert!(blocks_from_bytes(counts, &bytes).is_none());
        }
    }
}
