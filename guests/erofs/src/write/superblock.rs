//! The superblock, and what belongs to it.

use cellblock_guest::FormatError;
use cellblock_guest::crc32c::{START, crc32c};
use zerocopy::IntoBytes as _;

use super::{Sequence, index_of};
use crate::attributes;
use crate::census::{Census, InodeIndex};
use crate::contents::Contents;
use crate::format::{
    Algorithm, Compatible, DeflateConfiguration, Incompatible, Lz4Configuration, LzmaConfiguration,
    SUPERBLOCK_OFFSET, Superblock, ZstdConfiguration,
};
use crate::index;
use crate::layout::Layout;
use crate::options::{Compression, Options};

/// How far back LZ4 refers. Bytes.
const LZ4_DISTANCE: u16 = u16::MAX;

/// Where the checksum stands in the superblock. Bytes.
const CHECKSUM: std::ops::Range<usize> = 4..8;

pub(super) fn write(
    options: &Options,
    census: &Census,
    contents: &Contents,
    layout: &Layout,
    sequence: &mut Sequence<'_>,
) -> Result<(), FormatError> {
    let configurations = configurations(options);
    let prefixes = attributes::prefix_bytes(&options.prefixes);
    let before_prefixes = size_of::<Superblock>() + configurations.len();
    let prefixes_start = SUPERBLOCK_OFFSET + before_prefixes as u64;
    let head = superblock(options, census, contents, layout, prefixes_start);
    let mut bytes = [head.as_bytes(), &configurations, &prefixes].concat();
    // The checksum is of the whole block.
    bytes.resize(index_of(options.block_size() - SUPERBLOCK_OFFSET), 0);
    if options.features.checksum {
        // From the superblock on, with a zero in the place of the checksum.
        let checksum = crc32c(START, &bytes);
        bytes[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    }
    sequence.write(SUPERBLOCK_OFFSET, &bytes)?;
    sequence.leave();
    Ok(())
}

fn superblock(
    options: &Options,
    census: &Census,
    contents: &Contents,
    layout: &Layout,
    prefixes_start: u64,
) -> Superblock {
    let features = options.features;
    let incompatible = incompatible(options, contents);
    let algorithms = options.rules.all().fold(0, |all, compression| {
        all | 1 << compression.algorithm as u16
    });
    let algorithms_or_distance = if incompatible.contains(Incompatible::CONFIGURATIONS) {
        algorithms
    } else if incompatible.contains(Incompatible::LEADING_ZEROS) {
        LZ4_DISTANCE
    } else {
        0
    };
    let mut compatible = Compatible::MODIFICATION_TIMES;
    compatible.set(Compatible::CHECKSUM, features.checksum);
    compatible.set(Compatible::PLAIN_PREFIXES, !options.prefixes.is_empty());
    let root = layout.number(InodeIndex::ROOT);
    let narrow_root = u16::try_from(root).expect("the root is the first inode");
    let seconds = options.time.seconds;
    let (epoch_seconds, epoch_nanoseconds, build_time) = if features.wide {
        // Compact inodes count from 1970, and the whole as they do.
        let build_time = u32::try_from(seconds).expect("the options refuse another one");
        (0, 0, build_time)
    } else {
        (seconds, options.time.nanoseconds, 0)
    };
    let block = |number: u64| u32::try_from(number).expect("the layout has counted them");
    let inodes = census.inodes.len() + usize::from(layout.packed.is_some());
    let prefix_count = u8::try_from(options.prefixes.len()).expect("their number is checked");
    Superblock {
        magic: Superblock::MAGIC.into(),
        checksum: 0.into(),
        compatible: compatible.bits().into(),
        block_bits: options.block_bits,
        extensions: 0,
        root_or_blocks_high: if features.wide { 0 } else { narrow_root }.into(),
        inodes: (inodes as u64).into(),
        epoch_seconds: epoch_seconds.cast_unsigned().into(),
        epoch_nanoseconds: epoch_nanoseconds.into(),
        blocks: block(layout.blocks).into(),
        metadata_block: block(layout.metadata_block).into(),
        attribute_block: block(layout.metadata_block).into(),
        uuid: options.uuid,
        label: options.label,
        incompatible: incompatible.bits().into(),
        algorithms_or_distance: algorithms_or_distance.into(),
        devices: 0.into(),
        device_table: 0.into(),
        directory_block_bits: 0,
        prefixes: prefix_count,
        prefixes_start: if prefix_count == 0 {
            0
        } else {
            block(prefixes_start / 4)
        }
        .into(),
        packed_inode: layout
            .packed
            .as_ref()
            .map_or(0, |(_, place)| place.number())
            .into(),
        attribute_filter: 0,
        shared_prefix: 0,
        reserved: [0; 2],
        build_time: build_time.into(),
        root_wide: if features.wide { root } else { 0 }.into(),
        reserved_end: 0.into(),
    }
}

fn incompatible(options: &Options, contents: &Contents) -> Incompatible {
    let compresses = options.rules.all().next().is_some();
    let mut features = Incompatible::empty();
    features.set(Incompatible::LEADING_ZEROS, compresses);
    features.set(
        Incompatible::CONFIGURATIONS,
        index::has_large_clusters(options),
    );
    features.set(Incompatible::CHUNKS, contents.has_chunks());
    features.set(
        Incompatible::INLINE_CLUSTERS,
        contents.has_inline_clusters(),
    );
    features.set(Incompatible::FRAGMENTS, contents.packed.is_some());
    features.set(Incompatible::LONG_PREFIXES, !options.prefixes.is_empty());
    features.set(Incompatible::WIDE, options.features.wide);
    features
}

/// What each algorithm is set to, by their numbers.
fn configurations(options: &Options) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !index::has_large_clusters(options) {
        return bytes;
    }
    let all = [
        Algorithm::Lz4,
        Algorithm::Lzma,
        Algorithm::Deflate,
        Algorithm::Zstd,
    ];
    for algorithm in all {
        let uses = || {
            let all = options.rules.all();
            all.filter(|compression| compression.algorithm == algorithm)
        };
        let dictionary = uses().map(|compression| compression.dictionary).max();
        if let Some(dictionary) = dictionary {
            let cluster = uses().map(|compression: Compression| compression.cluster);
            let blocks = u64::from(cluster.max().unwrap_or(0)) >> options.block_bits;
            bytes.extend(configuration(algorithm, dictionary, blocks));
        }
    }
    bytes
}

/// Of one algorithm, with its largest dictionary and the blocks of its largest cluster.
fn configuration(algorithm: Algorithm, dictionary: u32, blocks: u64) -> Vec<u8> {
    let following = |bytes: usize| {
        let length = u16::try_from(bytes - 2).expect("it is small");
        length.into()
    };
    let bits = |dictionary: u32| u8::try_from(dictionary.ilog2()).expect("at most 31");
    match algorithm {
        Algorithm::Lz4 => Lz4Configuration {
            length: following(size_of::<Lz4Configuration>()),
            distance: LZ4_DISTANCE.into(),
            most_blocks: u16::try_from(blocks)
                .expect("a cluster has at most a mebibyte")
                .into(),
            reserved: [0; 10],
        }
        .as_bytes()
        .to_vec(),
        Algorithm::Lzma => LzmaConfiguration {
            length: following(size_of::<LzmaConfiguration>()),
            dictionary: dictionary.into(),
            format: 0.into(),
            reserved: [0; 8],
        }
        .as_bytes()
        .to_vec(),
        Algorithm::Deflate => DeflateConfiguration {
            length: following(size_of::<DeflateConfiguration>()),
            window_bits: bits(dictionary),
            reserved: [0; 5],
        }
        .as_bytes()
        .to_vec(),
        Algorithm::Zstd => ZstdConfiguration {
            length: following(size_of::<ZstdConfiguration>()),
            format: 0,
            // The format counts from the smallest window, of a kibibyte.
            window_bits: bits(dictionary) - 10,
            reserved: [0; 4],
        }
        .as_bytes()
        .to_vec(),
    }
}
