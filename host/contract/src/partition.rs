//! The partition that a cell fills, and what it asks to be placed there.

use std::fs::File;
use std::io;
use std::sync::Arc;

use serde::Serialize;

use cellblock_tree::NodeId;

/// A request of a guest that has been checked: the file is a regular file of the tree and holds the range, the partition
/// holds the range, and no other placement covers it. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The file.
    pub file: NodeId,
    /// The first byte in the file.
    pub file_offset: u64,
    /// The first byte in the partition.
    pub partition_offset: u64,
    /// The number of bytes.
    pub length: u64,
    /// The zero bytes after them.
    pub padding: u32,
}

impl Placement {
    /// The byte of the partition behind the padding.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.partition_offset + self.length + u64::from(self.padding)
    }
}

/// A run of bytes that a guest asked for and that has been checked: content among bytes of its own. The partition holds it, and no
/// placement covers any of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first byte in the partition.
    pub offset: u64,
    /// What stands wherever nothing is placed, in order.
    pub own: Vec<u8>,
    /// What is placed: in the order of the partition, apart, and with no gap that `own` does not fill.
    pub placements: Vec<Placement>,
}

/// A part of a [`Run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'r> {
    /// Bytes of the guest's own, at this offset of the partition.
    Own(u64, &'r [u8]),
    /// Content.
    Content(&'r Placement),
}

impl Run {
    /// What it consists of, in the order of the partition.
    ///
    /// # Panics
    /// If it is none, since it was not checked.
    #[must_use]
    pub fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::with_capacity(2 * self.placements.len() + 1);
        let (mut at, mut own) = (self.offset, self.own.as_slice());
        for placement in &self.placements {
            let gap = usize::try_from(placement.partition_offset - at).expect("memory fills it");
            let (bytes, rest) = own.split_at(gap);
            if gap > 0 {
                parts.push(Part::Own(at, bytes));
            }
            parts.push(Part::Content(placement));
            (at, own) = (placement.end(), rest);
        }
        if !own.is_empty() {
            parts.push(Part::Own(at, own));
        }
        parts
    }

    /// The run in several, each with at most so many placements.
    #[must_use]
    pub fn split(self, most: usize) -> Vec<Self> {
        if self.placements.len() <= most {
            return vec![self];
        }
        let mut runs = Vec::new();
        let mut run = Self {
            offset: self.offset,
            own: Vec::new(),
            placements: Vec::new(),
        };
        let mut end = self.offset;
        for part in self.parts() {
            match part {
                Part::Own(at, bytes) => {
                    run.own.extend_from_slice(bytes);
                    end = at + bytes.len() as u64;
                }
                Part::Content(placement) => {
                    if run.placements.len() == most {
                        let next = Self {
                            offset: end,
                            own: Vec::new(),
                            placements: Vec::new(),
                        };
                        runs.push(std::mem::replace(&mut run, next));
                    }
                    run.placements.push(*placement);
                    end = placement.end();
                }
            }
        }
        runs.push(run);
        runs
    }
}

/// A request of a guest that has been checked, to place a piece that was encoded: the partition holds the range, and no other
/// placement covers it. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PiecePlacement {
    /// Where the piece begins in the file that keeps what was encoded.
    pub spool_offset: u64,
    /// Its length.
    pub length: u32,
    /// The first byte in the partition, of the leading zeros if there are any.
    pub partition_offset: u64,
    /// The zero bytes before it.
    pub leading: u32,
    /// The zero bytes behind it.
    pub padding: u32,
    /// The bytes of content that it holds, of which progress is told.
    pub content: u32,
}

impl PiecePlacement {
    /// The byte of the partition behind the padding.
    #[must_use]
    pub fn end(&self) -> u64 {
        let zeros = u64::from(self.leading) + u64::from(self.padding);
        self.partition_offset + zeros + u64::from(self.length)
    }
}

/// What was encoded for a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EncodedCounts {
    /// The blocks that were compressed.
    pub blocks: u64,
    /// The blocks that were asked for again, and found.
    pub reused: u64,
    /// The bytes of the blocks that were compressed.
    pub bytes_in: u64,
    /// The bytes of the pieces that were kept of them.
    pub bytes_out: u64,
}

/// A partition that a cell fills: a file of a fixed size that reads as zeros at first.
pub trait Partition: Send + Sync {
    /// The size in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes at `offset`. The range is inside the partition.
    ///
    /// # Errors
    /// If the host cannot; the partition keeps the reason.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes `bytes` at `offset`. The range is inside the partition, and not placed.
    ///
    /// # Errors
    /// If the host cannot; the partition keeps the reason.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Starts to copy content.
    ///
    /// # Errors
    /// If an earlier copy failed; the partition keeps the reason.
    fn place(&self, batch: Vec<Placement>) -> io::Result<()>;

    /// Starts to write a run of bytes with content in it.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    fn compose(&self, run: Run) -> io::Result<()>;

    /// Starts to copy pieces from `spool`, which keeps them.
    ///
    /// # Errors
    /// As [`place`](Self::place).
    fn place_pieces(&self, spool: &Arc<File>, batch: Vec<PiecePlacement>) -> io::Result<()>;

    /// Waits until all that was placed is there.
    ///
    /// # Errors
    /// If a copy failed; the partition keeps the reason.
    fn settle(&self) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(partition_offset: u64, length: u64, padding: u32) -> Placement {
        Placement {
            file: NodeId(1),
            file_offset: 0,
            partition_offset,
            length,
            padding,
        }
    }

    #[test]
    fn own_bytes_fill_what_content_leaves() {
        let run = Run {
            offset: 10,
            own: b"abcdef".to_vec(),
            placements: vec![
                placement(10, 5, 0),
                placement(15, 1, 4),
                placement(23, 7, 0),
            ],
        };
        let [first, second, third] = [0, 1, 2].map(|index| Part::Content(&run.placements[index]));
        let parts = [
            first,
            second,
            Part::Own(20, b"abc"),
            third,
            Part::Own(30, b"def"),
        ];
        assert_eq!(run.parts(), parts);
        for most in [1, 2, 3] {
            let runs = run.clone().split(most);
            assert_eq!(runs.len(), 3_usize.div_ceil(most));
            let again: Vec<Part<'_>> = runs.iter().flat_map(Run::parts).collect();
            assert_eq!(again, parts, "{most}");
        }
    }
}
