//! Streams as other programs make them.
#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Read, Write};

use super::*;

const TEXT: &[u8] = b"some text, some text, and some more text that is compressed";

fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Bzip2 => {
            let mut encoder =
                ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => ::zstd::encode_all(bytes, 1).unwrap(),
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

const ALL: [Compression; 5] = [
    Compression::Gzip,
    Compression::Bzip2,
    Compression::Zstd,
    Compression::Xz,
    Compression::Lz4,
];

/// A reader that gives little at a time.
struct Slow<R>(R);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(3);
        self.0.read(&mut buffer[..count])
    }
}

fn decompress(compression: Compression, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let mut decompressor = decompressor(compression, Slow(Cursor::new(bytes)))?;
    decompressor.read_to_end(&mut plain)?;
    Ok(plain)
}

#[test]
fn streams_one_behind_the_other_are_read_as_one() {
    let long = TEXT.repeat(10_000);
    for compression in ALL {
        let mut bytes = compress(compression, &long);
        bytes.extend(compress(compression, b""));
        bytes.extend(compress(compression, TEXT));
        let plain = decompress(compression, bytes).unwrap();
        assert!(plain == [&long[..], TEXT].concat(), "{compression:?}");
    }
}

#[test]
fn zeros_that_fill_up_a_block_are_no_data() {
    for compression in ALL {
        let mut bytes = compress(compression, TEXT);
        bytes.resize(10_240, 0);
        assert_eq!(decompress(compression, bytes.clone()).unwrap(), TEXT);
        bytes.push(b'x');
        let error = decompress(compression, bytes).unwrap_err();
        let there = Some(Following { offset: 10_240 });
        assert_eq!(Following::of(&error), there, "{compression:?}");
    }
}

#[test]
fn a_cut_anywhere_is_an_error() {
    for compression in ALL {
        let bytes = compress(compression, &TEXT.repeat(3));
        for length in 1..bytes.len() {
            let cut = bytes[..length].to_vec();
            assert!(
                decompress(compression, cut).is_err(),
                "{compression:?}, {length}"
            );
        }
    }
}

#[test]
fn frames_for_others_are_skipped() {
    let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"hello"].concat();
    for compression in [Compression::Zstd, Compression::Lz4] {
        let data = compress(compression, TEXT);
        let bytes = [&skipped[..], &data, &skipped, &data, &skipped].concat();
        assert_eq!(decompress(compression, bytes).unwrap(), TEXT.repeat(2));
        assert!(decompress(compression, skipped[..10].to_vec()).is_err());
    }
}

#[test]
fn a_window_that_takes_too_much_memory_is_refused_with_its_size() {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(TEXT).unwrap();
    encoder.flush().unwrap();
    let zstd = encoder.finish().unwrap();
    let error = decompress(Compression::Zstd, zstd).unwrap_err();
    let wanted = Some(1 << 27);
    assert_eq!(BeyondWindow::of(&error), Some(BeyondWindow { wanted }));

    let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
    for (dictionary, fits) in [(64 << 20, true), (128 << 20, false)] {
        options.dict_size(dictionary);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let check = liblzma::stream::Check::Crc32;
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, check).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(TEXT).unwrap();
        let result = decompress(Compression::Xz, encoder.finish().unwrap());
        if fits {
            assert_eq!(result.unwrap(), TEXT);
        } else {
            let wanted = Some(u64::from(dictionary));
            let error = result.unwrap_err();
            assert_eq!(BeyondWindow::of(&error), Some(BeyondWindow { wanted }));
        }
    }
}
