//! Random trees and options: at the smallest size and above what they were made of, to the kernel and to unsquashfs; refused below.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{FormatError, Kind, Shortage};
use judge::{make, measure, mount};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use trees::random::{Growing, attributes_without_lists, config, kind, node, path};

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

/// Entries of which none stands below a file.
fn tree() -> impl Strategy<Value = MemoryTree> {
    let links = vec((path(), any::<prop::sample::Index>()), 0..10);
    let entry = node(kind(file()), attributes_without_lists(), 0..1 << 32);
    let entries = vec((path(), entry), 0..60);
    (entries, links, 0_usize..600).prop_map(|(entries, links, crowd)| {
        let mut tree = Growing::of(entries, links).tree;
        for index in 0..crowd {
            tree.insert(format!("crowd {index:0>60}"), Entry::new(Kind::Fifo));
        }
        tree
    })
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

#[test]
fn random_trees_are_what_they_were_made_of() {
    let more = 0_u64..20 << 20;
    let cases = (tree(), settings(), more);
    let outcome = TestRunner::new(config(20, 1)).run(&cases, |(mut tree, settings, more)| {
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
