//! Group descriptors.

use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

bitflags! {
    /// What of a group was never written.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct GroupFlags: u16 {
        /// No inode is in use; the inode bitmap means nothing.
        const INODES_UNINITIALISED = 0x1;
        /// No block is in use but the group's own; the block bitmap means nothing.
        const BLOCKS_UNINITIALISED = 0x2;
        /// The inode table reads as zeros where it was not written.
        const TABLE_ZEROED = 0x4;
    }
}

/// `struct ext4_group_desc`, of which only the first 32 bytes are there without the feature `WIDE`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct GroupDescriptor {
    /// The block of the block bitmap, low half.
    pub(crate) block_bitmap_low: U32,
    /// The block of the inode bitmap, low half.
    pub(crate) inode_bitmap_low: U32,
    /// The first block of the inode table, low half.
    pub(crate) inode_table_low: U32,
    /// Free blocks, low half.
    pub(crate) free_blocks_low: U16,
    /// Free inodes, low half.
    pub(crate) free_inodes_low: U16,

    /// Directories, low half.
    pub(crate) directories_low: U16,
    /// [`GroupFlags`].
    pub(crate) flags: U16,
    /// Of snapshots.
    pub(crate) exclude_bitmap_low: U32,
    /// The block bitmap's checksum, low half.
    pub(crate) block_bitmap_checksum_low: U16,
    /// The inode bitmap's checksum, low half.
    pub(crate) inode_bitmap_checksum_low: U16,
    /// Inodes at the end of the table that were never in use, low half.
    pub(crate) unused_inodes_low: U16,
    /// The low half of the descriptor's checksum.
    pub(crate) checksum: U16,

    /// The block of the block bitmap, high half.
    pub(crate) block_bitmap_high: U32,
    /// The block of the inode bitmap, high half.
    pub(crate) inode_bitmap_high: U32,
    /// The first block of the inode table, high half.
    pub(crate) inode_table_high: U32,
    /// Free blocks, high half.
    pub(crate) free_blocks_high: U16,
    /// Free inodes, high half.
    pub(crate) free_inodes_high: U16,

    /// Directories, high half.
    pub(crate) directories_high: U16,
    /// Unused inodes, high half.
    pub(crate) unused_inodes_high: U16,
    /// Of snapshots.
    pub(crate) exclude_bitmap_high: U32,
    /// The block bitmap's checksum, high half.
    pub(crate) block_bitmap_checksum_high: U16,
    /// The inode bitmap's checksum, high half.
    pub(crate) inode_bitmap_checksum_high: U16,
    /// Zero.
    pub(crate) reserved: U32,
}

impl GroupDescriptor {
    /// Bytes with the feature `WIDE`.
    pub(crate) const WIDE_SIZE: u16 = 64;
    /// Bytes without.
    pub(crate) const NARROW_SIZE: u16 = 32;
}

const _: () = assert!(size_of::<GroupDescriptor>() == 64);
