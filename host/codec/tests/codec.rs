//! Blocks through every method: back by this crate's decoders, and by programs that we did not write.

#![allow(clippy::unwrap_used)]

use std::{io::Write, process::Stdio};

use cellblock_codec::{Codec, Failure, Filter, Method, Piece, Settings, SettingsError, decode};
use cellblock_judges::judge;
use proptest::prelude::*;

const UNIT: usize = 4096;

/// Text that repeats like a program's tables do, with numbers that do not.
fn compressible(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = Vec::new();
    while bytes.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = ["include", "return", "struct", "static", "const"][(state >> 28) as usize % 5];
        writeln!(bytes, "{word} {:x};", state >> 20).unwrap();
    }
    bytes.truncate(length);
    bytes
}

/// Bytes that no method shrinks.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn samples() -> Vec<Settings> {
    let levels = |method| match method {
        Method::Deflate => vec![1, 6, 9, 12],
        Method::Zlib => vec![1, 9],
        Method::Lz4 => vec![0, 1, 9, 12],
        Method::Zstd => vec![1, 3, 15, 22],
        Method::Xz => vec![0, 6, 109],
        Method::MicroLzma => vec![0, 6],
    };
    Method::ALL
        .into_iter()
        .flat_map(|method| {
            levels(method)
                .into_iter()
                .map(move |level| Settings::new(method, level))
        })
        .collect()
}

/// The content that the pieces hold, one behind the other, and how many of their units are left over.
fn content_of(settings: &Settings, block: &[u8], pieces: &[Piece], bytes: &[u8]) -> Vec<u8> {
    let (mut content, mut bytes) = (Vec::new(), bytes);
    for piece in pieces {
        let consumed = piece.consumed as usize;
        if piece.produced == 0 {
            content.extend_from_slice(&block[content.len()..][..consumed]);
        } else {
            let (taken, rest) = bytes.split_at(piece.produced as usize);
            content.extend(decode(settings.method, taken, consumed).unwrap());
            bytes = rest;
        }
    }
    assert!(bytes.is_empty(), "bytes of no piece");
    content
}

fn limited(method: Method, level: u32, limit: usize) -> Settings {
    Settings {
        limit: u32::try_from(limit).unwrap(),
        unit: u32::try_from(UNIT).unwrap(),
        ..Settings::new(method, level)
    }
}

fn with_limits() -> Vec<Settings> {
    [
        (Method::Deflate, 1),
        (Method::Deflate, 9),
        (Method::Lz4, 0),
        (Method::Lz4, 9),
        (Method::Zstd, 3),
        (Method::Zstd, 12),
        (Method::MicroLzma, 1),
    ]
    .into_iter()
    .flat_map(|(method, level)| [UNIT, 16 * UNIT].map(|limit| limited(method, level, limit)))
    .collect()
}

#[test]
fn a_whole_block_is_one_piece_that_comes_back() {
    let mut codec = Codec::new();
    for settings in samples() {
        let block = compressible(300_000);
        let mut bytes = Vec::new();
        let pieces = codec.encode(&settings, &block, &mut bytes).unwrap();
        assert_eq!(pieces.len(), 1, "{settings:?}");
        assert!(pieces[0].produced > 0, "{settings:?}");
        assert_eq!(
            content_of(&settings, &block, &pieces, &bytes),
            block,
            "{settings:?}"
        );
    }
}

#[test]
fn what_does_not_shrink_is_not_kept() {
    let mut codec = Codec::new();
    for settings in samples() {
        let mut bytes = Vec::new();
        let pieces = codec.encode(&settings, &noise(5000), &mut bytes).unwrap();
        assert_eq!(
            pieces,
            [Piece {
                consumed: 5000,
                produced: 0
            }],
            "{settings:?}"
        );
        assert!(bytes.is_empty());
    }
}

#[test]
fn a_piece_that_saves_no_unit_is_not_kept() {
    let mut codec = Codec::new();
    let settings = Settings {
        unit: 4096,
        ..Settings::new(Method::Zstd, 3)
    };
    for (length, kept) in [(4096, false), (4097, true), (100, false)] {
        let pieces = codec
            .encode(&settings, &compressible(length), &mut Vec::new())
            .unwrap();
        assert_eq!(pieces[0].produced > 0, kept, "{length}");
    }
}

#[test]
fn with_a_limit_no_piece_is_longer_and_all_come_back() {
    let mut codec = Codec::new();
    let block = [
        compressible(700_000),
        noise(50_000),
        vec![0; 500_000],
        compressible(30_001),
    ]
    .concat();
    for settings in with_limits() {
        let mut bytes = Vec::new();
        let pieces = codec.encode(&settings, &block, &mut bytes).unwrap();
        assert_eq!(
            content_of(&settings, &block, &pieces, &bytes),
            block,
            "{settings:?}"
        );
        for (index, piece) in pieces.iter().enumerate() {
            assert!(piece.produced <= settings.limit, "{settings:?}");
            if piece.produced == 0 && index + 1 != pieces.len() {
                assert_eq!(piece.consumed as usize, UNIT, "{settings:?}");
            }
        }
    }
}

#[test]
fn with_a_limit_little_of_the_units_is_left_over() {
    let mut codec = Codec::new();
    let block = compressible(3_000_000);
    for settings in with_limits() {
        let mut bytes = Vec::new();
        let pieces = codec.encode(&settings, &block, &mut bytes).unwrap();
        let kept = pieces.iter().filter(|piece| piece.produced > 0);
        let units: usize = kept
            .map(|piece| (piece.produced as usize).div_ceil(UNIT))
            .sum();
        let waste = units * UNIT - bytes.len();
        // A quarter of a unit for each piece, on average.
        assert!(
            waste * 4 <= pieces.len() * UNIT,
            "{settings:?}: {waste} of {} pieces",
            pieces.len()
        );
    }
}

#[test]
fn what_follows_a_hole_is_compressed_too() {
    let block = [
        compressible(100_000),
        vec![0; 4 << 20],
        compressible(1_000_000),
    ]
    .concat();
    for settings in with_limits() {
        let pieces = Codec::new()
            .encode(&settings, &block, &mut Vec::new())
            .unwrap();
        let raw = pieces.iter().filter(|piece| piece.produced == 0).count();
        assert!(raw <= 2, "{settings:?}: {raw} of {} pieces", pieces.len());
    }
}

#[test]
fn contexts_that_were_used_give_the_same_bytes() {
    let block = compressible(200_000);
    let all = || samples().into_iter().chain(with_limits());
    let mut used = Codec::new();
    for settings in all() {
        used.encode(&settings, &noise(100_000), &mut Vec::new())
            .unwrap();
    }
    for settings in all().rev().collect::<Vec<_>>() {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let fresh = Codec::new().encode(&settings, &block, &mut first).unwrap();
        assert_eq!(
            used.encode(&settings, &block, &mut second).unwrap(),
            fresh,
            "{settings:?}"
        );
        assert_eq!(first, second, "{settings:?}");
    }
}

#[test]
fn settings_that_a_method_does_not_have_are_refused() {
    let zstd = Settings::new(Method::Zstd, 3);
    let refused = [
        Settings::new(Method::Deflate, 0),
        Settings::new(Method::Deflate, 13),
        Settings::new(Method::Zlib, 10),
        Settings::new(Method::Lz4, 13),
        Settings::new(Method::Zstd, 0),
        Settings::new(Method::Zstd, 23),
        Settings::new(Method::Xz, 10),
        Settings::new(Method::MicroLzma, 110),
        Settings {
            window: 4096,
            ..Settings::new(Method::Lz4, 0)
        },
        Settings {
            window: 16_384,
            ..Settings::new(Method::Deflate, 1)
        },
        Settings {
            window: 100_000,
            ..zstd
        },
        Settings {
            window: 32 << 20,
            ..zstd
        },
        Settings {
            window: 100,
            ..Settings::new(Method::Xz, 6)
        },
        Settings {
            filter: Filter::X86,
            ..zstd
        },
        Settings {
            limit: 4096,
            ..Settings::new(Method::Xz, 6)
        },
        Settings {
            limit: 4096,
            ..Settings::new(Method::Zlib, 6)
        },
        Settings { limit: 10, ..zstd },
        Settings {
            limit: u32::MAX,
            ..zstd
        },
        Settings {
            limit: 4096,
            unit: 8192,
            ..zstd
        },
    ];
    for settings in refused {
        assert!(settings.check().is_err(), "{settings:?}");
        let failed = Codec::new().encode(&settings, b"content", &mut Vec::new());
        assert!(matches!(failed, Err(Failure::Settings(_))), "{settings:?}");
    }
    let error = Settings::new(Method::Zstd, 23).check().unwrap_err();
    assert!(matches!(error, SettingsError::Level { level: 23, .. }));
}

#[test]
fn blocks_that_are_empty_or_too_long_are_refused() {
    let settings = Settings::new(Method::Lz4, 0);
    for length in [0, (16 << 20) + 1] {
        let failed = Codec::new().encode(&settings, &vec![0; length], &mut Vec::new());
        assert_eq!(failed, Err(Failure::Block { length }));
    }
}

#[test]
fn a_unit_of_four_gibibytes_keeps_nothing() {
    let settings = Settings {
        unit: u32::MAX,
        ..Settings::new(Method::Lz4, 0)
    };
    let pieces = Codec::new()
        .encode(&settings, &compressible(9000), &mut Vec::new())
        .unwrap();
    assert_eq!(
        pieces,
        [Piece {
            consumed: 9000,
            produced: 0
        }]
    );
}

/// What a program makes of its standard input.
fn piped(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = judge(program)?
        .command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = input.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&bytes));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(done.status.success(), "{program}");
    Some(done.stdout)
}

/// Each piece as a file that the judge knows.
fn wrapped(method: Method, piece: &[u8], length: usize) -> Vec<u8> {
    match method {
        // The frame of LZ4's first version: a magic number, and a block with its length before it.
        Method::Lz4 => {
            let number = u32::try_from(piece.len()).unwrap();
            [
                &0x184c_2102_u32.to_le_bytes()[..],
                &number.to_le_bytes(),
                piece,
            ]
            .concat()
        }
        // The header of .lzma, with the byte that the properties stand in restored.
        Method::MicroLzma => {
            let length = u64::try_from(length).unwrap();
            let header = [
                &[!piece[0]][..],
                &(16_u32 << 20).to_le_bytes(),
                &length.to_le_bytes(),
            ];
            [&header.concat()[..], &[0], &piece[1..]].concat()
        }
        Method::Deflate | Method::Zlib | Method::Zstd | Method::Xz => piece.to_vec(),
    }
}

#[test]
fn other_programs_read_the_pieces() {
    let python = |wbits: i32| {
        format!(
            "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read(), {wbits}))"
        )
    };
    let lzma = "import sys, lzma; d = lzma.LZMADecompressor(lzma.FORMAT_ALONE); \
        sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read()))";
    let mut codec = Codec::new();
    let filtered = Settings {
        filter: Filter::X86,
        ..Settings::new(Method::Xz, 6)
    };
    let block = compressible(120_000);
    let extra = [filtered].into_iter().chain(with_limits());
    for settings in samples().into_iter().chain(extra) {
        let mut bytes = Vec::new();
        let pieces = codec.encode(&settings, &block, &mut bytes).unwrap();
        let mut rest = bytes.as_slice();
        let mut content = Vec::new();
        for piece in pieces {
            let consumed = piece.consumed as usize;
            let (taken, behind) = rest.split_at(piece.produced as usize);
            rest = behind;
            if taken.is_empty() {
                content.extend_from_slice(&block[content.len()..][..consumed]);
                continue;
            }
            let file = wrapped(settings.method, taken, consumed);
            let read = match settings.method {
                Method::Deflate => piped("python3", &["-c", &python(-15)], &file),
                Method::Zlib => piped("python3", &["-c", &python(15)], &file),
                Method::Lz4 => piped("lz4", &["-d", "-c"], &file),
                Method::Zstd => piped("zstd", &["-d", "-c"], &file),
                Method::Xz => piped("xz", &["-d", "-c"], &file),
                Method::MicroLzma => piped("python3", &["-c", lzma], &file),
            };
            let Some(read) = read else { return };
            assert_eq!(read.len(), consumed, "{settings:?}");
            content.extend(read);
        }
        assert!(content == block, "{settings:?}");
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let limit = prop_oneof![Just(0), (512_u32..70_000)];
    let unit = prop_oneof![Just(0), Just(1), Just(4096), 1_u32..5000];
    (prop::sample::select(samples()), limit, unit).prop_map(|(settings, limit, unit)| Settings {
        limit: if matches!(settings.method, Method::Zlib | Method::Xz) {
            0
        } else {
            limit
        },
        unit: if limit == 0 {
            unit
        } else {
            unit.clamp(512, limit)
        },
        ..settings
    })
}

fn blocks() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        (1_usize..60_000).prop_map(compressible),
        (1_usize..20_000).prop_map(noise),
        (1_usize..100_000).prop_map(|length| vec![0; length]),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_block_comes_back(settings in settings(), block in blocks()) {
        let mut bytes = Vec::new();
        let pieces = Codec::new().encode(&settings, &block, &mut bytes).unwrap();
        prop_assert_eq!(pieces.iter().map(|piece| piece.consumed as usize).sum::<usize>(), block.len());
        prop_assert!(content_of(&settings, &block, &pieces, &bytes) == block);
        let unit = settings.unit.max(1);
        for piece in pieces.iter().filter(|piece| piece.produced > 0) {
            prop_assert!(settings.limit == 0 || piece.produced <= settings.limit);
            prop_assert!(piece.produced.div_ceil(unit) < piece.consumed.div_ceil(unit));
        }
    }

    #[test]
    fn damaged_pieces_are_refused_or_give_their_length(settings in settings(), damage in any::<(u16, u8)>()) {
        let block = compressible(20_000);
        let mut bytes = Vec::new();
        let pieces = Codec::new().encode(&settings, &block, &mut bytes).unwrap();
        let kept = pieces[0].produced as usize;
        if kept > 0 {
            bytes.truncate(kept);
            bytes[damage.0 as usize % kept] ^= damage.1;
            if let Ok(content) = decode(settings.method, &bytes, pieces[0].consumed as usize) {
                prop_assert_eq!(content.len(), pieces[0].consumed as usize);
            }
        }
    }
}
