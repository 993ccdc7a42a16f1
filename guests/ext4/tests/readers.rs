//! File systems, read by two programs that share nothing with the kernel, e2fsprogs or us: the crates ext4-view and mkext4.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use cellblock_guest::memory::{Entry, MemoryTree};
use cellblock_guest::{Kind, Node, NodeId};
use ext4_view::{Ext4, FileType, Metadata, Path};
use judge::{Image, make};
use mkext4::reader::Fs;

/// A node, and a file's data with its offsets.
type NodeAndData = (Node<'static>, Vec<(u64, Vec<u8>)>);

/// The inode of the root.
const ROOT: u32 = 2;

const LOST_AND_FOUND: &[u8] = b"lost+found";

fn tree(block_size: &str) -> MemoryTree {
    // ext4-view takes no times before 1970, and none after 2038 whose low 32 bits look like those.
    let mut tree = trees::all_but_times(block_size.parse().unwrap());
    // It takes no targets either with a name longer than 255 bytes.
    let target = b"directory/".repeat(100);
    tree.insert("dev/link-1000", Entry::new(Kind::symlink(target)));
    for index in 0..3000 {
        tree.insert(format!("crowd/{index:0>60}"), Entry::file(""));
    }
    tree
}

/// The path of each node from the root.
fn paths(nodes: &[NodeAndData]) -> Vec<Vec<u8>> {
    let mut paths = vec![b"/".to_vec()];
    for (node, _) in &nodes[1..] {
        let mut path = paths[node.parent.index()].clone();
        if node.parent != NodeId::ROOT {
            path.push(b'/');
        }
        path.extend_from_slice(&node.name);
        paths.push(path);
    }
    paths
}

/// The node that a name leads to.
fn resolve(nodes: &[NodeAndData], index: usize) -> &NodeAndData {
    match nodes[index].0.kind {
        Kind::HardLink(target) => &nodes[target.index()],
        _ => &nodes[index],
    }
}

/// The names that a directory has, but for those that every directory or every file system has.
fn names(nodes: &[NodeAndData], directory: usize) -> BTreeSet<Vec<u8>> {
    nodes[1..]
        .iter()
        .filter(|(node, _)| node.parent.index() == directory)
        .map(|(node, _)| node.name.to_vec())
        .collect()
}

fn is_own(name: &[u8]) -> bool {
    matches!(name, b"." | b".." | LOST_AND_FOUND)
}

fn compare_with_ext4_view(image: &Image, tree: &mut MemoryTree) {
    let nodes = tree.nodes();
    let read = Ext4::load_from_path(&image.path).unwrap();
    assert_eq!(read.label().to_str().unwrap(), "root");
    for (index, path) in paths(nodes).iter().enumerate() {
        let (node, data) = resolve(nodes, index);
        let path = Path::try_from(path.as_slice()).unwrap();
        let metadata = read.symlink_metadata(path).unwrap();
        compare_metadata(path, node, &metadata, image);
        match &node.kind {
            Kind::Directory => {
                let entries = read.read_dir(path).unwrap();
                let found: BTreeSet<Vec<u8>> = entries
                    .map(|entry| entry.unwrap().file_name().as_ref().to_vec())
                    .filter(|name| !is_own(name))
                    .collect();
                assert_eq!(found, names(nodes, index), "{path:?}");
            }
            Kind::Symlink(target) => {
                assert_eq!(
                    read.read_link(path).unwrap().as_ref(),
                    &**target,
                    "{path:?}"
                );
            }
            // It takes a list of blocks that is a hole for the first block.
            Kind::File { sparse: true, .. } if image.kind != "ext4" => {}
            Kind::File { .. } => {
                let mut file = read.open(path).unwrap();
                for (offset, bytes) in data {
                    let mut found = vec![0; bytes.len()];
                    file.seek_to(*offset).unwrap();
                    let mut filled = 0;
                    while filled < found.len() {
                        let count = file.read_bytes(&mut found[filled..]).unwrap();
                        assert_ne!(count, 0, "{path:?} ends early");
                        filled += count;
                    }
                    assert!(found == *bytes, "content of {path:?}");
                }
            }
            _ => {}
        }
    }
}

fn compare_metadata(path: Path<'_>, node: &Node<'_>, metadata: &Metadata, image: &Image) {
    let file_type = match node.kind {
        Kind::Directory => FileType::Directory,
        Kind::File { size, .. } => {
            assert_eq!(metadata.len(), size, "{path:?}");
            FileType::Regular
        }
        Kind::Symlink(_) => FileType::Symlink,
        Kind::CharacterDevice(_) => FileType::CharacterDevice,
        Kind::BlockDevice(_) => FileType::BlockDevice,
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
        Kind::HardLink(_) => unreachable!("resolved by the caller"),
    };
    assert_eq!(metadata.file_type(), file_type, "{path:?}");
    assert_eq!(metadata.mode(), node.mode, "{path:?}");
    let owner = (metadata.uid(), metadata.gid());
    assert_eq!(owner, (node.uid, node.gid), "{path:?}");
    let modified = metadata.modified();
    assert_eq!(modified.seconds(), node.modified.seconds, "{path:?}");
    if image.inode_size > 128 {
        let nanoseconds = node.modified.nanoseconds;
        assert_eq!(modified.nanoseconds(), nanoseconds, "{path:?}");
    }
}

/// Compares what ext4-view does not read: devices, links, attributes, and what is only right by its checksum.
fn compare_with_mkext4(image: &Image, tree: &mut MemoryTree) {
    let nodes = tree.nodes();
    let read = Fs::open(File::open(&image.path).unwrap()).unwrap();
    let mut issues = read.verify().unwrap();
    if read.superblock().desc_size() > 32 {
        // It knows checksums of short descriptors only.
        issues.retain(|issue| !issue.what.contains("desc checksum"));
    }
    assert!(issues.is_empty(), "{issues:?}");
    let mut entries: BTreeMap<(u32, Vec<u8>), u32> = BTreeMap::new();
    let mut inodes = Vec::new();
    for (index, (named, _)) in nodes.iter().enumerate() {
        let name = &named.name;
        let inode = match index {
            0 => ROOT,
            _ => entries[&(inodes[named.parent.index()], name.to_vec())],
        };
        inodes.push(inode);
        if named.kind == Kind::Directory {
            let list = read.read_dir(inode).unwrap();
            entries.extend(list.into_iter().map(|e| ((inode, e.name), e.inode)));
        }
        let (node, _) = resolve(nodes, index);
        let found = read.inode(inode).unwrap();
        assert_eq!(found.mode & 0o7777, node.mode, "{name:?}");
        if let Kind::CharacterDevice(device) | Kind::BlockDevice(device) = node.kind {
            let number = Some((device.major, device.minor));
            assert_eq!(found.dev_numbers(), number, "{name:?}");
        }
        let attributes: BTreeSet<(Vec<u8>, Vec<u8>)> = read
            .xattrs(inode)
            .unwrap()
            .into_iter()
            .map(|entry| (entry.full_name().unwrap(), entry.value))
            // Access control lists have another encoding here.
            .filter(|(name, _)| !name.starts_with(b"system."))
            .collect();
        let expected = node
            .attributes
            .iter()
            .filter(|attribute| !attribute.name.starts_with(b"system."))
            .map(|attribute| (attribute.name.clone(), attribute.value.clone()))
            .collect();
        assert_eq!(attributes, expected, "{name:?}");
    }
}

#[test]
fn ext4_view_reads_every_kind() {
    for kind in ["ext2", "ext3", "ext4"] {
        for block_size in ["1024", "2048", "4096"] {
            for inode_size in ["128", "256"] {
                if kind == "ext4" && inode_size == "128" {
                    // It takes such inodes without checksums only.
                    continue;
                }
                for profile in ["debian-13", "ubuntu-24.04"] {
                    let settings = [
                        ("kind", kind),
                        ("block-size", block_size),
                        ("inode-size", inode_size),
                        ("profile", profile),
                    ];
                    println!("{settings:?}");
                    let mut tree = tree(block_size);
                    let image = make(&mut tree, 100 << 20, &settings).unwrap();
                    compare_with_ext4_view(&image, &mut tree);
                }
            }
        }
    }
}

#[test]
fn mkext4_finds_every_checksum_right() {
    for features in ["", "^64bit", "metadata_csum_seed", "^flex_bg,^has_journal"] {
        for inode_size in ["128", "256"] {
            let settings = [("features", features), ("inode-size", inode_size)];
            println!("{settings:?}");
            let mut tree = tree("4096");
            let image = make(&mut tree, 300 << 20, &settings).unwrap();
            compare_with_mkext4(&image, &mut tree);
        }
    }
}
