//! Makes images in files, and has other programs look at them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod mount;
mod scratch;

use std::path::{Path, PathBuf};

use cellblock_ext4::Ext4;
use cellblock_guest::memory::{FileOutput, MemoryTree};
use cellblock_guest::{
    FormatError, Formatter as _, Output, Placement, Request, Summary, Timestamp, Uuid,
};
use cellblock_judges::{judge, text};
use mount::Stores;
use scratch::{create, temporary_path};

/// An image that vanishes with its value.
pub struct Image {
    pub path: PathBuf,
    /// What kind of file system it is.
    pub kind: String,
    /// Bytes.
    pub inode_size: u32,
    pub summary: Summary,
    pub warnings: Vec<String>,
}

impl Image {
    /// What the format stores of nodes.
    pub fn stores(&self) -> Stores {
        Stores {
            nanoseconds: self.inode_size > 128,
            directory_links: false,
            lost_and_found: true,
            attributes_always: true,
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A path for a file of `size` bytes. One that is large and mostly holes goes to memory if that has room: there it may have
/// any size, and is gone in no time.
pub fn path_for(size: u64) -> PathBuf {
    const LARGE: u64 = 4 << 30;
    const ROOM: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    let has_room =
        || rustix::fs::statvfs(memory).is_ok_and(|found| found.f_bavail * found.f_frsize >= ROOM);
    let path = temporary_path("img");
    match path.file_name() {
        Some(name) if size > LARGE && has_room() => memory.join(name),
        _ => path,
    }
}

/// A request for a partition of `size` bytes: ext4, unless the settings begin with another `kind`.
pub fn request(size: u64, settings: &[(&str, &str)]) -> Request {
    let (kind, settings) = match settings {
        [("kind", kind), settings @ ..] => (*kind, settings),
        _ => ("ext4", settings),
    };
    Request {
        kind: kind.into(),
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
    let path = path_for(request.size);
    let file = create(&path);
    let mut image = Image {
        path,
        kind: request.kind.clone(),
        inode_size: request
            .setting("inode-size")
            .map_or(256, |size| size.parse().unwrap()),
        summary: Summary::default(),
        warnings: Vec::new(),
    };
    let mut output = FileOutput::new(file, request.size, tree).unwrap();
    image.summary = Ext4::format(request, tree, &mut output)?;
    image.warnings = output.warnings;
    Ok(image)
}

/// The smallest size for `tree`.
pub fn measure(tree: &mut MemoryTree, settings: &[(&str, &str)]) -> u64 {
    Ext4::measure(&request(0, settings), tree).unwrap()
}

/// What a program says, on both outputs, and whether it succeeds; none if it is not installed.
pub fn run(name: &str, arguments: &[&str], image: &Path) -> Option<(bool, String)> {
    let output = judge(name)?.run(arguments, image);
    Some((output.status.success(), text(&output)))
}

/// Fails unless e2fsck is content with an image.
pub fn fsck(image: &Image) {
    let Some((clean, said)) = run("e2fsck", &["-f", "-n"], &image.path) else {
        return;
    };
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| {
            !line.is_empty() && !line.starts_with("e2fsck ") && !line.starts_with("Pass ")
        })
        .filter(|line| !line.contains(" files ("))
        .collect();
    assert!(clean && complaints.is_empty(), "e2fsck: {said}");
}

/// What debugfs answers; none if it is not installed.
pub fn debugfs(image: &Image, command: &str) -> Option<String> {
    run("debugfs", &["-R", command], &image.path).map(|(_, said)| said)
}

/// An output that takes everything and keeps nothing.
pub struct Nowhere;

impl Output for Nowhere {
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), FormatError> {
        Ok(())
    }

    fn place(&mut self, _: &[Placement]) -> Result<(), FormatError> {
        Ok(())
    }

    fn compose(&mut self, _: u64, _: &[u8], _: &[Placement]) -> Result<(), FormatError> {
        Ok(())
    }

    fn warn(&mut self, _: &str) {}
}
