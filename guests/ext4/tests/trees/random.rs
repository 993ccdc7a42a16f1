//! Strategies for trees of all that a file system may hold.
#![allow(dead_code, unreachable_pub)]

use std::ops::Range;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{Attribute, Device, Kind, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{attribute, bytes, comb};

pub const LOST_AND_FOUND: &str = "lost+found";
const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

pub fn name() -> impl Strategy<Value = Vec<u8>> {
    let bytes = any::<u8>().prop_filter("no separator", |byte| !matches!(byte, 0 | b'/'));
    prop_oneof![
        4 => vec(bytes.clone(), 1..12),
        1 => vec(bytes, 200..=255),
        4 => "[a-d]{1,2}".prop_map(String::into_bytes),
    ]
    .prop_filter("a real name", |name| name != b"." && name != b"..")
}

pub fn path() -> impl Strategy<Value = Vec<u8>> {
    vec(name(), 1..4).prop_map(|names| names.join(&b'/'))
}

/// What a tree may have in the file system that is made of it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Inodes of 128 bytes, which have shorter times.
    pub small_inodes: bool,
    /// Lists of blocks, which map smaller files than extents do.
    pub lists: bool,
}

pub fn file(limits: Limits) -> impl Strategy<Value = Entry> {
    let most = if limits.lists { 1 << 34 } else { 1 << 42 };
    prop_oneof![
        4 => vec(any::<u8>(), 0..300).prop_map(Entry::file),
        2 => (0_usize..100_000).prop_map(|length| Entry::file(bytes(1, length))),
        1 => (0_u64..400).prop_map(comb),
        1 => (0_u64..most - 1023, any::<bool>()).prop_map(|(size, data)| {
            let last = (data && size > 5).then(|| (size - 5, b"last!".to_vec()));
            Entry::sparse(size, last.into_iter().collect())
        }),
    ]
}

/// A node of any kind; `file` gives the files.
pub fn kind(file: impl Strategy<Value = Entry>) -> impl Strategy<Value = Entry> {
    let device = (0_u32..4096, 0_u32..1 << 20).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        8 => file,
        2 => Just(Entry::new(Kind::Directory)),
        2 => vec(1_u8.., 1..120).prop_map(|target| Entry::new(Kind::symlink(target))),
        1 => vec(1_u8.., 1..1000).prop_map(|target| Entry::new(Kind::symlink(target))),
        1 => device.prop_map(|device| Entry::new(Kind::BlockDevice(device))),
        1 => Just(Entry::new(Kind::Fifo)),
        1 => Just(Entry::new(Kind::Socket)),
    ]
}

/// The name of an attribute behind its namespace.
pub fn suffix() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[a-z]{1,30}".prop_map(String::into_bytes),
        1 => vec(1_u8.., 1..30),
        // The longest with the shortest prefix.
        1 => vec(1_u8.., 249..=250),
    ]
}

/// An access control list in the kernel's encoding, with some who are named.
pub fn list() -> impl Strategy<Value = Vec<u8>> {
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
pub fn capability() -> impl Strategy<Value = Vec<u8>> {
    let words = any::<[u32; 4]>();
    (0_u32..2, prop::option::of(1..u32::MAX), words).prop_map(|(flag, root, words)| {
        let revision = if root.is_some() { 3 << 24 } else { 2 << 24 };
        let first = [revision | flag];
        let all = first.iter().chain(&words).chain(root.as_slice());
        all.flat_map(|word| word.to_le_bytes()).collect()
    })
}

/// Attributes without access control lists, some of them of one name.
fn plain_attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let namespace = prop::sample::select(vec!["user.", "trusted.", "security."]);
    let plain = vec((namespace, suffix(), vec(any::<u8>(), 0..100)), 0..4);
    let capability = prop::option::weighted(0.1, capability());
    (plain, capability).prop_map(|(plain, capability)| {
        let mut all: Vec<Attribute> = plain
            .into_iter()
            .map(|(namespace, suffix, value)| {
                let mut name = [namespace.as_bytes(), &suffix].concat();
                name.truncate(255);
                Attribute { name, value }
            })
            .collect();
        all.extend(capability.map(|value| attribute("security.capability", value)));
        all
    })
}

fn sorted(mut all: Vec<Attribute>) -> Vec<Attribute> {
    all.sort();
    all.dedup_by(|a, b| a.name == b.name);
    all
}

/// Attributes of all kinds but access control lists, more than a node may have.
pub fn attributes_without_lists() -> impl Strategy<Value = Vec<Attribute>> {
    plain_attributes().prop_map(sorted)
}

/// Attributes of all kinds, more than a node may have.
pub fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let list = || prop::option::weighted(0.2, list());
    (plain_attributes(), list(), list()).prop_map(|(mut all, access, default)| {
        let mut long = 0;
        all.retain(|attribute| {
            // One long name fits a block of 1 KiB with all others.
            long += usize::from(attribute.name.len() > 50);
            long < 2 || attribute.name.len() <= 50
        });
        all.extend(access.map(|value| attribute(ACCESS, value)));
        all.extend(default.map(|value| attribute(DEFAULT, value)));
        sorted(all)
    })
}

/// Whether a node of this kind may have the attribute: the host shows no others.
pub fn may_have(kind: &Kind<'_>, name: &[u8]) -> bool {
    match kind {
        Kind::Directory => true,
        Kind::File { .. } => name != DEFAULT.as_bytes(),
        Kind::Symlink(_) => !name.starts_with(b"user.") && !name.starts_with(b"system."),
        _ => !name.starts_with(b"user.") && name != DEFAULT.as_bytes(),
    }
}

pub fn entry(limits: Limits) -> impl Strategy<Value = Entry> {
    // e2fsck doubts later times; see the refusals.
    let after = if limits.small_inodes {
        1 << 31
    } else {
        (3 << 32) - (1 << 31)
    };
    node(kind(file(limits)), attributes(), -(1_i64 << 31)..after)
}

/// A node of `kind`, with those of the `attributes` that it may have, last modified in these `seconds`.
pub fn node(
    kind: impl Strategy<Value = Entry>,
    attributes: impl Strategy<Value = Vec<Attribute>>,
    seconds: Range<i64>,
) -> impl Strategy<Value = Entry> {
    let time = (seconds, 0_u32..1_000_000_000);
    let owner = (0..u32::MAX, 0..u32::MAX);
    (kind, attributes, time, owner, 0_u16..4096).prop_map(
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

#[derive(Default)]
pub struct Growing {
    pub tree: MemoryTree,
    /// The paths that are there, and which of them are directories.
    taken: Vec<(Vec<u8>, bool)>,
    /// What a hard link may be another name of.
    pub linkable: Vec<Vec<u8>>,
}

impl Growing {
    /// The entries, and then the links, as far as each has a place.
    pub fn of(entries: Vec<(Vec<u8>, Entry)>, links: Vec<(Vec<u8>, prop::sample::Index)>) -> Self {
        let mut growing = Self::default();
        for (path, entry) in entries {
            growing.add(path, entry);
        }
        for (path, target) in links {
            growing.link(path, target);
        }
        growing
    }

    fn clashes(&self, path: &[u8], is_directory: bool) -> bool {
        let below = |a: &[u8], b: &[u8]| a.starts_with(b) && a.get(b.len()) == Some(&b'/');
        path == LOST_AND_FOUND.as_bytes()
            || self.taken.iter().any(|(other, other_is_directory)| {
                *other == path
                    || (below(path, other) && !other_is_directory)
                    || (below(other, path) && !is_directory)
            })
    }

    pub fn add(&mut self, path: Vec<u8>, entry: Entry) {
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

    pub fn link(&mut self, path: Vec<u8>, target: prop::sample::Index) {
        if self.linkable.is_empty() || self.clashes(&path, false) {
            return;
        }
        self.tree.hard_link(&path, target.get(&self.linkable));
        self.taken.push((path, false));
    }
}

/// As many cases as `PROPTEST_CASES` says, or `usual`, shared out among so many `properties`.
pub fn config(usual: u32, properties: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let cases: Option<u32> = cases.and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(usual).div_ceil(properties),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
