//! What cannot be is refused, and says why.
#![allow(clippy::unwrap_used)]

mod judge;
#[path = "../../ext4/tests/trees/mod.rs"]
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{
    Attribute, Device, FormatError, Kind, LabelProblem, Losses, NodeId, NodeProblem, SettingProblem,
};
use judge::{fsck, make_request, measure, mount, request};

#[test]
fn options_that_cannot_be_are_refused() {
    use SettingProblem::{Malformed, Unknown};
    for (settings, name, problem) in [
        (&[("block-size", "2048")][..], "block-size", Malformed),
        (&[("compression", "lzo")], "compression", Malformed),
        (
            &[("compression", "zstd,level=23")],
            "compression",
            Malformed,
        ),
        (
            &[("compression", "lzma,level=10")],
            "compression",
            Malformed,
        ),
        (&[("compression", "lz4,level=1")], "compression", Malformed),
        (&[("compression", "none,level=1")], "compression", Malformed),
        (
            &[("compression", "zstd,dictsize=2097152")],
            "compression",
            Malformed,
        ),
        (
            &[("compression", "lz4"), ("cluster-size", "6000")],
            "cluster-size",
            Malformed,
        ),
        (
            &[("compression", "lz4"), ("cluster-size", "2097152")],
            "cluster-size",
            Malformed,
        ),
        (&[("features", "dax")], "features", Malformed),
        (
            &[("compress-hints", "size<x=none")],
            "compress-hints",
            Malformed,
        ),
        (&[("compress-hints", "*.so")], "compress-hints", Malformed),
        (&[("compress-hints", "=lz4")], "compress-hints", Malformed),
        (
            &[("xattr-prefixes", "system.x.")],
            "xattr-prefixes",
            Malformed,
        ),
        (&[("xattr-tolerance", "-1")], "xattr-tolerance", Malformed),
        (&[("colour", "blue")], "colour", Unknown),
    ] {
        let refused = measure(&mut MemoryTree::new(), settings);
        assert_eq!(
            refused,
            Err(FormatError::setting(name, problem)),
            "{settings:?}"
        );
    }
    for (settings, name) in [
        (&[("cluster-size", "65536")][..], "cluster-size"),
        (&[("features", "fragments")], "features"),
        (&[("features", "noinline_data,ztailpacking")], "features"),
        (
            &[
                ("features", "fragments"),
                ("compression", "lz4"),
                ("xattr-prefixes", "user.a."),
            ],
            "xattr-prefixes",
        ),
    ] {
        let refused = measure(&mut MemoryTree::new(), settings).unwrap_err();
        let FormatError::Setting(error) = refused else {
            panic!("{settings:?}: {refused}");
        };
        assert_eq!(error.name, name);
        assert!(
            matches!(error.problem, SettingProblem::Conflict(_)),
            "{settings:?}"
        );
    }
}

#[test]
fn labels_have_fifteen_bytes_at_the_most() {
    let mut long = request(1 << 20, &[]);
    long.label = "123456789012345".into();
    fsck(&make_request(&mut MemoryTree::new(), &long).unwrap());
    long.label.push('6');
    let refused = make_request(&mut MemoryTree::new(), &long).err();
    assert_eq!(refused, Some(FormatError::Label(LabelProblem::TooLong(15))));
    long.label = "a\0b".into();
    let refused = make_request(&mut MemoryTree::new(), &long).err();
    let problem = LabelProblem::Character('\0');
    assert_eq!(refused, Some(FormatError::Label(problem)));
}

#[test]
fn nodes_that_cannot_be_stored_are_named() {
    let device = Kind::CharacterDevice(Device {
        major: 4096,
        minor: 0,
    });
    let mut later = Entry::file("x");
    later.modified.nanoseconds = 1_000_000_000;
    let mut lustre = Entry::file("x");
    lustre.attributes.push(trees::attribute("lustre.lov", "x"));
    let mut large = Entry::file("x");
    let value = vec![0_u8; 65_536];
    large.attributes.push(trees::attribute("user.large", value));
    let mut many = Entry::file("x");
    many.attributes = (0..5)
        .map(|index| Attribute {
            name: format!("user.{index}").into_bytes(),
            value: vec![index; 65_000],
        })
        .collect();
    for (entry, problem) in [
        (Entry::new(device), NodeProblem::Device),
        (later, NodeProblem::Time),
        (lustre, NodeProblem::Attributes),
        (large, NodeProblem::AttributesTooLarge(65_535)),
        (many, NodeProblem::AttributesTooLarge(262_148)),
        (
            Entry::sparse(1 << 63, vec![]),
            NodeProblem::FileTooLarge((1 << 63) - 1),
        ),
        (
            Entry::new(Kind::symlink(vec![b'x'; 4096])),
            NodeProblem::TargetTooLong(4095),
        ),
    ] {
        let mut tree = MemoryTree::new();
        tree.insert("a", Entry::file("before"));
        tree.insert("b", entry);
        let refused = measure(&mut tree, &[]);
        assert_eq!(refused, Err(FormatError::node(NodeId(2), problem)));
    }
}

/// Elsewhere all 64 bits of seconds are stored.
#[test]
fn a_time_of_the_whole_that_the_feature_48bit_has_no_room_for_is_refused() {
    for (features, seconds, is_taken) in [
        ("48bit", -1, false),
        ("48bit", 0, true),
        ("48bit", u32::MAX.into(), true),
        ("48bit", 1 << 32, false),
        ("none", -1, true),
        ("none", 20_000_101_000_000, true),
    ] {
        let mut tree = MemoryTree::new();
        tree.insert("a", Entry::file("x"));
        let mut request = request(1 << 20, &[("features", features)]);
        request.time.seconds = seconds;
        let refused = FormatError::node(NodeId::ROOT, NodeProblem::Time);
        let made = make_request(&mut tree, &request);
        assert_eq!(made.err(), (!is_taken).then_some(refused), "{seconds}");
    }
}

#[test]
fn attributes_that_cannot_be_stored_may_be_left_out() {
    let mut tree = MemoryTree::new();
    let mut entry = Entry::file("x");
    entry.attributes.push(trees::attribute("lustre.lov", "x"));
    entry.attributes.push(trees::attribute("user.kept", "x"));
    tree.insert("a", entry);
    let mut dropping = request(1 << 20, &[]);
    dropping.drop = Losses::ATTRIBUTES;
    let image = make_request(&mut tree, &dropping).unwrap();
    let mut kept = MemoryTree::new();
    let mut entry = Entry::file("x");
    entry.attributes.push(trees::attribute("user.kept", "x"));
    kept.insert("a", entry);
    mount::compare(&image, &mut kept);
}

#[test]
fn a_file_of_terabytes_with_little_in_it_takes_little() {
    let mut tree = MemoryTree::new();
    let data = vec![(3 << 40, b"near the end".to_vec())];
    tree.insert("large", Entry::sparse((4 << 40) + 5, data));
    tree.insert("hole", Entry::sparse(1 << 42, vec![]));
    let needed = measure(&mut tree, &[]).unwrap();
    assert!(needed < 16 << 20, "{needed}");
    let image = make_request(&mut tree, &request(needed, &[])).unwrap();
    mount::compare(&image, &mut tree);
}
