//! Blocks of the orphan file: the numbers of deleted inodes that are still in use, and a tail.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `struct ext4_orphan_block_tail`, at the end of a block.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct OrphanTail {
    /// [`OrphanTail::MAGIC`].
    pub(crate) magic: U32,
    /// Of all bytes before the tail.
    pub(crate) checksum: U32,
}

impl OrphanTail {
    pub(crate) const MAGIC: u32 = 0x0B10_CA04;
}

const _: () = assert!(size_of::<OrphanTail>() == 8);
