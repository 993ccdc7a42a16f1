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
