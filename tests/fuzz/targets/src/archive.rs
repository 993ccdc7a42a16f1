//! A tar archive.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;

use cellblock_tree::source::{ReadOptions, Source, SourceError, What, read_sources};
use cellblock_tree::{Kind, Node, Tree};
use rustix::fs::{MemfdFlags, memfd_create};

/// The most bytes that an archive is decompressed into.
const SPOOL: u64 = 1 << 20;
/// The most bytes that are read of a file, for it may have as many as it says.
const MOST: u64 = 1 << 16;

/// Reads an archive, plain or compressed, into a tree, and every file in it.
pub fn archive(data: &[u8]) {
    let mut file = in_memory().expect("a file in memory");
    file.write_all(data).expect("memory for it");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let source = Source::new(What::Archive(path.into()));
    match read_sources(&[source], &in_memory, &ReadOptions::within(SPOOL)).map(|read| read.tree) {
        Ok(tree) => check(&tree),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn in_memory() -> io::Result<File> {
    Ok(memfd_create("fuzz", MemfdFlags::CLOEXEC)?.into())
}

/// Holds a tree to its order and its rules; every file can be read.
pub(crate) fn check(tree: &Tree) {
    check_with(tree, |error| panic!("{error}"));
}

/// The same of a tree in which what a file's bytes are made of may be damaged, which `fails` is told.
pub(crate) fn check_with(tree: &Tree, fails: fn(SourceError)) {
    let mut before: Option<Vec<u8>> = None;
    for node in tree.nodes() {
        assert!(node.id.0 == 0 || node.parent < node.id, "{node:?}");
        assert_eq!(*tree.node(node.parent).kind, Kind::Directory, "{node:?}");
        let is_name = !matches!(node.name, b"." | b"..")
            && !node.name.contains(&b'/')
            && !node.name.contains(&0);
        assert!(
            is_name && (node.id.0 == 0) == node.name.is_empty(),
            "{node:?}"
        );
        assert!(node.mode <= 0o7777, "{node:?}");
        assert!(node.modified.nanoseconds < 1_000_000_000, "{node:?}");
        assert!(
            node.attributes.is_sorted_by(|a, b| a.name < b.name),
            "{node:?}"
        );
        check_for_linux(&node);
        // Depth first, siblings by their names: what paths are sorted by if their separator comes before all else.
        let path = tree.path(node.id);
        let path: Vec<u8> = path
            .iter()
            .map(|byte| if *byte == b'/' { 0 } else { *byte })
            .collect();
        assert!(before.is_none_or(|before| before < path), "{node:?}");
        before = Some(path);
        check_content(tree, &node, fails);
    }
    assert_ne!(tree.digest(), [0; 32]);
}

/// Holds a node to what any Linux system takes.
fn check_for_linux(node: &Node<'_>) {
    assert!(node.uid != u32::MAX && node.gid != u32::MAX, "{node:?}");
    let is_symlink = matches!(node.kind, Kind::Symlink(_));
    assert!(!is_symlink || node.mode == 0o777, "{node:?}");
    for attribute in node.attributes {
        let name = &attribute.name;
        assert!((6..=255).contains(&name.len()), "{node:?}");
        assert!(!name.contains(&0), "{node:?}");
        assert!(attribute.value.len() <= 65_536, "{node:?}");
        let is_users = name.starts_with(b"user.");
        let may_be_users = matches!(
            node.kind,
            Kind::Directory | Kind::File { .. } | Kind::HardLink(_)
        );
        assert!(!is_users || may_be_users, "{node:?}");
    }
}

fn check_content(tree: &Tree, node: &Node<'_>, fails: fn(SourceError)) {
    match *node.kind {
        Kind::HardLink(target) => {
            assert!(target < node.id, "{node:?}");
            let target = tree.node(target).kind;
            assert!(
                !matches!(target, Kind::HardLink(_) | Kind::Directory),
                "{node:?}"
            );
        }
        Kind::File { size, .. } => {
            let ranges = match tree.ranges(node.id) {
                Ok(ranges) => ranges,
                Err(error) => return fails(error),
            };
            let mut end = 0;
            for range in ranges {
                assert!(range.offset >= end && range.length > 0, "{node:?}");
                end = range.offset + range.length;
                read(tree, node, range.offset, range.length, fails);
            }
            assert!(end <= size, "{node:?}");
            read(tree, node, 0, size, fails);
        }
        _ => {}
    }
}

/// Reads a stretch of a file, or the beginning of it.
fn read(tree: &Tree, node: &Node<'_>, offset: u64, length: u64, fails: fn(SourceError)) {
    let length = usize::try_from(length.min(MOST)).expect("a small number");
    let result = tree.reader().read(node.id, offset, &mut vec![0; length]);
    result.unwrap_or_else(fails);
}
