use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// An algorithm's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Algorithm {
    Lz4 = 0,
    Lzma = 1,
    Deflate = 2,
    Zstd = 3,
}

bitflags! {
    /// How to read a file's index.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Advice: u16 {
        /// A compact index has packs of 2 bytes a block where they are aligned.
        const TWO_BYTES = 1;
        /// Clusters of the first algorithm may have several blocks.
        const LARGE_CLUSTERS = 1 << 1;
        /// Those of the second too; both go together in a compact index.
        const LARGE_CLUSTERS_2 = 1 << 2;
        /// The last cluster stands behind the index.
        const INLINE_CLUSTER = 1 << 3;
        /// The last part of the file is in the packed inode.
        const FRAGMENT = 1 << 5;
    }
}

/// What stands before a file's index.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct MapHeader {
    /// Where the fragment begins in the packed inode, in bytes; or in the high half, the bytes of the inline cluster.
    pub(crate) fragment_or_inline: U32,
    /// [`Advice`].
    pub(crate) advice: U16,
    /// The algorithms of both kinds of clusters, of 4 bits each.
    pub(crate) algorithms: u8,
    /// How much larger the index's blocks are than blocks, as a power of two.
    pub(crate) cluster_bits: u8,
}

impl MapHeader {
    /// Marks a header, as a number of 64 bits, that is all of the index: the rest is where the file begins in the packed inode.
    pub(crate) const ALL_IN_FRAGMENT: u64 = 1 << 63;
    /// Headers begin at multiples of so many bytes.
    pub(crate) const ALIGNMENT: u64 = 8;
    /// The bytes between it and a full index.
    pub(crate) const BEFORE_FULL: u64 = 8;
}

/// What a block of a file is in its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cluster {
    /// Uncompressed content begins in it.
    Plain = 0,
    /// Compressed content begins in it.
    Head = 1,
    /// Nothing begins in it.
    Inside = 2,
}

/// A block in a full index.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct FullIndex {
    /// [`Cluster`].
    pub(crate) kind: U16,
    /// Where in the block the content begins. Bytes.
    pub(crate) start: U16,
    /// The cluster's first block; or how many blocks before it begins, and how many behind the next one does.
    pub(crate) block_or_distances: U32,
}

/// Of [`Algorithm::Lz4`].
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Lz4Configuration {
    /// The bytes that follow this field.
    pub(crate) length: U16,
    /// How far back it refers. Bytes.
    pub(crate) distance: U16,
    /// The most blocks of a cluster.
    pub(crate) most_blocks: U16,
    /// Zero.
    pub(crate) reserved: [u8; 10],
}

/// Of [`Algorithm::Lzma`].
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct LzmaConfiguration {
    /// The bytes that follow this field.
    pub(crate) length: U16,
    /// The largest dictionary. Bytes.
    pub(crate) dictionary: U32,
    /// Zero, for `MicroLZMA`.
    pub(crate) format: U16,
    /// Zero.
    pub(crate) reserved: [u8; 8],
}

/// Of [`Algorithm::Deflate`].
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DeflateConfiguration {
    /// The bytes that follow this field.
    pub(crate) length: U16,
    /// The window, as a power of two.
    pub(crate) window_bits: u8,
    /// Zero.
    pub(crate) reserved: [u8; 5],
}

/// Of [`Algorithm::Zstd`].
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct ZstdConfiguration {
    /// The bytes that follow this field.
    pub(crate) length: U16,
    /// Zero.
    pub(crate) format: u8,
    /// The largest window, as a power of two, less 10.
    pub(crate) window_bits: u8,
    /// Zero.
    pub(crate) reserved: [u8; 4],
}

const _: () = assert!(size_of::<MapHeader>() == 8);
const _: () = assert!(size_of::<FullIndex>() == 8);
const _: () = assert!(size_of::<Lz4Configuration>() == 16);
const _: () = assert!(size_of::<LzmaConfiguration>() == 16);
const _: () = assert!(size_of::<DeflateConfiguration>() == 8);
const _: () = assert!(size_of::<ZstdConfiguration>() == 8);
