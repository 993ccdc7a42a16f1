//! What cannot be made, and what is said of it.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_ext4::Ext4;
use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{
    Attribute, Device, FormatError, Formatter as _, Kind, LabelProblem, Losses, NodeId,
    NodeProblem, SettingProblem, Timestamp,
};
use judge::{fsck, make_request, request};
use trees::attribute;

fn problem_of(entry: Entry) -> NodeProblem {
    problem_with(&[], entry)
}

fn problem_with(settings: &[(&str, &str)], entry: Entry) -> NodeProblem {
    let mut tree = MemoryTree::new();
    tree.insert("node", entry);
    match Ext4::measure(&request(0, settings), &mut tree) {
        Err(FormatError::Node(error)) => {
            assert_eq!(error.node, NodeId(1));
            error.problem
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nodes_without_room_are_refused() {
    let device = |major, minor| Entry::new(Kind::BlockDevice(Device { major, minor }));
    assert_eq!(problem_of(device(4096, 0)), NodeProblem::Device);
    assert_eq!(problem_of(device(0, 1 << 20)), NodeProblem::Device);
    let symlink = |target: Vec<u8>| Entry::new(Kind::symlink(target));
    assert_eq!(
        problem_of(symlink(vec![b'x'; 4096])),
        NodeProblem::TargetTooLong(4095)
    );
    assert_eq!(problem_of(symlink(vec![])), NodeProblem::Kind);
    let limit = u64::from(u32::MAX) * 4096;
    assert_eq!(
        problem_of(Entry::sparse(limit + 1, vec![])),
        NodeProblem::FileTooLarge(limit)
    );
    for seconds in [
        i64::MIN,
        i64::from(i32::MIN) - 1,
        (3 << 32) - (1 << 31),
        (3 << 32) - 1,
        (1 << 34) - (1 << 31),
        i64::MAX,
    ] {
        let mut entry = Entry::file("");
        entry.modified = Timestamp {
            seconds,
            nanoseconds: 0,
        };
        assert_eq!(problem_of(entry), NodeProblem::Time);
    }
}

/// As those of files are: the superblock has it, and what the format makes itself.
#[test]
fn times_of_the_whole_that_cannot_be_told_are_refused() {
    const ENDLESS: i64 = 20_000_101_000_000;
    for (inode_size, seconds, is_taken) in [
        ("128", -1, false),
        ("128", 0, true),
        ("128", (1 << 31) - 1, true),
        ("128", 1 << 31, false),
        ("128", ENDLESS, false),
        ("256", -1, false),
        ("256", 0, true),
        ("256", 1 << 31, true),
        ("256", (3 << 32) - (1 << 31), false),
        ("256", (1 << 34) - (1 << 31) - 1, true),
        ("256", (1 << 34) - (1 << 31), false),
        ("256", ENDLESS, false),
        ("256", i64::MIN, false),
    ] {
        let mut tree = MemoryTree::new();
        tree.insert("file", Entry::file("content"));
        let mut request = request(4 << 20, &[("inode-size", inode_size)]);
        request.time.seconds = seconds;
        let refused = FormatError::node(NodeId::ROOT, NodeProblem::Time);
        let expected = (!is_taken).then_some(refused);
        let measured = Ext4::measure(&request, &mut tree);
        assert_eq!(measured.err(), expected, "{inode_size}, {seconds}");
        let made = make_request(&mut tree, &request);
        assert_eq!(made.err(), expected, "{inode_size}, {seconds}");
    }
}

#[test]
fn times_beyond_small_inodes_are_refused() {
    for seconds in [i64::from(i32::MIN) - 1, i64::from(i32::MAX) + 1] {
        let mut entry = Entry::file("");
        entry.modified = Timestamp {
            seconds,
            nanoseconds: 0,
        };
        let settings = [("inode-size", "128")];
        assert_eq!(problem_with(&settings, entry), NodeProblem::Time);
    }
}

#[test]
fn files_larger_than_their_map_or_the_count_of_sectors_are_refused() {
    for (kind, block_size, features, limit) in [
        ("ext2", 1024, "", 16_843_020 * 1024),
        ("ext3", 2048, "", 134_480_396 * 2048),
        ("ext3", 4096, "", 536_346_110 * 4096),
        (
            "ext4",
            4096,
            "^64bit,^extent",
            (12 + 1024 + (1 << 20) + (1 << 30)) * 4096,
        ),
        ("ext4", 4096, "^huge_file", 536_870_911 * 4096),
    ] {
        let block_size: u64 = block_size;
        let block_size_text = block_size.to_string();
        let settings = [
            ("kind", kind),
            ("block-size", &block_size_text),
            ("features", features),
        ];
        let mut tree = MemoryTree::new();
        let data = vec![(limit - 5, b"last!".to_vec())];
        tree.insert("largest", Entry::sparse(limit, data));
        fsck(&make_request(&mut tree, &request(8 << 20, &settings)).unwrap());
        let problem = problem_with(&settings, Entry::sparse(limit + 1, vec![]));
        assert_eq!(problem, NodeProblem::FileTooLarge(limit), "{settings:?}");
    }
}

#[test]
fn more_directories_than_a_directory_counts_need_a_feature() {
    let mut tree = MemoryTree::new();
    for index in 0..64_998 {
        tree.insert(format!("many/{index}"), Entry::new(Kind::Directory));
    }
    for settings in [[("kind", "ext2")], [("features", "^dir_nlink")]] {
        fsck(&make_request(&mut tree, &request(512 << 20, &settings)).unwrap());
    }
    tree.insert("many/more", Entry::new(Kind::Directory));
    let error = Ext4::measure(&request(0, &[("kind", "ext3")]), &mut tree).unwrap_err();
    assert_eq!(
        error,
        FormatError::node(NodeId(1), NodeProblem::TooManyLinks(65_000))
    );
}

#[test]
fn attributes_without_room_or_sense_are_refused() {
    let with = |attribute: Attribute| {
        let mut entry = Entry::file("");
        entry.attributes = vec![attribute];
        problem_of(entry)
    };
    let room = 4096 - 32 - 4 - 20;
    let long = attribute("user.name", vec![1; room + 1]);
    assert_eq!(with(long), NodeProblem::AttributesTooLarge(4096));
    for (name, value) in [
        ("user.", "value"),
        ("system.other", "value"),
        ("nonsense", "value"),
        ("system.posix_acl_access", "no list"),
        ("system.posix_acl_access.", "value"),
        ("system.posix_acl_access", "\x02\0\0\0\x77\0\0\0\0\0\0\0"),
    ] {
        assert_eq!(with(attribute(name, value)), NodeProblem::Attributes);
    }
}

#[test]
fn attributes_need_their_feature() {
    let mut entry = Entry::file("");
    entry.attributes = vec![attribute("user.name", "value")];
    for features in ["^ext_attr", "none,extent"] {
        let problem = problem_with(&[("features", features)], entry.clone());
        assert_eq!(problem, NodeProblem::Attributes);
    }
}

#[test]
fn attributes_are_left_out_where_that_is_allowed() {
    let mut tree = MemoryTree::new();
    let mut entry = Entry::file("");
    entry.attributes = vec![
        attribute("system.other", "value"),
        attribute("user.kept", "value"),
    ];
    tree.insert("node", entry);
    let mut request = request(1 << 20, &[]);
    request.drop = Losses::ATTRIBUTES;
    let image = make_request(&mut tree, &request).unwrap();
    fsck(&image);
    if let Some(said) = judge::debugfs(&image, "ea_list /node") {
        assert!(
            said.contains("user.kept") && !said.contains("other"),
            "{said}"
        );
    }
}

/// That name is e2fsck's, whichever way another thing comes by it.
#[test]
fn a_lost_and_found_that_is_no_directory_is_refused() {
    const NAME: &str = "lost+found";
    let device = Device { major: 1, minor: 3 };
    let refused = |mut tree: MemoryTree, node| {
        let error = FormatError::node(NodeId(node), NodeProblem::NameReserved);
        for kind in ["ext2", "ext4"] {
            let measured = Ext4::measure(&request(0, &[("kind", kind)]), &mut tree);
            assert_eq!(measured, Err(error.clone()));
            let made = make_request(&mut tree, &request(64 << 20, &[("kind", kind)]));
            assert_eq!(made.err(), Some(error.clone()));
        }
    };
    for entry in [
        Entry::file("content"),
        Entry::new(Kind::symlink("target")),
        Entry::new(Kind::CharacterDevice(device)),
        Entry::new(Kind::BlockDevice(device)),
        Entry::new(Kind::Fifo),
        Entry::new(Kind::Socket),
    ] {
        let mut tree = MemoryTree::new();
        tree.insert(NAME, entry.clone());
        refused(tree, 1);
        // The first name is another one, and this is the link.
        let mut tree = MemoryTree::new();
        tree.insert("a", entry.clone());
        tree.hard_link(NAME, "a");
        refused(tree, 2);
        // Below the root it is a name like any other.
        let mut tree = MemoryTree::new();
        tree.insert(format!("a/{NAME}"), entry);
        tree.hard_link(format!("b/{NAME}"), format!("a/{NAME}"));
        fsck(&make_request(&mut tree, &request(8 << 20, &[])).unwrap());
    }
}

#[test]
fn too_many_names_are_refused() {
    let mut tree = MemoryTree::new();
    tree.insert("a", Entry::file("content"));
    for index in 1..65_000 {
        tree.hard_link(format!("b/{index}"), "a");
    }
    let image = make_request(&mut tree, &request(32 << 20, &[])).unwrap();
    fsck(&image);
    tree.hard_link("c", "a");
    let error = Ext4::measure(&request(0, &[]), &mut tree).unwrap_err();
    assert_eq!(
        error,
        FormatError::node(NodeId(1), NodeProblem::TooManyLinks(65_000))
    );
}

#[test]
fn settings_are_checked() {
    let error = |name: &str, value: &str| {
        let settings = [(name, value)];
        let result = Ext4::measure(&request(0, &settings), &mut MemoryTree::new());
        match result {
            Err(FormatError::Setting(error)) => {
                assert_eq!(error.name, name);
                error.problem
            }
            other => panic!("{name} = {value}: {other:?}"),
        }
    };
    assert_eq!(error("nonsense", "1"), SettingProblem::Unknown);
    for (name, value) in [
        ("block-size", "512"),
        ("block-size", "8192"),
        ("hash-seed", "123"),
        ("inode-ratio", "many"),
        ("inode-size", "100"),
        ("inode-size", "2048"),
        ("inodes", "-1"),
        ("journal", "maybe"),
        ("journal", "64 parsecs"),
        ("last-mounted", &"/x".repeat(40)),
        ("profile", "debian-1"),
        ("reserved-blocks", "51%"),
        ("reserved-blocks", "%"),
        ("reserved-blocks", "-1"),
    ] {
        assert_eq!(
            error(name, value),
            SettingProblem::Malformed,
            "{name} = {value}"
        );
    }
    assert_eq!(
        error("inode-ratio", "1"),
        SettingProblem::OutOfRange(1024, 64 << 20)
    );
    let settings = [
        ("block-size", "1024"),
        ("inode-size", "1024"),
        ("inode-ratio", "2047"),
    ];
    let result = Ext4::measure(&request(0, &settings), &mut MemoryTree::new());
    let bounds = SettingProblem::OutOfRange(2048, 64 << 20);
    assert_eq!(result, Err(FormatError::setting("inode-ratio", bounds)));
    assert_eq!(
        error("journal", "1MiB"),
        SettingProblem::OutOfRange(4 << 20, 10_240_000 * 4096)
    );
}

/// Why a request is refused for one of its options.
fn reason(settings: &[(&str, &str)]) -> String {
    match Ext4::measure(&request(0, settings), &mut MemoryTree::new()) {
        Err(FormatError::Setting(error)) => match error.problem {
            SettingProblem::Conflict(reason) => format!("{}: {reason}", error.name),
            problem => panic!("{settings:?}: {problem:?}"),
        },
        other => panic!("{settings:?}: {other:?}"),
    }
}

#[test]
fn features_that_do_not_go_together_are_refused() {
    for (features, expected) in [
        ("^sparse_super", "resize_inode needs sparse_super"),
        (
            "^metadata_csum,metadata_csum_seed",
            "metadata_csum_seed needs metadata_csum",
        ),
        ("^extent", "64bit needs extent"),
        ("meta_bg", "add ^resize_inode"),
        ("^has_journal,orphan_file", "orphan_file needs has_journal"),
    ] {
        let reason = reason(&[("features", features)]);
        assert!(reason.starts_with("features: "), "{reason}");
        assert!(reason.contains(expected), "{features}: {reason}");
    }
    for kind in ["ext2", "ext3"] {
        let reason = reason(&[("kind", kind), ("features", "inline_data")]);
        assert_eq!(reason, "features: only ext4 knows inline_data");
    }
    let reason = reason(&[("inode-size", "128"), ("features", "inline_data")]);
    assert_eq!(
        reason,
        "inode-size: inline_data needs inodes of at least 256 bytes"
    );
}

#[test]
fn a_journal_and_its_feature_agree() {
    for (journal, features) in [
        ("no", "has_journal"),
        ("yes", "^has_journal"),
        ("8MiB", "-has_journal"),
    ] {
        let reason = reason(&[("journal", journal), ("features", features)]);
        assert_eq!(reason, "journal: features");
    }
    for (journal, features) in [
        ("no", "^has_journal"),
        ("yes", "^has_journal,has_journal"),
        ("8MiB", "none"),
    ] {
        let settings = [("journal", journal), ("features", features)];
        assert!(Ext4::measure(&request(0, &settings), &mut MemoryTree::new()).is_ok());
    }
}

#[test]
fn features_that_there_are_not_are_named() {
    for (features, expected) in [
        ("extent,nonsense", "features: there is no feature nonsense"),
        (
            "^inline-data",
            "features: there is no feature inline-data; did you mean inline_data?",
        ),
        (
            "+64bits",
            "features: there is no feature 64bits; did you mean 64bit?",
        ),
        ("^none", "features: there is no feature none"),
        (
            "BigAlloc",
            "features: mke2fs has BigAlloc, but it is not made here",
        ),
    ] {
        assert_eq!(reason(&[("features", features)]), expected);
    }
}

#[test]
fn labels_are_checked() {
    let measure = |label: &str| {
        let mut request = request(0, &[]);
        request.label = label.into();
        Ext4::measure(&request, &mut MemoryTree::new())
    };
    assert!(measure("0123456789abcdef").is_ok());
    assert_eq!(
        measure("0123456789abcdefg"),
        Err(FormatError::Label(LabelProblem::TooLong(16)))
    );
}

#[test]
fn sizes_without_sense_are_refused() {
    let format = |size| make_request(&mut MemoryTree::new(), &request(size, &[])).err();
    for size in [0, 1, 511, 512, 4095, 4096, 10_000, 40_959] {
        assert!(
            matches!(format(size), Some(FormatError::TooSmall(_))),
            "{size}"
        );
    }
    let mut request = request(0, &[]);
    request.kind = "vfat".into();
    assert_eq!(
        Ext4::measure(&request, &mut MemoryTree::new()),
        Err(FormatError::Kind)
    );
    request.kind = "ext4".into();
    request.size = u64::MAX;
    let tree: &mut MemoryTree = &mut MemoryTree::new();
    let mut nowhere = judge::Nowhere;
    assert!(matches!(
        Ext4::format(&request, tree, &mut nowhere),
        Err(FormatError::TooLarge(_))
    ));
}
