//! File systems after use: changed by the kernel, and grown by resize2fs.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use std::fs::{self, File};

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_judges::{Ability, lacks};
use judge::{Image, fsck, make, measure, mount, run};

/// Makes and removes files, most of them in directories that have an index already.
fn live_in(image: &Image) {
    let Some(mount) = mount::writable(image) else {
        return;
    };
    for directory in ["crowd", "wide", "empty", ""] {
        let directory = mount.path().join(directory);
        for index in 0..1000 {
            fs::write(directory.join(format!("new file {index}")), "new").unwrap();
        }
    }
    for index in (0..2000).step_by(3) {
        fs::remove_file(mount.path().join(format!("crowd/{index:0>40}"))).unwrap();
    }
    fs::write(mount.path().join("large"), vec![7; 8 << 20]).unwrap();
    fs::remove_dir_all(mount.path().join("files")).unwrap();
}

fn lively_tree(block_size: usize) -> MemoryTree {
    let mut tree = trees::everything(block_size);
    for index in 0..2000 {
        tree.insert(format!("crowd/{index:0>40}"), Entry::file(""));
    }
    tree
}

#[test]
fn the_kernel_writes_to_it() {
    for (kind, block_size, features) in [
        ("ext4", "4096", "has_journal"),
        ("ext4", "1024", "has_journal"),
        ("ext4", "4096", "^has_journal,^metadata_csum"),
        ("ext4", "2048", "^flex_bg,^64bit"),
        ("ext4", "4096", "inline_data,orphan_file,sparse_super2"),
        ("ext4", "1024", "meta_bg,^resize_inode"),
        ("ext3", "4096", ""),
        ("ext3", "1024", ""),
        ("ext2", "1024", ""),
        ("ext2", "4096", "^filetype"),
    ] {
        let mut tree = lively_tree(block_size.parse().unwrap());
        let settings = [
            ("kind", kind),
            ("block-size", block_size),
            ("features", features),
        ];
        let image = make(&mut tree, 200 << 20, &settings).unwrap();
        live_in(&image);
        fsck(&image);
    }
}

/// Kinds, block sizes and features of file systems that grow in different ways.
const GROWING: [(&str, &str, &str); 13] = [
    ("ext4", "4096", "has_journal"),
    ("ext4", "4096", "^flex_bg"),
    ("ext4", "1024", "has_journal"),
    ("ext4", "4096", "^resize_inode"),
    ("ext4", "1024", "meta_bg,^resize_inode"),
    ("ext4", "4096", "meta_bg,^resize_inode,^flex_bg"),
    ("ext4", "2048", "sparse_super2,^resize_inode"),
    ("ext4", "1024", "sparse_super2"),
    ("ext4", "4096", "orphan_file,stable_inodes"),
    ("ext4", "1024", "inline_data"),
    ("ext3", "4096", ""),
    ("ext3", "1024", "^resize_inode"),
    ("ext2", "2048", ""),
];

/// The smallest image with a lively tree in it, in a file `factor` times as long.
fn with_room(settings: &[(&str, &str)], factor: u64, tree: &mut MemoryTree) -> Image {
    println!("{factor} times {settings:?}");
    let size = measure(tree, settings);
    let image = make(tree, size, settings).unwrap();
    let file = File::options().write(true).open(&image.path).unwrap();
    file.set_len(size * factor).unwrap();
    image
}

#[test]
fn it_grows() {
    for (kind, block_size, features) in GROWING {
        for factor in [4, 40] {
            let mut tree = lively_tree(block_size.parse().unwrap());
            let settings = [
                ("kind", kind),
                ("block-size", block_size),
                ("features", features),
            ];
            let image = with_room(&settings, factor, &mut tree);
            let Some((done, said)) = run("resize2fs", &["-f"], &image.path) else {
                return;
            };
            assert!(done, "{said}");
            fsck(&image);
            mount::compare(&image, &mut tree);
        }
    }
}

#[test]
fn it_grows_while_mounted() {
    for (kind, block_size, features) in GROWING {
        for factor in [4, 40] {
            let mut tree = lively_tree(block_size.parse().unwrap());
            let settings = [
                ("kind", kind),
                ("block-size", block_size),
                ("features", features),
            ];
            let image = with_room(&settings, factor, &mut tree);
            let Some(mount) = mount::writable(&image) else {
                return;
            };
            let Some((done, said)) = run("resize2fs", &[], &mount.device()) else {
                return;
            };
            drop(mount);
            // The kernel asks for CAP_SYS_RESOURCE, which root of a container may lack.
            if said.contains("Permission denied") {
                lacks(Ability::Mount, "no right to resize a mounted file system");
                return;
            }
            assert!(done, "{said}");
            fsck(&image);
            mount::compare(&image, &mut tree);
        }
    }
}

#[test]
fn groups_that_are_small_for_the_sake_of_inodes_are_used_and_grow() {
    for features in ["has_journal", "^resize_inode,^flex_bg"] {
        let mut tree = lively_tree(4096);
        let settings = [("inodes", "200000"), ("features", features)];
        let size = 200 << 20;
        for factor in [1, 4] {
            let image = make(&mut tree, size, &settings).unwrap();
            let file = File::options().write(true).open(&image.path).unwrap();
            file.set_len(size * factor).unwrap();
            if let Some((done, said)) = run("resize2fs", &["-f"], &image.path) {
                assert!(done, "{said}");
                fsck(&image);
            }
            live_in(&image);
            fsck(&image);
        }
    }
}
