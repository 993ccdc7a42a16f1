//! What does not compress, in the forms of formats that hold nothing else: DEFLATE, zlib, zstd and LZMA2 have pieces that are
//! stored as they are.

/// The most bytes of a stored block of DEFLATE (RFC 1951, 3.2.4).
const DEFLATE_BLOCK: usize = 0xffff;
/// The most bytes of a raw block of zstd (RFC 8878, 3.1.1.2.4).
const ZSTD_BLOCK: usize = 128 << 10;

/// A DEFLATE stream.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(bytes.len() + 64);
    let blocks = bytes.len().div_ceil(DEFLATE_BLOCK).max(1);
    for (index, block) in (1..).zip(chunks(bytes, DEFLATE_BLOCK)) {
        let length = u16::try_from(block.len()).expect("a block has at most 65535 bytes");
        stream.push(u8::from(index == blocks));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream
}

/// A zlib stream (RFC 1950).
pub(super) fn zlib(bytes: &[u8]) -> Vec<u8> {
    /// DEFLATE with a window of 32 KiB, the fastest level.
    const HEAD: [u8; 2] = [0x78, 0x01];
    let mut stream = HEAD.to_vec();
    stream.extend(deflate(bytes));
    stream.extend(adler32(bytes).to_be_bytes());
    stream
}

fn adler32(bytes: &[u8]) -> u32 {
    const BASE: u32 = 65_521;
    /// As many bytes as can be summed up before a remainder is taken.
    const STEP: usize = 5552;
    let (mut low, mut high) = (1, 0);
    for chunk in bytes.chunks(STEP) {
        for byte in chunk {
            low += u32::from(*byte);
            high += low;
        }
        low %= BASE;
        high %= BASE;
    }
    high << 16 | low
}

/// A zstd frame with its content size.
pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    const MAGIC: u32 = 0xfd2f_b528;
    /// A single segment, whose content size has 4 bytes.
    const DESCRIPTOR: u8 = 0b1010_0000;
    let length = u32::try_from(bytes.len()).expect("a frame has at most 16 MiB");
    let mut frame = Vec::with_capacity(bytes.len() + 64);
    frame.extend(MAGIC.to_le_bytes());
    frame.push(DESCRIPTOR);
    frame.extend(length.to_le_bytes());
    let blocks = bytes.len().div_ceil(ZSTD_BLOCK).max(1);
    for (index, block) in (1..).zip(chunks(bytes, ZSTD_BLOCK)) {
        let length = u32::try_from(block.len()).expect("a block has at most 128 KiB");
        let head = length << 3 | u32::from(index == blocks);
        frame.extend(&head.to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

/// LZMA2 chunks, and their end.
pub(super) fn lzma2(bytes: &[u8]) -> Vec<u8> {
    const CHUNK: usize = 1 << 16;
    /// Uncompressed; the first one begins with a new dictionary.
    const FIRST: u8 = 1;
    const NEXT: u8 = 2;
    let mut chunks = Vec::with_capacity(bytes.len() + 4096);
    for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
        let length = u16::try_from(chunk.len() - 1).expect("a chunk has at most 64 KiB");
        chunks.push(if index == 0 { FIRST } else { NEXT });
        chunks.extend(length.to_be_bytes());
        chunks.extend(chunk);
    }
    chunks.push(0);
    chunks
}

/// The same as `chunks`, but one that is empty of nothing.
fn chunks(bytes: &[u8], length: usize) -> impl Iterator<Item = &[u8]> {
    let none = bytes.is_empty().then_some(bytes);
    none.into_iter().chain(bytes.chunks(length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cellblock_codec::{Method, decode};

    use super::*;

    #[test]
    fn what_is_stored_is_what_libraries_read() {
        for length in [1, 65_535, 65_536, 131_072, 131_073, 300_000] {
            let bytes: Vec<u8> = (0..length)
                .map(|at: usize| (at * 31 % 251).to_le_bytes()[0])
                .collect();
            for (method, stream) in [
                (Method::Deflate, deflate(&bytes)),
                (Method::Zlib, zlib(&bytes)),
                (Method::Zstd, zstd(&bytes)),
            ] {
                let found = decode(method, &stream, length).unwrap();
                assert!(found == bytes, "{method:?} {length}");
            }
        }
    }
}
