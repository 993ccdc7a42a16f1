//! A tree in memory, a partition in a file, and an encoder over both, for native tests and programs.

mod encoder;
mod output;
mod reader;

use std::collections::BTreeMap;

use crate::{Attribute, Batch, Kind, Node, NodeId, Range, ReadError, Timestamp, Totals, Tree};

pub use encoder::MemoryEncoder;
pub use output::FileOutput;
pub use reader::{FilePartition, MemoryListing};

/// A file's data: offset and bytes, ascending and disjoint; the rest is holes.
pub type Data = Vec<(u64, Vec<u8>)>;

/// What a path of a [`MemoryTree`] holds.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is. [`Kind::HardLink`] is made by [`MemoryTree::hard_link`] only.
    pub kind: Kind<'static>,
    /// The 12 permission bits.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When it was modified.
    pub modified: Timestamp,
    /// The extended attributes.
    pub attributes: Vec<Attribute>,
    /// The data of a regular file.
    pub data: Data,
    link_to: Option<Vec<Vec<u8>>>,
}

impl Entry {
    /// A node of `kind` without content: root's, with the mode 0755 for directories and 0644 otherwise.
    #[must_use]
    pub fn new(kind: Kind<'static>) -> Self {
        let mode = if kind == Kind::Directory {
            0o755
        } else {
            0o644
        };
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            modified: Timestamp {
                seconds: 1_700_000_000,
                nanoseconds: 123_456_789,
            },
            attributes: Vec::new(),
            data: Vec::new(),
            link_to: None,
        }
    }

    /// A regular file with these bytes.
    #[must_use]
    pub fn file(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let mut entry = Self::new(Kind::File {
            size: bytes.len() as u64,
            sparse: false,
        });
        if !bytes.is_empty() {
            entry.data.push((0, bytes));
        }
        entry
    }

    /// A regular file of `size` bytes that has only these ranges of data.
    #[must_use]
    pub fn sparse(size: u64, data: Data) -> Self {
        let mut entry = Self::new(Kind::File { size, sparse: true });
        entry.data = data;
        entry
    }
}

/// A tree in memory: insert entries by path in any order, then use it as a [`Tree`].
#[derive(Clone, Debug)]
pub struct MemoryTree {
    entries: BTreeMap<Vec<Vec<u8>>, Entry>,
    nodes: Vec<(Node<'static>, Data)>,
    position: usize,
}

impl Default for MemoryTree {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryTree {
    /// A root directory and nothing else.
    #[must_use]
    pub fn new() -> Self {
        let mut tree = Self {
            entries: BTreeMap::new(),
            nodes: Vec::new(),
            position: 0,
        };
        tree.insert("", Entry::new(Kind::Directory));
        tree
    }

    /// Puts `entry` at `path` (components divided by `/`; the empty path is the root), with directories above it where
    /// there are none.
    pub fn insert(&mut self, path: impl AsRef<[u8]>, entry: Entry) -> &mut Self {
        let components = components(path.as_ref());
        for depth in 1..components.len() {
            self.entries
                .entry(components[..depth].to_vec())
                .or_insert_with(|| Entry::new(Kind::Directory));
        }
        self.entries.insert(components, entry);
        self.nodes.clear();
        self
    }

    /// Makes `path` another name of `target`, which must be there before the tree is used.
    pub fn hard_link(&mut self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &mut Self {
        let mut entry = Entry::new(Kind::HardLink(NodeId::ROOT));
        entry.link_to = Some(components(target.as_ref()));
        self.insert(path, entry)
    }

    /// All nodes in order, with the data of the files.
    ///
    /// # Panics
    /// If a hard link's target is not in the tree, or comes from another link.
    pub fn nodes(&mut self) -> &[(Node<'static>, Data)] {
        if self.nodes.is_empty() {
            self.resolve();
        }
        &self.nodes
    }

    fn resolve(&mut self) {
        let mut ids: BTreeMap<&[Vec<u8>], NodeId> = BTreeMap::new();
        let mut originals: BTreeMap<&[Vec<u8>], NodeId> = BTreeMap::new();
        for (path, entry) in &self.entries {
            let id = NodeId(u32::try_from(self.nodes.len()).expect("fewer than 2^32 nodes"));
            ids.insert(path, id);
            let content_path = entry.link_to.as_ref().unwrap_or(path);
            let content = &self.entries[content_path];
            assert!(content.link_to.is_none(), "a link's target is no link");
            let kind = match originals.get(content_path.as_slice()) {
                Some(original) => Kind::HardLink(*original),
                None => {
                    originals.insert(content_path, id);
                    content.kind.clone()
                }
            };
            let mut attributes = content.attributes.clone();
            attributes.sort();
            self.nodes.push((
                Node {
                    parent: path
                        .split_last()
                        .map_or(NodeId::ROOT, |(_, parent)| ids[parent]),
                    name: path.last().cloned().unwrap_or_default().into(),
                    kind,
                    mode: content.mode,
                    uid: content.uid,
                    gid: content.gid,
                    modified: content.modified,
                    attributes: attributes.into(),
                },
                content.data.clone(),
            ));
        }
    }

    fn file(&mut self, file: NodeId) -> Result<(u64, bool, &Data), ReadError> {
        match self.nodes().get(file.index()) {
            Some((
                Node {
                    kind: Kind::File { size, sparse },
                    ..
                },
                data,
            )) => Ok((*size, *sparse, data)),
            _ => Err(ReadError::NotAFile),
        }
    }
}

fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

impl Tree for MemoryTree {
    fn next(&mut self, limit: u32) -> Batch {
        let position = self.position;
        let batch: Batch = self
            .nodes()
            .iter()
            .skip(position)
            .take(limit as usize)
            .map(|(node, _)| node.clone())
            .collect();
        self.position += batch.len();
        batch
    }

    fn rewind(&mut self) {
        self.position = 0;
    }

    fn totals(&mut self, unit: u32) -> Totals {
        self.nodes()
            .iter()
            .fold(Totals::default(), |totals, (node, _)| {
                totals.with(node, unit)
            })
    }

    fn ranges(&mut self, file: NodeId) -> Result<Vec<Range>, ReadError> {
        let (size, sparse, data) = self.file(file)?;
        if !sparse {
            return Ok((size > 0)
                .then_some(Range {
                    offset: 0,
                    length: size,
                })
                .into_iter()
                .collect());
        }
        Ok(data
            .iter()
            .map(|(offset, bytes)| Range {
                offset: *offset,
                length: bytes.len() as u64,
            })
            .collect())
    }

    fn read(&mut self, file: NodeId, offset: u64, length: u32) -> Result<Vec<u8>, ReadError> {
        let (size, _, data) = self.file(file)?;
        let end = offset + u64::from(length);
        if end > size {
            return Err(ReadError::OutOfRange);
        }
        let mut result = vec![0; length as usize];
        for (start, bytes) in data {
            let from = offset.max(*start);
            let to = end.min(start + bytes.len() as u64);
            if from < to {
                let index = |at: u64| usize::try_from(at).expect("fits in memory");
                result[index(from - offset)..index(to - offset)]
                    .copy_from_slice(&bytes[index(from - start)..index(to - start)]);
            }
        }
        Ok(result)
    }
}
