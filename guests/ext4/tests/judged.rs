//! Whole file systems, judged by e2fsprogs and the kernel.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{FormatError, Kind, Property, Shortage};
use judge::{debugfs, fsck, make, measure, mount, run};
use sha2::{Digest as _, Sha256};

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
fn lists_of_blocks_of_any_depth_read_back() {
    for (kind, block_size) in [("ext2", "1024"), ("ext3", "4096"), ("ext2", "2048")] {
        let mut tree = MemoryTree::new();
        let size: u64 = block_size.parse().unwrap();
        let list = size / 4;
        for blocks in [12, 13, 12 + list, 13 + list, 14 + 2 * list] {
            let content = trees::bytes(blocks, usize::try_from(blocks * size).unwrap());
            tree.insert(format!("dense-{blocks}"), Entry::file(content));
        }
        let tier_3 = 12 + list + list * list;
        let last = tier_3 + 3 * list * list;
        let starts = [0, 11, 12, 12 + list, tier_3 - 1, tier_3, last];
        for first in starts {
            let data = vec![(first * size + 5, trees::bytes(first, 3000))];
            let file = Entry::sparse((first + 10) * size, data);
            tree.insert(format!("one-{first}"), file);
        }
        let data = starts.map(|first| (first * size, trees::bytes(first, 7)));
        tree.insert("all", Entry::sparse((last + 10) * size, data.to_vec()));
        let image = make(
            &mut tree,
            64 << 20,
            &[("kind", kind), ("block-size", block_size)],
        );
        let image = image.unwrap();
        fsck(&image);
        mount::compare(&image, &mut tree);
    }
}

#[test]
fn a_large_file_of_lists_reads_back() {
    let whole = Kind::File {
        size: 5 << 30,
        sparse: false,
    };
    let mut entry = Entry::new(whole);
    entry.data = vec![(0, b"head".to_vec()), ((5 << 30) - 4, b"tail".to_vec())];
    let mut tree = MemoryTree::new();
    tree.insert("large", entry);
    for kind in ["ext2", "ext3"] {
        let settings = [("kind", kind)];
        let size = measure(&mut tree, &settings);
        let image = make(&mut tree, size, &settings).unwrap();
        fsck(&image);
        mount::compare(&image, &mut tree);
    }
}

#[test]
fn targets_at_the_limit_of_an_inode_read_back() {
    let mut tree = MemoryTree::new();
    for length in [1, 58, 59, 60, 61, 1023, 4094, 4095] {
        let target = vec![b'x'; length];
        tree.insert(format!("link-{length}"), Entry::new(Kind::symlink(target)));
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
        (trees::everything(4096), &[("kind", "ext2")]),
        (
            trees::everything(1024),
            &[("kind", "ext3"), ("block-size", "1024")],
        ),
        (
            trees::everything_small_inodes_hold(4096),
            &[("kind", "ext3"), ("inode-size", "128")],
        ),
    ] {
        smallest_is_exact(tree, settings);
    }
}

#[test]
fn a_size_just_above_a_step_of_the_journal_still_holds_the_tree() {
    // At 2048 blocks there is a journal of 1024, for which a tree that fits into less has no room.
    let mut tree = MemoryTree::new();
    tree.insert("file", Entry::file(vec![1; 6 << 20]));
    for size in [
        (8 << 20) - 4096,
        8 << 20,
        (8 << 20) + 4096,
        9 << 20,
        16 << 20,
    ] {
        let image = make(&mut tree, size, &[]).unwrap();
        assert_eq!(std::fs::metadata(&image.path).unwrap().len(), size);
        fsck(&image);
        let journal = image
            .summary
            .properties
            .iter()
            .find(|p| p.name == "journal blocks");
        let expected = if size < 12 << 20 { "0" } else { "1024" };
        assert_eq!(journal.unwrap().value, expected);
    }
}

#[test]
fn a_lost_and_found_of_the_user_is_kept() {
    for count in [0, 3, 400] {
        let mut tree = MemoryTree::new();
        let mut entry = Entry::new(Kind::Directory);
        entry.mode = 0o1755;
        entry.uid = 7;
        tree.insert("a", Entry::file(""));
        tree.insert("lost+found", entry);
        for index in 0..count {
            tree.insert(format!("lost+found/#{index}"), Entry::file("found"));
        }
        tree.insert("z", Entry::file(""));
        let image = make(&mut tree, 16 << 20, &[]).unwrap();
        fsck(&image);
        mount::compare(&image, &mut tree);
        if let Some(said) = debugfs(&image, "stat /lost+found") {
            assert!(said.contains("Inode: 11 "), "{said}");
        }
    }
}

#[test]
fn directories_too_large_for_two_levels_have_three() {
    let mut tree = MemoryTree::new();
    // A leaf of 1 KiB holds three such names, the root 123 nodes, a node 126 leaves.
    for index in 0..3 * 123 * 126 + 1 {
        tree.insert(format!("{index:0>255}"), Entry::new(Kind::Fifo));
    }
    let image = make(&mut tree, 100 << 20, &[("block-size", "1024")]).unwrap();
    fsck(&image);
    if let Some((_, said)) = run("dumpe2fs", &["-h"], &image.path) {
        assert!(said.contains("large_dir"), "{said}");
    }
    if let Some(said) = debugfs(&image, "htree_dump /") {
        assert!(said.contains("Indirect levels: 2"));
    }
}

#[test]
fn directories_too_large_for_the_index_of_older_kinds_have_none() {
    let mut tree = MemoryTree::new();
    // Without checksums, the root holds 124 nodes, and a node 127 leaves.
    for index in 0..3 * 124 * 127 + 1 {
        tree.insert(format!("large/{index:0>255}"), Entry::new(Kind::Fifo));
    }
    for index in 0..1000 {
        tree.insert(format!("small/{index}"), Entry::new(Kind::Fifo));
    }
    for (kind, features, flags) in [
        ("ext3", "", ["0x0", "0x1000"]),
        ("ext4", "^large_dir", ["0x80000", "0x81000"]),
    ] {
        let settings = [
            ("kind", kind),
            ("block-size", "1024"),
            ("features", features),
        ];
        let image = make(&mut tree, 100 << 20, &settings).unwrap();
        fsck(&image);
        for (path, flags) in ["/large", "/small"].iter().zip(flags) {
            if let Some(said) = debugfs(&image, &format!("stat {path}")) {
                assert!(said.contains(&format!("Flags: {flags}\n")), "{said}");
            }
        }
    }
}

#[test]
fn a_journal_that_is_asked_for_is_made_in_any_kind() {
    let mut tree = trees::everything(4096);
    for settings in [
        [("kind", "ext2"), ("journal", "4MiB")],
        [("kind", "ext3"), ("journal", "64MiB")],
    ] {
        let mut image = make(&mut tree, 200 << 20, &settings).unwrap();
        fsck(&image);
        // The kernel's name for ext2 with a journal.
        image.kind = "ext3".into();
        mount::compare(&image, &mut tree);
    }
}

#[test]
fn directories_with_many_directories_stop_counting() {
    for (count, links) in [(64_998, "Links: 65000"), (64_999, "Links: 1 ")] {
        let mut tree = MemoryTree::new();
        for index in 0..count {
            tree.insert(format!("many/{index}"), Entry::new(Kind::Directory));
        }
        let image = make(&mut tree, 512 << 20, &[]).unwrap();
        fsck(&image);
        if let Some(said) = debugfs(&image, "stat /many") {
            assert!(said.contains(links), "{said}");
        }
    }
}

#[test]
fn attribute_blocks_are_shared_by_as_many_as_may() {
    let mut tree = MemoryTree::new();
    for index in 0..2500 {
        let mut entry = Entry::file("");
        entry.attributes = vec![trees::attribute("user.shared", trees::bytes(1, 500))];
        tree.insert(format!("{index}"), entry);
    }
    let image = make(&mut tree, 16 << 20, &[]).unwrap();
    fsck(&image);
    if let Some(said) = debugfs(&image, "stat /0") {
        assert!(said.contains("Blockcount: 8"), "{said}");
    }
    mount::compare(&image, &mut tree);
}

#[test]
fn a_large_file_is_broken_by_backups_only() {
    let mut tree = MemoryTree::new();
    let piece = trees::bytes(1, 100);
    let whole = Kind::File {
        size: 700 << 20,
        sparse: false,
    };
    let mut entry = Entry::new(whole);
    entry.data = vec![(0, piece.clone()), (600 << 20, piece)];
    tree.insert("large", entry);
    let image = make(&mut tree, 1 << 30, &[]).unwrap();
    fsck(&image);
    mount::compare(&image, &mut tree);
}

#[test]
fn the_same_request_gives_the_same_bytes() {
    let digest = || {
        let image = make(&mut trees::everything(4096), 64 << 20, &[]).unwrap();
        let digest = Sha256::digest(std::fs::read(&image.path).unwrap());
        digest
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    // Changes only with a change of the format on disk that is meant.
    assert_eq!(
        digest(),
        "5d725fb1c3fbd6fc567514bfac68506d501607a3c84030897e4e3ff98d986909"
    );
    assert_eq!(digest(), digest());
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

#[test]
fn an_ext3_has_a_journal_whatever_its_size() {
    for block_size in ["1024", "4096"] {
        let blocks: u64 = block_size.parse().unwrap();
        let settings = [("kind", "ext3"), ("block-size", block_size)];
        let mut tree = MemoryTree::new();
        tree.insert("file", Entry::file("content"));
        let smallest = measure(&mut tree, &settings);
        assert!(smallest > 1024 * blocks && smallest < 2048 * blocks);
        for size in [smallest, smallest + 100 * blocks, 2047 * blocks] {
            let image = make(&mut tree, size, &settings).unwrap();
            let of_journal = |property: &&Property| property.name == "journal blocks";
            let journal = image.summary.properties.iter().find(of_journal).unwrap();
            assert_eq!(journal.value, "1024", "{size} bytes");
            assert_eq!(image.warnings, [""; 0]);
            fsck(&image);
            if let Some((_, said)) = run("dumpe2fs", &["-h"], &image.path) {
                assert!(said.contains("has_journal"), "{size} bytes: {said}");
            }
        }
        let shortage = Shortage {
            needed: smallest,
            available: smallest - blocks,
        };
        let refused = make(&mut tree, smallest - blocks, &settings).err();
        assert_eq!(refused, Some(FormatError::TooSmall(shortage)));
    }
}

#[test]
fn an_ext3_that_is_to_have_no_journal_is_said_to_be_an_ext2() {
    for off in [("journal", "no"), ("features", "^has_journal")] {
        let image = make(&mut MemoryTree::new(), 1 << 20, &[("kind", "ext3"), off]).unwrap();
        let [warning] = &image.warnings[..] else {
            panic!("{:?}", image.warnings);
        };
        assert!(warning.contains("is an ext2 by its features"), "{warning}");
        fsck(&image);
    }
    for settings in [&[("kind", "ext2")][..], &[("journal", "no")], &[]] {
        let image = make(&mut MemoryTree::new(), 1 << 20, settings).unwrap();
        assert_eq!(image.warnings, [""; 0]);
    }
}
