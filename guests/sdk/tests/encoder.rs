//! The encoder for native tests: it gives what the host gives, and refuses what the host refuses.

#![allow(clippy::unwrap_used)]

use std::os::unix::fs::FileExt as _;

use cellblock_codec::decode;
use cellblock_guest::memory::{Entry, FileOutput, MemoryEncoder, MemoryTree};
use cellblock_guest::{
    Blocks, EncodeError, Encoder as _, Filter, Kind, Method, NodeId, Output as _, Piece, PieceId,
    PiecePlacement, PlaceError, Placement, ReadError, Settings, Span,
};

const SETTINGS: Settings = Settings {
    method: Method::Zstd,
    level: 3,
    window: 0,
    filter: Filter::None,
    limit: 0,
    unit: 512,
};

/// Nodes 1 to 4: a directory, two equal files of letters, a sparse file.
fn tree() -> MemoryTree {
    let mut tree = MemoryTree::new();
    tree.insert("a", Entry::new(Kind::Directory))
        .insert("b", Entry::file(vec![b'b'; 10_000]))
        .insert("c", Entry::file(vec![b'b'; 10_000]))
        .insert("d", Entry::sparse(20_000, vec![(8192, vec![b'd'; 100])]));
    tree
}

const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const D: NodeId = NodeId(4);

fn span(file: NodeId, offset: u64, length: u64) -> Span {
    Span {
        file,
        offset,
        length,
    }
}

fn blocks(each: &[&[Span]]) -> Blocks {
    let mut blocks = Blocks::default();
    for spans in each {
        blocks.push(spans);
    }
    blocks
}

fn at(piece: u32, partition_offset: u64) -> PiecePlacement {
    PiecePlacement {
        piece: PieceId(piece),
        partition_offset,
        leading: 0,
        padding: 0,
    }
}

#[test]
fn pieces_are_told_in_order_and_placed_once() {
    let tree = tree();
    let file = tempfile::tempfile().unwrap();
    let mut output = FileOutput::new(file.try_clone().unwrap(), 1 << 20, &tree).unwrap();
    let mut encoder = MemoryEncoder::placing(&tree, &output);
    let asked = blocks(&[&[span(B, 0, 5000), span(D, 8000, 3000)], &[span(C, 0, 100)]]);
    encoder.encode(&SETTINGS, &asked).unwrap();
    assert_eq!(
        encoder.bytes(PieceId(0)),
        Err(EncodeError::Piece(0)),
        "not told yet"
    );

    let told = encoder.pieces(1).unwrap();
    let [
        Piece {
            consumed: 8000,
            produced,
        },
    ] = told[..]
    else {
        panic!("{told:?}")
    };
    let kept = Piece {
        consumed: 100,
        produced: 0,
    };
    assert_eq!(encoder.pieces(9).unwrap(), [kept]);
    assert!(encoder.pieces(9).unwrap().is_empty());

    let bytes = encoder.bytes(PieceId(0)).unwrap();
    assert_eq!(bytes.len(), produced as usize);
    let content = decode(cellblock_codec::Method::Zstd, &bytes, 8000).unwrap();
    let sparse = [vec![0; 192], vec![b'd'; 100], vec![0; 2708]].concat();
    assert!(content == [vec![b'b'; 5000], sparse].concat());

    let padded = PiecePlacement {
        leading: 96,
        padding: 200,
        ..at(0, 4000)
    };
    encoder.place(&[padded]).unwrap();
    let mut stored = vec![0; bytes.len()];
    file.read_exact_at(&mut stored, 4096).unwrap();
    assert_eq!(stored, bytes);
    for piece in [0, 1, 2] {
        assert_eq!(
            encoder.place(&[at(piece, 0)]),
            Err(EncodeError::Piece(0)),
            "{piece}"
        );
        assert_eq!(
            encoder.bytes(PieceId(piece)),
            Err(EncodeError::Piece(0)),
            "{piece}"
        );
    }
    // What a piece and its padding cover can be neither written nor placed.
    for offset in [4000, 4096 + u64::from(produced) + 199] {
        assert!(output.write(offset, b"x").is_err());
        let placement = Placement {
            file: B,
            file_offset: 0,
            partition_offset: offset,
            length: 1,
            padding: 0,
        };
        assert!(output.place(&[placement]).is_err());
    }
    output
        .write(4096 + u64::from(produced) + 200, b"x")
        .unwrap();
}

#[test]
fn places_outside_or_taken_are_refused() {
    let tree = tree();
    let mut output = FileOutput::new(tempfile::tempfile().unwrap(), 8192, &tree).unwrap();
    let mut encoder = MemoryEncoder::placing(&tree, &output);
    encoder
        .encode(&SETTINGS, &blocks(&[&[span(B, 0, 5000)]]))
        .unwrap();
    encoder.pieces(1).unwrap();
    let placement = Placement {
        file: B,
        file_offset: 0,
        partition_offset: 0,
        length: 10,
        padding: 0,
    };
    output.place(&[placement]).unwrap();
    for (offset, problem) in [
        (9, PlaceError::Overlap(0)),
        (8190, PlaceError::OutsidePartition(0)),
        (u64::MAX, PlaceError::OutsidePartition(0)),
    ] {
        assert_eq!(
            encoder.place(&[at(0, offset)]),
            Err(EncodeError::Place(problem))
        );
    }
    encoder.place(&[at(0, 10)]).unwrap();
}

#[test]
fn blocks_that_cannot_be_are_refused() {
    let mut encoder = MemoryEncoder::new(&tree());
    let good = span(B, 0, 1);
    for bad in [
        vec![],
        vec![span(B, 0, 0)],
        vec![span(B, 9_999, 2)],
        vec![span(B, u64::MAX, 2)],
        vec![span(NodeId(1), 0, 1)],
        vec![span(NodeId(99), 0, 1)],
    ] {
        let asked = blocks(&[&[good], &bad]);
        assert_eq!(
            encoder.encode(&SETTINGS, &asked),
            Err(EncodeError::Block(1)),
            "{bad:?}"
        );
    }
    let odd = Blocks {
        counts: vec![2],
        spans: vec![good],
    };
    assert_eq!(encoder.encode(&SETTINGS, &odd), Err(EncodeError::Block(1)));
    assert!(
        encoder.pieces(9).unwrap().is_empty(),
        "nothing of a refused batch is encoded"
    );
    let level = Settings {
        level: 99,
        ..SETTINGS
    };
    assert_eq!(
        encoder.encode(&level, &blocks(&[&[good]])),
        Err(EncodeError::Settings)
    );
    assert_eq!(
        encoder.place(&[at(0, 0)]),
        Err(EncodeError::Failed),
        "not in measure"
    );
}

#[test]
fn no_more_is_encoded_than_a_tree_of_this_size_can_need() {
    let mut encoder = MemoryEncoder::new(&tree());
    let whole = [span(B, 0, 10_000)];
    let all = blocks(&[&whole[..]; 100]);
    let mut rounds = 0;
    while encoder
        .encode(
            &Settings {
                method: Method::Lz4,
                level: 0,
                ..SETTINGS
            },
            &all,
        )
        .is_ok()
    {
        rounds += 1;
    }
    assert_eq!(rounds, (40_000 * 4 + (64 << 20)) / 1_000_000);
    assert_eq!(encoder.encode(&SETTINGS, &all), Err(EncodeError::Exhausted));
}

#[test]
fn own_bytes_are_encoded_by_value() {
    let mut encoder = MemoryEncoder::new(&tree());
    let inputs = [vec![7; 9000], b"short".to_vec()];
    let outputs = encoder.encode_bytes(&SETTINGS, &inputs).unwrap();
    let first = outputs[0].as_ref().unwrap();
    assert_eq!(
        decode(cellblock_codec::Method::Zstd, first, 9000).unwrap(),
        inputs[0]
    );
    assert_eq!(outputs[1], None);
    let long = [vec![0; 1 << 20], vec![0; (1 << 20) + 1]];
    assert_eq!(
        encoder.encode_bytes(&SETTINGS, &long),
        Err(EncodeError::Block(1))
    );
    let limited = Settings {
        limit: 4096,
        ..SETTINGS
    };
    assert_eq!(
        encoder.encode_bytes(&limited, &inputs),
        Err(EncodeError::Settings)
    );
}

#[test]
fn equal_content_has_equal_digests() {
    let mut encoder = MemoryEncoder::new(&tree());
    let digests = encoder.digests(&[B, C, D]).unwrap();
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
    let blocks = encoder.block_digests(D, 4096).unwrap();
    assert_eq!(blocks.len(), 5);
    assert_eq!(blocks[0], blocks[1]);
    assert_ne!(blocks[0], blocks[2]);
    assert_eq!(encoder.digests(&[NodeId(1)]), Err(ReadError::NotAFile));
    for size in [0, 2048, 5000, 32 << 20] {
        assert_eq!(
            encoder.block_digests(B, size),
            Err(ReadError::OutOfRange),
            "{size}"
        );
    }
}
