//! Random trees and options: at the smallest size and above what they were made of, to the kernel and to unsquashfs; refused below.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{Attribute, Device, FormatError, Kind, Shortage, Timestamp};
use judge::{make, measure, mount};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

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

fn file() -> impl Strategy<Value = Entry> {
    prop_oneof![
        4 => vec(any::<u8>(), 0..300).prop_map(Entry::file),
        // Few lengths and few contents, so that some are equal, and some are as long as blocks.
        4 => (0_u64..3, 0_usize..6, 0_usize..3).prop_map(|(seed, blocks, more)| {
            Entry::file(trees::text(seed, (blocks * 4096 + more).saturating_sub(1)))
        }),
        2 => (0_u64..3, 0_usize..100_000).prop_map(|(seed, length)| Entry::file(trees::bytes(seed, length))),
        1 => (0_u64..400).prop_map(trees::comb),
        1 => (0_u64..1 << 34, any::<bool>()).prop_map(|(size, data)| {
            let last = (data && size > 5).then(|| (size - 5, b"last!".to_vec()));
            Entry::sparse(size, last.into_iter().collect())
        }),
    ]
}

fn kind() -> impl Strategy<Value = Entry> {
    let device = (0_u32..4096, 0_u32..1 << 20).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        8 => file(),
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
        all.extend(capability.map(|value| trees::attribute("security.capability", value)));
        all.sort();
        all.dedup_by(|a, b| a.name == b.name);
        all
    })
}

/// Whether a node of this kind may have the attribute: the host shows no others.
fn may_have(kind: &Kind<'_>, name: &[u8]) -> bool {
    match kind {
        Kind::Directory | Kind::File { .. } => true,
        _ => !name.starts_with(b"user."),
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let time = (0..1_i64 << 32, 0_u32..1_000_000_000);
    let owner = (0..u32::MAX, 0..u32::MAX);
    (kind(), attributes(), time, owner, 0_u16..4096).prop_map(
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

/// Entries of which none stands below a file.
fn tree() -> impl Strategy<Value = MemoryTree> {
    let links = vec((path(), any::<prop::sample::Index>()), 0..10);
    let entries = vec((path(), entry()), 0..60);
    (entries, links, 0_usize..600).prop_map(|(entries, links, crowd)| {
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
        tree
    })
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
        self.taken.iter().any(|(other, other_is_directory)| {
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

fn settings() -> impl Strategy<Value = Settings> {
    let codec = prop_oneof![
        Just(("none", None)),
        (1_u32..10).prop_map(|level| ("gzip", Some(level))),
        Just(("lz4", None)),
        (1_u32..13).prop_map(|level| ("lz4hc", Some(level))),
        (0_u32..3).prop_map(|level| ("xz", Some(level))),
        (1_u32..8).prop_map(|level| ("zstd", Some(level))),
    ];
    let block_size = (12_u32..21).prop_map(|log| 1_u32 << log);
    let padding = prop_oneof![4 => Just("4096"), 1 => Just("0"), 1 => Just("1MiB")];
    let flags = proptest::sample::subsequence(
        vec![
            "no-duplicates",
            "no-exports",
            "no-fragments",
            "always-use-fragments",
        ],
        0..4,
    );
    let plain =
        proptest::sample::subsequence(vec!["inodes", "ids", "data", "fragments", "xattrs"], 0..4);
    let filters =
        proptest::sample::subsequence(vec!["x86", "powerpc", "arm", "armthumb", "sparc"], 0..3);
    (codec, block_size, padding, flags, plain, filters).prop_map(
        |((codec, level), block_size, padding, mut flags, plain, filters)| {
            if flags.contains(&"no-fragments") {
                flags.retain(|flag| *flag != "always-use-fragments");
            }
            let mut settings = vec![
                ("compression", codec.to_owned()),
                ("block-size", block_size.to_string()),
                ("padding", padding.to_owned()),
            ];
            settings.extend(level.map(|level| ("level", level.to_string())));
            settings.extend(flags.into_iter().map(|flag| (flag, "yes".to_owned())));
            if !plain.is_empty() {
                settings.push(("no-compression", plain.join(",")));
            }
            if codec == "xz" && !filters.is_empty() {
                settings.push(("bcj", filters.join(",")));
            }
            settings
        },
    )
}

/// How many cases there are: some, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    let cases: Option<u32> = cases.and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(20),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn random_trees_are_what_they_were_made_of() {
    let more = 0_u64..20 << 20;
    let cases = (tree(), settings(), more);
    let outcome = TestRunner::new(config()).run(&cases, |(mut tree, settings, more)| {
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let needed = measure(&mut tree, &settings);
        let smallest = make(&mut tree, needed, &settings).unwrap();
        mount::compare(&smallest, &mut tree);
        judge::compare_unpacked(&smallest, &mut tree);
        let available = needed - 512;
        let error = make(&mut tree, available, &settings).err();
        let shortage = Shortage { needed, available };
        prop_assert_eq!(error, Some(FormatError::TooSmall(shortage)));
        let larger = make(&mut tree, needed + more / 512 * 512, &settings).unwrap();
        let used = usize::try_from(smallest.summary.used).unwrap();
        let [smallest, larger] =
            [smallest, larger].map(|image| std::fs::read(&image.path).unwrap());
        prop_assert!(smallest[..used] == larger[..used]);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
