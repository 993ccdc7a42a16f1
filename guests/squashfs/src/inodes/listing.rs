//! The listing of a directory: its names in runs, and where runs begin in later metadata blocks.

use cellblock_guest::NodeId;
use zerocopy::IntoBytes as _;

use crate::census::Census;
use crate::format::{DirectoryEntry, DirectoryHeader, DirectoryIndex, Reference};
use crate::inodes::body;
use crate::metadata::{Position, Table};

/// A listing that is in the table.
pub(super) struct Listing {
    /// Where it begins.
    pub(super) start: Position,
    /// Bytes.
    pub(super) length: u64,
    /// For each later metadata block the first run that begins there: its place and its first name.
    pub(super) index: Vec<(Position, NodeId)>,
}

/// A run that is being filled.
struct Run {
    header: Position,
    block: u64,
    number: u32,
    count: u32,
}

impl Listing {
    /// Appends the listing of `names` to `table`; `reference` tells where the inode of a node is.
    pub(super) fn push(
        table: &mut Table,
        census: &Census,
        names: &[NodeId],
        reference: impl Fn(NodeId) -> Reference,
    ) -> Self {
        let start = table.position();
        let mut index: Vec<(Position, NodeId)> = Vec::new();
        let mut indexed = start.block();
        let mut run: Option<Run> = None;
        for name in names {
            let node = census.resolve(*name);
            let (number, place) = (census.number(node), reference(node));
            let next = table.position();
            let delta = |run: &Run| i16::try_from(i64::from(number) - i64::from(run.number)).ok();
            let fits = |run: &Run| {
                run.block == place.block()
                    && run.count < DirectoryHeader::ENTRIES
                    && delta(run).is_some()
                    // So that each metadata block has a run that the index leads to.
                    && run.header.block() == next.block()
            };
            if !run.as_ref().is_some_and(fits) {
                close(table, run.take());
                if next.block() != indexed && index.len() < DirectoryIndex::LIMIT {
                    index.push((next, *name));
                    indexed = next.block();
                }
                table.push(header(0, 0, 0).as_bytes());
                run = Some(Run {
                    header: next,
                    block: place.block(),
                    number,
                    count: 0,
                });
            }
            let run = run.as_mut().expect("it was begun");
            let bytes = census.name(*name);
            let length = u16::try_from(bytes.len() - 1).expect("longer names were refused");
            let entry = DirectoryEntry {
                offset: place.offset().into(),
                number: delta(run).expect("another run was begun").into(),
                kind: body::kind(census.entry(node).what).basic(),
                length: length.into(),
            };
            table.push(entry.as_bytes());
            table.push(bytes);
            run.count += 1;
        }
        close(table, run);
        Self {
            start,
            length: table.position().0 - start.0,
            index,
        }
    }
}

/// Writes the header of a run that is full.
fn close(table: &mut Table, run: Option<Run>) {
    if let Some(run) = run {
        let block = u32::try_from(run.block).expect("inodes further on were refused");
        let header = header(run.count - 1, block, run.number);
        table.replace(run.header, header.as_bytes());
    }
}

fn header(count: u32, block: u32, number: u32) -> DirectoryHeader {
    DirectoryHeader {
        count: count.into(),
        block: block.into(),
        number: number.into(),
    }
}
