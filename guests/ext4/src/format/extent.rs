//! Extent trees. The root has the 60 bytes of an inode's map; other nodes have a block each, with a checksum at the end.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The longest extent of written blocks.
pub(crate) const MAXIMUM_EXTENT_BLOCKS: u32 = 32768;

/// `struct ext4_extent_header`, at the start of each node.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ExtentHeader {
    /// [`ExtentHeader::MAGIC`].
    pub(crate) magic: U16,
    /// Entries in use.
    pub(crate) entries: U16,
    /// Entries that fit.
    pub(crate) maximum: U16,
    /// Levels below this node; 0 for extents.
    pub(crate) depth: U16,
    /// Zero.
    pub(crate) generation: U32,
}

impl ExtentHeader {
    pub(crate) const MAGIC: u16 = 0xF30A;
    /// Bytes of a header and of each entry after it.
    pub(crate) const SIZE: u32 = 12;
    /// Entries of the root.
    pub(crate) const ROOT_ENTRIES: u32 = 4;
}

/// `struct ext4_extent`: consecutive blocks of a file that are consecutive on disk.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Extent {
    /// The first block in the file.
    pub(crate) logical: U32,
    /// Blocks, at most [`MAXIMUM_EXTENT_BLOCKS`].
    pub(crate) length: U16,
    /// The first block on disk, high half.
    pub(crate) start_high: U16,
    /// The first block on disk, low half.
    pub(crate) start_low: U32,
}

/// `struct ext4_extent_idx`: a node below.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct ExtentIndex {
    /// The first block in the file that the node covers.
    pub(crate) logical: U32,
    /// The node's block, low half.
    pub(crate) node_low: U32,
    /// The node's block, high half.
    pub(crate) node_high: U16,
    /// Zero.
    pub(crate) unused: U16,
}

const _: () = assert!(size_of::<ExtentHeader>() == 12);
const _: () = assert!(size_of::<Extent>() == 12);
const _: () = assert!(size_of::<ExtentIndex>() == 12);
