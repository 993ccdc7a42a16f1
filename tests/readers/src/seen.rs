//! What is seen of a file system, by the kernel or by a reader, in one form.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use cellblock_guest::memory::MemoryListing;
use cellblock_guest::reader::{Encoded, Partition, Place};
use cellblock_guest::{Kind, NodeId};
use rustix::fs::{lgetxattr, llistxattr, major, minor};

/// A name, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub kind: &'static str,
    pub mode: u16,
    pub owner: (u32, u32),
    pub modified: (i64, u32),
    /// The size of a file, the numbers of a device.
    pub numbers: (u64, u64),
    pub target: Vec<u8>,
    /// A hash of the bytes.
    pub content: u64,
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first of all names of the same inode.
    pub first: PathBuf,
}

/// All names, from the top on.
pub type Tree = BTreeMap<PathBuf, Seen>;

/// What the kernel shows below `top`.
pub fn of_mount(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut inodes = BTreeMap::new();
    let mut waiting = vec![top.to_owned()];
    let mut paths = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.symlink_metadata().unwrap().is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            waiting.extend(entries.map(|entry| entry.unwrap().path()));
        }
        paths.push(path);
    }
    paths.sort();
    for path in paths {
        let metadata = path.symlink_metadata().unwrap();
        let of = path.strip_prefix(top).unwrap().to_owned();
        let first = inodes.entry(metadata.ino()).or_insert(of.clone()).clone();
        let seen = Seen {
            kind: kind(&metadata),
            mode: u16::try_from(metadata.mode() & 0o7777).unwrap(),
            owner: (metadata.uid(), metadata.gid()),
            modified: (
                metadata.mtime(),
                u32::try_from(metadata.mtime_nsec()).unwrap(),
            ),
            numbers: numbers(&metadata),
            target: fs::read_link(&path)
                .map(|target| target.into_os_string().into_vec())
                .unwrap_or_default(),
            content: if metadata.is_file() {
                hash(File::open(&path).unwrap())
            } else {
                0
            },
            attributes: attributes(&path),
            first,
        };
        tree.insert(of, seen);
    }
    tree
}

fn kind(metadata: &fs::Metadata) -> &'static str {
    let kind = metadata.file_type();
    match () {
        () if kind.is_dir() => "directory",
        () if kind.is_file() => "file",
        () if kind.is_symlink() => "symlink",
        () if kind.is_char_device() => "character device",
        () if kind.is_block_device() => "block device",
        () if kind.is_fifo() => "fifo",
        () => "socket",
    }
}

fn numbers(metadata: &fs::Metadata) -> (u64, u64) {
    let number = metadata.rdev();
    if metadata.is_file() {
        (metadata.len(), 0)
    } else {
        (major(number).into(), minor(number).into())
    }
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = llistxattr(path, &mut names).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0);
    names
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = lgetxattr(path, OsStr::from_bytes(name), &mut value).unwrap();
            value.truncate(length);
            (name.to_vec(), value)
        })
        .collect()
}

/// A hash of a file, which may be large and have holes.
fn hash(mut file: File) -> u64 {
    let mut hasher = DefaultHasher::new();
    let size = file.metadata().unwrap().len();
    let mut buffer = vec![0; BLOCK];
    for start in (0..size).step_by(BLOCK) {
        let length = usize::try_from((size - start).min(BLOCK as u64)).unwrap();
        file.seek(SeekFrom::Start(start)).unwrap();
        file.read_exact(&mut buffer[..length]).unwrap();
        add(&mut hasher, start, &buffer[..length]);
    }
    hasher.finish()
}

const BLOCK: usize = 64 << 10;

/// Blocks of zeros add nothing.
fn add(hasher: &mut DefaultHasher, start: u64, bytes: &[u8]) {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    if *bytes != ZEROS[..bytes.len()] {
        (start, bytes).hash(hasher);
    }
}

/// What a reader told of `partition`.
pub fn of_listing(listing: &MemoryListing, partition: &dyn Partition) -> Tree {
    let count = u32::try_from(listing.nodes.len()).unwrap();
    let paths: Vec<PathBuf> = (0..count)
        .map(|id| {
            let path = listing.path(NodeId(id));
            PathBuf::from(OsStr::from_bytes(&path[1..]))
        })
        .collect();
    let original = |id: usize| match listing.nodes[id].kind {
        Kind::HardLink(first) => first.index(),
        _ => id,
    };
    let mut firsts: BTreeMap<usize, &Path> = BTreeMap::new();
    for (id, path) in paths.iter().enumerate() {
        let first = firsts.entry(original(id)).or_insert(path);
        *first = (*first).min(path);
    }
    let seen = |id: usize| {
        let of = original(id);
        let node = &listing.nodes[of];
        let (kind, numbers) = match &node.kind {
            Kind::Directory => ("directory", (0, 0)),
            Kind::File { size, .. } => ("file", (*size, 0)),
            Kind::Symlink(_) => ("symlink", (0, 0)),
            Kind::CharacterDevice(device) => (
                "character device",
                (device.major.into(), device.minor.into()),
            ),
            Kind::BlockDevice(device) => {
                ("block device", (device.major.into(), device.minor.into()))
            }
            Kind::Fifo => ("fifo", (0, 0)),
            Kind::Socket => ("socket", (0, 0)),
            Kind::HardLink(_) => unreachable!("it is the first name"),
        };
        let attributes = node.attributes.iter();
        Seen {
            kind,
            mode: node.mode,
            owner: (node.uid, node.gid),
            modified: (node.modified.seconds, node.modified.nanoseconds),
            numbers,
            target: match &node.kind {
                Kind::Symlink(target) => target.to_vec(),
                _ => Vec::new(),
            },
            content: match node.kind {
                Kind::File { size, .. } => told_hash(listing, partition, of, size),
                _ => 0,
            },
            attributes: attributes
                .map(|attribute| (attribute.name.clone(), attribute.value.clone()))
                .collect(),
            first: firsts[&of].to_owned(),
        }
    };
    let ids = 0..listing.nodes.len();
    ids.map(|id| (paths[id].clone(), seen(id))).collect()
}

/// The same hash from extents, a block at a time.
fn told_hash(listing: &MemoryListing, partition: &dyn Partition, id: usize, size: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    let id = NodeId(u32::try_from(id).unwrap());
    let none = Vec::new();
    let extents = listing.extents.get(&id).unwrap_or(&none);
    let mut block = vec![0_u8; BLOCK];
    let mut last: Option<(Encoded, Vec<u8>)> = None;
    let mut next = 0;
    for start in (0..size).step_by(BLOCK) {
        let length = usize::try_from((size - start).min(BLOCK as u64)).unwrap();
        let end = start + length as u64;
        block.fill(0);
        while let Some(extent) = extents.get(next) {
            let (from, to) = (
                extent.offset.max(start),
                (extent.offset + extent.length).min(end),
            );
            if from >= end {
                break;
            }
            let within = |at: u64| usize::try_from(at - start).unwrap();
            let (skip, count) = (from - extent.offset, usize::try_from(to - from).unwrap());
            let at = usize::try_from(skip).unwrap();
            let bytes = match &extent.place {
                Place::Plain(offset) => partition.bytes(offset + skip, count).unwrap(),
                Place::Inline(bytes) => bytes[at..at + count].to_vec(),
                Place::Encoded { block, skip } => {
                    let found = last.take().filter(|(of, _)| of == block);
                    let found = found.unwrap_or_else(|| {
                        let mut decoded = partition.decode(&[*block]).unwrap();
                        (*block, decoded.remove(0))
                    });
                    let (_, decoded) = last.insert(found);
                    decoded[*skip as usize + at..][..count].to_vec()
                }
            };
            block[within(from)..within(to)].copy_from_slice(&bytes);
            if extent.offset + extent.length > end {
                break;
            }
            next += 1;
        }
        add(&mut hasher, start, &block[..length]);
    }
    hasher.finish()
}

/// Fails unless both are the same, and shows the first names where they are not.
pub fn compare(told: &Tree, shown: &Tree) {
    let missing: Vec<&PathBuf> = shown
        .keys()
        .filter(|path| !told.contains_key(*path))
        .collect();
    let invented: Vec<&PathBuf> = told
        .keys()
        .filter(|path| !shown.contains_key(*path))
        .collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "not told: {missing:?}, not there: {invented:?}"
    );
    for (path, seen) in shown {
        assert_eq!(&told[path], seen, "{}", path.display());
    }
}
