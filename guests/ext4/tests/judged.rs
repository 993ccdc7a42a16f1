//! Whole file systems, judged by e2fsprogs and the kernel.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{FormatError, Kind, Shortage};
use judge::{debugfs, fsck, make, measure, mount};

#[test]
fn a_small_tree_is_clean_at_any_size() {
    let mut tree = MemoryTree::new();
    tree.insert("etc/hostname", Entry::file("cell\n"));
    for size in [1 << 20, 8 << 20, 64 << 20, 600 << 20, 3 << 30, 20 << 30] {
        fsck(&make(&mut tree, size, &[]).unwrap());
    }
}

#[test]
fn everything_reads_back() {
    let mut tree = trees::everything(4096);
    let image = make(&mut tree, 256 << 20, &[]).unwrap();
    fsck(&image);
    mount::compare(&image, &mut tree);
}

#[test]
fn every_feature_set_is_clean_and_reads_back() {
    let features = [
        "^has_journal",
        "^resize_inode",
        "^metadata_csum",
        "^metadata_csum,uninit_bg",
        "^64bit",
        "^64bit,^metadata_csum,uninit_bg",
        "^flex_bg",
        "^dir_index",
        "^resize_inode,^sparse_super",
        "metadata_csum_seed",
        "large_dir",
        "^has_journal,^resize_inode,^metadata_csum,^64bit,^flex_bg,^dir_index",
    ];
    for block_size in ["1024", "2048", "4096"] {
        for features in features {
            let mut tree = trees::everything(block_size.parse().unwrap());
            let settings = [("block-size", block_size), ("features", features)];
            let image = make(&mut tree, 300 << 20, &settings).unwrap();
            println!("block size {block_size}, features {features}");
            fsck(&image);
            mount::compare(&image, &mut tree);
        }
    }
}

#[test]
fn targets_at_the_limit_of_an_inode_read_back() {
    let mut tree = MemoryTree::new();
    for length in [1, 58, 59, 60, 61, 1023, 4094, 4095] {
        let target = vec![b'x'; length];
        tree.insert(format!("link-{length}"), Entry::new(Kind::Symlink(target)));
    }
    let image = make(&mut tree, 16 << 20, &[]).unwrap();
    fsck(&image);
    mount::compare(&image, &mut tree);
}

#[test]
fn extent_trees_of_any_depth_read_back() {
    for block_size in ["4096", "1024"] {
        let mut tree = MemoryTree::new();
        for ranges in [1, 3, 4, 5, 84, 85, 336, 337, 340, 341, 1360, 1361, 7100] {
            tree.insert(format!("sparse-{ranges}"), trees::comb(ranges));
        }
        tree.insert("hole", Entry::sparse(1 << 40, vec![]));
        tree.insert(
            "tail",
            Entry::sparse(1 << 40, vec![((1 << 40) - 3, b"end".to_vec())]),
        );
        let image = make(&mut tree, 300 << 20, &[("block-size", block_size)]).unwrap();
        fsck(&image);
        mount::compare(&image, &mut tree);
    }
}

#[test]
fn directories_of_any_size_read_back() {
    for (block_size, counts) in [
        ("4096", [1, 2, 14, 15, 16, 170, 9_000]),
        ("1024", [1, 2, 3, 4, 5, 50, 400]),
    ] {
        let mut tree = MemoryTree::new();
        for count in counts {
            for index in 0..count {
                let name = format!("{index:0>255}");
                tree.insert(format!("long-{count}/{name}"), Entry::file(""));
                tree.insert(format!("short-{count}/{index}"), Entry::file(""));
            }
        }
        let image = make(&mut tree, 200 << 20, &[("block-size", block_size)]).unwrap();
        fsck(&image);
        mount::compare(&image, &mut tree);
        if let Some(said) = debugfs(&image, "htree_dump /long-15") {
            assert!(!said.contains("corrupt"), "{said}");
        }
    }
}

#[test]
fn the_measured_size_is_the_smallest() {
    for (tree, settings) in [
        (MemoryTree::new(), [].as_slice()),
        (trees::everything(4096), &[]),
        (trees::everything(1024), &[("block-size", "1024")]),
        (trees::everything(4096), &[("journal", "yes")]),
        (
            trees::everything(4096),
            &[("features", "^flex_bg,^resize_inode")],
        ),
    ] {
        smallest_is_exact(tree, settings);
    }
}

fn smallest_is_exact(mut tree: MemoryTree, settings: &[(&str, &str)]) {
    let needed = measure(&mut tree, settings);
    fsck(&make(&mut tree, needed, settings).unwrap());
    let available = needed - 512;
    let error = make(&mut tree, available, settings).err().unwrap();
    assert_eq!(error, FormatError::TooSmall(Shortage { needed, available }));
    for more in [1 << 12, 1 << 16, 1 << 20, 3 << 20, 10 << 20] {
        fsck(&make(&mut tree, needed + more, settings).unwrap());
    }
}
