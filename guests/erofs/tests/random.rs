//! Random trees and options: sound at the smallest size, refused below; and to erofs-utils and the kernel, what they were made of.
#![allow(clippy::unwrap_used)]

mod judge;
#[path = "../../ext4/tests/trees/mod.rs"]
mod trees;

use cellblock_guest::memory::{Entry, MemoryTree};
use judge::{fsck, make_exactly, mount, words};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use trees::random::{Growing, Limits, config, entry, path};

/// Content that compresses in parts: runs of words, noise and zeros.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let part = (0_u8..3, 0_u64..50, 0_usize..30_000);
    vec(part, 0..12).prop_map(|parts| {
        let mut content = Vec::new();
        for (kind, seed, length) in parts {
            match kind {
                0 => content.extend(words(seed, length)),
                1 => content.extend(trees::bytes(seed, length)),
                _ => content.resize(content.len() + length, 0),
            }
        }
        content
    })
}

/// Entries of which none stands below a file; some have the same content.
fn tree() -> impl Strategy<Value = MemoryTree> {
    let limits = Limits {
        small_inodes: false,
        // fsck.erofs walks through holes chunk by chunk, so that they are not as long as they could be.
        lists: true,
    };
    let entries = vec((path(), entry(limits)), 0..40);
    let files = vec((path(), content(), any::<bool>()), 0..20);
    let links = vec((path(), any::<prop::sample::Index>()), 0..10);
    (entries, files, links, 0_usize..200).prop_map(|(entries, files, links, crowd)| {
        let mut growing = Growing::default();
        for (path, entry) in entries {
            growing.add(path, entry);
        }
        for (path, content, twice) in files {
            if twice {
                let mut again = path.clone();
                again.truncate(240);
                again.extend_from_slice(b" again");
                growing.add(again, Entry::file(content.clone()));
            }
            growing.add(path, Entry::file(content));
        }
        for (path, target) in links {
            growing.link(path, target);
        }
        let mut tree = growing.tree;
        for index in 0..crowd {
            tree.insert(
                format!("crowd {index:0>60}"),
                Entry::file("x".repeat(index)),
            );
        }
        tree
    })
}

type Settings = Vec<(&'static str, String)>;

fn settings() -> impl Strategy<Value = Settings> {
    let method = prop_oneof![
        2 => Just("none"),
        3 => Just("lz4"),
        1 => Just("lz4hc,level=3"),
        3 => Just("zstd,level=1"),
        1 => Just("deflate"),
        1 => Just("lzma,level=0"),
    ];
    let cluster = prop_oneof![2 => Just(1_u32), 2 => Just(4), 1 => Just(16), 1 => Just(3)];
    let block = prop_oneof![4 => Just(4096_u32), 1 => Just(8192), 1 => Just(65536)];
    let names = [
        "fragments",
        "all-fragments",
        "ztailpacking",
        "^dedupe",
        "48bit",
        "force-inode-extended",
        "nosbcrc",
    ];
    let features = proptest::sample::subsequence(names.to_vec(), 0..3);
    let hints = prop_oneof![
        3 => Just("none"),
        1 => Just("size<9000=none;[a-d]=lz4;*=zstd,level=1"),
        1 => Just("a*=none;size>50000=lz4"),
    ];
    let prefixes = prop_oneof![3 => Just(None), 1 => Just(Some("user.a,trusted.b,security.c"))];
    let choice = (method, cluster, block, features, hints, prefixes, 0_u32..5);
    choice.prop_map(
        |(method, cluster, block, mut features, hints, prefixes, tolerance)| {
            if method == "none" {
                features.retain(|feature| !feature.ends_with("fragments"));
            }
            let packs = features
                .iter()
                .any(|feature| feature.ends_with("fragments"));
            let mut settings = vec![
                ("compression", method.to_owned()),
                ("block-size", block.to_string()),
                ("features", features.join(",")),
                ("xattr-tolerance", tolerance.to_string()),
            ];
            if method != "none" {
                settings.push(("compress-hints", hints.to_owned()));
                settings.push(("cluster-size", (block * cluster).to_string()));
            }
            if let Some(prefixes) = prefixes.filter(|_| !packs) {
                settings.push(("xattr-prefixes", prefixes.to_owned()));
            }
            settings
        },
    )
}

#[test]
fn random_trees_are_sound_and_read_back() {
    let page = u64::try_from(rustix::param::page_size()).unwrap();
    let outcome =
        TestRunner::new(config(40, 1)).run(&(tree(), settings()), |(mut tree, settings)| {
            let settings: Vec<(&str, &str)> = settings
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let image = make_exactly(&mut tree, &settings);
            fsck(&image);
            let block = settings.iter().find(|(name, _)| *name == "block-size");
            let block: u64 = block.unwrap().1.parse().unwrap();
            if block <= page {
                mount::compare(&image, &mut tree);
            }
            Ok(())
        });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
