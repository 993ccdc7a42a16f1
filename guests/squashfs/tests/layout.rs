//! What is stored once, what is left out, and what makes an image what loaders and the kernel expect, in numbers.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::Kind;
use cellblock_guest::memory::{Entry, MemoryTree};
use judge::{Image, make, make_smallest, measure, mount, unsquashfs};
use sha2::{Digest as _, Sha256};

fn superblock(image: &Image) -> Vec<u8> {
    std::fs::read(&image.path).unwrap()[..96].to_vec()
}

fn number(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(all)
}

#[test]
fn equal_files_take_room_once() {
    for settings in [&[][..], &[("compression", "none")]] {
        let block = 128 << 10;
        let with = |copies: usize| {
            let mut tree = MemoryTree::new();
            for copy in 0..10 {
                // The others differ in the last byte.
                let mut large = trees::bytes(1, 3 * block);
                let mut small = trees::bytes(2, 5000);
                if copy >= copies {
                    *large.last_mut().unwrap() = b'0' + u8::try_from(copy).unwrap();
                    *small.last_mut().unwrap() = b'0' + u8::try_from(copy).unwrap();
                }
                tree.insert(format!("large-{copy}"), Entry::file(large));
                tree.insert(format!("small-{copy}"), Entry::file(small));
            }
            tree
        };
        let once = measure(&mut with(10), settings);
        let often = measure(&mut with(0), settings);
        let content = (3 * block + 5000) as u64;
        assert!(once < content + 8192, "{once}");
        // Blocks are compared by file, as mksquashfs does it.
        assert!(often > 9 * content, "{often}");
        mount::compare(&make_smallest(&mut with(4), settings), &mut with(4));
    }
    let mut twice = MemoryTree::new();
    twice.insert("a", Entry::file(trees::bytes(1, 100_000)));
    twice.insert("b", Entry::file(trees::bytes(1, 100_000)));
    let often = measure(&mut twice, &[("no-duplicates", "yes")]);
    assert!(often > 200_000, "{often}");
}

#[test]
fn equal_ends_of_large_files_take_room_once() {
    let block = 4096;
    let mut tree = MemoryTree::new();
    for index in 0..20 {
        let mut content = trees::bytes(index, block);
        content.extend(trees::bytes(99, 4000));
        tree.insert(format!("{index}"), Entry::file(content));
    }
    let settings = |once| {
        [
            ("block-size", "4096"),
            ("always-use-fragments", "yes"),
            ("no-duplicates", once),
        ]
    };
    let image = make_smallest(&mut tree, &settings("no"));
    mount::compare(&image, &mut tree);
    let length = image.path.metadata().unwrap().len();
    assert!(length < 100_000, "{length}");
    assert!(measure(&mut tree, &settings("yes")) > 160_000);
}

#[test]
fn a_link_and_a_copy_take_the_same_room() {
    let mut copies = MemoryTree::new();
    let mut links = MemoryTree::new();
    for tree in [&mut copies, &mut links] {
        tree.insert("a", Entry::file(trees::bytes(1, 1_000_000)));
    }
    copies.insert("b", Entry::file(trees::bytes(1, 1_000_000)));
    links.hard_link("b", "a");
    assert_eq!(measure(&mut copies, &[]), measure(&mut links, &[]));
}

#[test]
fn holes_take_no_room() {
    let mut tree = MemoryTree::new();
    tree.insert("hole", Entry::sparse(1 << 40, vec![]));
    tree.insert("short", Entry::sparse(1000, vec![]));
    let middle = vec![
        (1 << 34, b"middle".to_vec()),
        ((1 << 34) + (1 << 20), b"more".to_vec()),
    ];
    tree.insert("ends", Entry::sparse((1 << 35) + 77, middle));
    let image = make_smallest(&mut tree, &[]);
    // 2^23 lengths of four bytes, which are zeros, in 4,096 metadata blocks.
    let length = image.path.metadata().unwrap().len();
    assert!(length < 300_000, "{length}");
    mount::compare(&image, &mut tree);
}

#[test]
fn a_directory_of_100_000_has_an_index_and_each_name_is_found() {
    let mut tree = MemoryTree::new();
    for index in 0..100_000 {
        let kind = if index % 1000 == 0 {
            Kind::Directory
        } else {
            Kind::Fifo
        };
        tree.insert(format!("large/entry-{index:06}"), Entry::new(kind));
    }
    let image = make_smallest(&mut tree, &[]);
    mount::compare(&image, &mut tree);
    let Some(said) = unsquashfs(&image.path, &["-lls"]) else {
        return;
    };
    assert_eq!(
        said.lines().filter(|line| line.contains("entry-")).count(),
        100_000
    );
}

#[test]
fn unsquashfs_lists_what_was_put_in() {
    let mut tree = MemoryTree::new();
    let mut file = Entry::file("hello\n");
    (file.uid, file.gid, file.mode) = (7, 4_000_000_000, 0o4751);
    tree.insert("bin/hello", file);
    let image = make_smallest(&mut tree, &[]);
    let Some(said) = unsquashfs(&image.path, &["-llnumeric"]) else {
        return;
    };
    let lines: Vec<Vec<&str>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        lines.contains(&vec![
            "-rwsr-x--x",
            "7/4000000000",
            "6",
            "2023-11-14",
            "22:13",
            "squashfs-root/bin/hello"
        ]),
        "{said}"
    );
}

#[test]
fn the_superblock_says_what_was_asked_for() {
    let mut tree = MemoryTree::new();
    tree.insert("file", Entry::file(trees::text(1, 10_000)));
    for (settings, compressor, flags) in [
        (&[][..], 6, 0b1100_0000),
        (
            &[("compression", "gzip"), ("no-exports", "yes")],
            1,
            0b0100_0000,
        ),
        // The options of LZ4 are always there.
        (
            &[("compression", "lz4"), ("no-fragments", "yes")],
            5,
            0b100_1101_0000,
        ),
        (&[("compression", "xz"), ("bcj", "x86")], 4, 0b100_1100_0000),
        (
            &[("compression", "xz"), ("always-use-fragments", "yes")],
            4,
            0b1110_0000,
        ),
        (
            &[("compression", "none"), ("no-xattrs", "yes")],
            1,
            0b1011_1100_1011,
        ),
        (
            &[("compression", "zstd,level=3"), ("no-duplicates", "yes")],
            6,
            0b100_1000_0000,
        ),
    ] {
        let image = make_smallest(&mut tree, settings);
        let superblock = superblock(&image);
        assert_eq!(&superblock[..4], b"hsqs");
        assert_eq!(number(&superblock[8..12]), 1_700_000_000);
        assert_eq!(number(&superblock[20..22]), compressor, "{settings:?}");
        assert_eq!(number(&superblock[24..26]), flags, "{settings:?}");
        assert_eq!(number(&superblock[40..48]), image.summary.used);
    }
}

#[test]
fn the_size_is_whole_units_of_the_padding() {
    let mut tree = MemoryTree::new();
    tree.insert("file", Entry::file(trees::bytes(1, 5000)));
    for (padding, unit) in [("4KiB", 4096), ("1MiB", 1 << 20), ("0", 1024)] {
        let image = make_smallest(&mut tree, &[("padding", padding)]);
        let length = image.path.metadata().unwrap().len();
        assert_eq!(length, image.summary.used.next_multiple_of(unit));
    }
    // What is behind is no part of it.
    let image = make(&mut tree, 10 << 20, &[]).unwrap();
    mount::compare(&image, &mut tree);
}

#[test]
fn what_has_priority_comes_first() {
    let mut tree = MemoryTree::new();
    for name in ["a", "b", "boot/kernel", "boot/initrd", "z"] {
        let content = name.as_bytes().repeat(1000);
        tree.insert(name, Entry::file(content));
    }
    let settings = [
        ("compression", "none"),
        ("block-size", "4096"),
        ("no-fragments", "yes"),
        ("sort", "boot=10,boot/kernel=20,a=-1"),
    ];
    let image = make_smallest(&mut tree, &settings);
    let bytes = std::fs::read(&image.path).unwrap();
    let mut at = 96;
    for name in ["boot/kernel", "boot/initrd", "b", "z", "a"] {
        let content = name.as_bytes().repeat(1000);
        assert!(bytes[at..].starts_with(&content), "{name} at {at}");
        at += content.len();
    }
    mount::compare(&image, &mut tree);
}

#[test]
fn an_empty_tree_is_a_file_system() {
    for codec in ["none", "gzip", "lz4", "zstd", "xz"] {
        for exports in ["yes", "no"] {
            let settings = [("compression", codec), ("no-exports", exports)];
            let mut tree = MemoryTree::new();
            let image = make_smallest(&mut tree, &settings);
            mount::compare(&image, &mut tree);
            judge::compare_unpacked(&image, &mut tree);
        }
    }
}

#[test]
fn bytes_stay_what_they_are() {
    let mut tree = trees::everything_of_moderate_size(64 << 10);
    // Without a codec, whose next version may give other bytes.
    let image = make_smallest(&mut tree, &[("compression", "none")]);
    let digest = Sha256::digest(std::fs::read(&image.path).unwrap());
    let shown: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        shown,
        "fcf43a6ed19883d0a74a7bb42777478fa55757d6b0d64212222d92bbeef4cf6c"
    );
}
