//! Blocks that others made: whole, as a beginning, between what does not belong to them, and damaged.

#![allow(clippy::unwrap_used)]

use cellblock_codec::{BLOCK_LIMIT, Codec, Form, Method, Settings, Unpacker};

const FORMS: [(Method, Form); 6] = [
    (Method::Deflate, Form::Deflate),
    (Method::Zlib, Form::Zlib),
    (Method::Lz4, Form::Lz4),
    (Method::Zstd, Form::Zstd),
    (Method::Xz, Form::Xz),
    (Method::MicroLzma, Form::MicroLzma),
];

fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at * at / 61 % 251).to_le_bytes()[0])
        .collect()
}

fn encoded(method: Method, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let settings = Settings::new(method, 6);
    let pieces = Codec::new().encode(&settings, content, &mut bytes).unwrap();
    assert!(pieces.len() == 1 && pieces[0].produced > 0, "{method:?}");
    bytes
}

#[test]
fn a_block_comes_back_whole_or_as_far_as_is_asked_for() {
    let content = content(100_000);
    let mut unpacker = Unpacker::new();
    for (method, form) in FORMS {
        let block = encoded(method, &content);
        for most in [1, 7, 4096, 99_999, 100_000] {
            let found = unpacker.unpack(form, &block, false, most).unwrap();
            assert!(found == content[..most], "{form:?}, {most} bytes");
        }
        // LZ4 and MicroLZMA have no end of their own: more is not to be asked of them.
        if !matches!(form, Form::Lz4 | Form::MicroLzma) {
            let found = unpacker.unpack(form, &block, false, 1 << 20).unwrap();
            assert!(found == content, "{form:?}");
        }
    }
}

#[test]
fn what_stands_around_a_block_is_left_alone() {
    let content = content(50_000);
    let mut unpacker = Unpacker::new();
    for (method, form) in FORMS {
        let block = encoded(method, &content);
        let padded = [&[0; 77][..], &block].concat();
        let found = unpacker.unpack(form, &padded, true, content.len()).unwrap();
        assert!(found == content, "{form:?} behind zeros");
        let followed = [&block[..], &[0; 99]].concat();
        let found = unpacker.unpack(form, &followed, false, content.len());
        assert!(found.unwrap() == content, "{form:?} before zeros");
    }
}

#[test]
fn damage_is_an_error_or_other_bytes_and_never_more_of_them() {
    let content = content(20_000);
    let mut unpacker = Unpacker::new();
    for (method, form) in FORMS {
        let block = encoded(method, &content);
        for cut in [1, block.len() / 2, block.len() - 1] {
            let found = unpacker.unpack(form, &block[..cut], false, content.len());
            // All that is asked for may be there before the end.
            assert!(
                found.is_err() || found.is_ok_and(|found| content.starts_with(&found)),
                "{form:?} cut to {cut} bytes"
            );
        }
        for at in 0..block.len().min(500) {
            let mut damaged = block.clone();
            damaged[at] ^= 0x55;
            if let Ok(found) = unpacker.unpack(form, &damaged, false, content.len()) {
                assert!(found.len() <= content.len());
            }
        }
        assert_eq!(
            unpacker.unpack(form, &block, false, content.len()).ok(),
            Some(content.clone()),
            "{form:?} after damage"
        );
    }
    for form in Form::ALL {
        assert!(unpacker.unpack(form, &[], false, 1).is_err());
        assert!(
            unpacker.unpack(form, &[0; 512], true, 1).is_err(),
            "{form:?}"
        );
        assert!(unpacker.unpack(form, &[1], false, 0).is_err());
        assert!(unpacker.unpack(form, &[1], false, BLOCK_LIMIT + 1).is_err());
    }
}
