//! Where a file system goes, and what is known of one that was made.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::BuildOptions;
use crate::kernel::AssembledKernel;
use crate::key::FillKey;
use crate::plan::TimeRule;
use crate::said::Said;
use cellblock_cell::{CodecWall, Outcome, Wall};
use cellblock_contract::{EncodedCounts, Summary};
use cellblock_image::PartitionFile;
use cellblock_table::SectorSize;
use cellblock_tree::source::ImageInfo;
use cellblock_tree::{Tree, TreeDigests};

/// A file system in its partition, as its formatter made it or as a cache had it.
pub(crate) struct Formed {
    pub(crate) partition: PartitionFile,
    pub(crate) outcome: Outcome,
    pub(crate) encoded: Option<EncodedCounts>,
    pub(crate) formatting: Duration,
    /// The cache that had it; none if it was made.
    pub(crate) cache: Option<String>,
    /// The worker that has made it; none if it was made here.
    pub(crate) worker: Option<Worker>,
    /// What the cache, or whoever speaks with workers, has to say.
    pub(crate) warnings: Vec<String>,
}

/// Who has made a file system somewhere else.
pub(crate) struct Worker {
    /// What the server calls it.
    pub(crate) name: String,
    /// What stood around the formatter there, as the worker says.
    pub(crate) wall: Wall,
    /// Where codecs ran there, if any did.
    pub(crate) codecs: Option<CodecWall>,
}

/// Where a file system goes. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Where its partition begins on the disk.
    pub(crate) disk_offset: u64,
    /// Where it begins in the file that it is made in.
    pub(crate) base: u64,
    pub(crate) size: u64,
    pub(crate) sector_size: SectorSize,
    pub(crate) time: TimeRule,
}

impl Slot {
    /// In `range` of the disk, and made in the image's own file if it is the `host`.
    pub(crate) fn on_disk(
        range: Range<u64>,
        is_host: bool,
        sector_size: SectorSize,
        time: TimeRule,
    ) -> Self {
        Self {
            disk_offset: range.start,
            base: if is_host { range.start } else { 0 },
            size: range.end - range.start,
            sector_size,
            time,
        }
    }
}

/// A file system that has been made.
pub(crate) struct Filled {
    /// None once it has become the image.
    pub(crate) partition: Option<PartitionFile>,
    pub(crate) kind: String,
    pub(crate) label: String,
    pub(crate) uuid: Option<String>,
    pub(crate) summary: Summary,
    pub(crate) log: Vec<Said>,
    pub(crate) guest: GuestIdentity,
    pub(crate) time: (i64, TimeSource),
    pub(crate) digests: Option<Digests>,
    pub(crate) nodes: u32,
    pub(crate) content_bytes: u64,
    /// What was compressed for it, if its formatter asks for that.
    pub(crate) encoded: Option<EncodedCounts>,
    pub(crate) reading: Duration,
    pub(crate) formatting: Duration,
    pub(crate) kernels: Vec<AssembledKernel>,
    /// The container images in its content.
    pub(crate) images: Vec<ImageInfo>,
    /// The cache that had it; none if it was made.
    pub(crate) cache: Option<String>,
    /// The worker that has made it; none if it was made here.
    pub(crate) worker: Option<String>,
    /// The reader that has read it back, if one has.
    pub(crate) verified_by: Option<String>,
}

/// Which guest made a file system, and what it could reach.
pub(crate) struct GuestIdentity {
    pub(crate) name: String,
    pub(crate) digest: [u8; 32],
    pub(crate) imports: Vec<String>,
    pub(crate) wall: Wall,
    /// Where codecs ran; none if none did.
    pub(crate) codecs: Option<CodecWall>,
    /// The arguments of a command.
    pub(crate) arguments: Vec<String>,
}

/// Where the time of a file system is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSource {
    /// The spec, or the command line.
    Given,
    /// `SOURCE_DATE_EPOCH`.
    Environment,
    /// The newest file of its tree.
    NewestFile,
    /// Nowhere: it is [`Timestamp::FALLBACK`](cellblock_tree::Timestamp::FALLBACK).
    Fallback,
}

impl TimeSource {
    pub(super) fn of(rule: TimeRule, tree: &Tree, options: &BuildOptions) -> Self {
        match rule {
            TimeRule::Fixed(_) if options.time_of_environment => Self::Environment,
            TimeRule::Fixed(_) => Self::Given,
            TimeRule::NewestFile if tree.is_dated() => Self::NewestFile,
            TimeRule::NewestFile => Self::Fallback,
        }
    }
}

/// SHA-256 digests of what went in and came out.
pub(crate) struct Digests {
    pub(crate) tree: TreeDigests,
    pub(crate) partition: [u8; 32],
    /// The key of the fill.
    pub(crate) key: FillKey,
}
