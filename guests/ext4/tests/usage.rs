//! The size of blocks where it follows from that of the file system, and the smallest size where it follows from the blocks.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use cellblock_ext4::Ext4;
use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{FormatError, Formatter as _, Kind, NodeId, NodeProblem, Shortage};
use judge::{Image, Nowhere, fsck, make, measure, mount, request};

/// Where mke2fs's usage type `small` ends. Bytes.
const SMALL_END: u64 = 512 << 20;

const DEBIAN: [(&str, &str); 1] = [("profile", "debian-12")];
const SMALL_BLOCKS: [(&str, &str); 2] = [("profile", "debian-12"), ("block-size", "1024")];
const LARGE_BLOCKS: [(&str, &str); 2] = [("profile", "debian-12"), ("block-size", "4096")];

fn block_size(image: &Image) -> u32 {
    let mut log = [0; 4];
    let file = File::open(&image.path).unwrap();
    file.read_exact_at(&mut log, 1024 + 24).unwrap();
    1024 << u32::from_le_bytes(log)
}

/// A tree with a file of so many bytes, which are never read.
fn with_large_file(size: u64) -> MemoryTree {
    let mut tree = MemoryTree::new();
    let file = Kind::File {
        size,
        sparse: false,
    };
    tree.insert("large", Entry::new(file));
    tree
}

fn is_made(tree: &mut MemoryTree, size: u64, settings: &[(&str, &str)]) -> bool {
    match Ext4::format(&request(size, settings), tree, &mut Nowhere) {
        Ok(_) => true,
        Err(FormatError::TooSmall(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// Fails unless `needed` bytes are enough, and a sector less is refused with that number.
fn is_the_smallest(tree: &mut MemoryTree, needed: u64, settings: &[(&str, &str)]) {
    assert!(is_made(tree, needed, settings), "{needed}");
    let available = needed - 512;
    let error = Ext4::format(&request(available, settings), tree, &mut Nowhere).err();
    let shortage = Shortage { needed, available };
    assert_eq!(error, Some(FormatError::TooSmall(shortage)));
}

#[test]
fn blocks_are_as_large_as_the_release_has_them() {
    for (profile, small, large) in [
        ("debian-12", 1024, 4096),
        ("debian-13", 1024, 4096),
        ("ubuntu-22.04", 4096, 4096),
        ("ubuntu-24.04", 4096, 4096),
    ] {
        for (size, expected) in [
            (2 << 20, small),
            (SMALL_END - 512, small),
            (SMALL_END, large),
        ] {
            let settings = [("profile", profile)];
            let image = make(&mut MemoryTree::new(), size, &settings).unwrap();
            assert_eq!(block_size(&image), expected, "{profile}, {size}");
            fsck(&image);
        }
    }
    // Sectors are no larger than blocks.
    let mut request = request(8 << 20, &DEBIAN);
    request.sector_size = 4096;
    let image = judge::make_request(&mut MemoryTree::new(), &request).unwrap();
    assert_eq!(block_size(&image), 4096);
}

#[test]
fn the_smallest_of_a_small_tree_has_small_blocks() {
    let mut tree = trees::everything(1024);
    let needed = measure(&mut tree, &DEBIAN);
    assert_eq!(needed, measure(&mut tree, &SMALL_BLOCKS));
    is_the_smallest(&mut tree, needed, &DEBIAN);
    let image = make(&mut tree, needed, &DEBIAN).unwrap();
    assert_eq!(block_size(&image), 1024);
    fsck(&image);
    mount::compare(&image, &mut tree);
}

#[test]
fn the_smallest_of_a_large_tree_has_large_blocks() {
    let mut tree = with_large_file(SMALL_END);
    let needed = measure(&mut tree, &DEBIAN);
    assert_eq!(needed, measure(&mut tree, &LARGE_BLOCKS));
    is_the_smallest(&mut tree, needed, &DEBIAN);
    // It is refused by that number below 512 MiB, too.
    let error = Ext4::format(&request(8 << 20, &DEBIAN), &mut tree, &mut Nowhere).err();
    let available = 8 << 20;
    let shortage = Shortage { needed, available };
    assert_eq!(error, Some(FormatError::TooSmall(shortage)));
}

/// As a minimum that is rounded up to an alignment has it, or some more than that.
#[test]
fn a_tree_that_only_small_blocks_hold_has_them_above_512_mib_too() {
    let mut tree = MemoryTree::new();
    for index in 0..126_000 {
        tree.insert(format!("{}/{index}", index / 1000), Entry::file("x"));
    }
    let needed = measure(&mut tree, &DEBIAN);
    let needed_by_large = measure(&mut tree, &LARGE_BLOCKS);
    println!("{needed}, or {needed_by_large}");
    assert!(needed < SMALL_END && needed_by_large > SMALL_END);
    is_the_smallest(&mut tree, needed, &DEBIAN);
    for (size, expected) in [
        (needed, 1024),
        (SMALL_END - 512, 1024),
        (SMALL_END, 1024),
        (needed_by_large - 512, 1024),
        (needed_by_large, 4096),
    ] {
        let image = make(&mut tree, size, &DEBIAN).unwrap();
        assert_eq!(block_size(&image), expected, "{size}");
        fsck(&image);
    }
    let available = SMALL_END;
    let error = make(&mut tree, available, &LARGE_BLOCKS).err();
    let shortage = Shortage {
        needed: needed_by_large,
        available,
    };
    assert_eq!(error, Some(FormatError::TooSmall(shortage)));
}

#[test]
fn where_the_smallest_of_neither_has_its_blocks_it_is_where_small_ones_end() {
    let settings = |blocks: &'static str| {
        let mut settings = vec![("profile", "debian-13"), ("journal", "no")];
        settings.extend((!blocks.is_empty()).then_some(("block-size", blocks)));
        settings
    };
    // The longest file for which large blocks are enough below 512 MiB.
    let (mut enough, mut too_much) = (400_u64 << 20, SMALL_END);
    while too_much - enough > 4096 {
        let middle = (enough + too_much) / 2 / 4096 * 4096;
        if measure(&mut with_large_file(middle), &settings("4096")) < SMALL_END {
            enough = middle;
        } else {
            too_much = middle;
        }
    }
    let mut tree = with_large_file(enough);
    assert!(measure(&mut tree, &settings("1024")) >= SMALL_END);
    let needed = measure(&mut tree, &settings(""));
    assert_eq!(needed, SMALL_END);
    is_the_smallest(&mut tree, needed, &settings(""));
}

/// Sizes on both sides of where blocks change, with trees that need about so much.
#[test]
fn whatever_is_as_large_as_the_smallest_is_enough() {
    for mebibytes in [430_u64, 470, 480, 490, 495, 500, 505, 510, 512, 530] {
        for count in [1, 3000] {
            let mut tree = with_large_file(mebibytes << 20);
            for index in 0..count {
                tree.insert(format!("{index}"), Entry::file("x"));
            }
            let needed = measure(&mut tree, &DEBIAN);
            is_the_smallest(&mut tree, needed, &DEBIAN);
            for more in [512, 4096, 1 << 20, 30 << 20, 300 << 20] {
                assert!(
                    is_made(&mut tree, needed + more, &DEBIAN),
                    "{needed}+{more}"
                );
                let size = SMALL_END - 512 + more;
                let is_enough = is_made(&mut tree, size, &DEBIAN);
                assert_eq!(is_enough, size >= needed, "{size} of {needed}");
            }
        }
    }
}

#[test]
fn what_small_blocks_have_no_room_for_is_refused_unless_the_tree_is_large_anyway() {
    let link = || Entry::new(Kind::symlink(vec![b'x'; 1024]));
    let refused = |node| FormatError::node(NodeId(node), NodeProblem::TargetTooLong(1023));
    let mut tree = MemoryTree::new();
    tree.insert("link", link());
    let measured = Ext4::measure(&request(0, &DEBIAN), &mut tree);
    assert_eq!(measured, Err(refused(1)));
    for (size, expected) in [(8 << 20, Some(refused(1))), (SMALL_END, None)] {
        let made = Ext4::format(&request(size, &DEBIAN), &mut tree, &mut Nowhere);
        assert_eq!(made.err(), expected);
    }
    assert!(measure(&mut tree, &LARGE_BLOCKS) < 8 << 20);
    let mut tree = with_large_file(SMALL_END);
    tree.insert("link", link());
    let needed = measure(&mut tree, &DEBIAN);
    assert!(is_made(&mut tree, needed, &DEBIAN), "{needed}");
}
