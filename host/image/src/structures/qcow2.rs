//! qcow2, by QEMU's docs/interop/qcow2.txt. All numbers are big-endian.

use zerocopy::{BE, FromBytes, Immutable, IntoBytes, U32, U64, Unaligned};

/// What the file begins with.
pub(crate) const MAGIC: [u8; 4] = *b"QFI\xfb";

/// What versions 2 and 3 have.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 4],
    pub(crate) version: U32<BE>,
    /// Where the name of the backing file is; 0 for none.
    pub(crate) backing_file: U64<BE>,
    pub(crate) backing_file_length: U32<BE>,
    pub(crate) cluster_bits: U32<BE>,
    /// The bytes of the disk.
    pub(crate) size: U64<BE>,
    pub(crate) encryption: U32<BE>,
    pub(crate) first_level_entries: U32<BE>,
    pub(crate) first_level: U64<BE>,
    pub(crate) counts: U64<BE>,
    pub(crate) counts_clusters: U32<BE>,
    pub(crate) snapshots: U32<BE>,
    pub(crate) snapshot_table: U64<BE>,
}

const _: () = assert!(size_of::<Header>() == 72);

/// What version 3 has behind it.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Header3 {
    /// What a reader has to know to read it: bits of [`features`].
    pub(crate) incompatible: U64<BE>,
    pub(crate) compatible: U64<BE>,
    pub(crate) autoclear: U64<BE>,
    /// The logarithm of the bits of a count.
    pub(crate) count_order: U32<BE>,
    /// The bytes of the header.
    pub(crate) length: U32<BE>,
}

/// Where the kind of compression is, in headers that are long enough: 0 for zlib, 1 for zstd.
pub(crate) const COMPRESSION: u64 = 104;

const _: () = assert!((size_of::<Header>() + size_of::<Header3>()) as u64 == COMPRESSION);

/// Bits of `incompatible`.
pub(crate) mod features {
    /// Counts of references may be wrong, which no reader uses.
    pub(crate) const DIRTY: u64 = 1;
    pub(crate) const CORRUPT: u64 = 1 << 1;
    pub(crate) const DATA_FILE: u64 = 1 << 2;
    /// The compression is not zlib.
    pub(crate) const COMPRESSION: u64 = 1 << 3;
    pub(crate) const SUBCLUSTERS: u64 = 1 << 4;
}

/// Bits of an entry of a table.
pub(crate) mod entry {
    /// The cluster has one reference, and so may be written in place.
    pub(crate) const COPIED: u64 = 1 << 63;
    /// The cluster is compressed.
    pub(crate) const COMPRESSED: u64 = 1 << 62;
    /// The cluster is zeros.
    pub(crate) const IS_ZERO: u64 = 1;
    /// Where the cluster is, if it is not compressed.
    pub(crate) const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

    /// How many bits of the entry of a compressed cluster are its offset; the others count its sectors beside the first.
    pub(crate) fn offset_bits(cluster_bits: u32) -> u32 {
        62 + 8 - cluster_bits
    }
}
