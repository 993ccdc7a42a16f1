//! File systems of disk images as content: a tree that a reader has told, taken apart so that it merges like any other.

use std::path::{Path, PathBuf};

use super::SourceError;
use super::budget::{Kept, OverBudget};
use super::forest::{Body, Forest, Inode, InodeId, Metadata};
use super::store::Store;
use crate::{Kind, Tree, index};
use cellblock_text::PathBytes;

/// A file system in a disk image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The image: a disk, or a file system alone.
    pub path: PathBuf,
    /// The number, name or UUID of the partition; none of a file system alone, or for the only partition.
    pub partition: Option<String>,
}

/// A file system that was read, and what the user should know of it.
#[derive(Debug)]
pub struct OpenedDisk {
    /// Its tree.
    pub tree: Tree,
    /// What its reader warns of.
    pub warnings: Vec<String>,
}

/// The tree as a forest, whose stores are numbered from `first_store` on.
pub(super) fn forest(
    path: &Path,
    tree: Tree,
    first_store: u32,
    kept: &mut Kept,
) -> Result<(Forest, Vec<Box<dyn Store>>), SourceError> {
    let mut forest = Forest::new();
    let mut inodes: Vec<InodeId> = Vec::with_capacity(tree.entries.len());
    for node in tree.nodes() {
        let over = |OverBudget { kept, limit }| SourceError::Kept {
            root: path.into(),
            path: PathBytes(tree.path(node.id)),
            kept,
            limit,
        };
        let metadata = Metadata {
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            modified: Some(node.modified),
            attributes: kept.sets.number(node.attributes.to_vec()),
        };
        let target = match node.kind {
            Kind::Symlink(target) => target.len(),
            _ => 0,
        };
        let bytes = u64::try_from(node.name.len() + target).expect("a length fits 64 bits");
        kept.node(bytes).map_err(over)?;
        let body = match node.kind {
            Kind::Directory => Body::Directory(Default::default()),
            Kind::File { size, sparse } => {
                let mut content = tree.contents[index(tree.entries[index(node.id.0)].content)];
                content.store += first_store;
                Body::File {
                    size: *size,
                    sparse: *sparse,
                    content,
                }
            }
            Kind::HardLink(first) => {
                let inode = inodes[index(first.0)];
                forest.name_once(inodes[index(node.parent.0)], node.name, inode);
                inodes.push(inode);
                continue;
            }
            other => Body::Other(other.clone()),
        };
        if inodes.is_empty() {
            forest.set_metadata(InodeId::ROOT, metadata);
            inodes.push(InodeId::ROOT);
            continue;
        }
        let inode = forest.add(Inode {
            metadata: Some(metadata),
            body,
        })?;
        forest.name_once(inodes[index(node.parent.0)], node.name, inode);
        inodes.push(inode);
    }
    Ok((forest, tree.stores))
}
