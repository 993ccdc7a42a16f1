//! Every block size, feature set, kind, inode size and release in combination, judged by e2fsck and the kernel.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::MemoryTree;
use judge::{fsck, make, mount};
use sha2::{Digest as _, Sha256};

/// What is turned on and off in each release's ext4.
const FEATURES: [&str; 23] = [
    "",
    "^has_journal",
    "^resize_inode",
    "^metadata_csum",
    "^metadata_csum,uninit_bg",
    "^64bit",
    "^64bit,^metadata_csum,uninit_bg",
    "^64bit,^extent",
    "^large_file",
    "^flex_bg",
    "^dir_index",
    "^resize_inode,^sparse_super",
    "metadata_csum_seed",
    "large_dir",
    "meta_bg,^resize_inode",
    "meta_bg,^resize_inode,^flex_bg,^64bit",
    "inline_data",
    "inline_data,^metadata_csum,^filetype",
    "orphan_file",
    "orphan_file,^metadata_csum",
    "sparse_super2",
    "sparse_super2,^resize_inode,meta_bg,orphan_file,stable_inodes",
    "^has_journal,^resize_inode,^metadata_csum,^64bit,^flex_bg,^dir_index,^huge_file,^dir_nlink,^extra_isize",
];

/// The releases whose features differ; see `releases_with_the_same_features_give_the_same_bytes`.
const PROFILES: [&str; 2] = ["debian-12", "debian-13"];

fn is_clean_and_reads_back(tree: &mut MemoryTree, size: u64, settings: &[(&str, &str)]) {
    println!("{settings:?}");
    let image = make(tree, size, settings).unwrap();
    fsck(&image);
    mount::compare(&image, tree);
}

fn every_feature_set(block_size: &str) {
    let mut tree = trees::everything(block_size.parse().unwrap());
    for profile in PROFILES {
        for features in FEATURES {
            let settings = [
                ("profile", profile),
                ("block-size", block_size),
                ("features", features),
            ];
            is_clean_and_reads_back(&mut tree, 300 << 20, &settings);
        }
    }
}

#[test]
fn every_feature_set_of_small_blocks_is_clean_and_reads_back() {
    every_feature_set("1024");
}

#[test]
fn every_feature_set_of_medium_blocks_is_clean_and_reads_back() {
    every_feature_set("2048");
}

#[test]
fn every_feature_set_of_large_blocks_is_clean_and_reads_back() {
    every_feature_set("4096");
}

#[test]
fn every_kind_with_every_size_of_inodes_is_clean_and_reads_back() {
    for kind in ["ext2", "ext3", "ext4"] {
        for block_size in ["1024", "2048", "4096"] {
            for inode_size in ["128", "256", "1024"] {
                for features in ["", "^dir_index,^resize_inode", "^filetype"] {
                    let blocks = block_size.parse().unwrap();
                    let mut tree = if inode_size == "128" {
                        trees::everything_small_inodes_hold(blocks)
                    } else {
                        trees::everything(blocks)
                    };
                    let settings = [
                        ("kind", kind),
                        ("block-size", block_size),
                        ("inode-size", inode_size),
                        ("features", features),
                    ];
                    is_clean_and_reads_back(&mut tree, 100 << 20, &settings);
                }
            }
        }
    }
}

#[test]
fn releases_with_the_same_features_give_the_same_bytes() {
    for kind in ["ext2", "ext3", "ext4"] {
        let digest = |profile| {
            let settings = [("kind", kind), ("profile", profile), ("block-size", "4096")];
            let image = make(&mut trees::everything(4096), 100 << 20, &settings).unwrap();
            Sha256::digest(std::fs::read(&image.path).unwrap())
        };
        let debian_12 = digest("debian-12");
        assert_eq!(debian_12, digest("ubuntu-22.04"), "{kind}");
        assert_eq!(debian_12, digest("ubuntu-24.04"), "{kind}");
        assert_eq!(debian_12 == digest("debian-13"), kind != "ext4", "{kind}");
    }
}
