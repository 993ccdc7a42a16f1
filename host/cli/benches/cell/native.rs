//! The formatter's traits over the host's own tree and partition, without a cell between them.

use std::sync::Arc;

use cellblock_build::contract::{self, Partition as _};
use cellblock_build::image::Filling;
use cellblock_build::tree::{self, Tree};
use cellblock_guest::{
    Attribute, Batch, Device, FormatError, Kind, Node, NodeId, PartitionError, PlaceError,
    Placement, Range, ReadError, Request, Timestamp, Totals, Uuid,
};

/// A partition of the host, filled by a formatter in the same process.
pub(crate) struct Output {
    filling: Arc<Filling>,
}

impl Output {
    pub(crate) fn new(filling: Arc<Filling>) -> Self {
        Self { filling }
    }
}

impl cellblock_guest::Output for Output {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        self.filling
            .write(offset, bytes)
            .map_err(|_| PartitionError::Failed.into())
    }

    fn place(&mut self, batch: &[Placement]) -> Result<(), FormatError> {
        let batch = batch.iter().map(placement).collect();
        self.filling
            .place(batch)
            .map_err(|_| PlaceError::Failed.into())
    }

    fn compose(&mut self, offset: u64, own: &[u8], batch: &[Placement]) -> Result<(), FormatError> {
        let run = contract::Run {
            offset,
            own: own.to_vec(),
            placements: batch.iter().map(placement).collect(),
        };
        self.filling
            .compose(run)
            .map_err(|_| PlaceError::Failed.into())
    }

    fn warn(&mut self, _message: &str) {}
}

fn placement(placement: &Placement) -> contract::Placement {
    contract::Placement {
        file: tree::NodeId(placement.file.0),
        file_offset: placement.file_offset,
        partition_offset: placement.partition_offset,
        length: placement.length,
        padding: placement.padding,
    }
}

/// A tree of the host, shown to a formatter in the same process.
pub(crate) struct Nodes<'a> {
    tree: &'a Tree,
    position: u32,
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Self { tree, position: 0 }
    }
}

impl cellblock_guest::Tree for Nodes<'_> {
    fn next(&mut self, limit: u32) -> Batch {
        let end = self.tree.len().min(self.position.saturating_add(limit));
        let batch = (self.position..end)
            .map(|id| node(&self.tree.node(tree::NodeId(id))))
            .collect();
        self.position = end;
        batch
    }

    fn rewind(&mut self) {
        self.position = 0;
    }

    fn totals(&mut self, unit: u32) -> Totals {
        let totals = self.tree.totals(unit);
        Totals {
            nodes: totals.nodes,
            directories: totals.directories,
            hard_links: totals.hard_links,
            attributed: totals.attributed,
            names: totals.names,
            targets: totals.targets,
            content: totals.content,
        }
    }

    fn ranges(&mut self, file: NodeId) -> Result<Vec<Range>, ReadError> {
        let ranges = self
            .tree
            .ranges(tree::NodeId(file.0))
            .map_err(|_| ReadError::Source)?;
        Ok(ranges
            .into_iter()
            .map(|range| Range {
                offset: range.offset,
                length: range.length,
            })
            .collect())
    }

    fn read(&mut self, file: NodeId, offset: u64, length: u32) -> Result<Vec<u8>, ReadError> {
        let mut buffer = vec![0; length as usize];
        self.tree
            .reader()
            .read(tree::NodeId(file.0), offset, &mut buffer)
            .map_err(|_| ReadError::Source)?;
        Ok(buffer)
    }
}

fn node<'a>(node: &tree::Node<'a>) -> Node<'a> {
    let device = |major: &u32, minor: &u32| Device {
        major: *major,
        minor: *minor,
    };
    Node {
        parent: NodeId(node.parent.0),
        name: node.name.into(),
        kind: match node.kind {
            tree::Kind::Directory => Kind::Directory,
            tree::Kind::File { size, sparse } => Kind::File {
                size: *size,
                sparse: *sparse,
            },
            tree::Kind::Symlink(target) => Kind::Symlink(target[..].into()),
            tree::Kind::HardLink(original) => Kind::HardLink(NodeId(original.0)),
            tree::Kind::CharacterDevice { major, minor } => {
                Kind::CharacterDevice(device(major, minor))
            }
            tree::Kind::BlockDevice { major, minor } => Kind::BlockDevice(device(major, minor)),
            tree::Kind::Fifo => Kind::Fifo,
            tree::Kind::Socket => Kind::Socket,
        },
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        modified: Timestamp {
            seconds: node.modified.seconds,
            nanoseconds: node.modified.nanoseconds,
        },
        attributes: node
            .attributes
            .iter()
            .map(|attribute| Attribute {
                name: attribute.name.clone(),
                value: attribute.value.clone(),
            })
            .collect(),
    }
}

/// The cell's request, as the formatter has it.
pub(crate) fn request(request: &contract::Request) -> Request {
    Request {
        kind: request.kind.clone(),
        size: request.size,
        disk_offset: request.disk_offset,
        sector_size: request.sector_size,
        label: request.label.clone(),
        uuid: Uuid(request.uuid),
        seed: Uuid(request.seed),
        time: Timestamp {
            seconds: request.time.seconds,
            nanoseconds: request.time.nanoseconds,
        },
        ..Request::default()
    }
}
