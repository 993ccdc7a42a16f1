//! What cannot be is refused by name, with the bounds.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{
    Device, FormatError, Kind, LabelProblem, Losses, NodeId, NodeProblem, SettingProblem, Timestamp,
};
use judge::{make, make_request, measure_request, mount, request};
use trees::attribute;

fn problem(entry: Entry) -> NodeProblem {
    let mut tree = MemoryTree::new();
    tree.insert("node", entry);
    match make(&mut tree, 1 << 20, &[]).err() {
        Some(FormatError::Node(error)) => error.problem,
        other => panic!("{other:?}"),
    }
}

fn setting_problem(settings: &[(&str, &str)]) -> (String, SettingProblem) {
    match measure_request(&mut MemoryTree::new(), &request(0, settings)) {
        Err(FormatError::Setting(error)) => (error.name, error.problem),
        other => panic!("{settings:?}: {other:?}"),
    }
}

#[test]
fn times_outside_32_bits_are_refused() {
    for seconds in [-1, i64::from(u32::MAX) + 1] {
        let mut entry = Entry::file("late");
        entry.modified = Timestamp {
            seconds,
            nanoseconds: 0,
        };
        assert_eq!(problem(entry), NodeProblem::Time);
    }
}

#[test]
fn a_time_of_the_whole_outside_32_bits_is_refused() {
    for (seconds, is_taken) in [
        (-1, false),
        (0, true),
        (u32::MAX.into(), true),
        (i64::from(u32::MAX) + 1, false),
        (20_000_101_000_000, false),
    ] {
        let mut tree = MemoryTree::new();
        tree.insert("node", Entry::file("content"));
        let mut request = request(1 << 20, &[]);
        request.time.seconds = seconds;
        let refused = FormatError::node(NodeId::ROOT, NodeProblem::Time);
        let expected = (!is_taken).then_some(refused);
        let measured = measure_request(&mut tree, &request);
        assert_eq!(measured.err(), expected, "{seconds}");
        let made = make_request(&mut tree, &request);
        assert_eq!(made.err(), expected, "{seconds}");
    }
}

#[test]
fn device_numbers_outside_the_format_are_refused() {
    for (major, minor) in [(1 << 12, 0), (0, 1 << 20)] {
        let device = Device { major, minor };
        let entry = Entry::new(Kind::CharacterDevice(device));
        assert_eq!(problem(entry), NodeProblem::Device);
    }
}

#[test]
fn long_names_and_targets_are_refused() {
    let entry = Entry::new(Kind::symlink(vec![b't'; 4096]));
    assert_eq!(problem(entry), NodeProblem::TargetTooLong(4095));
    let mut tree = MemoryTree::new();
    tree.insert("n".repeat(256), Entry::file(""));
    let Err(FormatError::Node(error)) = measure_request(&mut tree, &request(0, &[])) else {
        panic!("it was taken");
    };
    assert_eq!(error.problem, NodeProblem::NameTooLong(255));
}

#[test]
fn files_of_too_many_blocks_are_refused() {
    let most = (1 << 26) * (128 << 10);
    let entry = Entry::sparse(most + 1, vec![]);
    assert_eq!(problem(entry), NodeProblem::FileTooLarge(most));
}

#[test]
fn access_control_lists_are_refused_unless_dropped() {
    for name in [
        "system.posix_acl_access",
        "system.posix_acl_default",
        "other.name",
    ] {
        let mut tree = MemoryTree::new();
        let mut entry = Entry::new(Kind::Directory);
        entry.attributes = vec![
            attribute(name, trees::access_control_list()),
            attribute("user.kept", "value"),
        ];
        tree.insert("directory", entry.clone());
        let mut request = request(1 << 20, &[]);
        let error = make_request(&mut tree, &request).err();
        let Some(FormatError::Node(error)) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.problem, NodeProblem::Attributes);
        request.drop = Losses::ATTRIBUTES;
        let image = make_request(&mut tree, &request).unwrap();
        entry.attributes.remove(0);
        entry.attributes.truncate(1);
        entry.attributes = vec![attribute("user.kept", "value")];
        tree.insert("directory", entry);
        mount::compare(&image, &mut tree);
    }
}

/// One file each for so many owners.
fn crowd(owners: u32) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for owner in 0..owners {
        let mut entry = Entry::file("");
        (entry.uid, entry.gid) = (owner, owner);
        tree.insert(format!("{owner:06}"), entry);
    }
    tree
}

#[test]
fn more_owners_than_can_be_told_apart_are_refused_unless_dropped() {
    let mut full = crowd(65_535);
    let image = judge::make_smallest(&mut full, &[]);
    mount::compare(&image, &mut full);
    let mut crowd = crowd(65_536);
    let mut request = request(16 << 20, &[]);
    let error = make_request(&mut crowd, &request).err();
    let Some(FormatError::Node(error)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.problem, NodeProblem::Owner);
    request.drop = Losses::OWNERS;
    let image = make_request(&mut crowd, &request).unwrap();
    let mut of_root = MemoryTree::new();
    for owner in 0..65_536 {
        of_root.insert(format!("{owner:06}"), Entry::file(""));
    }
    mount::compare(&image, &mut of_root);
}

#[test]
fn a_label_is_refused() {
    let mut request = request(1 << 20, &[]);
    request.label = "root".into();
    let error = measure_request(&mut MemoryTree::new(), &request);
    assert_eq!(error, Err(FormatError::Label(LabelProblem::TooLong(0))));
}

#[test]
fn settings_out_of_bounds_are_refused_with_the_bounds() {
    use SettingProblem::{Malformed, OutOfRange, Unknown};
    for (name, value, problem) in [
        ("journal", "yes", Unknown),
        ("block-size", "2048", OutOfRange(4096, 1 << 20)),
        ("block-size", "2MiB", OutOfRange(4096, 1 << 20)),
        ("block-size", "5000", Malformed),
        ("block-size", "", Malformed),
        ("block-size", "4096GiB", Malformed),
        ("compression", "lzo", Malformed),
        ("compression", "lzma", Malformed),
        ("compression", "lz4,level=1", Malformed),
        ("compression", "zstd,level=", Malformed),
        ("compression", "zstd,level=23", OutOfRange(1, 22)),
        ("level", "0", OutOfRange(1, 22)),
        ("level", "23", OutOfRange(1, 22)),
        ("level", "high", Malformed),
        ("no-fragments", "maybe", Malformed),
        ("no-compression", "inodes,names", Malformed),
        ("padding", "3000", Malformed),
        ("sort", "nowhere=1", Malformed),
        ("sort", "path", Malformed),
    ] {
        let (found, what) = setting_problem(&[(name, value)]);
        assert_eq!((found.as_str(), what), (name, problem), "{name}={value}");
    }
}

#[test]
fn settings_of_other_codecs_are_refused() {
    let conflict = |with: &str| SettingProblem::Conflict(with.to_owned());
    for (codec, name, value) in [
        ("lz4", "level", "9"),
        ("none", "level", "9"),
        ("zstd", "bcj", "x86"),
        ("gzip", "dictionary-size", "8192"),
    ] {
        let (found, problem) = setting_problem(&[("compression", codec), (name, value)]);
        assert_eq!(
            (found.as_str(), problem),
            (name, conflict(&format!("compression={codec}")))
        );
    }
    let both = [("no-fragments", "yes"), ("always-use-fragments", "yes")];
    let (name, problem) = setting_problem(&both);
    assert_eq!(
        (name.as_str(), problem),
        ("always-use-fragments", conflict("no-fragments"))
    );
    let xz = |name, value| setting_problem(&[("compression", "xz"), (name, value)]).1;
    assert_eq!(xz("bcj", "x86,mips"), SettingProblem::Malformed);
    assert_eq!(
        xz("bcj", "x86,arm,arm64,sparc"),
        SettingProblem::OutOfRange(0, 3)
    );
    assert_eq!(xz("dictionary-size", "100000"), SettingProblem::Malformed);
    assert_eq!(
        xz("dictionary-size", "256KiB"),
        SettingProblem::OutOfRange(8192, 128 << 10)
    );
}
