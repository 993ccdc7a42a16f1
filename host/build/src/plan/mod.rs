//! [`Spec`](cellblock_spec::Spec) -> [`Plan`]: every size, offset and identifier decided. All arithmetic of sizes and offsets is here.
//!
//! ```text
//! Spec ── Draft::new ──> Draft ── measured ──> Measured ── plan ──> Plan
//!         identifiers,            smallest                offsets,
//!         names, contents         sizes                   sizes
//! ```
//!
//! Each is made once, from the one before: between the first two the caller reads the content and has it measured.
//!
//! ```text
//! GPT  | table | 1 MiB: partition | ... aligned ... | partition | backup table |
//! MBR  | table | 1 MiB: primary | primary | primary | record, 1 MiB | logical | record, 1 MiB | logical |
//! ```
//!
//! Partitions lie in the order of the spec. Each starts at the first multiple of the alignment behind the one before
//! it, or at its `offset`, which may be any whole sector that is free. Of more than four partitions on an MBR the
//! first three are primary, number 4 is the extended partition, and the others are logical, from number 5 on; with
//! `extended-number` it is another.

use std::path::PathBuf;

use uuid::Uuid;

use cellblock_contract::{Loss, Setting};
use cellblock_spec::{Content, PartitionSpec};
use cellblock_table::{Attributes, DiskId, PartitionType, Scheme, SectorSize};
use cellblock_table::{Lba, Partition, Shape, Table, TableError};
use cellblock_text::{exact, grouped};

mod boot;
mod draft;
mod error;
mod facts;
mod hybrid;
mod identity;
mod layout;
mod length;
mod mkfs;
mod raw;
mod sectors;
mod signature;
mod space;
#[cfg(test)]
mod tests;
mod verity;

pub use boot::{GrubPlan, esp};
pub use draft::{Draft, Measured};
pub use error::{PlanError, Reason};
pub use facts::{Fact, Facts};
pub(crate) use facts::{digest_of, hash_offset_of, root_hash_of, uuid_of};
pub use mkfs::{FilesystemRequest, MkfsPlan, MkfsRequest, filesystem_alone, mkfs_plan};
pub use raw::{RawLengths, raw_lengths};
pub use signature::SignaturePlan;
pub use space::{Named, Occupant};
pub use verity::{Half, TreeBehind, VerityPlan};

use identity::Identity;
use space::ByteSpan;

/// A disk with every size, offset and identifier decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The kind of partition table.
    pub scheme: Scheme,
    /// The size of a sector.
    pub sector_size: SectorSize,
    /// The length of the disk, in bytes.
    pub size: u64,
    /// What identifiers that the spec does not give derive from.
    pub seed: [u8; 16],
    /// The disk's identifier.
    pub disk_id: DiskId,
    /// Where the table's own parts lie.
    pub shape: Shape,
    /// The extended partition around the logical ones of an MBR.
    pub extended: Option<PlannedExtended>,
    /// The time that file systems are stamped with.
    pub time: TimeRule,
    /// The partitions, in the order in which they lie on the disk. The extended partition of an MBR is not among them.
    pub partitions: Vec<PlannedPartition>,
    /// What is written around the partitions, in the order of writing. Offsets count from the start of the disk.
    pub raw: Vec<RawPiece>,
    /// Where GRUB for a BIOS goes, if it is there.
    pub grub: Option<GrubPlan>,
}

/// The time that a file system is stamped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeRule {
    /// This many seconds since 1970.
    Fixed(i64),
    /// The time of the newest file in its tree, or without any 1980-01-01.
    NewestFile,
}

/// One partition of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedPartition {
    /// Its number in the table, from 1.
    pub number: u32,
    /// Its name in a GPT, and what errors call it.
    pub name: String,
    /// Its name in the GPT, which may be empty, and that of several.
    pub gpt_name: String,
    /// What it is for.
    pub kind: PartitionType,
    /// Where it begins, in bytes from the start of the disk; a whole sector.
    pub start: u64,
    /// Its length in bytes; whole sectors.
    pub size: u64,
    /// Its UUID. An MBR stores none. One that follows from a root hash is that of the seed until [`Plan::identify`] is told.
    pub id: Option<Uuid>,
    /// Where its UUID comes from if it follows from a root hash: the index of the partition with the tree, and the half.
    pub id_of: Option<(usize, Half)>,
    /// Its attributes (GPT).
    pub attributes: Attributes,
    /// Its type in the MBR of a hybrid table.
    pub mbr_type: Option<u8>,
    /// Whether a BIOS boots it (MBR, also that of a hybrid table).
    pub active: bool,
    /// What goes into it.
    pub fill: Fill,
    /// The hash tree behind that, if there is one.
    pub behind: Option<TreeBehind>,
}

/// The extended partition that holds the logical ones of an MBR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedExtended {
    /// Its number, 1 to 4.
    pub number: u32,
    /// Its type; the table's own choice where none is given.
    pub kind: Option<PartitionType>,
    /// The space before each logical partition, in bytes, at whose start is its boot record.
    pub boot_record_space: u64,
}

/// What goes into a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fill {
    /// A file system, made in a cell.
    Filesystem(FilesystemPlan),
    /// What is written as it is, in the order of writing. Offsets count from the start of the partition.
    Raw(Vec<RawPiece>),
    /// The hash tree of another partition.
    Verity(VerityPlan),
    /// The signature of a root hash.
    Signature(SignaturePlan),
    /// Nothing: zeroes.
    Empty,
}

/// A file system to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesystemPlan {
    /// The kind, which names a guest.
    pub kind: String,
    /// The volume label; may be empty.
    pub label: String,
    /// The identifier. A serial number is in the low 32 bits, and the others are zero.
    pub uuid: Uuid,
    /// The same as `blkid` shows it; none where the format stores none.
    pub identifier: Option<String>,
    /// What the formatter derives its own random-looking values from, such as the seed of a directory hash.
    pub seed: [u8; 16],
    /// The formatter's options, by name in ascending order.
    pub options: Vec<(String, String)>,
    /// What the format may lose instead of refusing it, ascending, each once.
    pub drop: Vec<Loss>,
    /// What goes in, in order of precedence: the later wins.
    pub contents: Vec<Content>,
    /// The most bytes that its partition can have, where that is known before anything is measured.
    pub most: Option<u64>,
    /// The `file_contexts` that labels all of it for SELinux.
    pub contexts: Option<PathBuf>,
}

impl FilesystemPlan {
    /// The options, as a formatter is told them.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let options = self.options.iter().cloned();
        options
            .map(|(name, value)| Setting { name, value })
            .collect()
    }

    /// What an option has the formatter of ours leave out, as if it were dropped. Those of the others either refuse what they turn off, as
    /// `^ext_attr` does attributes, or the reader tells of them, as of inodes without fractions of seconds.
    pub(crate) fn left_out(&self) -> Option<Loss> {
        let options = self.options.iter();
        let options = options.map(|(name, value)| (&**name, &**value));
        leaves_attributes_out(&self.kind, options).then_some(Loss::Attributes)
    }
}

/// Whether options have a formatter of ours leave extended attributes out.
pub(crate) fn leaves_attributes_out<'o>(
    kind: &str,
    mut options: impl Iterator<Item = (&'o str, &'o str)>,
) -> bool {
    kind == "squashfs" && options.any(|option| option == ("no-xattrs", "yes"))
}

/// Something that is written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawPiece {
    /// What.
    pub content: RawContent,
    /// Where it goes, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// What is written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawContent {
    /// A file.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Plan {
    /// Whether the table is a GPT whose MBR describes partitions too.
    #[must_use]
    pub fn is_hybrid(&self) -> bool {
        self.partitions
            .iter()
            .any(|partition| partition.mbr_type.is_some())
    }

    /// What there is to say of the disk as a whole, such as that its table does not reach its end.
    pub(crate) fn warning(&self) -> Option<String> {
        let reach = Lba(self.scheme.addressable_sectors()).to_bytes(self.sector_size);
        let lost = self.size.checked_sub(reach).filter(|lost| *lost > 0)?;
        let largest = SectorSize::B4096;
        let by_sectors = Lba(self.scheme.addressable_sectors()).to_bytes(largest);
        let or_sectors = if self.size <= by_sectors {
            format!(", or sector-size = {largest} where the drive has such sectors")
        } else {
            String::new()
        };
        Some(format!(
            "no partition can use the last {} of its {}: an {} counts {} sectors, which are {} where each has {} bytes; \
             write table = \"gpt\"{or_sectors}",
            exact(lost),
            exact(self.size),
            self.scheme,
            grouped(self.scheme.addressable_sectors()),
            exact(reach),
            self.sector_size,
        ))
    }

    /// Takes the identifiers that follow from the root hash of the tree in partition `tree`.
    pub fn identify(&mut self, tree: usize, root_hash: &[u8]) {
        for partition in &mut self.partitions {
            if let Some((from, half)) = partition.id_of
                && from == tree
            {
                partition.id = Some(half.of(root_hash));
            }
        }
    }

    /// The partition table to write: the partitions, and for logical ones the extended partition around them.
    ///
    /// # Errors
    /// When the disk has no room for the table.
    pub fn table(&self) -> Result<Table, TableError> {
        let sectors = self.size / self.sector_size.bytes();
        let mut table = Table::new(self.disk_id, self.sector_size, sectors, self.shape)?;
        let mut partitions: Vec<Partition> = self
            .partitions
            .iter()
            .map(|planned| planned.entry(self.sector_size))
            .collect();
        partitions.sort_by_key(|partition| partition.number);
        if let Some(extended) = self.extended {
            let space = extended.boot_record_space / self.sector_size.bytes();
            let mut logicals = Vec::new();
            for partition in partitions.iter_mut().filter(|it| it.is_logical()) {
                partition.boot_record = Some(Lba(partition.start.0 - space));
                logicals.push(partition.clone());
            }
            let around = table.extended_around(extended.number, &logicals);
            partitions.extend(around.map(|around| Partition {
                kind: extended.kind.unwrap_or(around.kind),
                ..around
            }));
            partitions.sort_by_key(|partition| partition.number);
        }
        table.partitions = partitions;
        Ok(table)
    }
}

impl PlannedPartition {
    fn new(
        partition: &PartitionSpec,
        identity: &Identity,
        id_of: Option<(usize, Half)>,
        span: ByteSpan,
        (fill, behind): (Fill, Option<TreeBehind>),
    ) -> Self {
        Self {
            id_of,
            number: identity.number,
            name: identity.name.clone(),
            gpt_name: match &partition.gpt_name {
                Some(name) => name.value.clone(),
                None if partition.is_unnamed => String::new(),
                None => identity.name.clone(),
            },
            kind: partition.kind.value,
            start: span.start,
            size: span.size,
            id: identity.id,
            attributes: partition
                .attributes
                .as_ref()
                .map_or(Attributes::empty(), |flags| flags.value),
            mbr_type: partition.mbr_type.as_ref().map(|kind| kind.value),
            active: partition.active.as_ref().is_some_and(|active| active.value),
            fill,
            behind,
        }
    }

    /// The bytes that what goes into it has to itself: all of it, or what is before the hash tree.
    #[must_use]
    pub fn data_size(&self) -> u64 {
        self.behind
            .as_ref()
            .map_or(self.size, |tree| tree.place.data_size)
    }

    fn entry(&self, sector_size: SectorSize) -> Partition {
        let start = Lba(self.start / sector_size.bytes());
        let mut entry = Partition::new(
            self.number,
            start,
            self.size / sector_size.bytes(),
            self.kind,
        );
        entry.id = self.id;
        entry.name.clone_from(&self.gpt_name);
        entry.attributes = self.attributes;
        entry.mbr_type = self.mbr_type;
        entry.active = self.active;
        entry
    }
}
