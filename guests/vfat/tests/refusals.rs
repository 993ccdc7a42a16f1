//! What FAT cannot store is an error that names it, unless it may be left out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{
    Attribute, Device, FormatError, Kind, LabelProblem, Losses, NodeError, NodeId, NodeProblem,
    SettingProblem, Timestamp,
};
use support::{MIB, format, request};

/// Why `tree` cannot be stored: the node and the problem.
fn refusal(tree: &MemoryTree, drop: Losses) -> Option<(u32, NodeProblem)> {
    let mut request = request("vfat", 8 * MIB);
    request.drop = drop;
    match format(&request, tree) {
        Ok(volume) => {
            volume.fsck();
            None
        }
        Err(FormatError::Node(NodeError { node, problem })) => Some((node.0, problem)),
        Err(other) => panic!("{other:?}"),
    }
}

fn with(path: &str, entry: Entry) -> MemoryTree {
    let mut tree = MemoryTree::new();
    tree.insert(path, entry);
    tree
}

#[test]
fn what_is_no_file_is_refused_or_dropped() {
    let device = Device { major: 1, minor: 3 };
    let cases = [
        (Kind::symlink(b"target"), Losses::SYMLINKS),
        (Kind::CharacterDevice(device), Losses::SPECIAL_FILES),
        (Kind::BlockDevice(device), Losses::SPECIAL_FILES),
        (Kind::Fifo, Losses::SPECIAL_FILES),
        (Kind::Socket, Losses::SPECIAL_FILES),
    ];
    for (kind, loss) in cases {
        let mut entry = Entry::new(kind);
        entry.uid = 7;
        let tree = with("dir/name", entry);
        assert_eq!(
            refusal(&tree, Losses::empty()),
            Some((2, NodeProblem::Kind))
        );
        assert_eq!(refusal(&tree, !loss), Some((2, NodeProblem::Kind)));
        assert_eq!(refusal(&tree, loss), None);
    }
}

#[test]
fn metadata_is_refused_or_dropped() {
    let changed = |change: fn(&mut Entry)| {
        let mut entry = Entry::file(*b"x");
        change(&mut entry);
        let mut tree = with("file", entry);
        tree.insert("another", Entry::file(*b"x"));
        tree
    };
    let cases: [(MemoryTree, NodeProblem, Losses); 5] = [
        (
            changed(|entry| entry.uid = 1000),
            NodeProblem::Owner,
            Losses::OWNERS,
        ),
        (
            changed(|entry| entry.gid = 1000),
            NodeProblem::Owner,
            Losses::OWNERS,
        ),
        (
            changed(|entry| entry.mode = 0o4755),
            NodeProblem::Permissions,
            Losses::PERMISSIONS,
        ),
        (
            changed(|entry| entry.mode = 0o1644),
            NodeProblem::Permissions,
            Losses::PERMISSIONS,
        ),
        (
            changed(|entry| {
                entry.attributes.push(Attribute {
                    name: b"user.a".to_vec(),
                    value: Vec::new(),
                });
            }),
            NodeProblem::Attributes,
            Losses::ATTRIBUTES,
        ),
    ];
    // Hardly a tree has the modes that a mount shows.
    let private = changed(|entry| entry.mode = 0o600);
    assert_eq!(refusal(&private, Losses::empty()), None);
    for (tree, problem, loss) in cases {
        assert_eq!(refusal(&tree, Losses::empty()), Some((2, problem)));
        assert_eq!(refusal(&tree, loss), None);
    }
}

#[test]
fn a_uniform_owner_is_no_loss() {
    let owned = |uid: u32| {
        let mut entry = Entry::file(*b"x");
        entry.uid = uid;
        entry
    };
    let mut tree = MemoryTree::new();
    tree.insert("made-by-the-host/a", owned(1000));
    tree.insert("made-by-the-host/b", owned(1000));
    assert_eq!(refusal(&tree, Losses::empty()), None);
    tree.insert("made-by-the-host/c", owned(1001));
    assert_eq!(
        refusal(&tree, Losses::empty()),
        Some((4, NodeProblem::Owner))
    );
}

#[test]
fn a_hard_link_is_refused_or_copied_or_dropped_with_its_target() {
    let mut tree = with("a", Entry::file(*b"x"));
    tree.hard_link("b", "a");
    assert_eq!(
        refusal(&tree, Losses::empty()),
        Some((2, NodeProblem::HardLink))
    );
    assert_eq!(refusal(&tree, Losses::HARD_LINKS), None);
    let mut tree = with("a", Entry::new(Kind::Fifo));
    tree.hard_link("b", "a");
    assert_eq!(refusal(&tree, Losses::SPECIAL_FILES), None);
}

#[test]
fn a_name_that_is_equal_but_for_case_is_refused() {
    let mut tree = with("dir/Grub.cfg", Entry::file(*b"1"));
    tree.insert("dir/grub.CFG", Entry::file(*b"2"));
    tree.insert("grub.cfg", Entry::file(*b"elsewhere"));
    let collision = NodeProblem::NameCollision(NodeId(2));
    assert_eq!(refusal(&tree, Losses::all()), Some((3, collision)));
    let mut tree = with("É", Entry::file(*b"1"));
    tree.insert("é", Entry::file(*b"2"));
    assert!(matches!(
        refusal(&tree, Losses::all()),
        Some((2, NodeProblem::NameCollision(NodeId(1))))
    ));
}

#[test]
fn a_name_that_cannot_be_is_refused() {
    let file = || Entry::file(*b"");
    assert_eq!(
        refusal(&with("a:b", file()), Losses::all()),
        Some((1, NodeProblem::NameCharacter(':')))
    );
    assert_eq!(
        refusal(&with("d/nul.txt", file()), Losses::all()),
        Some((2, NodeProblem::NameReserved))
    );
    let mut tree = MemoryTree::new();
    tree.insert(b"\xFF\xFE", file());
    assert_eq!(
        refusal(&tree, Losses::all()),
        Some((1, NodeProblem::NameEncoding))
    );
    let long = "x".repeat(256);
    assert_eq!(
        refusal(&with(&long, file()), Losses::all()),
        Some((1, NodeProblem::NameTooLong(255)))
    );
}

#[test]
fn what_is_too_large_is_refused() {
    let large = Entry::sparse(1 << 32, Vec::new());
    let limit = NodeProblem::FileTooLarge((1 << 32) - 1);
    assert_eq!(
        refusal(&with("large", large), Losses::all()),
        Some((1, limit))
    );
    let mut tree = MemoryTree::new();
    for index in 0..32_767 {
        tree.insert(format!("d/f{index}"), Entry::file(Vec::new()));
    }
    let limit = NodeProblem::DirectoryTooLarge(65_535);
    assert_eq!(refusal(&tree, Losses::all()), Some((1, limit)));
}

#[test]
fn a_given_root_that_is_too_small_is_refused() {
    let mut tree = MemoryTree::new();
    for index in 0..9 {
        tree.insert(format!("f{index}"), Entry::file(Vec::new()));
    }
    let mut request = request("vfat", MIB);
    request.settings = vec![("root-entries".to_owned(), "16".to_owned())];
    let problem = NodeProblem::DirectoryTooLarge(16);
    assert_eq!(
        format(&request, &tree).err(),
        Some(FormatError::node(NodeId::ROOT, problem))
    );
}

#[test]
fn times_outside_become_the_nearest_and_are_counted_but_for_the_root() {
    let at = |seconds| {
        let mut entry = Entry::new(Kind::Directory);
        entry.modified = Timestamp {
            seconds,
            nanoseconds: 0,
        };
        entry
    };
    let warnings = |tree: &MemoryTree| {
        let volume = format(&request("vfat", 8 * MIB), tree).unwrap();
        volume.fsck();
        volume.warnings
    };
    let mut tree = with("d", at(0));
    tree.insert("e", at(4_354_819_200));
    tree.insert("f", at(4_354_819_199));
    let told = warnings(&tree);
    assert!(
        matches!(&told[..], [one] if one.contains("before 1980-01-01 or after 2107-12-31, which is all that FAT counts: 2;")),
        "{told:?}"
    );
    assert_eq!(warnings(&with("d", at(4_354_819_199))), [""; 0]);
    assert_eq!(warnings(&with("", at(0))), [""; 0]);
}

#[test]
fn a_time_of_the_whole_is_refused_if_it_is_too_late_and_told_if_a_label_has_it_and_it_is_too_early()
{
    let tree = with("file", Entry::file(*b"x"));
    let with = |label: &str, seconds| {
        let mut request = request("vfat", 8 * MIB);
        request.label = label.to_owned();
        request.time.seconds = seconds;
        request
    };
    let refused = FormatError::node(NodeId::ROOT, NodeProblem::Time);
    for label in ["", "LABEL"] {
        for seconds in [4_354_819_200, 20_000_101_000_000] {
            let made = format(&with(label, seconds), &tree);
            assert_eq!(made.err(), Some(refused.clone()));
        }
    }
    for (label, seconds, expected) in [
        ("LABEL", 315_532_799, ": the label;"),
        ("", 0, ""),
        ("LABEL", 315_532_800, ""),
        ("LABEL", 4_354_819_199, ""),
    ] {
        let volume = format(&with(label, seconds), &tree).unwrap();
        volume.fsck();
        let told = volume.warnings.concat();
        assert!(told.contains(expected), "{told}");
        assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
    }
}

#[test]
fn a_request_that_cannot_be_is_refused() {
    let tree = MemoryTree::new();
    let with = |name: &str, value: &str| {
        let mut request = request("vfat", MIB);
        request.settings = vec![(name.to_owned(), value.to_owned())];
        match format(&request, &tree).err() {
            Some(FormatError::Setting(error)) if error.name == name => error.problem,
            other => panic!("{name}={value}: {other:?}"),
        }
    };
    assert_eq!(with("blocks", "1"), SettingProblem::Unknown);
    assert_eq!(with("fats", "3"), SettingProblem::OutOfRange(1, 2));
    assert_eq!(with("fats", "two"), SettingProblem::Malformed);
    assert_eq!(with("cluster-size", "4000"), SettingProblem::Malformed);
    assert_eq!(
        with("cluster-size", "256"),
        SettingProblem::OutOfRange(512, 65_536)
    );
    assert_eq!(
        with("cluster-size", "99999999999"),
        SettingProblem::OutOfRange(512, 65_536)
    );
    assert_eq!(
        with("reserved-sectors", "0"),
        SettingProblem::OutOfRange(1, 65_535)
    );
    let mut request = request("vfat", MIB);
    request.label = "TWELVE CHARS".to_owned();
    let problem = LabelProblem::TooLong(11);
    assert_eq!(
        format(&request, &tree).err(),
        Some(FormatError::Label(problem))
    );
    request.kind = "exfat".to_owned();
    assert_eq!(format(&request, &tree).err(), Some(FormatError::Kind));
}
