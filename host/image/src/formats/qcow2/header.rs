//! The header: the beginning of the first cluster.

use zerocopy::{BE, Immutable, IntoBytes, U32, U64, Unaligned};

/// Where the tables are.
#[derive(Debug)]
pub(super) struct Tables {
    /// The first-level table: where, and its entries.
    pub(super) first_level: u64,
    pub(super) first_level_entries: u32,
    /// The table of counts: where, and its clusters.
    pub(super) counts: u64,
    pub(super) counts_clusters: u32,
}

/// All numbers are big-endian.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 4],
    version: U32<BE>,
    /// Where the name of the backing file is; 0 for none.
    backing_file: U64<BE>,

    backing_file_length: U32<BE>,
    cluster_bits: U32<BE>,
    /// The bytes of the disk.
    size: U64<BE>,

    encryption: U32<BE>,
    first_level_entries: U32<BE>,
    first_level: U64<BE>,

    counts: U64<BE>,
    counts_clusters: U32<BE>,
    snapshots: U32<BE>,

    snapshot_table: U64<BE>,
    /// What a reader has to know to read it.
    incompatible: U64<BE>,

    compatible: U64<BE>,
    autoclear: U64<BE>,

    /// The logarithm of the bits of a count.
    count_order: U32<BE>,
    length: U32<BE>,
    /// 0 for zlib, 1 for zstd.
    compression_type: u8,
    padding: [u8; 7],

    /// The end of the header's extensions.
    end: U64<BE>,
}

const _: () = assert!(size_of::<Header>() == 112 + 8);

/// The bit of `incompatible` that says that the compression is not zlib.
const COMPRESSION_TYPE: u64 = 1 << 3;
/// Counts have 16 bits.
const COUNT_ORDER: u32 = 4;

pub(super) fn bytes(cluster_bits: u32, size: u64, is_zstd: bool, tables: &Tables) -> Vec<u8> {
    let header = Header {
        magic: *b"QFI\xfb",
        version: 3.into(),
        backing_file: 0.into(),
        backing_file_length: 0.into(),
        cluster_bits: cluster_bits.into(),
        size: size.into(),
        encryption: 0.into(),
        first_level_entries: tables.first_level_entries.into(),
        first_level: tables.first_level.into(),
        counts: tables.counts.into(),
        counts_clusters: tables.counts_clusters.into(),
        snapshots: 0.into(),
        snapshot_table: 0.into(),
        incompatible: if is_zstd { COMPRESSION_TYPE } else { 0 }.into(),
        compatible: 0.into(),
        autoclear: 0.into(),
        count_order: COUNT_ORDER.into(),
        length: 112.into(),
        compression_type: is_zstd.into(),
        padding: [0; 7],
        end: 0.into(),
    };
    header.as_bytes().to_vec()
}
