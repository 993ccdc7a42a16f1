//! Random trees and options: clean at the smallest size and above, refused below; and to the kernel, what they were made of.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{FormatError, Kind, NodeProblem, Shortage};
use judge::{fsck, make, measure, mount};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use trees::random::{Growing, LOST_AND_FOUND, Limits, config, entry, path};

/// What has the name that is e2fsck's.
#[derive(Clone, Debug)]
enum LostAndFound {
    /// Nothing.
    Nobody,
    /// This, whatever it is.
    Entry(Entry),
    /// Another name of the first node that can have one.
    Link,
}

fn lost_and_found(limits: Limits) -> impl Strategy<Value = LostAndFound> {
    let directory = entry(limits).prop_filter("a directory", |it| it.kind == Kind::Directory);
    prop_oneof![
        5 => Just(LostAndFound::Nobody),
        2 => directory.prop_map(LostAndFound::Entry),
        1 => entry(limits).prop_map(LostAndFound::Entry),
        1 => Just(LostAndFound::Link),
    ]
}

/// A tree, and whether it has another thing than a directory under the name that is e2fsck's.
type Case = (MemoryTree, bool);

/// Entries of which none stands below a file.
fn tree(limits: Limits) -> impl Strategy<Value = Case> {
    let links = vec((path(), any::<prop::sample::Index>()), 0..10);
    let entries = vec((path(), entry(limits)), 0..60);
    (entries, links, lost_and_found(limits), 0_usize..120).prop_map(
        |(entries, links, lost_and_found, crowd)| {
            let growing = Growing::of(entries, links);
            let mut tree = growing.tree;
            for index in 0..crowd {
                tree.insert(format!("crowd {index:0>60}"), Entry::new(Kind::Fifo));
            }
            let reserved = match lost_and_found {
                LostAndFound::Nobody => false,
                LostAndFound::Entry(entry) => {
                    let is_other = entry.kind != Kind::Directory;
                    tree.insert(LOST_AND_FOUND, entry);
                    is_other
                }
                LostAndFound::Link => {
                    if let Some(target) = growing.linkable.first() {
                        tree.hard_link(LOST_AND_FOUND, target);
                    }
                    !growing.linkable.is_empty()
                }
            };
            (tree, reserved)
        },
    )
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
    // Without one it follows from the size, in some profiles.
    let block_size = prop_oneof![Just(""), Just("1024"), Just("2048"), Just("4096")];
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
        let block: u64 = match block_size {
            "" if profile.starts_with("debian") => 1024,
            "" => 4096,
            _ => block_size.parse().unwrap(),
        };
        let journal = journal.filter(|_| has_journal).map(|blocks| blocks * block);
        let mut settings = vec![
            ("kind", kind.to_owned()),
            ("profile", profile.to_owned()),
            ("inode-size", inode_size.to_owned()),
            ("features", features.join(",")),
            ("reserved-blocks", reserved.to_owned()),
            ("hash-seed", format!("{hash_seed:032x}")),
        ];
        let block_size = (!block_size.is_empty()).then(|| block_size.to_owned());
        settings.extend(block_size.map(|bytes| ("block-size", bytes)));
        settings.extend(ratio.map(|ratio| ("inode-ratio", ratio.to_string())));
        settings.extend(journal.map(|bytes| ("journal", bytes.to_string())));
        settings
    })
}

/// Fails unless trees within `limits` are clean at the smallest size and above, and refused below, and the kernel finds in
/// them what they were made of. It sees faults that e2fsck does not look for.
fn trees_are_clean(limits: Limits) {
    // Four properties share the cases.
    let more = 0_u64..20 << 20;
    let cases = (tree(limits), settings(limits), more);
    let outcome =
        TestRunner::new(config(150, 4)).run(&cases, |((mut tree, reserved), settings, more)| {
            let settings: Vec<(&str, &str)> = settings
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            if reserved {
                let error = make(&mut tree, 256 << 20, &settings).err();
                let is_refused = matches!(
                    error,
                    Some(FormatError::Node(error)) if error.problem == NodeProblem::NameReserved
                );
                prop_assert!(is_refused);
                return Ok(());
            }
            let needed = measure(&mut tree, &settings);
            let mut smallest = make(&mut tree, needed, &settings).unwrap();
            fsck(&smallest);
            // Under the other names the kernel takes neither all features nor an ext3 that has no room for a journal.
            smallest.kind = "ext4".into();
            mount::compare(&smallest, &mut tree);
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
