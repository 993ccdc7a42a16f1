//! The partition that a cell fills, and what it asks to be placed there.

use std::io;

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

    /// Waits until all that was placed is there.
    ///
    /// # Errors
    /// If a copy failed; the partition keeps the reason.
    fn settle(&self) -> io::Result<()>;
}
