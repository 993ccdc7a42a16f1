//! Whole file systems, judged by e2fsprogs.
#![allow(clippy::unwrap_used)]

mod judge;

use cellblock_guest::memory::{Entry, MemoryTree};
use judge::{fsck, make};

#[test]
fn an_empty_tree_is_clean() {
    let mut tree = MemoryTree::new();
    tree.insert("etc/hostname", Entry::file("cell\n"));
    for size in [1 << 20, 8 << 20, 64 << 20, 600 << 20, 3 << 30] {
        let image = make(&mut tree, size, &[]).unwrap();
        fsck(&image);
    }
}
