//! A file as a partition that is read, and a listing that keeps what it is told.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use cellblock_codec as codec;

use crate::reader::{Codec, DecodeError, Encoded, FileExtent, Listing, Partition, Place};
use crate::{Batch, Kind, Node, NodeId, PartitionError};

/// A partition that stands in a file.
pub struct FilePartition {
    file: File,
    start: u64,
    size: u64,
    unpacker: RefCell<codec::Unpacker>,
}

impl FilePartition {
    /// The whole of `file`.
    ///
    /// # Errors
    /// If its length cannot be had.
    pub fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self::within(file, 0, size))
    }

    /// The `size` bytes of `file` from `start` on.
    #[must_use]
    pub fn within(file: File, start: u64, size: u64) -> Self {
        Self {
            file,
            start,
            size,
            unpacker: RefCell::default(),
        }
    }
}

impl Partition for FilePartition {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), PartitionError> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(PartitionError::OutOfRange);
        }
        self.file
            .read_exact_at(buffer, self.start + offset)
            .map_err(|_| PartitionError::Failed)
    }

    fn decode(&self, blocks: &[Encoded]) -> Result<Vec<Vec<u8>>, DecodeError> {
        let mut unpacker = self.unpacker.borrow_mut();
        let decoded = (0..).zip(blocks).map(|(index, block)| {
            let lengths = [block.length, block.decoded].map(|length| length as usize);
            if lengths
                .iter()
                .any(|it| *it == 0 || *it > codec::BLOCK_LIMIT)
            {
                return Err(DecodeError::Outside(index));
            }
            let bytes = self.bytes(block.offset, lengths[0]);
            let bytes = bytes.map_err(|error| match error {
                PartitionError::OutOfRange => DecodeError::Outside(index),
                PartitionError::Placed | PartitionError::Failed => DecodeError::Failed,
            })?;
            unpacker
                .unpack(block.codec.into(), &bytes, block.padded, lengths[1])
                .map_err(|_| DecodeError::Damaged(index))
        });
        decoded.collect()
    }
}

impl From<Codec> for codec::Form {
    fn from(of: Codec) -> Self {
        match of {
            Codec::Deflate => Self::Deflate,
            Codec::Zlib => Self::Zlib,
            Codec::Lz4 => Self::Lz4,
            Codec::Lzo => Self::Lzo,
            Codec::Zstd => Self::Zstd,
            Codec::Xz => Self::Xz,
            Codec::Lzma => Self::Lzma,
            Codec::MicroLzma => Self::MicroLzma,
        }
    }
}

/// What a reader told, in its order. It panics where the host would end the cell.
#[derive(Clone, Debug, Default)]
pub struct MemoryListing {
    /// The nodes: a node's id is its index.
    pub nodes: Vec<Node<'static>>,
    /// The extents of each file.
    pub extents: BTreeMap<NodeId, Vec<FileExtent>>,
    /// The warnings.
    pub warnings: Vec<String>,
    names: BTreeMap<(NodeId, Vec<u8>), NodeId>,
}

impl MemoryListing {
    /// Nothing told.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The path of a node: `/etc/fstab`, or `/` for the root.
    #[must_use]
    pub fn path(&self, node: NodeId) -> Vec<u8> {
        let mut path = Vec::new();
        let mut at = node;
        while at != NodeId::ROOT {
            let node = &self.nodes[at.index()];
            path.splice(0..0, [b"/", &*node.name].concat());
            at = node.parent;
        }
        if path.is_empty() {
            path.push(b'/');
        }
        path
    }

    /// The node of a path, as [`MemoryListing::path`] gives it.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<NodeId> {
        let names = path.split(|byte| *byte == b'/').filter(|it| !it.is_empty());
        names.into_iter().try_fold(NodeId::ROOT, |at, name| {
            self.names.get(&(at, name.to_vec())).copied()
        })
    }

    /// The bytes of a file, holes as zeros, from the partition that it was told of.
    ///
    /// # Panics
    /// If `file` is none, or its extents do not hold what they say.
    #[must_use]
    pub fn content(&self, partition: &dyn Partition, file: NodeId) -> Vec<u8> {
        let size = match self.nodes[file.index()].kind {
            Kind::HardLink(first) => return self.content(partition, first),
            Kind::File { size, .. } => usize::try_from(size).expect("it fits into memory"),
            _ => panic!("{} is no file", self.shown(file)),
        };
        let mut content = vec![0; size];
        for extent in self.extents.get(&file).into_iter().flatten() {
            let [offset, length] = [extent.offset, extent.length]
                .map(|bytes| usize::try_from(bytes).expect("it fits into memory"));
            let bytes = match &extent.place {
                Place::Plain(start) => partition.bytes(*start, length).expect("it can be read"),
                Place::Inline(bytes) => bytes.clone(),
                Place::Encoded { block, skip } => {
                    let decoded = partition.decode(&[*block]).expect("it can be decoded");
                    decoded[0][*skip as usize..][..length].to_vec()
                }
            };
            content[offset..offset + length].copy_from_slice(&bytes);
        }
        content
    }

    fn shown(&self, node: NodeId) -> String {
        String::from_utf8_lossy(&self.path(node)).into_owned()
    }
}

impl Listing for MemoryListing {
    fn nodes(&mut self, batch: Batch) {
        for node in batch.nodes() {
            let id = NodeId(u32::try_from(self.nodes.len()).expect("fewer than 2^32 nodes"));
            let is_directory = |nodes: &[Node<'_>], id: NodeId| {
                nodes
                    .get(id.index())
                    .is_some_and(|node| node.kind == Kind::Directory)
            };
            let name = &*node.name;
            if id == NodeId::ROOT {
                assert!(
                    name.is_empty() && node.kind == Kind::Directory,
                    "the root is a directory without a name"
                );
            } else {
                assert!(
                    is_directory(&self.nodes, node.parent),
                    "the parent of {} is no directory that was told",
                    name.escape_ascii()
                );
                assert!(
                    !matches!(name, b"" | b"." | b"..")
                        && !name.iter().any(|byte| matches!(byte, b'/' | 0)),
                    "no name can be '{}'",
                    name.escape_ascii()
                );
                let other = self.names.insert((node.parent, name.to_vec()), id);
                assert!(other.is_none(), "two names are {}", name.escape_ascii());
            }
            if let Kind::HardLink(first) = node.kind {
                let first = self.nodes.get(first.index()).map(|node| &node.kind);
                assert!(
                    first.is_some_and(|it| !matches!(it, Kind::Directory | Kind::HardLink(_))),
                    "{} is a link to what cannot have one",
                    name.escape_ascii()
                );
            }
            assert!(node.mode <= 0o7777 && node.modified.nanoseconds < 1_000_000_000);
            self.nodes.push(Node {
                parent: node.parent,
                name: node.name.into_owned().into(),
                kind: match node.kind {
                    Kind::Symlink(target) => Kind::symlink(target),
                    Kind::Directory => Kind::Directory,
                    Kind::File { size, sparse } => Kind::File { size, sparse },
                    Kind::HardLink(first) => Kind::HardLink(first),
                    Kind::CharacterDevice(number) => Kind::CharacterDevice(number),
                    Kind::BlockDevice(number) => Kind::BlockDevice(number),
                    Kind::Fifo => Kind::Fifo,
                    Kind::Socket => Kind::Socket,
                },
                attributes: node.attributes.into_owned().into(),
                ..node
            });
        }
    }

    fn extents(&mut self, batch: Vec<FileExtent>) {
        for extent in batch {
            let size = match self.nodes.get(extent.file.index()).map(|node| &node.kind) {
                Some(Kind::File { size, .. }) => *size,
                _ => panic!("an extent of node {}, which is no file", extent.file.0),
            };
            let path = self.shown(extent.file);
            let own = self.extents.entry(extent.file).or_default();
            let begin = own.last().map_or(0, |last| last.offset + last.length);
            let end = extent.offset.checked_add(extent.length);
            assert!(
                extent.length > 0 && extent.offset >= begin && end.is_some_and(|end| end <= size),
                "{path} has {size} bytes, {begin} of them told, and not {} from {} on",
                extent.length,
                extent.offset
            );
            match &extent.place {
                Place::Plain(_) => {}
                Place::Inline(bytes) => assert_eq!(bytes.len() as u64, extent.length, "{path}"),
                Place::Encoded { block, skip } => assert!(
                    u64::from(*skip) + extent.length <= u64::from(block.decoded),
                    "{path} has bytes behind those that come out of a block"
                ),
            }
            own.push(extent);
        }
    }

    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }
}
