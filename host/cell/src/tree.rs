//! The contract's `tree`: shows a tree to a guest.

use super::bindings::cellblock::format::tree::{
    Attribute, Host, Kind as ContractKind, NodeId as Id, Nodes, Range, ReadError,
    Totals as ContractTotals,
};
use super::local::Local;
use cellblock_tree::source::SourceError;
use cellblock_tree::{Kind, Node, NodeId};

/// The most nodes in one answer.
pub(super) const BATCH_NODES: u32 = 4096;
/// After this many bytes of names, targets and attributes an answer ends.
const BATCH_BYTES: usize = 1 << 20;
/// The longest read in bytes.
const READ_LIMIT: u32 = 16 << 20;

impl Host for Local {
    fn next(&mut self, limit: u32) -> wasmtime::Result<Nodes> {
        let left = self.tree.len().checked_sub(self.position);
        let left = left.expect("no more has been shown than there is");
        let most = limit.min(BATCH_NODES).min(left);
        let mut nodes = empty(most as usize);
        let mut bytes = 0;
        for position in 0..most {
            let node = self.tree.node(NodeId(self.position + position));
            bytes += append(&mut nodes, position, &node);
            if bytes > BATCH_BYTES {
                break;
            }
        }
        self.position += u32::try_from(nodes.parents.len())?;
        Ok(nodes)
    }

    fn rewind(&mut self) -> wasmtime::Result<()> {
        self.position = 0;
        Ok(())
    }

    fn sum(&mut self, unit: u32) -> wasmtime::Result<ContractTotals> {
        self.check_deadline()?;
        let totals = self.tree.totals(unit);
        Ok(ContractTotals {
            nodes: totals.nodes,
            directories: totals.directories,
            hard_links: totals.hard_links,
            attributed: totals.attributed,
            names: totals.names,
            targets: totals.targets,
            content: totals.content,
        })
    }

    fn ranges(&mut self, file: Id) -> wasmtime::Result<Result<Vec<Range>, ReadError>> {
        Ok(self.file_size(file).and_then(|_| {
            let ranges = self.tree.ranges(NodeId(file));
            let ranges = self.keep_failure(ranges)?;
            Ok(ranges
                .into_iter()
                .map(|range| Range {
                    offset: range.offset,
                    length: range.length,
                })
                .collect())
        }))
    }

    fn read(
        &mut self,
        file: Id,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, ReadError>> {
        Ok(self.read_file(file, offset, length))
    }
}

impl Local {
    fn file_size(&self, file: Id) -> Result<u64, ReadError> {
        self.tree.file_size(NodeId(file)).ok_or(ReadError::NotAFile)
    }

    fn read_file(&mut self, file: Id, offset: u64, length: u32) -> Result<Vec<u8>, ReadError> {
        let size = self.file_size(file)?;
        let inside = offset
            .checked_add(u64::from(length))
            .is_some_and(|end| end <= size);
        if !inside || length > READ_LIMIT {
            return Err(ReadError::OutOfRange);
        }
        let mut buffer = vec![0; length as usize];
        let read = self.tree.reader().read(NodeId(file), offset, &mut buffer);
        self.keep_failure(read)?;
        Ok(buffer)
    }

    fn keep_failure<T>(&mut self, result: Result<T, SourceError>) -> Result<T, ReadError> {
        result.map_err(|error| {
            self.source_failure.get_or_insert(error);
            ReadError::Source
        })
    }
}

/// No nodes, and room for `most`.
fn empty(most: usize) -> Nodes {
    Nodes {
        parents: Vec::with_capacity(most),
        kinds: Vec::with_capacity(most),
        values: Vec::with_capacity(most),
        modes: Vec::with_capacity(most),
        uids: Vec::with_capacity(most),
        gids: Vec::with_capacity(most),
        seconds: Vec::with_capacity(most),
        nanoseconds: Vec::with_capacity(most),
        name_lengths: Vec::with_capacity(most),
        names: Vec::new(),
        targets: Vec::new(),
        attributes: Vec::new(),
    }
}

/// Adds a node as the one at `position`; returns the bytes of its name, its target and its attributes.
fn append(nodes: &mut Nodes, position: u32, node: &Node<'_>) -> usize {
    let (kind, value) = kind_and_value(node.kind);
    nodes.parents.push(node.parent.0);
    nodes.kinds.push(kind);
    nodes.values.push(value);
    nodes.modes.push(node.mode);
    nodes.uids.push(node.uid);
    nodes.gids.push(node.gid);
    nodes.seconds.push(node.modified.seconds);
    nodes.nanoseconds.push(node.modified.nanoseconds);
    nodes
        .name_lengths
        .push(u32::try_from(node.name.len()).expect("a name is far shorter"));
    nodes.names.extend_from_slice(node.name);
    let mut bytes = node.name.len();
    if let Kind::Symlink(target) = node.kind {
        nodes.targets.extend_from_slice(target);
        bytes += target.len();
    }
    for attribute in node.attributes {
        bytes += attribute.name.len() + attribute.value.len();
        nodes.attributes.push(Attribute {
            node: position,
            name: attribute.name.clone(),
            value: attribute.value.clone(),
        });
    }
    bytes
}

/// The contract's kind, and the number that belongs to it.
fn kind_and_value(kind: &Kind) -> (ContractKind, u64) {
    let device = |major: &u32, minor: &u32| u64::from(*major) << 32 | u64::from(*minor);
    match kind {
        Kind::Directory => (ContractKind::Directory, 0),
        Kind::File {
            size,
            sparse: false,
        } => (ContractKind::File, *size),
        Kind::File { size, sparse: true } => (ContractKind::SparseFile, *size),
        Kind::Symlink(target) => (ContractKind::Symlink, target.len() as u64),
        Kind::HardLink(original) => (ContractKind::HardLink, u64::from(original.0)),
        Kind::CharacterDevice { major, minor } => {
            (ContractKind::CharacterDevice, device(major, minor))
        }
        Kind::BlockDevice { major, minor } => (ContractKind::BlockDevice, device(major, minor)),
        Kind::Fifo => (ContractKind::Fifo, 0),
        Kind::Socket => (ContractKind::Socket, 0),
    }
}
