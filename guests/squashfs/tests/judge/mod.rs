//! Makes images in files, and has other programs look at them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

#[path = "../../../ext4/tests/judge/mount.rs"]
pub mod mount;
#[path = "../../../ext4/tests/judge/scratch.rs"]
mod scratch;

use std::path::{Path, PathBuf};

use cellblock_guest::memory::{FileOutput, MemoryEncoder, MemoryTree};
use cellblock_guest::{EncodingFormatter as _, FormatError, Request, Summary, Timestamp, Uuid};
use cellblock_judges::{Ability, judge, lacks, text};
use cellblock_squashfs::Squashfs;
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
            nanoseconds: false,
            directory_links: true,
            lost_and_found: false,
            attributes_always: false,
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
        kind: "squashfs".into(),
        size,
        sector_size: 512,
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

/// An image of `size` bytes with `tree` in it.
pub fn make(
    tree: &mut MemoryTree,
    size: u64,
    settings: &[(&str, &str)],
) -> Result<Image, FormatError> {
    make_request(tree, &request(size, settings))
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
    image.summary = Squashfs::format(request, tree, &mut encoder, &mut output)?;
    Ok(image)
}

/// The smallest size for `tree`.
pub fn measure(tree: &mut MemoryTree, settings: &[(&str, &str)]) -> u64 {
    measure_request(tree, &request(0, settings)).unwrap()
}

/// The smallest size for `tree`, or why there is none.
pub fn measure_request(tree: &mut MemoryTree, request: &Request) -> Result<u64, FormatError> {
    let mut encoder = MemoryEncoder::new(tree);
    Squashfs::measure(request, tree, &mut encoder)
}

/// An image of the smallest size, which is what was measured, with what is said of it compared with the tree.
pub fn make_smallest(tree: &mut MemoryTree, settings: &[(&str, &str)]) -> Image {
    let size = measure(tree, settings);
    make(tree, size, settings).unwrap()
}

/// What unsquashfs says, and whether it succeeds; none if it is not installed.
pub fn unsquashfs(image: &Path, arguments: &[&str]) -> Option<String> {
    let output = judge("unsquashfs")?.run(arguments, image);
    let said = text(&output);
    assert!(output.status.success(), "unsquashfs: {said}");
    Some(said)
}

/// Fails unless unsquashfs takes out of `image` what is in `tree`, and nothing else.
pub fn compare_unpacked(image: &Image, tree: &mut MemoryTree) {
    let Some(unsquashfs) = judge("unsquashfs") else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        lacks(Ability::Superuser, "only root makes devices and owners");
        return;
    }
    let folder = temporary_path("unpacked");
    let output = unsquashfs
        .command()
        .args(["-quiet", "-no-progress", "-strict-errors", "-dest"])
        .args([&folder, &image.path])
        .output()
        .unwrap();
    let said = text(&output);
    assert!(output.status.success(), "unsquashfs: {said}");
    // It sets attributes before owners, with which the kernel takes capabilities away.
    let except = Some("security.capability");
    mount::compare_folder(&folder, tree, image.stores(), except);
    std::fs::remove_dir_all(folder).unwrap();
}
