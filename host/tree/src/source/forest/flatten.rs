//! A forest becomes a tree: its nodes in their final order.

use std::collections::btree_map;

use super::{Body, Children, Forest, Inode, InodeId, Metadata};
use crate::source::attributes::AttributeSets;
use crate::source::error::SourceError;
use crate::source::store::Store;
use crate::{Entry, Kind, NodeId, Timestamp, Tree, index};

/// A directory's node, and those of its children that are still to come.
type Descent = (NodeId, btree_map::IntoIter<Box<[u8]>, InodeId>);

/// The walk through a forest that emits a tree.
pub(super) struct Flattening {
    inodes: Vec<Inode>,
    /// Where an inode got its first node.
    seen: Vec<Option<NodeId>>,
    /// Nodes of which no source says the time.
    timeless: Vec<NodeId>,
    newest: Option<Timestamp>,
    tree: Tree,
}

impl Flattening {
    pub(super) fn new(forest: Forest, stores: Vec<Box<dyn Store>>, sets: AttributeSets) -> Self {
        Self {
            seen: vec![None; forest.inodes.len()],
            timeless: Vec::new(),
            newest: None,
            tree: Tree {
                entries: Vec::with_capacity(forest.inodes.len()),
                names: Vec::new(),
                attribute_sets: sets.into_vec(),
                contents: Vec::new(),
                stores,
                newest: Timestamp::FALLBACK,
                dated: false,
            },
            inodes: forest.inodes,
        }
    }

    pub(super) fn run(&mut self) -> Result<(), SourceError> {
        let mut open: Vec<Descent> = Vec::new();
        open.extend(self.emit(NodeId::ROOT, b"", InodeId::ROOT)?);
        while let Some((parent, children)) = open.last_mut() {
            match children.next() {
                None => drop(open.pop()),
                Some((name, inode)) => {
                    let parent = *parent;
                    open.extend(self.emit(parent, &name, inode)?);
                }
            }
        }
        Ok(())
    }

    /// Appends a node; returns a directory's children, which come next.
    fn emit(
        &mut self,
        parent: NodeId,
        name: &[u8],
        inode: InodeId,
    ) -> Result<Option<Descent>, SourceError> {
        let id = u32::try_from(self.tree.entries.len())
            .map(NodeId)
            .map_err(|_| SourceError::TooManyNodes)?;
        let (kind, content, children) = self.kind_of(id, inode)?;
        let metadata = self.metadata_of(id, inode);
        self.tree.entries.push(Entry {
            parent,
            name_start: self.tree.names.len(),
            kind,
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            modified: metadata.modified.unwrap_or_default(),
            attributes: metadata.attributes,
            content,
        });
        self.tree.names.extend_from_slice(name);
        Ok(children.map(|children| (id, children.into_iter())))
    }

    fn kind_of(
        &mut self,
        id: NodeId,
        inode: InodeId,
    ) -> Result<(Kind, u32, Option<Children>), SourceError> {
        if let Some(first) = self.seen[inode.index()] {
            return Ok((Kind::HardLink(first), 0, None));
        }
        self.seen[inode.index()] = Some(id);
        let taken = Body::Other(Kind::Fifo);
        Ok(
            match std::mem::replace(&mut self.inodes[inode.index()].body, taken) {
                Body::Directory(children) => (Kind::Directory, 0, Some(children)),
                Body::Other(kind) => (kind, 0, None),
                Body::File {
                    size,
                    sparse,
                    content,
                } => {
                    let number = u32::try_from(self.tree.contents.len())
                        .map_err(|_| SourceError::TooManyNodes)?;
                    self.tree.contents.push(content);
                    (Kind::File { size, sparse }, number, None)
                }
            },
        )
    }

    fn metadata_of(&mut self, id: NodeId, inode: InodeId) -> Metadata {
        let metadata = self.inodes[inode.index()].metadata.clone();
        let metadata = metadata.unwrap_or(Metadata::IMPLIED);
        self.newest = self.newest.max(metadata.modified);
        if metadata.modified.is_none() {
            self.timeless.push(id);
        }
        metadata
    }

    pub(super) fn finish(mut self, default_time: Option<Timestamp>) -> Tree {
        let invented = default_time.or(self.newest).unwrap_or(Timestamp::FALLBACK);
        for id in &self.timeless {
            self.tree.entries[index(id.0)].modified = invented;
        }
        self.tree.newest = self.newest.unwrap_or(invented);
        self.tree.dated = self.newest.is_some();
        self.tree.entries.shrink_to_fit();
        self.tree
    }
}
