//! What the kernel shows of an image, or a program took out of it, compared with the tree that it was made from.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cellblock_guest::memory::MemoryTree;
use cellblock_guest::{Device, Kind, Node, NodeId};
use cellblock_judges::{Ability, judge, lacks, text};
use rustix::fs::{lgetxattr, llistxattr, major, minor};
use rustix::io::Errno;

use super::{Image, temporary_path};

/// What is said where nobody may mount; anything else is the image's fault.
const MACHINE: [&str; 5] = [
    "loop device",
    "ermission denied",
    "not permitted",
    "only root",
    "unknown filesystem",
];

/// A node, and a file's data with its offsets.
type NodeAndData = (Node<'static>, Vec<(u64, Vec<u8>)>);

/// What a format stores of nodes, as the kernel shows it.
#[derive(Clone, Copy, Debug)]
pub struct Stores {
    /// Times to the nanosecond; otherwise whole seconds.
    pub nanoseconds: bool,
    /// In the count of a directory's links, itself and those of the directories in it.
    pub directory_links: bool,
    /// A directory of its own that is called `lost+found`.
    pub lost_and_found: bool,
    /// A table of attributes even where no node has any; otherwise the kernel says then that it has no such thing.
    pub attributes_always: bool,
}

/// A mount that ends with its value.
pub struct Mount(PathBuf);

impl Mount {
    /// Where the file system is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The device that is mounted.
    pub fn device(&self) -> PathBuf {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let point = self.0.to_str().unwrap();
        mounts
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(_, rest)| rest.split(' ').next() == Some(point))
            .map(|(device, _)| PathBuf::from(device))
            .unwrap()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A mount is busy while anything on the machine looks at it; in the end it goes when that stops.
        let unmount = |options: &[&str]| {
            let output = Command::new("umount").args(options).arg(&self.0).output();
            output.is_ok_and(|output| output.status.success())
        };
        let is_gone = (0..50).any(|_| {
            let done = unmount(&[]);
            if !done {
                std::thread::sleep(Duration::from_millis(100));
            }
            done
        });
        if !is_gone {
            unmount(&["--lazy"]);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// A mount to write to; none, with a word, where that is not allowed.
pub fn writable(image: &Image) -> Option<Mount> {
    mount(image, "loop")
}

fn mount(image: &Image, options: &str) -> Option<Mount> {
    let point = temporary_path("mount");
    fs::create_dir(&point).unwrap();
    let output = judge("mount")?
        .command()
        .args(["-t", &image.kind, "-o", options])
        .args([&image.path, &point])
        .output()
        .unwrap();
    if output.status.success() {
        return Some(Mount(point));
    }
    let _ = fs::remove_dir(point);
    let said = text(&output);
    let is_of_the_machine = MACHINE.iter().any(|reason| said.contains(reason));
    assert!(is_of_the_machine, "mount: {said}");
    lacks(Ability::Mount, &said);
    None
}

/// Fails unless the kernel finds in `image` what is in `tree`, and nothing else.
pub fn compare(image: &Image, tree: &mut MemoryTree) {
    if let Some(mount) = mount(image, "loop,ro") {
        compare_folder(mount.path(), tree, image.stores(), None);
    }
}

/// Fails unless what is below `top` is what is in `tree`, and nothing else, but for the attribute `except`.
pub fn compare_folder(top: &Path, tree: &mut MemoryTree, stores: Stores, except: Option<&str>) {
    let nodes = tree.nodes();
    let paths = paths(nodes);
    let mut expected: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (index, path) in paths.iter().enumerate() {
        expected.insert(top.join(path), index);
    }
    let links = links(nodes, stores);
    let mut found = walk(top);
    if stores.lost_and_found {
        found.retain(|path| expected.contains_key(path) || !path.ends_with("lost+found"));
    }
    assert_eq!(found.len(), expected.len());
    let mut inodes: BTreeMap<usize, u64> = BTreeMap::new();
    for path in found {
        let index = expected[&path];
        let original = original(nodes, index);
        let (node, data) = &nodes[original];
        let metadata = fs::symlink_metadata(&path).unwrap();
        compare_metadata(&path, node, &metadata, stores);
        assert_eq!(
            *inodes.entry(original).or_insert(metadata.ino()),
            metadata.ino()
        );
        if stores.directory_links || node.kind != Kind::Directory {
            assert_eq!(metadata.nlink(), links[original], "links of {path:?}");
        }
        if metadata.is_file() {
            compare_content(&path, metadata.len(), data);
        }
        compare_attributes(&path, node, stores, except);
    }
}

fn original(nodes: &[NodeAndData], index: usize) -> usize {
    match nodes[index].0.kind {
        Kind::HardLink(target) => target.index(),
        _ => index,
    }
}

fn links(nodes: &[NodeAndData], stores: Stores) -> Vec<u64> {
    let mut links = vec![0; nodes.len()];
    for (index, (node, _)) in nodes.iter().enumerate() {
        links[original(nodes, index)] += 1;
        if stores.directory_links && node.kind == Kind::Directory {
            // Its own dot, and the two dots in it.
            links[index] += 1;
            if index > 0 {
                links[node.parent.index()] += 1;
            }
        }
    }
    links
}

fn paths(nodes: &[NodeAndData]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for (index, (node, _)) in nodes.iter().enumerate() {
        if index == NodeId::ROOT.index() {
            paths.push(PathBuf::new());
        } else {
            let name = std::ffi::OsString::from_vec(node.name.to_vec());
            paths.push(paths[node.parent.index()].join(name));
        }
    }
    paths
}

fn walk(top: &Path) -> Vec<PathBuf> {
    let mut found = vec![top.join("")];
    let mut next = 0;
    while next < found.len() {
        let path = found[next].clone();
        next += 1;
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            found.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    found
}

fn compare_metadata(path: &Path, node: &Node<'_>, metadata: &fs::Metadata, stores: Stores) {
    let file_type = metadata.file_type();
    let number = Device {
        major: major(metadata.rdev()),
        minor: minor(metadata.rdev()),
    };
    match &node.kind {
        Kind::Directory => assert!(file_type.is_dir(), "{path:?}"),
        Kind::File { size, .. } => {
            assert!(file_type.is_file(), "{path:?}");
            assert_eq!(metadata.len(), *size, "size of {path:?}");
        }
        Kind::Symlink(target) => {
            let found = fs::read_link(path).unwrap();
            assert_eq!(
                found.as_os_str().as_bytes(),
                &**target,
                "target of {path:?}"
            );
        }
        Kind::CharacterDevice(device) => {
            assert!(file_type.is_char_device(), "{path:?}");
            assert_eq!(number, *device, "{path:?}");
        }
        Kind::BlockDevice(device) => {
            assert!(file_type.is_block_device(), "{path:?}");
            assert_eq!(number, *device, "{path:?}");
        }
        Kind::Fifo => assert!(file_type.is_fifo(), "{path:?}"),
        Kind::Socket => assert!(file_type.is_socket(), "{path:?}"),
        Kind::HardLink(_) => unreachable!("resolved by the caller"),
    }
    assert_eq!(
        metadata.mode() & 0o7777,
        u32::from(node.mode),
        "mode of {path:?}"
    );
    assert_eq!(
        (metadata.uid(), metadata.gid()),
        (node.uid, node.gid),
        "{path:?}"
    );
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    let mut expected = (node.modified.seconds, i64::from(node.modified.nanoseconds));
    if !stores.nanoseconds {
        expected.1 = 0;
    }
    assert_eq!(modified, expected, "time of {path:?}");
}

/// Holes are trusted to read as zeros between pieces of data, but for the bytes next to each.
fn compare_content(path: &Path, size: u64, data: &[(u64, Vec<u8>)]) {
    const NEAR: u64 = 5000;
    let file = File::open(path).unwrap();
    let mut end_before = 0;
    for (offset, bytes) in data {
        let start = offset.saturating_sub(NEAR).max(end_before);
        let end = (offset + bytes.len() as u64 + NEAR).min(size);
        let mut found = vec![0; usize::try_from(end - start).unwrap()];
        file.read_exact_at(&mut found, start).unwrap();
        let gap = usize::try_from(offset - start).unwrap();
        assert!(
            found[..gap].iter().all(|byte| *byte == 0),
            "gap in {path:?}"
        );
        assert_eq!(&found[gap..gap + bytes.len()], bytes, "content of {path:?}");
        end_before = offset + bytes.len() as u64;
    }
}

fn compare_attributes(path: &Path, node: &Node<'_>, stores: Stores, except: Option<&str>) {
    let matters = |name: &[u8]| except.is_none_or(|except| name != except.as_bytes());
    let mut names = vec![0_u8; 65536];
    let length = match llistxattr(path, &mut names) {
        Err(Errno::OPNOTSUPP) if !stores.attributes_always => 0,
        length => length.unwrap(),
    };
    let mut found: Vec<&[u8]> = names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && matters(name))
        .collect();
    found.sort_unstable();
    let expected = || node.attributes.iter().filter(|it| matters(&it.name));
    let names: Vec<&[u8]> = expected().map(|it| it.name.as_slice()).collect();
    assert_eq!(found, names, "attributes of {path:?}");
    for attribute in expected() {
        let mut value = vec![0_u8; 65536];
        let name = std::ffi::OsStr::from_bytes(&attribute.name);
        let length = lgetxattr(path, name, &mut value)
            .unwrap_or_else(|error| panic!("{name:?} of {path:?}: {error}"));
        assert_eq!(value[..length], attribute.value, "{name:?} of {path:?}");
    }
}
