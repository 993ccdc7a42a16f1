//! The contract's `tree`: shows a tree to a guest.

use super::bindings::cellblock::format::tree::{
    Attribute, Content, Device, Host, Kind as ContractKind, Node as ContractNode, NodeId as Id,
    Range, ReadError,
};
use super::contract::timestamp;
use super::state::State;
use crate::source::SourceError;
use crate::tree::{Kind, Node, NodeId};

/// The most nodes in one answer.
const BATCH_NODES: u32 = 4096;
/// After this many bytes of names, targets and attributes an answer ends.
const BATCH_BYTES: usize = 1 << 20;
/// The longest read in bytes.
const READ_LIMIT: u32 = 16 << 20;

impl Host for State {
    fn next(&mut self, limit: u32) -> wasmtime::Result<Vec<ContractNode>> {
        let most = limit
            .min(BATCH_NODES)
            .min(self.tree.len().saturating_sub(self.position));
        let mut batch = Vec::with_capacity(most as usize);
        let mut bytes = 0;
        for id in (self.position..).take(most as usize) {
            let node = self.tree.node(NodeId(id));
            bytes += weight(&node);
            batch.push(contract_node(&node));
            if bytes > BATCH_BYTES {
                break;
            }
        }
        self.position += u32::try_from(batch.len())?;
        Ok(batch)
    }

    fn rewind(&mut self) -> wasmtime::Result<()> {
        self.position = 0;
        Ok(())
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

impl State {
    fn file_size(&self, file: Id) -> Result<u64, ReadError> {
        match (file < self.tree.len()).then(|| self.tree.node(NodeId(file)).kind) {
            Some(Kind::File { size, .. }) => Ok(*size),
            _ => Err(ReadError::NotAFile),
        }
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

fn weight(node: &Node<'_>) -> usize {
    let target = match node.kind {
        Kind::Symlink(target) => target.len(),
        _ => 0,
    };
    let attributes: usize = node
        .attributes
        .iter()
        .map(|attribute| attribute.name.len() + attribute.value.len())
        .sum();
    node.name.len() + target + attributes
}

fn contract_node(node: &Node<'_>) -> ContractNode {
    ContractNode {
        parent: node.parent.0,
        name: node.name.to_vec(),
        kind: contract_kind(node.kind),
        mode: node.mode,
        uid: node.uid,
        gid: node.gid,
        modified: timestamp(node.modified),
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

fn contract_kind(kind: &Kind) -> ContractKind {
    let device = |major: &u32, minor: &u32| Device {
        major: *major,
        minor: *minor,
    };
    match kind {
        Kind::Directory => ContractKind::Directory,
        Kind::File { size, sparse } => ContractKind::File(Content {
            size: *size,
            sparse: *sparse,
        }),
        Kind::Symlink(target) => ContractKind::Symlink(target.to_vec()),
        Kind::HardLink(original) => ContractKind::HardLink(original.0),
        Kind::CharacterDevice { major, minor } => {
            ContractKind::CharacterDevice(device(major, minor))
        }
        Kind::BlockDevice { major, minor } => ContractKind::BlockDevice(device(major, minor)),
        Kind::Fifo => ContractKind::Fifo,
        Kind::Socket => ContractKind::Socket,
    }
}
