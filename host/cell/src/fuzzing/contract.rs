//! Calls of the functions that a guest imports, in any order and with any arguments.

use std::sync::Arc;

use serde::Deserialize;
use wasmtime::component::Resource;

use super::{Disk, tree};
use crate::bindings::cellblock::format::placement::{Host as _, Placement};
use crate::bindings::cellblock::format::progress::{Host as _, Level};
use crate::bindings::cellblock::format::tree::{Host as _, Nodes, ReadError};
use crate::bindings::wasi::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use crate::files::Opened;
use crate::local::Local;
use crate::state::State;
use cellblock_contract::Limits;
use cellblock_contract::LogLine;
use cellblock_tree::{NodeId, Tree};

/// A call of a guest.
#[derive(Debug, Deserialize)]
enum Call {
    Next(u32),
    Rewind,
    Ranges(u32),
    Read {
        file: u32,
        offset: u64,
        length: u32,
    },
    Place(Vec<Placement>),
    Log(Level, String),
    ReadPartition {
        handle: u32,
        length: u64,
        offset: u64,
    },
    WritePartition {
        handle: u32,
        length: u16,
        offset: u64,
    },
    SetSize {
        handle: u32,
        size: u64,
    },
    Inspect(u32),
    Open {
        handle: u32,
        path: String,
    },
    Compare(u32, u32),
    Drop(u32),
    /// Not the guest's: from here on the host's disk fails.
    BreakDown,
    Sum(u32),
    Compose {
        offset: u64,
        own: u16,
        batch: Vec<Placement>,
    },
}

/// A cell, and what is known of it from outside.
struct Cell {
    tree: Arc<Tree>,
    disk: Arc<Disk>,
    state: State<Local>,
    /// The node that comes next.
    position: u32,
    /// The guest's one handle, until it is dropped.
    handle: Option<u32>,
    is_broken: bool,
}

/// Makes the calls that the bytes tell, one after another in postcard's form, up to the first that is none.
pub fn contract(mut data: &[u8]) {
    let tree = tree();
    let disk = Arc::new(Disk::new(Arc::clone(&tree)));
    let local = Local::new(Arc::clone(&tree), Some(Arc::clone(&disk) as Arc<_>));
    let mut state = State::new(local, Limits::default());
    let opened = Opened::Partition {
        reads: true,
        writes: true,
    };
    let handle = state.table.push(opened).expect("an empty table");
    let mut cell = Cell {
        tree,
        disk,
        state,
        position: 0,
        handle: Some(handle.rep()),
        is_broken: false,
    };
    while let Ok((call, rest)) = postcard::take_from_bytes(data) {
        data = rest;
        cell.make(call);
    }
}

impl Cell {
    fn make(&mut self, call: Call) {
        let local = &mut self.state.services;
        match call {
            Call::Next(limit) => {
                let nodes = local.next(limit).expect("a tree is shown at any time");
                self.check_nodes(&nodes, limit);
            }
            Call::Rewind => {
                local.rewind().expect("a tree is rewound at any time");
                self.position = 0;
            }
            Call::Sum(unit) => {
                let totals = local.sum(unit).expect("they are told at any time");
                let tree = &local.tree;
                assert_eq!(totals.nodes, tree.len());
                assert!(totals.content >= tree.total_file_bytes());
            }
            Call::Ranges(file) => {
                let answer = local.ranges(file).expect("no trap");
                let size = self.file_size(file);
                let total: Option<u64> = answer
                    .ok()
                    .map(|ranges| ranges.iter().map(|it| it.length).sum());
                assert_eq!(total, size, "no file of this tree has holes");
            }
            Call::Read {
                file,
                offset,
                length,
            } => {
                let answer = local.read(file, offset, length).expect("no trap");
                let end = offset.checked_add(length.into());
                let is_inside = |size| end.is_some_and(|end| end <= size);
                match (answer, self.file_size(file)) {
                    (Ok(bytes), Some(size)) => {
                        assert!(is_inside(size) && bytes.len() == length as usize);
                    }
                    (Err(ReadError::NotAFile), None) => {}
                    (Err(ReadError::OutOfRange), Some(size)) => assert!(!is_inside(size)),
                    (answer, size) => panic!("{answer:?} of a file of {size:?}"),
                }
            }
            // What is accepted comes to the disk, which checks it.
            Call::Place(batch) => {
                let is_empty = batch.is_empty();
                let accepted = local.place(batch).expect("a few ranges").is_ok();
                assert!(is_empty || !(accepted && self.is_broken));
            }
            Call::Compose { offset, own, batch } => {
                let is_empty = own == 0 && batch.is_empty();
                let composed = local.compose(offset, vec![7; own.into()], batch);
                let accepted = composed.expect("a few ranges").is_ok();
                assert!(is_empty || !(accepted && self.is_broken));
            }
            Call::Log(level, message) => {
                local.log(level, message).expect("no trap");
                let lines = local.log.lines();
                let last = lines.last().map_or("", |line| line.text.as_str());
                assert!(lines.len() <= LogLine::LINES);
                assert!(!last.chars().any(char::is_control));
            }
            Call::BreakDown => {
                self.disk.break_down();
                self.is_broken = true;
            }
            of_partition => self.use_partition(of_partition),
        }
    }

    fn use_partition(&mut self, call: Call) {
        match call {
            Call::ReadPartition {
                handle,
                length,
                offset,
            } => {
                let answer = self.state.read(descriptor(handle), length, offset);
                if let Some(answer) = self.answer(handle, answer) {
                    self.check_read(answer, length, offset);
                }
            }
            Call::WritePartition {
                handle,
                length,
                offset,
            } => {
                let bytes = vec![handle.to_le_bytes()[0] | 1; length.into()];
                let answer = self.state.write(descriptor(handle), bytes.clone(), offset);
                match self.answer(handle, answer) {
                    Some(Ok(count)) => {
                        assert_eq!(count, u64::from(length));
                        assert_eq!(self.stretch(offset, count), bytes);
                    }
                    Some(Err(ErrorCode::InsufficientSpace)) => {
                        let end = offset.checked_add(length.into());
                        assert!(end.is_none_or(|end| end > Disk::SIZE));
                    }
                    Some(Err(ErrorCode::Busy)) | None => {}
                    Some(Err(ErrorCode::Io)) => assert!(self.is_broken),
                    Some(other) => panic!("{other:?}"),
                }
            }
            Call::SetSize { handle, size } => {
                let answer = self.state.set_size(descriptor(handle), size);
                if let Some(answer) = self.answer(handle, answer) {
                    assert_eq!(answer.is_ok(), size == Disk::SIZE);
                }
            }
            Call::Inspect(handle) => {
                let answer = self.state.stat(descriptor(handle));
                if let Some(answer) = self.answer(handle, answer) {
                    assert_eq!(answer.expect("a file has a status").size, Disk::SIZE);
                }
            }
            Call::Open { handle, path } => {
                let flags = (PathFlags::empty(), OpenFlags::all(), DescriptorFlags::all());
                let answer =
                    self.state
                        .open_at(descriptor(handle), flags.0, path, flags.1, flags.2);
                if let Some(answer) = self.answer(handle, answer) {
                    assert!(matches!(answer, Err(ErrorCode::NotDirectory)));
                }
            }
            Call::Compare(one, other) => {
                let same = self
                    .state
                    .is_same_object(descriptor(one), descriptor(other));
                let both = [one, other].map(|handle| self.handle == Some(handle));
                assert_eq!(same.is_ok(), both == [true, true]);
            }
            Call::Drop(handle) => {
                let dropped = HostDescriptor::drop(&mut self.state, Resource::new_own(handle));
                assert_eq!(dropped.is_ok(), self.handle == Some(handle));
                self.handle = self.handle.filter(|held| *held != handle);
            }
            _ => {}
        }
    }

    /// The answer to a call with `handle`: there is none, but a trap, unless the guest holds it.
    fn answer<T>(&self, handle: u32, answer: wasmtime::Result<T>) -> Option<T> {
        assert_eq!(answer.is_ok(), self.handle == Some(handle));
        answer.ok()
    }

    fn check_read(&self, answer: Result<(Vec<u8>, bool), ErrorCode>, length: u64, offset: u64) {
        match answer {
            Ok((bytes, is_end)) => {
                let count = bytes.len() as u64;
                assert_eq!(count, length.min(Disk::SIZE - offset));
                assert_eq!(is_end, offset + count == Disk::SIZE);
                assert_eq!(bytes, self.stretch(offset, count));
            }
            Err(ErrorCode::Invalid) => assert!(offset > Disk::SIZE),
            Err(code) => assert!(self.is_broken && code == ErrorCode::Io),
        }
    }

    /// The bytes that the disk has.
    fn stretch(&self, offset: u64, length: u64) -> Vec<u8> {
        let [start, length] =
            [offset, length].map(|it| usize::try_from(it).expect("within the partition"));
        self.disk.bytes()[start..][..length].to_vec()
    }

    fn file_size(&self, file: u32) -> Option<u64> {
        self.tree.file_size(NodeId(file))
    }

    /// Holds the nodes against the tree's, in order and each once.
    fn check_nodes(&mut self, nodes: &Nodes, limit: u32) {
        let count = nodes.parents.len();
        let left = self.tree.len() - self.position;
        assert_eq!(count, limit.min(left) as usize, "the tree is small");
        let columns = [
            nodes.kinds.len(),
            nodes.values.len(),
            nodes.modes.len(),
            nodes.uids.len(),
            nodes.gids.len(),
            nodes.seconds.len(),
            nodes.nanoseconds.len(),
            nodes.name_lengths.len(),
        ];
        assert!(columns.iter().all(|length| *length == count));
        let mut names = nodes.names.as_slice();
        for (parent, length) in nodes.parents.iter().zip(&nodes.name_lengths) {
            let node = self.tree.node(NodeId(self.position));
            let (name, rest) = names.split_at(*length as usize);
            assert_eq!((node.parent.0, node.name), (*parent, name));
            names = rest;
            self.position += 1;
        }
        assert!(names.is_empty());
    }
}

fn descriptor(handle: u32) -> Resource<Opened> {
    Resource::new_borrow(handle)
}
