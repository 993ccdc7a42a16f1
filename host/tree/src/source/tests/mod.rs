//! Directories, files and bytes, merged; and their bytes read back.
#![allow(clippy::unwrap_used)]

mod following;
mod walking;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::attributes::AttributeAccess;
use super::budget::Kept;
use super::directory::{self, Selection};
use super::pattern::Patterns;
use super::*;
use crate::{Data, Kind, NodeId};
use cellblock_judges::{Ability, lacks};
use tempfile::TempDir;

pub(super) fn spool() -> io::Result<File> {
    tempfile::tempfile()
}

pub(super) fn read(sources: &[Source]) -> Result<Tree, SourceError> {
    read_sources(sources, &spool, &ReadOptions::within(1 << 30)).map(|read| read.tree)
}

/// With a time that is given.
fn read_at(sources: &[Source], time: Timestamp) -> Result<Tree, SourceError> {
    let options = ReadOptions {
        time: Some(time),
        ..ReadOptions::within(1 << 30)
    };
    read_sources(sources, &spool, &options).map(|read| read.tree)
}

fn directory(path: &Path) -> Source {
    Source::new(What::Directory(path.into()))
}

fn text(to: &str, bytes: &[u8]) -> Source {
    Source {
        to: Some(to.into()),
        ..Source::new(What::Bytes(bytes.into()))
    }
}

pub(super) fn find(tree: &Tree, path: &str) -> NodeId {
    let found = tree
        .nodes()
        .find(|node| tree.path(node.id) == path.as_bytes());
    found.unwrap_or_else(|| panic!("no {path}")).id
}

fn paths(tree: &Tree) -> Vec<String> {
    let path = |id| PathBytes(tree.path(id)).to_string();
    tree.nodes().map(|node| path(node.id)).collect()
}

pub(super) fn contents(tree: &Tree, path: &str) -> Vec<u8> {
    let id = find(tree, path);
    let Kind::File { size, .. } = *tree.node(id).kind else {
        panic!("{path} is no file");
    };
    let mut buffer = vec![1; usize::try_from(size).unwrap()];
    tree.reader().read(id, 0, &mut buffer).unwrap();
    buffer
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn no_source_is_an_empty_root() {
    let tree = read(&[]).unwrap();
    assert_eq!(tree.len(), 1);
    let root = tree.node(NodeId::ROOT);
    assert_eq!((root.mode, root.uid, root.gid), (0o755, 0, 0));
    assert_eq!((root.parent, root.name), (NodeId::ROOT, &b""[..]));
    assert_eq!(tree.path(NodeId::ROOT), b"/");
}

#[test]
fn a_directory_over_a_symbolic_link_is_refused() {
    let (base, overlay) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir_all(base.path().join("usr/lib")).unwrap();
    symlink("usr/lib", base.path().join("lib")).unwrap();
    fs::create_dir_all(overlay.path().join("lib/modules")).unwrap();
    let error = read(&[directory(base.path()), directory(overlay.path())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/lib is a directory here, and a symbolic link to usr/lib in an earlier source; \
         links are never followed: put its content into the real directory"
    );
}

#[test]
fn later_sources_win_and_directories_merge() {
    let (base, overlay) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir_all(base.path().join("etc/dir")).unwrap();
    fs::write(base.path().join("etc/dir/kept"), b"kept").unwrap();
    fs::write(base.path().join("etc/one"), b"old").unwrap();
    fs::hard_link(base.path().join("etc/one"), base.path().join("etc/two")).unwrap();
    fs::write(base.path().join("link"), b"a file").unwrap();
    fs::create_dir_all(overlay.path().join("etc")).unwrap();
    fs::set_permissions(
        overlay.path().join("etc"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    fs::write(overlay.path().join("etc/one"), b"new").unwrap();
    fs::create_dir(overlay.path().join("link")).unwrap();
    fs::write(overlay.path().join("link/x"), b"").unwrap();

    let tree = read(&[
        directory(base.path()),
        Source {
            owner: Some((7, 8)),
            ..directory(overlay.path())
        },
        text("/etc/fstab", b"# none"),
        text("srv/deep/er/file", b"1"),
    ])
    .unwrap();
    assert_eq!(
        paths(&tree),
        [
            "/",
            "/etc",
            "/etc/dir",
            "/etc/dir/kept",
            "/etc/fstab",
            "/etc/one",
            "/etc/two",
            "/link",
            "/link/x",
            "/srv",
            "/srv/deep",
            "/srv/deep/er",
            "/srv/deep/er/file"
        ]
    );
    let etc = tree.node(find(&tree, "/etc"));
    assert_eq!((etc.mode, etc.uid, etc.gid), (0o700, 7, 8));
    assert_eq!(contents(&tree, "/etc/one"), b"new");
    // The other name of the replaced file is the file now.
    assert_eq!(contents(&tree, "/etc/two"), b"old");
    assert_eq!(contents(&tree, "/etc/fstab"), b"# none");
    let made = tree.node(find(&tree, "/srv/deep"));
    assert_eq!(
        (made.mode, made.uid, made.modified),
        (0o755, 0, tree.newest())
    );
    let fstab = tree.node(find(&tree, "/etc/fstab"));
    assert_eq!(
        (fstab.mode, fstab.uid, fstab.modified),
        (0o644, 0, tree.newest())
    );
}

#[test]
fn default_time_is_that_of_what_no_source_describes() {
    let time = Timestamp {
        seconds: 1_700_000_000,
        nanoseconds: 0,
    };
    let tree = read_at(&[text("/a/b", b"")], time).unwrap();
    assert!(tree.nodes().all(|node| node.modified == time));
    assert_eq!(tree.newest(), time);
}

#[test]
fn single_file_goes_where_it_is_said_to() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("motd");
    fs::write(&path, b"hello").unwrap();
    let source = |to: Option<&str>| Source {
        to: to.map(Into::into),
        mode: Some("0600".parse().unwrap()),
        ..Source::new(What::File(path.clone()))
    };
    for (to, expected) in [
        (None, "/motd"),
        (Some("/etc/"), "/etc/motd"),
        (Some("/etc/issue"), "/etc/issue"),
    ] {
        let tree = read(&[source(to)]).unwrap();
        assert_eq!(contents(&tree, expected), b"hello");
        assert_eq!(tree.node(find(&tree, expected)).mode, 0o600);
    }
    let refused = |sources: &[Source]| read(sources).unwrap_err().to_string();
    let message = refused(&[text("/etc/x/y", b""), source(Some("/etc/x"))]);
    assert!(message.contains("end it with '/'"), "{message}");
    let message = refused(&[source(Some("/a")), source(Some("/a/b/c"))]);
    assert!(
        message.contains("/a/b/c cannot be put below /a, which is a file"),
        "{message}"
    );
    assert!(refused(&[source(Some("/a/../b"))]).contains("'..'"));
    assert!(refused(&[Source::new(What::File(root.path().into()))]).contains("is a directory"));
    assert!(refused(&[directory(&path)]).contains("a directory is needed"));
    assert!(refused(&[directory(&root.path().join("absent"))]).contains("cannot open"));
    assert!(refused(&[Source::new(What::Bytes(Vec::new()))]).contains("name the file"));
}

#[test]
fn excluded_paths_are_not_even_opened() {
    let root = TempDir::new().unwrap();
    for path in ["proc/1/fd", "var/cache/apt", "usr/proc"] {
        fs::create_dir_all(root.path().join(path)).unwrap();
    }
    fs::write(root.path().join("usr/x.pyc"), b"").unwrap();
    fs::set_permissions(
        root.path().join("var/cache"),
        fs::Permissions::from_mode(0o0),
    )
    .unwrap();
    let exclude = ["/proc/*", "cache/", "*.pyc"].map(String::from).to_vec();
    let tree = read(&[Source {
        exclude,
        ..directory(root.path())
    }]);
    fs::set_permissions(
        root.path().join("var/cache"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    assert_eq!(
        paths(&tree.unwrap()),
        ["/", "/proc", "/usr", "/usr/proc", "/var"]
    );
}

#[test]
fn tree_and_errors_may_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Tree>();
    check::<SourceError>();
}

fn set_time(path: &Path, seconds: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 5,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn later_times_than_the_given_one_become_it_unless_a_source_keeps_them() {
    let root = TempDir::new().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("old"), b"").unwrap();
    fs::write(at("new"), b"").unwrap();
    symlink("x", at("link")).unwrap();
    for (path, seconds) in [("old", 99), ("new", 101), ("link", 102), ("", 103)] {
        set_time(&at(path), seconds);
    }
    let given = Timestamp {
        seconds: 100,
        nanoseconds: 7,
    };
    let times = |source: Source| -> Vec<(i64, u32)> {
        let tree = read_at(&[source], given).unwrap();
        tree.nodes()
            .map(|node| (node.modified.seconds, node.modified.nanoseconds))
            .collect()
    };
    let clamped = [(100, 7), (100, 7), (100, 7), (99, 5)];
    assert_eq!(times(directory(root.path())), clamped);
    let kept = Source {
        times: Times::Keep,
        ..directory(root.path())
    };
    assert_eq!(times(kept), [(103, 5), (102, 5), (101, 5), (99, 5)]);
    let single = |times| Source {
        to: Some(b"/new".to_vec()),
        times,
        ..Source::new(What::File(at("new")))
    };
    assert_eq!(times(single(Times::Clamp)), [(100, 7), (100, 7)]);
    assert_eq!(times(single(Times::Keep)), [(100, 7), (101, 5)]);
}

#[test]
fn files_to_be_written_are_left_out_and_unmatched_patterns_are_told() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("out")).unwrap();
    for name in ["out/disk.img", "out/other", "a.pyc"] {
        fs::write(root.path().join(name), b"x").unwrap();
    }
    fs::hard_link(root.path().join("out/disk.img"), root.path().join("again")).unwrap();
    let mut options = ReadOptions::within(0);
    let output = root.path().join("out/disk.img");
    options.leave_out.insert(FileId::of_path(&output).unwrap());
    let source = Source {
        exclude: vec!["*.pyc".to_owned(), "/cache/".to_owned(), "a.*".to_owned()],
        ..directory(root.path())
    };
    // What no earlier run has written is not to be lost.
    let refused = read_sources(std::slice::from_ref(&source), &spool, &options);
    assert!(
        matches!(refused, Err(SourceError::OutputInContent { .. })),
        "{refused:?}"
    );
    fs::write(&output, b"QFI\xfb\0\0\0\x03").unwrap();
    let read = read_sources(&[source], &spool, &options).unwrap();
    assert_eq!(paths(&read.tree), ["/", "/out", "/out/other"]);
    let left_out = |path: &str| Warning::LeftOut {
        root: root.path().into(),
        path: PathBytes(path.into()),
    };
    let unmatched = Warning::Unmatched {
        root: root.path().into(),
        pattern: "/cache/".to_owned(),
    };
    let expected = [left_out("/again"), left_out("/out/disk.img"), unmatched];
    assert_eq!(read.warnings, expected);
}

#[test]
fn a_part_of_a_directory_is_taken_without_looking_at_the_rest() {
    let root = TempDir::new().unwrap();
    for folder in ["one/rootfs/etc", "one/rootfs/usr/etc", "two"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    for file in [
        "one/rootfs/etc/a",
        "one/rootfs/usr/etc/b",
        "one/rootfs/top",
        "two/c",
    ] {
        fs::write(root.path().join(file), file).unwrap();
    }
    symlink("one", root.path().join("link")).unwrap();
    let taken = |from: Option<&str>, strip, exclude: &[&str]| {
        let exclude = exclude.iter().map(|pattern| (*pattern).to_owned());
        read(&[Source {
            from: from.map(|from| from.as_bytes().to_vec()),
            strip,
            exclude: exclude.collect(),
            ..directory(root.path())
        }])
    };
    let tree = taken(Some("one/rootfs"), 0, &["/top"]).unwrap();
    assert_eq!(
        paths(&tree),
        ["/", "/etc", "/etc/a", "/usr", "/usr/etc", "/usr/etc/b"]
    );
    assert_eq!(contents(&tree, "/etc/a"), b"one/rootfs/etc/a");
    let tree = taken(Some("/one/rootfs/"), 1, &[]).unwrap();
    assert_eq!(paths(&tree), ["/", "/a", "/etc", "/etc/b"]);
    assert_eq!(contents(&tree, "/etc/b"), b"one/rootfs/usr/etc/b");
    // What remains of the path is what a pattern means.
    let tree = taken(None, 1, &["/rootfs/usr", "/one"]).unwrap();
    assert_eq!(
        paths(&tree),
        [
            "/",
            "/c",
            "/rootfs",
            "/rootfs/etc",
            "/rootfs/etc/a",
            "/rootfs/top"
        ]
    );
    for (from, reason) in [
        ("none", "not in it"),
        ("two/c", "no directory"),
        ("link/rootfs", "no directory"),
    ] {
        let message = taken(Some(from), 0, &[]).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
    assert!(matches!(
        taken(Some("one/../two"), 0, &[]),
        Err(SourceError::Destination { .. })
    ));
}
