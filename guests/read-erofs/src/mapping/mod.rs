//! Where the bytes of an inode are: in blocks in a row, in chunks, or in clusters that are encoded.

mod chunks;
mod clusters;
mod encoded;
mod extents;
mod flat;

use cellblock_guest::reader::{Encoded, ReaderError};

use crate::inode::{Inode, Layout};
use crate::meta::Open;

/// Bytes in a row. What none covers is a hole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) spot: Spot,
}

/// Where they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot {
    /// In the partition.
    Plain(u64),
    /// The first of what comes out of it.
    Encoded(Encoded),
    /// In the packed inode, from this byte on.
    Packed(u64),
}

/// Where the bytes of `inode` are, by ascending offset.
pub(crate) fn map(open: &Open<'_>, inode: &Inode) -> Result<Vec<Mapped>, ReaderError> {
    if inode.size == 0 {
        return Ok(Vec::new());
    }
    match inode.layout {
        Layout::Plain | Layout::Inline => flat::map(open, inode),
        Layout::Chunks => chunks::map(open, inode),
        Layout::CompressedFull | Layout::CompressedCompact => encoded::map(open, inode),
    }
}

/// Fails if bytes are not all in the file system.
fn check(open: &Open<'_>, inode: &Inode, offset: u64, length: u64) -> Result<(), ReaderError> {
    let size = open.superblock.size();
    let end = offset.checked_add(length);
    if end.is_some_and(|end| end <= size) {
        return Ok(());
    }
    let problem = format!("has {length} bytes at {offset}, beyond the {size} of the file system");
    Err(inode.damaged(problem))
}

/// Where the block `block` begins.
fn position(open: &Open<'_>, inode: &Inode, block: u64) -> Result<u64, ReaderError> {
    block
        .checked_mul(open.superblock.block_size())
        .ok_or_else(|| inode.damaged(format!("points to block {block}")))
}
