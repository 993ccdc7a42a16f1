//! What a record has of one file system, of what was assembled for it, and of its hash tree.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Timings;
use crate::filesystem::{Filled, TimeSource};
use crate::kernel::AssembledKernel;
use crate::making::MadeTree;
use crate::plan::PlannedPartition;
use cellblock_cell::{CodecWall, Wall};
use cellblock_contract::EncodedCounts;
use cellblock_image::Verity;
use cellblock_text::hexadecimal;
use cellblock_tree::source::ImageInfo;

/// One unified kernel that was assembled.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KernelRecord {
    /// Its path in the file system.
    pub path: String,
    /// The SHA-256 digest of its bytes.
    pub sha256: String,
    /// Its command line.
    pub command_line: String,
    /// What its stub extends register 11 of a TPM to, in the bank of SHA-256, by the phase of the boot as `systemd-measure` names
    /// them; the empty phase is that of the stub itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pcr_11: BTreeMap<String, String>,
    /// The same of each profile, by its name. What is usual is the first one's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, BTreeMap<String, String>>,
}

impl KernelRecord {
    pub(super) fn of(kernel: AssembledKernel) -> Self {
        let by_phase = |values: Vec<(String, [u8; 32])>| {
            let values = values.into_iter();
            let values = values.map(|(phase, value)| (phase, hexadecimal(&value)));
            values.collect::<BTreeMap<_, _>>()
        };
        Self {
            path: kernel.path,
            sha256: hexadecimal(&kernel.digest),
            command_line: kernel.command_line,
            pcr_11: by_phase(kernel.pcr_11),
            profiles: kernel
                .profiles
                .into_iter()
                .map(|(id, values)| (id, by_phase(values)))
                .collect(),
        }
    }
}

/// One dm-verity hash tree.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct VerityRecord {
    /// The name of the partition with the data.
    pub of: String,
    /// The root hash, in hexadecimal.
    pub root_hash: String,
    /// The hash function: `sha256` or `sha512`.
    pub hash: &'static str,
    /// The bytes of a data block.
    pub data_block_size: u32,
    /// The bytes of a hash block.
    pub hash_block_size: u32,
    /// The data blocks.
    pub data_blocks: u64,
    /// Where the tree begins in its partition, with its superblock if it has one, in bytes, as `veritysetup --hash-offset` takes it.
    pub hash_offset: u64,
    /// The salt in hexadecimal; `-` for none.
    pub salt: String,
    /// The UUID in the superblock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Where what corrects errors begins in the partition, in bytes, if there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fec_offset: Option<u64>,
    /// The bytes of parity for 255 bytes, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fec_roots: Option<u8>,
    /// The seconds that hashing took.
    pub hashing: f64,
}

impl VerityRecord {
    /// The tree over a partition's data, which begins `hash_offset` bytes into its own.
    pub(super) fn of(
        verity: &Verity,
        data: &PlannedPartition,
        hash_offset: u64,
        tree: &MadeTree,
    ) -> Self {
        let plan = verity.tree(data.data_size());
        Self {
            of: data.name.clone(),
            root_hash: hexadecimal(&tree.root_hash),
            hash: verity.hash.name(),
            data_block_size: verity.data_block,
            hash_block_size: verity.hash_block,
            data_blocks: plan.data_blocks,
            fec_offset: verity.fec_roots.map(|_| hash_offset + plan.fec_offset),
            fec_roots: verity.fec_roots,
            hash_offset,
            salt: match verity.salt.as_slice() {
                [] => "-".to_owned(),
                salt => hexadecimal(salt),
            },
            uuid: verity
                .superblock
                .map(|uuid| uuid::Uuid::from_bytes(uuid).to_string()),
            hashing: tree.hashing.as_secs_f64(),
        }
    }
}

/// One file system.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FilesystemRecord {
    /// Its kind.
    pub kind: String,
    /// Its label; empty for none.
    pub label: String,
    /// Its identifier, as `blkid` shows it; none where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The name of the guest that made it.
    pub guest: String,
    /// The SHA-256 digest of the guest.
    pub guest_digest: String,
    /// How the guest was called, if it is a command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// What the guest could reach: the functions that it imports.
    pub capabilities: Vec<String>,
    /// What stood around the guest.
    #[serde(flatten)]
    pub wall: Wall,
    /// What stood around the codecs that compressed it, or took its archives apart; absent if there were none.
    #[serde(flatten)]
    pub codecs: Option<CodecWall>,
    /// The time that it is stamped with, in seconds since 1970.
    pub time: i64,
    /// Where that is from: `given`, `environment`, `newest-file` or `fallback`.
    pub time_from: TimeSource,
    /// The number of nodes.
    pub nodes: u32,
    /// The bytes of all files.
    pub content_bytes: u64,
    /// What was compressed for it, and by which libraries; absent if its formatter does not ask for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoded: Option<EncodedRecord>,
    /// The SHA-256 digest of the tree's metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree_digest: Option<String>,
    /// The SHA-256 digest of the bytes of all files, in the tree's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_digest: Option<String>,
    /// The SHA-256 digest of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_digest: Option<String>,
    /// The bytes of the partition that hold metadata or content.
    pub used: u64,
    /// What the formatter says of it.
    pub properties: BTreeMap<String, String>,
    /// The unified kernels in it that were assembled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unified_kernels: Vec<KernelRecord>,
    /// The container images that its content is from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageInfo>,
    /// The reader that has read it back before anything was published; absent if none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<String>,
    /// The cache that had it; absent if it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// The worker that has made it, as its server calls it; absent if no worker has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// How long it took.
    pub timings: Timings,
}

/// What was compressed for a file system.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EncodedRecord {
    /// How much.
    #[serde(flatten)]
    pub counts: EncodedCounts,
    /// The libraries that compress, each with its version: they decide the bytes as the guest does.
    pub codecs: BTreeMap<&'static str, String>,
}

impl EncodedRecord {
    pub(super) fn of(counts: EncodedCounts) -> Self {
        Self {
            counts,
            codecs: cellblock_codec::versions().into(),
        }
    }
}

impl FilesystemRecord {
    pub(super) fn of(filled: Filled) -> Self {
        let digests = filled.digests.as_ref();
        Self {
            kind: filled.kind,
            label: filled.label,
            uuid: filled.uuid,
            guest: filled.guest.name,
            guest_digest: hexadecimal(&filled.guest.digest),
            command: filled.guest.arguments,
            capabilities: filled.guest.imports,
            wall: filled.guest.wall,
            codecs: filled.guest.codecs,
            time: filled.time.0,
            time_from: filled.time.1,
            nodes: filled.nodes,
            content_bytes: filled.content_bytes,
            encoded: filled.encoded.map(EncodedRecord::of),
            tree_digest: digests.map(|digests| hexadecimal(&digests.tree.metadata)),
            content_digest: digests.map(|digests| hexadecimal(&digests.tree.content)),
            partition_digest: digests.map(|digests| hexadecimal(&digests.partition)),
            used: filled.summary.used,
            properties: filled
                .summary
                .properties
                .into_iter()
                .map(|property| (property.name, property.value))
                .collect(),
            images: filled.images,
            unified_kernels: filled.kernels.into_iter().map(KernelRecord::of).collect(),
            verified_by: filled.verified_by,
            cache: filled.cache,
            worker: filled.worker,
            timings: Timings {
                read: Some(filled.reading.as_secs_f64()),
                format: Some(filled.formatting.as_secs_f64()),
                ..Timings::default()
            },
        }
    }
}
