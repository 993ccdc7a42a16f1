//! Random trees and options: clean at the smallest size and above, refused below.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{Device, FormatError, Kind, Shortage, Timestamp};
use judge::{fsck, make, measure};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use trees::attribute;

fn name() -> impl Strategy<Value = Vec<u8>> {
    let bytes = any::<u8>().prop_filter("no separator", |byte| !matches!(byte, 0 | b'/'));
    prop_oneof![
        4 => vec(bytes.clone(), 1..12),
        1 => vec(bytes, 200..=255),
        4 => "[a-d]{1,2}".prop_map(String::into_bytes),
    ]
    .prop_filter("a real name", |name| name != b"." && name != b"..")
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    vec(name(), 1..4).prop_map(|names| names.join(&b'/'))
}

/// What a tree may have in the file system that is made of it.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Inodes of 128 bytes, which have shorter times.
    small_inodes: bool,
    /// Lists of blocks, which map smaller files than extents do.
    lists: bool,
}

fn file(limits: Limits) -> impl Strategy<Value = Entry> {
    let most = if limits.lists { 1 << 34 } else { 1 << 42 };
    prop_oneof![
        4 => vec(any::<u8>(), 0..300).prop_map(Entry::file),
        2 => (0_usize..100_000).prop_map(|length| Entry::file(trees::bytes(1, length))),
        1 => (0_u64..400).prop_map(trees::comb),
        1 => (0_u64..most - 1023, any::<bool>()).prop_map(|(size, data)| {
            let last = (data && size > 5).then(|| (size - 5, b"last!".to_vec()));
            Entry::sparse(size, last.into_iter().collect())
        }),
    ]
}

fn kind(limits: Limits) -> impl Strategy<Value = Entry> {
    let device = (0_u32..4096, 0_u32..1 << 20).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        8 => file(limits),
        2 => Just(Entry::new(Kind::Directory)),
        2 => vec(1_u8.., 1..120).prop_map(|target| Entry::new(Kind::symlink(target))),
        1 => vec(1_u8.., 1..1000).prop_map(|target| Entry::new(Kind::symlink(target))),
        1 => device.prop_map(|device| Entry::new(Kind::BlockDevice(device))),
        1 => Just(Entry::new(Kind::Fifo)),
        1 => Just(Entry::new(Kind::Socket)),
    ]
}

fn entry(limits: Limits) -> impl Strategy<Value = Entry> {
    let attributes = vec(("[a-z]{1,30}", vec(any::<u8>(), 0..150)), 0..4);
    // e2fsck doubts later times; see the refusals.
    let after = if limits.small_inodes {
        1 << 31
    } else {
        (3 << 32) - (1 << 31)
    };
    let time = (-(1_i64 << 31)..after, 0_u32..1_000_000_000);
    (kind(limits), attributes, time, any::<u32>(), 0_u16..4096).prop_map(
        |(mut entry, attributes, (seconds, nanoseconds), uid, mode)| {
            entry.attributes = attributes
                .into_iter()
                .map(|(name, value)| attribute(&format!("trusted.{name}"), value))
                .collect();
            entry.attributes.sort();
            entry.attributes.dedup_by(|a, b| a.name == b.name);
            entry.modified = Timestamp {
                seconds,
                nanoseconds,
            };
            entry.uid = uid;
            entry.mode = mode;
            entry
        },
    )
}

/// Entries of which none stands below a file.
fn tree(limits: Limits) -> impl Strategy<Value = MemoryTree> {
    (vec((path(), entry(limits)), 0..60), 0_usize..120).prop_map(|(entries, crowd)| {
        let mut tree = MemoryTree::new();
        let mut taken: Vec<(Vec<u8>, bool)> = vec![(b"lost+found".to_vec(), true)];
        for (path, entry) in entries {
            let is_directory = entry.kind == Kind::Directory;
            let clashes = taken.iter().any(|(other, other_is_directory)| {
                let below = |a: &[u8], b: &[u8]| a.starts_with(b) && a.get(b.len()) == Some(&b'/');
                *other == path
                    || (below(&path, other) && !other_is_directory)
                    || (below(other, &path) && !is_directory)
            });
            if !clashes {
                tree.insert(&path, entry);
                taken.push((path, is_directory));
            }
        }
        for index in 0..crowd {
            tree.insert(format!("crowd {index:0>60}"), Entry::new(Kind::Fifo));
        }
        tree
    })
}

type Settings = Vec<(&'static str, String)>;

fn settings(limits: Limits) -> impl Strategy<Value = Settings> {
    let kind = if limits.lists {
        prop_oneof![Just("ext2"), Just("ext3"), Just("ext4")].boxed()
    } else {
        Just("ext4").boxed()
    };
    let profile = prop_oneof![
        Just("debian-12"),
        Just("debian-13"),
        Just("ubuntu-22.04"),
        Just("ubuntu-24.04"),
    ];
    let inode_size = if limits.small_inodes {
        Just("128").boxed()
    } else {
        prop_oneof![4 => Just("256"), 1 => Just("512"), 1 => Just("1024")].boxed()
    };
    let block_size = prop_oneof![Just("1024"), Just("2048"), Just("4096")];
    let names = [
        "none",
        "has_journal",
        "^has_journal",
        "^resize_inode",
        "^metadata_csum",
        "^metadata_csum,uninit_bg",
        "^64bit",
        "^flex_bg",
        "^dir_index",
        "^filetype",
        "^large_file",
        "^huge_file",
        "^dir_nlink,^extra_isize",
        "^resize_inode,^sparse_super",
        "meta_bg,^resize_inode",
        "metadata_csum,metadata_csum_seed",
        "orphan_file,has_journal",
        "sparse_super2",
        "stable_inodes,large_dir",
        "inline_data",
    ];
    // None of them means that the profile's are taken as they are.
    let features = proptest::sample::subsequence(names.to_vec(), 0..5);
    let ratio = prop_oneof![Just(None), (10_u64..20).prop_map(|log| Some(1 << log))];
    let journal = prop_oneof![4 => Just(None), 1 => (1024_u64..3000).prop_map(Some)];
    let reserved = prop_oneof![2 => Just("5%"), 1 => Just("0%"), 1 => Just("50%"), 1 => Just("77")];
    let sizes = (block_size, inode_size);
    let amounts = (ratio, journal, reserved, any::<u128>());
    (kind, profile, sizes, features, amounts).prop_map(move |choice| {
        let (kind, profile, (block_size, inode_size), mut features, amounts) = choice;
        let (ratio, journal, reserved, hash_seed) = amounts;
        if limits.small_inodes || kind != "ext4" {
            features.retain(|feature| *feature != "inline_data");
        }
        if !limits.lists {
            // The trees have files of more than 2 TiB.
            features.retain(|feature| *feature != "^huge_file");
        }
        if features.contains(&"none") {
            // Attributes and larger files are in the trees, and lists of blocks map less than extents.
            features.insert(1, "ext_attr,huge_file,sparse_super");
            if !limits.lists {
                features.push("extent");
            }
        }
        if limits.lists && kind == "ext4" {
            features.push("^64bit,^extent");
        }
        // Inodes take half of all bytes at most.
        let large_inodes = 2 * inode_size.parse::<u64>().unwrap();
        let ratio: Option<u64> = ratio.map(|ratio: u64| ratio.max(large_inodes));
        let has_journal = !features
            .iter()
            .any(|feature| feature.contains("^has_journal"));
        let block: u64 = block_size.parse().unwrap();
        let journal = journal.filter(|_| has_journal).map(|blocks| blocks * block);
        let mut settings = vec![
            ("kind", kind.to_owned()),
            ("profile", profile.to_owned()),
            ("block-size", block_size.to_owned()),
            ("inode-size", inode_size.to_owned()),
            ("features", features.join(",")),
            ("reserved-blocks", reserved.to_owned()),
            ("hash-seed", format!("{hash_seed:032x}")),
        ];
        settings.extend(ratio.map(|ratio| ("inode-ratio", ratio.to_string())));
        settings.extend(journal.map(|bytes| ("journal", bytes.to_string())));
        settings
    })
}

/// How many cases of each property there are: some, or in all as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    const PROPERTIES: u32 = 4;
    let cases = std::env::var("PROPTEST_CASES").ok();
    let cases: Option<u32> = cases.and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(150).div_ceil(PROPERTIES),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Fails unless trees within `limits` are clean at the smallest size and above, and refused below.
fn trees_are_clean(limits: Limits) {
    let more = 0_u64..20 << 20;
    let cases = (tree(limits), settings(limits), more);
    let outcome = TestRunner::new(config()).run(&cases, |(mut tree, settings, more)| {
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let needed = measure(&mut tree, &settings);
        fsck(&make(&mut tree, needed, &settings).unwrap());
        let available = needed - 512;
        let error = make(&mut tree, available, &settings).err();
        let shortage = Shortage { needed, available };
        prop_assert_eq!(error, Some(FormatError::TooSmall(shortage)));
        fsck(&make(&mut tree, needed + more, &settings).unwrap());
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn random_trees_are_clean() {
    trees_are_clean(Limits {
        small_inodes: false,
        lists: false,
    });
}

#[test]
fn random_trees_in_small_inodes_are_clean() {
    trees_are_clean(Limits {
        small_inodes: true,
        lists: false,
    });
}

#[test]
fn random_trees_in_lists_of_blocks_are_clean() {
    trees_are_clean(Limits {
        small_inodes: false,
        lists: true,
    });
}

#[test]
fn random_trees_in_lists_of_blocks_and_small_inodes_are_clean() {
    trees_are_clean(Limits {
        small_inodes: true,
        lists: true,
    });
}
