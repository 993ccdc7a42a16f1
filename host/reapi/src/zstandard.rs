//! Zstandard on the wire: what goes there smaller, and what comes from there, none of which is believed.
//!
//! Both are Rust, since this process does them: the library in C takes apart what nobody trusts behind a wall alone.

use std::io::{self, Read, Write};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use ruzstd::encoding::{CompressionLevel, compress, compress_to_vec};
use thiserror::Error;

/// The largest window that every decoder is asked to have (RFC 8878, 3.1.1.1.2); blobs that are larger may have one of their own size.
const WINDOW: u64 = 8 << 20;
/// What is tried before all of a blob is compressed.
const SAMPLE: usize = 32 << 10;
/// What has fewer bytes goes as it is.
const LEAST: usize = 4 << 10;
/// Where the bytes of frames, blocks and what they hold end beyond those of the content: what compresses badly goes as it is, with a header of
/// three bytes for each block of 128 KiB, and who writes in smaller blocks has more.
const AROUND: u64 = 64 << 10;

/// Why what came is not used.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// It could not be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("it sends what is no Zstandard: {0}")]
    Damaged(String),
    /// It does not end where it should.
    #[error("it sends a compressed blob of more than the {size} bytes that were asked for")]
    Longer {
        /// The bytes of the blob.
        size: usize,
    },
}

/// Whether a blob becomes smaller by a tenth, as far as a part of it from the middle tells.
pub(crate) fn shrinks(bytes: &[u8]) -> bool {
    if bytes.len() < LEAST {
        return false;
    }
    let start = (bytes.len() / 2).saturating_sub(SAMPLE / 2);
    let sample = &bytes[start..bytes.len().min(start + SAMPLE)];
    is_smaller(
        compress_to_vec(sample, CompressionLevel::Fastest).len(),
        sample.len(),
    )
}

fn is_smaller(compressed: usize, plain: usize) -> bool {
    compressed < plain - plain / 10
}

/// A blob as one frame; none if it would not be smaller by a tenth.
pub(crate) fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let compressed = compress_to_vec(bytes, CompressionLevel::Fastest);
    is_smaller(compressed.len(), bytes.len()).then_some(compressed)
}

/// Writes a blob as one frame to what takes all of it.
pub(crate) fn write(bytes: &[u8], to: impl Write) {
    compress(bytes, to, CompressionLevel::Fastest);
}

/// The most bytes that are read to get a blob of so many bytes.
fn most(size: u64) -> u64 {
    size.saturating_add(size / 64).saturating_add(AROUND)
}

/// A blob of `size` bytes of frames, one after another, as they come. No more than its bytes, a window and a block are held.
pub(crate) fn decompressed(source: impl Read, size: usize) -> Result<Vec<u8>, Fault> {
    let mut source = source.take(most(size as u64));
    let decompressed = frames(&mut source, size);
    match source.limit() {
        // It was cut off here, which whoever reads it takes for its end.
        0 => Err(Fault::Longer { size }),
        _ => decompressed,
    }
}

fn frames(mut source: impl Read, size: usize) -> Result<Vec<u8>, Fault> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(WINDOW.max(size as u64));
    let mut bytes = Vec::new();
    while let Some(first) = one(&mut source)? {
        let first = [first];
        let from = first[..].chain(&mut source);
        let frame = match StreamingDecoder::new_with_decoder(from, &mut decoder) {
            Ok(frame) => frame,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                io::copy(&mut (&mut source).take(length.into()), &mut io::sink())?;
                continue;
            }
            Err(error) => return Err(Fault::Damaged(error.to_string())),
        };
        let room = size - bytes.len() + 1;
        let read = frame.take(room as u64).read_to_end(&mut bytes);
        read.map_err(|error| Fault::Damaged(error.to_string()))?;
        if bytes.len() > size {
            return Err(Fault::Longer { size });
        }
    }
    Ok(bytes)
}

/// The next byte, if there is one.
fn one(source: &mut impl Read) -> io::Result<Option<u8>> {
    let mut byte = [0];
    Ok((source.read(&mut byte)? == 1).then_some(byte[0]))
}

/// What the fuzzer runs: bytes that a server could send for a blob of a size that the first two say.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let size = usize::from(u16::from_le_bytes(*size));
    if let Ok(blob) = decompressed(bytes, size) {
        assert!(blob.len() <= size);
        if let Some(smaller) = compressed(&blob) {
            let again = decompressed(&*smaller, blob.len()).expect("what was compressed here");
            assert!(again == blob, "it comes back as something else");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(size: usize) -> Vec<u8> {
        b"a text that says the same over and over. "
            .iter()
            .copied()
            .cycle()
            .take(size)
            .collect()
    }

    /// As random as it has to be here.
    fn noise(size: usize) -> Vec<u8> {
        let mut state = 1_u64;
        std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        })
        .take(size)
        .collect()
    }

    #[test]
    fn what_does_not_become_smaller_is_not_compressed() {
        assert!(shrinks(&text(1 << 20)));
        assert!(!shrinks(&noise(1 << 20)));
        assert!(!shrinks(&text(100)), "nothing is saved");
        assert_eq!(compressed(&noise(1 << 20)), None);
        let frame = compressed(&text(1 << 20)).expect("it is smaller");
        assert!(frame.len() < 1 << 16, "{}", frame.len());
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for size in [0, 1, 4095, 128 << 10, (1 << 20) + 1] {
            for blob in [text(size), noise(size)] {
                let mut frame = Vec::new();
                write(&blob, &mut frame);
                assert!(decompressed(&*frame, size).expect("a blob") == blob);
            }
        }
    }

    /// A server may keep a blob as several frames, and put others beside them that hold nothing.
    #[test]
    fn several_frames_are_one_blob() {
        let mut frames = Vec::new();
        for part in text(300_000).chunks(100_000) {
            frames.extend(b"\x50\x2a\x4d\x18\x03\0\0\0abc");
            write(part, &mut frames);
        }
        assert!(decompressed(&*frames, 300_000).expect("a blob") == text(300_000));
    }

    /// By the library in C, with larger windows and checksums.
    #[test]
    fn what_others_compressed_is_read() {
        let blob = [text(5 << 20), noise(1 << 20), text(5 << 20)].concat();
        for level in [-5, 3, 19] {
            let frame = zstd::bulk::compress(&blob, level).expect("a frame");
            assert!(decompressed(&*frame, blob.len()).expect("a blob") == blob);
        }
    }

    #[test]
    fn a_bomb_ends_at_the_size_of_the_blob() {
        let bomb = zstd::bulk::compress(&vec![0; 512 << 20], 1).expect("a frame");
        assert!(bomb.len() < 100_000, "{}", bomb.len());
        let ended = decompressed(&*bomb, 1000);
        assert!(matches!(ended, Err(Fault::Longer { size: 1000 })));
    }

    #[test]
    fn what_has_no_end_ends() {
        // Frames of nothing, for ever.
        let mut nothing = Vec::new();
        write(b"", &mut nothing);
        let endless = std::iter::repeat(nothing).flatten();
        struct Endless<I>(I);
        impl<I: Iterator<Item = u8>> Read for Endless<I> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                buffer.fill_with(|| self.0.next().expect("it has no end"));
                Ok(buffer.len())
            }
        }
        let ended = decompressed(Endless(endless), 1000);
        assert!(ended.is_err());
        // A frame that is skipped, of 4 GiB.
        let skipped = (&b"\x50\x2a\x4d\x18\xff\xff\xff\xff"[..]).chain(io::repeat(0));
        assert!(decompressed(skipped, 1000).is_err());
    }

    #[test]
    fn a_window_that_is_too_large_is_refused() {
        // One of 2 GiB, and 13 EiB in one segment.
        for header in [
            &b"\x28\xb5\x2f\xfd\x00\xa8\0\0\0"[..],
            b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\xbf",
        ] {
            let ended = decompressed(header, 1000);
            assert!(matches!(ended, Err(Fault::Damaged(_))), "{ended:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_no_blob() {
        let blob = [text(40_000), noise(40_000)].concat();
        let mut frame = Vec::new();
        write(&blob, &mut frame);
        for at in (1..frame.len()).step_by(997) {
            assert!(decompressed(&frame[..at], blob.len()).is_err(), "{at}");
        }
        assert!(decompressed(&b"something else"[..], 14).is_err());
    }
}
