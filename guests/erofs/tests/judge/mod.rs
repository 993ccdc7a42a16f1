//! Makes images in files, and has other programs look at them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

#[path = "../../../ext4/tests/judge/mount.rs"]
pub mod mount;
#[path = "../../../ext4/tests/judge/scratch.rs"]
mod scratch;

use std::path::PathBuf;

use cellblock_erofs::Erofs;
use cellblock_guest::memory::{Entry, FileOutput, MemoryEncoder, MemoryTree};
use cellblock_guest::{
    EncodingFormatter as _, FormatError, Request, Shortage, Summary, Timestamp, Uuid,
};
use cellblock_judges::{judge, skipped, text};
use mount::Stores;
use scratch::create;
pub use scratch::temporary_path;

/// An image that vanishes with its value.
pub struct Image {
    pub path: PathBuf,
    /// What kind of file system it is.
    pub kind: String,
    pub summary: Summary,
}

impl Image {
    /// What the format stores of nodes.
    pub fn stores(&self) -> Stores {
        Stores {
            nanoseconds: true,
            directory_links: false,
            lost_and_found: false,
            attributes_always: true,
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A request for a partition of `size` bytes.
pub fn request(size: u64, settings: &[(&str, &str)]) -> Request {
    Request {
        kind: "erofs".into(),
        size,
        sector_size: 512,
        label: "root".into(),
        uuid: Uuid(*b"\x11\x11\x11\x11\x22\x22\x43\x33\x84\x44UUUUUU"),
        seed: Uuid(*b"0123456789abcdef"),
        time: Timestamp {
            seconds: 1_700_000_000,
            nanoseconds: 0,
        },
        settings: settings
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        ..Request::default()
    }
}

/// An image as requested.
pub fn make_request(tree: &mut MemoryTree, request: &Request) -> Result<Image, FormatError> {
    let path = temporary_path("img");
    let file = create(&path);
    let mut image = Image {
        path,
        kind: request.kind.clone(),
        summary: Summary::default(),
    };
    let mut output = FileOutput::new(file, request.size, tree).unwrap();
    let mut encoder = MemoryEncoder::placing(tree, &output);
    image.summary = Erofs::format(request, tree, &mut encoder, &mut output)?;
    Ok(image)
}

/// The smallest size for `tree`.
pub fn measure(tree: &mut MemoryTree, settings: &[(&str, &str)]) -> Result<u64, FormatError> {
    let mut encoder = MemoryEncoder::new(tree);
    Erofs::measure(&request(0, settings), tree, &mut encoder)
}

/// An image of the smallest size, after one that is a sector smaller was refused.
pub fn make_exactly(tree: &mut MemoryTree, settings: &[(&str, &str)]) -> Image {
    let needed = measure(tree, settings).unwrap();
    let available = needed - 512;
    let shortage = FormatError::TooSmall(Shortage { needed, available });
    let refused = make_request(tree, &request(available, settings)).err();
    assert_eq!(refused, Some(shortage));
    make_request(tree, &request(needed, settings)).unwrap()
}

/// What an fsck.erofs says that knows less than is in an image.
const OLD: [&str; 4] = [
    "Operation not supported",
    "isn't supported on this platform",
    "unknown compression format",
    "unidentified incompatible feature",
];

/// Fails unless fsck.erofs is content with an image, decompressing all of it.
pub fn fsck(image: &Image) {
    let Some(fsck) = judge("fsck.erofs") else {
        return;
    };
    let output = fsck.run(&["--extract"], &image.path);
    let said = text(&output);
    if !output.status.success() && OLD.iter().any(|reason| said.contains(reason)) {
        skipped(
            "fsck.erofs",
            "too old for this image: see tests/judges/build-peers",
        );
        return;
    }
    assert!(output.status.success(), "{said}");
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("<E>") || line.contains("<W>"))
        .collect();
    assert!(complaints.is_empty(), "{said}");
}

/// What dump.erofs says of an image; none if it is not installed.
pub fn dump(image: &Image, arguments: &[&str]) -> Option<String> {
    let output = judge("dump.erofs")?.run(arguments, &image.path);
    assert!(output.status.success(), "{}", text(&output));
    Some(text(&output))
}

/// Text that compresses to about a third.
pub fn words(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = Vec::with_capacity(length + 16);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = state % 997;
        text.extend_from_slice(format!("{} ", word * word % 8191).as_bytes());
    }
    text.truncate(length);
    text
}

/// Files that compress in all ways: well, badly, not at all, and a bit of each; of all sizes around blocks and clusters.
pub fn compressible(block: usize) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for length in [
        1,
        100,
        block - 1,
        block,
        block + 1,
        2 * block - 1,
        2 * block,
        2 * block + 7,
        5 * block + 1000,
        16 * block,
        17 * block + 5,
        200_000,
        1_000_003,
    ] {
        tree.insert(
            format!("words/{length}"),
            Entry::file(words(length as u64, length)),
        );
        tree.insert(
            format!("noise/{length}"),
            Entry::file(super::trees::bytes(length as u64, length)),
        );
        tree.insert(format!("zeros/{length}"), Entry::file(vec![0; length]));
    }
    let mut mixed = Vec::new();
    for index in 0..30 {
        mixed.extend(words(index, 7000 + 331 * usize::try_from(index).unwrap()));
        mixed.extend(super::trees::bytes(
            index,
            3000 + 777 * usize::try_from(index).unwrap(),
        ));
    }
    tree.insert("mixed/long", Entry::file(mixed.clone()));
    tree.insert("mixed/again", Entry::file(mixed.clone()));
    mixed.truncate(70_001);
    tree.insert("mixed/short", Entry::file(mixed));
    tree.insert("mixed/much-zero", Entry::file(vec![0; 9_000_000]));
    let data = vec![(0, words(1, 30_000)), (50_000, words(2, 30_000))];
    tree.insert("mixed/dense", Entry::sparse(100_000, data));
    let data = vec![(4_000_000, words(1, 30_000)), (9_000_001, words(2, 30_000))];
    tree.insert("mixed/holes", Entry::sparse(20_000_000, data));
    tree
}
