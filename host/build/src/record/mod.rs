//! The record of a build: what went in, who touched it, what came out. The shape of `--json`.

mod filesystem;
mod repair;

pub use filesystem::{EncodedRecord, FilesystemRecord, KernelRecord, VerityRecord};
pub use repair::{MendRecord, RepairRecord};

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::disk::PartitionDigests;
use crate::filesystem::Filled;
use crate::making::{Made, MadeContent};
use crate::output::Output;
use crate::plan::{Fill, Plan, PlannedPartition};
use cellblock_cell::CodecWall;
use cellblock_image::Change;
use cellblock_table::{DiskId, Partition, PartitionType, Scheme, Table};
use cellblock_text::hexadecimal;

/// What was built.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// The version of this program.
    pub cellblock: &'static str,
    /// The file.
    pub image: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 digest of its bytes.
    #[serde(rename = "sha256", skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What identifiers that were not given derive from, as 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// `gpt`, `mbr`, `hybrid` or `none`; absent if it is one file system and no disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<&'static str>,
    /// The disk's identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_id: Option<String>,
    /// The logical sector in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector_size: Option<u64>,
    /// Whether an image that existed was replaced at once by a changed copy, and not written in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub atomic: Option<bool>,
    /// The files that it has become, in the order in which they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputRecord>,
    /// What stood around the codecs that compressed them; absent if there were none.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub codecs: Option<CodecWall>,
    /// The partitions in the order of the disk.
    pub partitions: Vec<PartitionRecord>,
    /// How long it took.
    pub timings: Timings,
}

/// One file that an image has become.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct OutputRecord {
    /// Its name; `-` for standard output.
    pub file: String,
    /// Its format.
    pub format: &'static str,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 digest of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// One partition.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PartitionRecord {
    /// Its number in the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Its name.
    pub name: String,
    /// Its type: a GUID or an MBR byte.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its type in the MBR of a hybrid table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbr_type: Option<String>,
    /// Its UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it begins, in bytes.
    pub start: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The file system in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filesystem: Option<FilesystemRecord>,
    /// The hash tree in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verity: Option<VerityRecord>,
    /// The signature of a root hash in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verity_signature: Option<SignatureRecord>,
    /// The key of its fill, in hexadecimal: two partitions with the same one have the same bytes. See
    /// [`FillKey`](crate::FillKey).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_key: Option<String>,
    /// The SHA-256 digest of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its file, if it has become one of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitRecord>,
}

/// One signature of a root hash.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SignatureRecord {
    /// The name of the partition with the hash tree.
    pub of: String,
    /// The root hash that was signed, in hexadecimal.
    pub root_hash: String,
    /// The SHA-256 digest of the certificate.
    pub certificate: String,
}

/// A partition that is also a file of its own.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SplitRecord {
    /// The name of the file in its folder.
    pub file: String,
    /// The SHA-256 digest of its bytes.
    pub sha256: String,
}

/// Seconds on the wall.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Timings {
    /// Reading the sources into a tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<f64>,
    /// The cell, with the copying of its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<f64>,
    /// Splicing and publishing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splice: Option<f64>,
    /// All of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
}

impl Record {
    pub(crate) fn of_image(
        output: &Output,
        plan: &Plan,
        made: Vec<Made>,
        told: &[PartitionDigests],
        splicing: Duration,
        total: Duration,
    ) -> Self {
        let partitions = plan
            .partitions
            .iter()
            .zip(made)
            .enumerate()
            .map(|(index, (planned, made))| PartitionRecord {
                fill_key: told.get(index).map(|told| hexadecimal(&told.key.0)),
                sha256: told.get(index).map(|told| hexadecimal(&told.sha256)),
                ..PartitionRecord::of(plan, planned, made)
            })
            .collect();
        Self {
            table: Some(table_name(plan.scheme, plan.is_hybrid())),
            disk_id: Some(plan.disk_id)
                .filter(|id| *id != DiskId::None)
                .map(|id| id.to_string()),
            sector_size: Some(plan.sector_size.bytes()),
            ..Self::new(output, plan.size, partitions, splicing, total)
        }
    }

    pub(crate) fn of_filesystem(
        output: &Output,
        name: &str,
        size: u64,
        filled: Filled,
        total: Duration,
    ) -> Self {
        let partition = PartitionRecord {
            number: None,
            name: name.to_owned(),
            kind: None,
            mbr_type: None,
            id: None,
            start: 0,
            size,
            fill_key: key_of(&filled),
            sha256: digest_of(&filled),
            filesystem: Some(FilesystemRecord::of(filled)),
            verity: None,
            split: None,
            verity_signature: None,
        };
        Self::new(output, size, vec![partition], Duration::ZERO, total)
    }

    pub(crate) fn of_partition(
        image: (&dyn fmt::Display, u64),
        table: &Table,
        partition: PartitionRecord,
        change: Change,
        splicing: Duration,
        total: Duration,
    ) -> Self {
        let (image, size) = image;
        Self {
            table: Some(table_name(table.scheme(), table.is_hybrid())),
            disk_id: Some(table.disk_id.to_string()),
            sector_size: Some(table.sector_size.bytes()),
            atomic: Some(change == Change::Replaced),
            ..Self::new(image, size, vec![partition], splicing, total)
        }
    }

    /// An image that exists, of so many bytes, in other formats.
    pub(crate) fn of_export(
        image: &dyn fmt::Display,
        size: u64,
        outputs: Vec<OutputRecord>,
        total: Duration,
    ) -> Self {
        let mut record = Self {
            outputs,
            ..Self::new(image, size, Vec::new(), Duration::ZERO, total)
        };
        record.timings.splice = None;
        record
    }

    /// What is in a partition of so many bytes, as archives and container images.
    #[must_use]
    pub fn of_trees(
        called: &dyn fmt::Display,
        size: u64,
        outputs: Vec<OutputRecord>,
        total: Duration,
    ) -> Self {
        Self::of_export(called, size, outputs, total)
    }

    /// With what identifiers derive from, and the SHA-256 digest of the whole image.
    pub(crate) fn with(mut self, seed: [u8; 16], digest: Option<[u8; 32]>) -> Self {
        self.seed = Some(hexadecimal(&seed));
        self.digest = digest.map(|digest| hexadecimal(&digest));
        self
    }

    fn new(
        image: &dyn fmt::Display,
        size: u64,
        partitions: Vec<PartitionRecord>,
        splicing: Duration,
        total: Duration,
    ) -> Self {
        Self {
            cellblock: env!("CARGO_PKG_VERSION"),
            image: image.to_string(),
            size,
            digest: None,
            seed: None,
            table: None,
            disk_id: None,
            sector_size: None,
            atomic: None,
            outputs: Vec::new(),
            codecs: None,
            partitions,
            timings: Timings {
                splice: Some(splicing.as_secs_f64()),
                total: Some(total.as_secs_f64()),
                ..Timings::default()
            },
        }
    }
}

fn table_name(scheme: Scheme, is_hybrid: bool) -> &'static str {
    match scheme {
        Scheme::Gpt if is_hybrid => "hybrid",
        Scheme::Gpt => "gpt",
        Scheme::Mbr => "mbr",
        Scheme::None => "none",
    }
}

/// A type as records have it: a GUID or an MBR byte; without a table there is none.
#[must_use]
pub fn type_of(kind: PartitionType) -> Option<String> {
    match kind {
        PartitionType::Gpt(kind) => Some(kind.to_string()),
        PartitionType::Mbr(kind) => Some(format!("{kind:#04x}")),
        PartitionType::None => None,
    }
}

/// The digest of the partition of a file system that was made, if digests were asked for.
fn digest_of(filled: &Filled) -> Option<String> {
    let digests = filled.digests.as_ref();
    digests.map(|digests| hexadecimal(&digests.partition))
}

/// The key of a file system that was made, if digests were asked for.
fn key_of(filled: &Filled) -> Option<String> {
    let digests = filled.digests.as_ref();
    digests.map(|digests| hexadecimal(&digests.key.0))
}

impl PartitionRecord {
    /// A partition of a disk that exists, at these bytes, with the file system that was made in it.
    pub(crate) fn of_existing(
        partition: &Partition,
        place: &Range<u64>,
        filled: Option<Filled>,
    ) -> Self {
        Self {
            number: Some(partition.number),
            name: partition.name.clone(),
            kind: type_of(partition.kind),
            mbr_type: partition.mbr_type.map(|byte| format!("{byte:#04x}")),
            id: partition.id.map(|id| id.to_string()),
            start: place.start,
            size: place.end - place.start,
            fill_key: filled.as_ref().and_then(key_of),
            sha256: filled.as_ref().and_then(digest_of),
            filesystem: filled.map(FilesystemRecord::of),
            verity: None,
            split: None,
            verity_signature: None,
        }
    }

    /// Those of a plan, with what was made for each.
    pub(crate) fn all(plan: &Plan, made: Vec<Made>) -> Vec<Self> {
        let planned = plan.partitions.iter().zip(made);
        planned
            .map(|(planned, made)| Self::of(plan, planned, made))
            .collect()
    }

    fn of(plan: &Plan, planned: &PlannedPartition, made: Made) -> Self {
        let (mut filesystem, mut verity, mut verity_signature) = (None, None, None);
        if let (Some(tree), Some(behind)) = (&made.behind, &planned.behind) {
            let offset = behind.place.hash_offset;
            verity = Some(VerityRecord::of(&behind.verity, planned, offset, tree));
        }
        match (made.content, &planned.fill) {
            (MadeContent::Filesystem(filled), _) => {
                filesystem = Some(FilesystemRecord::of(*filled));
            }
            (MadeContent::Tree(tree), Fill::Verity(of)) => {
                let data = &plan.partitions[of.of];
                verity = Some(VerityRecord::of(&of.verity, data, 0, &tree));
            }
            (MadeContent::Signature(signature), Fill::Signature(of)) => {
                verity_signature = Some(SignatureRecord {
                    of: plan.partitions[of.tree].name.clone(),
                    root_hash: signature.root_hash,
                    certificate: hexadecimal(&signature.fingerprint),
                });
            }
            _ => {}
        }
        Self {
            number: Some(planned.number),
            name: planned.name.clone(),
            kind: type_of(planned.kind),
            mbr_type: planned.mbr_type.map(|byte| format!("{byte:#04x}")),
            id: planned.id.map(|id| id.to_string()),
            start: planned.start,
            size: planned.size,
            filesystem,
            verity,
            fill_key: None,
            sha256: None,
            split: None,
            verity_signature,
        }
    }
}
