//! Random trees and options: clean at the smallest size and above, refused below; and to the kernel, what they were made of.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{Attribute, Device, FormatError, Kind, NodeProblem, Shortage, Timestamp};
use judge::{fsck, make, measure, mount};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use trees::attribute;

const LOST_AND_FOUND: &str = "lost+found";
const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

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

/// The name of an attribute behind its namespace.
fn suffix() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[a-z]{1,30}".prop_map(String::into_bytes),
        1 => vec(1_u8.., 1..30),
        // The longest with the shortest prefix.
        1 => vec(1_u8.., 249..=250),
    ]
}

/// An access control list in the kernel's encoding, with some who are named.
fn list() -> impl Strategy<Value = Vec<u8>> {
    let named = vec((any::<bool>(), 0_u16..8, 0..u32::MAX), 0..3);
    let others = [0_u16..8, 0_u16..8, 0_u16..8, 0_u16..8];
    (named, others).prop_map(|(named, [owner, group, mask, others])| {
        // Those without a name have none to the kernel either.
        const NONE: u32 = u32::MAX;
        let mut entries = vec![
            (0x01, owner, NONE),
            (0x04, group, NONE),
            (0x20, others, NONE),
        ];
        entries.push((0x10, mask, NONE));
        entries.extend(named.into_iter().map(|(is_user, permissions, id)| {
            let tag = if is_user { 0x02 } else { 0x08 };
            (tag, permissions, id)
        }));
        entries.sort_unstable_by_key(|(tag, _, id)| (*tag, *id));
        entries.dedup_by_key(|(tag, _, id)| (*tag, *id));
        let mut value = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            value.extend(u16::to_le_bytes(tag));
            value.extend(permissions.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        value
    })
}

/// A capability set of a revision that can be read back.
fn capability() -> impl Strategy<Value = Vec<u8>> {
    let words = any::<[u32; 4]>();
    (0_u32..2, prop::option::of(1..u32::MAX), words).prop_map(|(flag, root, words)| {
        let revision = if root.is_some() { 3 << 24 } else { 2 << 24 };
        let first = [revision | flag];
        let all = first.iter().chain(&words).chain(root.as_slice());
        all.flat_map(|word| word.to_le_bytes()).collect()
    })
}

/// Attributes of all kinds, more than a node may have.
fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let namespace = prop::sample::select(vec!["user.", "trusted.", "security."]);
    let plain = vec((namespace, suffix(), vec(any::<u8>(), 0..100)), 0..4);
    let list = || prop::option::weighted(0.2, list());
    let capability = prop::option::weighted(0.1, capability());
    (plain, list(), list(), capability).prop_map(|(plain, access, default, capability)| {
        let mut long = 0;
        let mut all: Vec<Attribute> = plain
            .into_iter()
            .map(|(namespace, suffix, value)| {
                let mut name = [namespace.as_bytes(), &suffix].concat();
                name.truncate(255);
                Attribute { name, value }
            })
            .filter(|attribute| {
                // One long name fits a block of 1 KiB with all others.
                long += usize::from(attribute.name.len() > 50);
                long < 2 || attribute.name.len() <= 50
            })
            .collect();
        let add = |name: &str| {
            let name = name.to_owned();
            move |value| attribute(&name, value)
        };
        all.extend(access.map(add(ACCESS)));
        all.extend(default.map(add(DEFAULT)));
        all.extend(capability.map(add("security.capability")));
        all.sort();
        all.dedup_by(|a, b| a.name == b.name);
        all
    })
}

/// Whether a node of this kind may have the attribute: the host shows no others.
fn may_have(kind: &Kind<'_>, name: &[u8]) -> bool {
    match kind {
        Kind::Directory => true,
        Kind::File { .. } => name != DEFAULT.as_bytes(),
        Kind::Symlink(_) => !name.starts_with(b"user.") && !name.starts_with(b"system."),
        _ => !name.starts_with(b"user.") && name != DEFAULT.as_bytes(),
    }
}

fn entry(limits: Limits) -> impl Strategy<Value = Entry> {
    // e2fsck doubts later times; see the refusals.
    let after = if limits.small_inodes {
        1 << 31
    } else {
        (3 << 32) - (1 << 31)
    };
    let time = (-(1_i64 << 31)..after, 0_u32..1_000_000_000);
    let owner = (0..u32::MAX, 0..u32::MAX);
    (kind(limits), attributes(), time, owner, 0_u16..4096).prop_map(
        |(mut entry, mut attributes, (seconds, nanoseconds), (uid, gid), mode)| {
            attributes.retain(|attribute| may_have(&entry.kind, &attribute.name));
            entry.attributes = attributes;
            entry.modified = Timestamp {
                seconds,
                nanoseconds,
            };
            entry.uid = uid;
            entry.gid = gid;
            let is_symlink = matches!(entry.kind, Kind::Symlink(_));
            entry.mode = if is_symlink { 0o777 } else { mode };
            entry
        },
    )
}

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
            let mut growing = Growing::default();
            for (path, entry) in entries {
                growing.add(path, entry);
            }
            for (path, target) in links {
                growing.link(path, target);
            }
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

#[derive(Default)]
struct Growing {
    tree: MemoryTree,
    /// The paths that are there, and which of them are directories.
    taken: Vec<(Vec<u8>, bool)>,
    /// What a hard link may be another name of.
    linkable: Vec<Vec<u8>>,
}

impl Growing {
    fn clashes(&self, path: &[u8], is_directory: bool) -> bool {
        let below = |a: &[u8], b: &[u8]| a.starts_with(b) && a.get(b.len()) == Some(&b'/');
        path == LOST_AND_FOUND.as_bytes()
            || self.taken.iter().any(|(other, other_is_directory)| {
                *other == path
                    || (below(path, other) && !other_is_directory)
                    || (below(other, path) && !is_directory)
            })
    }

    fn add(&mut self, path: Vec<u8>, entry: Entry) {
        let is_directory = entry.kind == Kind::Directory;
        if self.clashes(&path, is_directory) {
            return;
        }
        self.tree.insert(&path, entry);
        if !is_directory {
            self.linkable.push(path.clone());
        }
        self.taken.push((path, is_directory));
    }

    fn link(&mut self, path: Vec<u8>, target: prop::sample::Index) {
        if self.linkable.is_empty() || self.clashes(&path, false) {
            return;
        }
        self.tree.hard_link(&path, target.get(&self.linkable));
        self.taken.push((path, false));
    }
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

/// Fails unless trees within `limits` are clean at the smallest size and above, and refused below, and the kernel finds in
/// them what they were made of. It sees faults that e2fsck does not look for.
fn trees_are_clean(limits: Limits) {
    let more = 0_u64..20 << 20;
    let cases = (tree(limits), settings(limits), more);
    let outcome =
        TestRunner::new(config()).run(&cases, |((mut tree, reserved), settings, more)| {
            let settings: Vec<(&str, &str)> = settings
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            if reserved {
                let error = make(&mut tree, 1 << 30, &settings).err();
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
