//! Another reader's view of an image: the crate `backhand`, which shares no code with the kernel's or with squashfs-tools.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use backhand::{FilesystemReader, InnerNode};
use cellblock_guest::memory::{Data, MemoryTree};
use cellblock_guest::{Kind, Node};
use judge::{Image, make_smallest};

/// The nodes by their full paths; what is linked stands under each of its names.
fn expected(tree: &mut MemoryTree) -> BTreeMap<PathBuf, (Node<'static>, Data)> {
    let nodes = tree.nodes();
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut all = BTreeMap::new();
    for (node, data) in nodes {
        let path = match paths.get(node.parent.index()) {
            Some(parent) => parent.join(std::ffi::OsString::from_vec(node.name.to_vec())),
            None => PathBuf::from("/"),
        };
        paths.push(path.clone());
        let original = match node.kind {
            Kind::HardLink(target) => nodes[target.index()].clone(),
            _ => (node.clone(), data.clone()),
        };
        all.insert(path, original);
    }
    all
}

fn compare(image: &Image, tree: &mut MemoryTree) {
    let mut expected = expected(tree);
    let file = BufReader::new(File::open(&image.path).unwrap());
    let reader = FilesystemReader::from_reader(file).unwrap();
    for found in reader.files() {
        let path = &found.fullpath;
        let (node, data) = expected.remove(path).unwrap();
        let header = found.header;
        assert_eq!(header.permissions & 0o7777, node.mode, "{path:?}");
        assert_eq!((header.uid, header.gid), (node.uid, node.gid), "{path:?}");
        assert_eq!(i64::from(header.mtime), node.modified.seconds, "{path:?}");
        match (&found.inner, &node.kind) {
            (InnerNode::Dir(_), Kind::Directory)
            | (InnerNode::NamedPipe, Kind::Fifo)
            | (InnerNode::Socket, Kind::Socket) => {}
            (InnerNode::Symlink(found), Kind::Symlink(target)) => {
                assert_eq!(found.link.as_os_str().as_bytes(), &**target);
            }
            (InnerNode::CharacterDevice(found), Kind::CharacterDevice(device)) => {
                assert_eq!(found.device_number & 0xFF, device.minor & 0xFF);
                assert_eq!(found.device_number >> 8 & 0xFFF, device.major);
            }
            (InnerNode::BlockDevice(found), Kind::BlockDevice(device)) => {
                assert_eq!(found.device_number & 0xFF, device.minor & 0xFF);
                assert_eq!(found.device_number >> 8 & 0xFFF, device.major);
            }
            (InnerNode::File(found), Kind::File { size, .. }) => {
                assert_eq!(found.file_len() as u64, *size);
                let mut content = vec![0; usize::try_from(*size).unwrap()];
                for (offset, bytes) in data {
                    let start = usize::try_from(offset).unwrap();
                    content[start..start + bytes.len()].copy_from_slice(&bytes);
                }
                let mut read = Vec::new();
                reader.file(found).reader().read_to_end(&mut read).unwrap();
                assert!(read == content, "content of {path:?}");
            }
            (found, kind) => panic!("{path:?} is {found:?}, and was {kind:?}"),
        }
    }
    let missing: Vec<PathBuf> = expected.into_keys().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn backhand_finds_everything() {
    for settings in [
        &[("compression", "none")][..],
        &[("compression", "gzip"), ("block-size", "4096")],
        &[("compression", "lz4")],
        &[("compression", "zstd"), ("always-use-fragments", "yes")],
        &[("compression", "xz"), ("level", "1"), ("bcj", "x86")],
    ] {
        let mut tree = trees::everything_of_moderate_size(64 << 10);
        compare(&make_smallest(&mut tree, settings), &mut tree);
    }
}
