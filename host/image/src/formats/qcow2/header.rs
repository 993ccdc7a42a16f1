//! The header: the beginning of the first cluster.

use zerocopy::{BE, Immutable, IntoBytes, U64, Unaligned};

use crate::structures::qcow2::{Header, Header3, MAGIC, features};

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

/// The header of version 3, with the end of its extensions.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Whole {
    header: Header,
    version_3: Header3,
    /// 0 for zlib, 1 for zstd.
    compression_type: u8,
    padding: [u8; 7],
    /// The end of the header's extensions.
    end: U64<BE>,
}

const _: () = assert!(size_of::<Whole>() == 112 + 8);

/// Counts have 16 bits.
const COUNT_ORDER: u32 = 4;

/// The beginning of the file.
pub(super) struct Head<'a> {
    /// The disk that it differs from: what it is called, and whether it is a qcow2.
    pub(super) base: Option<(&'a str, bool)>,
}

/// The bytes of the header and of the end of its extensions.
const LENGTH: u64 = size_of::<Whole>() as u64;
/// The extension that says what the backing file is.
const BACKING_FORMAT: u32 = 0xe279_2aca;
/// The bytes of that extension: 8, and the name of the format with its padding.
const BACKING_FORMAT_LENGTH: u64 = 16;

impl Head<'_> {
    /// The bytes of it.
    pub(super) fn length(&self) -> u64 {
        let base = |(name, _): (&str, bool)| BACKING_FORMAT_LENGTH + name.len() as u64;
        LENGTH + self.base.map_or(0, base)
    }

    pub(super) fn bytes(
        &self,
        cluster_bits: u32,
        size: u64,
        is_zstd: bool,
        tables: &Tables,
    ) -> Vec<u8> {
        let Some((name, is_qcow2)) = self.base else {
            return header(cluster_bits, size, is_zstd, tables)
                .as_bytes()
                .to_vec();
        };
        let mut whole = header(cluster_bits, size, is_zstd, tables);
        whole.header.backing_file = (LENGTH + BACKING_FORMAT_LENGTH).into();
        let length = u32::try_from(name.len()).expect("at most 1023");
        whole.header.backing_file_length = length.into();
        let header = whole.as_bytes();
        // Its last 8 bytes are the end of the extensions.
        let (head, end) = header.split_at(header.len() - 8);
        let mut bytes = head.to_vec();
        let format: &[u8] = if is_qcow2 { b"qcow2" } else { b"raw" };
        bytes.extend(BACKING_FORMAT.to_be_bytes());
        let length = u32::try_from(format.len()).expect("a word");
        bytes.extend(length.to_be_bytes());
        bytes.extend(format);
        bytes.resize(head.len() + 16, 0);
        bytes.extend(end);
        bytes.extend(name.as_bytes());
        bytes
    }
}

fn header(cluster_bits: u32, size: u64, is_zstd: bool, tables: &Tables) -> Whole {
    let incompatible = if is_zstd { features::COMPRESSION } else { 0 };
    Whole {
        header: Header {
            magic: MAGIC,
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
        },
        version_3: Header3 {
            incompatible: incompatible.into(),
            compatible: 0.into(),
            autoclear: 0.into(),
            count_order: COUNT_ORDER.into(),
            length: 112.into(),
        },
        compression_type: is_zstd.into(),
        padding: [0; 7],
        end: 0.into(),
    }
}
