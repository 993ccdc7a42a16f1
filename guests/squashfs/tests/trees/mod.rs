//! Trees to make file systems of.
#![allow(dead_code, unreachable_pub)]

#[path = "../../../ext4/tests/trees/mod.rs"]
mod shared;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{Attribute, Device, Kind, Timestamp};

pub use shared::*;

/// Words, which compress.
pub fn text(seed: u64, length: usize) -> Vec<u8> {
    let words = ["cell ", "block ", "squash ", "tail ", "fragment "];
    let mut text = Vec::new();
    for byte in bytes(seed, length) {
        text.extend_from_slice(words[usize::from(byte) % words.len()].as_bytes());
        if text.len() >= length {
            break;
        }
    }
    text.truncate(length);
    text
}

/// Attributes that most file systems have no room for.
pub fn large_attributes() -> MemoryTree {
    let mut tree = MemoryTree::new();
    for (seed, length) in [(1, 8191), (3, 20_000), (5, 65_536)] {
        for twin in 0..2 {
            let mut entry = Entry::file("attributed");
            entry.attributes = vec![
                attribute("user.shared", bytes(seed, length)),
                attribute("user.own", bytes(seed + 10 + twin, 10_000)),
            ];
            tree.insert(format!("{length}-{twin}"), entry);
        }
    }
    tree
}

/// Something of each kind, with block sizes in mind.
pub fn everything(block_size: usize) -> MemoryTree {
    let mut tree = everything_of_moderate_size(block_size);
    for length in [256, 1000, 4095] {
        add_link(&mut tree, length);
    }
    tree.insert("files/hole", Entry::sparse(5_000_000_000, vec![]));
    let ends = vec![(0, b"head".to_vec()), (5_000_000_000, b"tail".to_vec())];
    tree.insert("files/ends", Entry::sparse(5_000_000_004, ends));
    tree
}

/// The same, with no file that is large, and no target that the crate backhand does not read.
pub fn everything_of_moderate_size(block_size: usize) -> MemoryTree {
    let mut tree = all_but_times(block_size);
    add_times(&mut tree);
    tree
}

fn all_but_times(block_size: usize) -> MemoryTree {
    let mut tree = MemoryTree::new();
    add_files(&mut tree, block_size);
    add_special_files(&mut tree);
    add_attributes(&mut tree);
    add_directories(&mut tree);
    tree
}

fn add_files(tree: &mut MemoryTree, block_size: usize) {
    for length in [
        0,
        1,
        block_size / 2,
        block_size - 1,
        block_size,
        block_size + 1,
        600_001,
    ] {
        let content = bytes(length as u64, length);
        tree.insert(format!("files/{length}"), Entry::file(content));
    }
    tree.insert("files/comb", comb(700));
    for index in 0..20 {
        tree.hard_link(format!("links/{index}"), "files/600001");
    }
    let mut owned = Entry::file("owned");
    owned.uid = 4_000_000_000;
    owned.gid = 100_000;
    owned.mode = 0o6751;
    tree.insert("files/owned", owned);
    // Equal ones stand once, whether in blocks or in a fragment block; text is shorter when it is compressed.
    for index in 0..4 {
        tree.insert(
            format!("equal/small-{index}"),
            Entry::file(b"equal".repeat(50)),
        );
        tree.insert(
            format!("equal/large-{index}"),
            Entry::file(text(3, 3 * block_size + 77)),
        );
        tree.insert(
            format!("equal/text-{index}"),
            Entry::file(text(index, 2 * block_size + 9)),
        );
    }
}

fn add_special_files(tree: &mut MemoryTree) {
    for (major, minor) in [(1, 3), (8, 255), (8, 256), (259, 7), (4095, 1_048_575)] {
        let device = Device { major, minor };
        let path = format!("dev/{major}-{minor}");
        tree.insert(
            format!("{path}-c"),
            Entry::new(Kind::CharacterDevice(device)),
        );
        tree.insert(format!("{path}-b"), Entry::new(Kind::BlockDevice(device)));
    }
    tree.insert("dev/fifo", Entry::new(Kind::Fifo));
    tree.insert("dev/socket", Entry::new(Kind::Socket));
    tree.hard_link("dev/fifo-again", "dev/fifo");
    for length in [1, 59, 60, 255] {
        add_link(tree, length);
    }
}

fn add_link(tree: &mut MemoryTree, length: usize) {
    let mut link = Entry::new(Kind::symlink(vec![b't'; length]));
    // As all of them are elsewhere.
    link.mode = 0o777;
    tree.insert(format!("dev/link-{length}"), link);
}

fn add_times(tree: &mut MemoryTree) {
    for seconds in [
        0,
        1,
        i64::from(i32::MAX),
        i64::from(i32::MAX) + 1,
        i64::from(u32::MAX),
    ] {
        let mut entry = Entry::file("");
        entry.modified = Timestamp {
            seconds,
            nanoseconds: 999_999_999,
        };
        tree.insert(format!("times/{seconds}"), entry);
    }
}

fn add_attributes(tree: &mut MemoryTree) {
    let mut add = |name: &str, attributes: Vec<Attribute>| {
        let mut entry = Entry::file(name);
        entry.attributes = attributes;
        tree.insert(format!("attributes/{name}"), entry);
    };
    // Values of more than eight bytes stand once.
    for length in [0, 1, 7, 8, 9, 200, 3000] {
        let value = bytes(length as u64, length);
        add(
            &format!("length-{length}"),
            vec![attribute("user.name", value)],
        );
    }
    add(
        "capability",
        vec![attribute("security.capability", capability())],
    );
    for index in 0..5 {
        add(
            &format!("shared-{index}"),
            vec![
                attribute("security.capability", capability()),
                attribute("trusted.overlay.opaque", "y"),
                attribute("user.long", bytes(9, 300)),
                attribute("user.\u{e9}", "bytes above 127"),
            ],
        );
    }
    let many = (0..12)
        .map(|index| attribute(&format!("user.attribute-{index}"), bytes(index, 30)))
        .collect();
    add("many", many);
    let mut directory = Entry::new(Kind::Directory);
    directory.attributes = vec![
        attribute("trusted.overlay.opaque", "y"),
        attribute("user.directory", bytes(9, 300)),
    ];
    tree.insert("attributes/directory", directory);
}

fn add_directories(tree: &mut MemoryTree) {
    tree.insert("empty", Entry::new(Kind::Directory));
    for index in 0..300 {
        tree.insert(format!("wide/{index}/leaf"), Entry::file("leaf"));
    }
    let deep = vec!["deep"; 60].join("/");
    tree.insert(deep, Entry::file("deep"));
    let mut bytes_path = b"names/".to_vec();
    bytes_path.extend((1..=255).filter(|byte| *byte != b'/'));
    tree.insert(&bytes_path, Entry::file("all bytes"));
    tree.insert("names/ \n\\", Entry::file("odd"));
}
