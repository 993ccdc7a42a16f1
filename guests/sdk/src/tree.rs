//! The tree that goes into a file system.

use std::borrow::Cow;

use crate::{Batch, FormatError, ReadError};

/// The position of a node in the stream; the root is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The root directory.
    pub const ROOT: Self = Self(0);

    /// The id as an index into a table of all nodes.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A moment, counted from 1970-01-01T00:00:00Z without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Nanoseconds after `seconds`, less than 1,000,000,000.
    pub nanoseconds: u32,
}

/// The number of a device special file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The unit.
    pub minor: u32,
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    /// The full name with its namespace, as `security.capability`.
    pub name: Vec<u8>,
    /// The value in the kernel's own encoding, as `getxattr(2)` returns it.
    pub value: Vec<u8>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory.
    Directory,
    /// A regular file, in its first appearance.
    File {
        /// The length in bytes.
        size: u64,
        /// Whether the file has holes, so that [`Tree::ranges`] is worth asking.
        sparse: bool,
    },
    /// A symbolic link and its target.
    Symlink(Cow<'a, [u8]>),
    /// Another name of this node, which has a smaller id and is no directory.
    HardLink(NodeId),
    /// A character device.
    CharacterDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// A UNIX socket's name.
    Socket,
}

impl Kind<'_> {
    /// A symbolic link that keeps its target.
    #[must_use]
    pub fn symlink(target: impl Into<Vec<u8>>) -> Kind<'static> {
        Kind::Symlink(Cow::Owned(target.into()))
    }
}

/// A name in the tree with its metadata. What is long is borrowed from the [`Batch`] that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// The directory that holds the name; the root is its own parent.
    pub parent: NodeId,
    /// The name's bytes; empty for the root.
    pub name: Cow<'a, [u8]>,
    /// What the name stands for.
    pub kind: Kind<'a>,
    /// The permission bits with set-user-ID, set-group-ID and sticky: the low 12 bits.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When the content was last modified.
    pub modified: Timestamp,
    /// The extended attributes, by ascending name.
    pub attributes: Cow<'a, [Attribute]>,
}

/// A range of bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub offset: u64,
    /// The number of bytes, never 0.
    pub length: u64,
}

/// Sums over a whole tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All nodes, the root among them.
    pub nodes: u32,
    /// Those that are directories.
    pub directories: u32,
    /// Those that are hard links: other names of nodes.
    pub hard_links: u32,
    /// Those with extended attributes.
    pub attributed: u32,
    /// The bytes of all names.
    pub names: u64,
    /// The bytes of the targets of all symbolic links.
    pub targets: u64,
    /// The bytes of all regular files with their holes, each file's rounded up to whole units.
    pub content: u64,
}

impl Totals {
    /// The same with `node`, where files take whole units of `unit` bytes.
    #[must_use]
    pub fn with(self, node: &Node<'_>, unit: u32) -> Self {
        let (mut target, mut size) = (0, 0);
        match &node.kind {
            Kind::Symlink(bytes) => target = bytes.len() as u64,
            Kind::File { size: bytes, .. } => size = *bytes,
            _ => {}
        }
        let content = size
            .checked_next_multiple_of(u64::from(unit.max(1)))
            .unwrap_or(u64::MAX);
        Self {
            nodes: self.nodes.saturating_add(1),
            directories: self.directories + u32::from(node.kind == Kind::Directory),
            hard_links: self.hard_links + u32::from(matches!(node.kind, Kind::HardLink(_))),
            attributed: self.attributed + u32::from(!node.attributes.is_empty()),
            names: self.names + node.name.len() as u64,
            targets: self.targets + target,
            content: self.content.saturating_add(content),
        }
    }
}

/// The tree as the host shows it.
pub trait Tree {
    /// The next nodes, at most `limit`: depth first, parents before children, siblings by the bytes of their names;
    /// empty at the end.
    fn next(&mut self, limit: u32) -> Batch;

    /// Starts the stream again from the root.
    fn rewind(&mut self);

    /// What the whole tree amounts to, where files take whole units of `unit` bytes; at any time.
    fn totals(&mut self, unit: u32) -> Totals;

    /// Where `file` has data, ascending and disjoint; the rest reads as zeros.
    ///
    /// # Errors
    /// [`ReadError`] if `file` is no regular file, or its source fails.
    fn ranges(&mut self, file: NodeId) -> Result<Vec<Range>, ReadError>;

    /// The bytes of `file` from `offset`, exactly `length` (at most 16 MiB), holes as zeros.
    ///
    /// # Errors
    /// [`ReadError`] if `file` is no regular file, the range is outside it, or its source fails.
    fn read(&mut self, file: NodeId, offset: u64, length: u32) -> Result<Vec<u8>, ReadError>;
}

/// The most nodes that are asked for at once.
const BATCH: u32 = 4096;

/// Shows `take` all nodes of a tree from the root on, with their ids; asks the host for many at a time.
///
/// # Errors
/// The first that `take` returns.
pub fn each_node(
    tree: &mut dyn Tree,
    mut take: impl FnMut(NodeId, Node<'_>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    tree.rewind();
    let mut next_id = 0;
    loop {
        let batch = tree.next(BATCH);
        if batch.is_empty() {
            return Ok(());
        }
        for node in batch.nodes() {
            take(NodeId(next_id), node)?;
            next_id += 1;
        }
    }
}
