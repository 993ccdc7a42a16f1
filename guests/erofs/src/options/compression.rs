//! A method of compression with its settings.

use cellblock_guest::{Filter, Method, Settings};

use super::LARGEST_CLUSTER;
use crate::format::Algorithm;

/// The largest dictionary that the kernel has room for, by algorithm. Bytes.
const LZMA_DICTIONARY: u64 = 8 << 20;
const ZSTD_DICTIONARY: u64 = 1 << 20;
const DEFLATE_DICTIONARY: u32 = 32 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Compression {
    pub(crate) algorithm: Algorithm,
    level: u32,
    /// Bytes; 0 where the algorithm has one only.
    pub(crate) dictionary: u32,
    /// The most bytes of a cluster.
    pub(crate) cluster: u32,
}

impl Compression {
    /// What `NAME[,level=N][,dictsize=BYTES][,cluster-size=BYTES]` means; the inner `None` is no compression, the outer one that
    /// it cannot be. `cluster` is the size of clusters unless it is named.
    pub(super) fn parse(text: &str, block_size: u32, cluster: u32) -> Option<Option<Self>> {
        let mut words = text.split(',');
        let name = words.next()?;
        let (mut level, mut dictionary, mut cluster) = (None, None, cluster);
        for word in words {
            let (key, value) = word.split_once('=')?;
            match key {
                "level" if level.is_none() => level = Some(value.parse().ok()?),
                "dictsize" if dictionary.is_none() => dictionary = Some(value.parse().ok()?),
                "cluster-size" => cluster = cluster_size(value, block_size)?,
                _ => return None,
            }
        }
        if name == "none" {
            return (level.is_none() && dictionary.is_none()).then_some(None);
        }
        let (algorithm, usual, levels) = match name {
            "lz4" => (Algorithm::Lz4, 0, 0..=0),
            "lz4hc" => (Algorithm::Lz4, 9, 1..=12),
            "zstd" => (Algorithm::Zstd, 3, 1..=22),
            "deflate" | "libdeflate" => (Algorithm::Deflate, 1, 1..=12),
            "lzma" => (Algorithm::Lzma, 6, 0..=109),
            _ => return None,
        };
        let level = level.unwrap_or(usual);
        if !levels.contains(&level) || algorithm == Algorithm::Lzma && (10..100).contains(&level) {
            return None;
        }
        Some(Some(Self {
            algorithm,
            level,
            dictionary: dictionary_size(algorithm, dictionary, cluster)?,
            cluster,
        }))
    }

    /// How the host compresses what is longer than a block.
    pub(crate) fn settings(&self, block_size: u32) -> Settings {
        Settings {
            method: match self.algorithm {
                Algorithm::Lz4 => Method::Lz4,
                Algorithm::Lzma => Method::MicroLzma,
                Algorithm::Deflate => Method::Deflate,
                Algorithm::Zstd => Method::Zstd,
            },
            level: self.level,
            // The only one that deflate has goes without saying.
            window: match self.algorithm {
                Algorithm::Lz4 | Algorithm::Deflate => 0,
                Algorithm::Lzma | Algorithm::Zstd => self.dictionary,
            },
            filter: Filter::None,
            limit: self.cluster,
            unit: block_size,
        }
    }

    /// How it compresses what goes behind an inode, to the byte.
    pub(crate) fn tail_settings(&self, block_size: u32) -> Settings {
        Settings {
            limit: 0,
            unit: 1,
            ..self.settings(block_size)
        }
    }

    /// The bytes that are compressed in one go: many clusters, and no more than the kernel takes of one.
    pub(crate) fn segment(&self) -> u64 {
        const LEAST: u64 = 4 << 20;
        const MOST: u64 = 12 << 20;
        (u64::from(self.cluster) * 16).clamp(LEAST, MOST)
    }
}

/// A size of clusters: whole blocks.
pub(super) fn cluster_size(value: &str, block_size: u32) -> Option<u32> {
    let bytes: u32 = value.parse().ok()?;
    let fits = (u64::from(block_size)..=LARGEST_CLUSTER).contains(&u64::from(bytes));
    (fits && bytes.is_multiple_of(block_size)).then_some(bytes)
}

fn dictionary_size(algorithm: Algorithm, given: Option<u32>, cluster: u32) -> Option<u32> {
    let cluster = u64::from(cluster);
    match (algorithm, given) {
        (Algorithm::Lz4, None) => Some(0),
        (Algorithm::Lz4, Some(_)) => None,
        (Algorithm::Deflate, given) => given
            .is_none_or(|size| size == DEFLATE_DICTIONARY)
            .then_some(DEFLATE_DICTIONARY),
        (Algorithm::Lzma, None) => {
            let size = (cluster * 4).clamp(32 << 10, LZMA_DICTIONARY);
            Some(u32::try_from(size).expect("it was just bounded"))
        }
        (Algorithm::Lzma, Some(size)) => (4096..=LZMA_DICTIONARY)
            .contains(&u64::from(size))
            .then_some(size),
        (Algorithm::Zstd, None) => {
            let size = 1_u64 << (cluster * 8).min(ZSTD_DICTIONARY).ilog2();
            Some(u32::try_from(size).expect("it was just bounded"))
        }
        (Algorithm::Zstd, Some(size)) => {
            let is_bounded = (1 << 10..=ZSTD_DICTIONARY).contains(&u64::from(size));
            (is_bounded && size.is_power_of_two()).then_some(size)
        }
    }
}
