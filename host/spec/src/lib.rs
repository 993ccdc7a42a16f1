//! The spec: what somebody wants on a disk, read from `image.toml`, every value with its place in the file.
//!
//! ```toml
//! [disk]
//! table = "gpt"                    # gpt | mbr | hybrid
//! size = "auto"                    # or "4GiB"
//!
//! [[partition]]
//! name = "root"
//! type = "root-x86-64"             # a Discoverable Partitions name, a GUID, or an MBR byte
//! size = "minimum + 20%"           # a size, "minimum", "minimum + …", or "rest"
//! filesystem = "ext4"
//! content = [{ archive = "rootfs.tar" }, { file = "fstab", to = "/etc/fstab" }]
//!
//! [boot.grub-efi]
//! image = "grub.efi"
//!
//! [guests]
//! minix = "minix.wasm"
//! ```
//!
//! The TOML is walked by hand and not deserialised, so that every problem is found in one go and
//! each points at its line. The JSON Schema is generated from the same types; a test holds the two together.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use cellblock_contract::{CommandLine, Loss};
use cellblock_table::{Attributes, DiskId, PartitionType, Scheme};
use cellblock_text::nearest;
use schemars::JsonSchema;
use uuid::Uuid;

pub mod boot;
mod cache;
mod commands;
pub mod content;
pub mod diagnostic;
mod error;
mod fields;
mod guest;
mod joined;
pub mod place;
mod print;
pub mod project;
pub mod raw;
mod read;
mod scalar;
mod schema;
mod sign;
pub mod size;
mod subject;
mod table;
#[cfg(test)]
mod tests;
pub mod value;
mod verity;
mod volume;
mod volumes;
mod yaml;

pub use boot::{
    BootSpec, GrubBiosSpec, GrubEfiSpec, KernelAddon, KernelParts, KernelProfile, SystemdBootSpec,
    UnifiedKernel,
};
pub use cache::{CachePlace, CacheSpec};
pub use content::{Content, KernelContent, LookError, SingleFile, Template, TypedContent};
pub use error::{Problem, ProblemKind, SpecError, Within};
pub use guest::{GuestFile, GuestFileError, OciPlace, OciReference, parse_oci_digest};
pub use place::{FileId, Files, Place, Placed};
pub use print::PathError;
pub use project::{Choices, Project};
pub use raw::{RawSpec, RawWhat};
pub use schema::json_schema;
pub use sign::{SignSpec, SignedBy, VeritySignatureSpec};
pub use size::{Margin, SizeRule};
pub use subject::Subject;
pub use table::TableSpec;
pub use value::{FilesystemId, Seed};
pub use verity::{VerityHash, VeritySpec};
pub use volumes::VolumeFault;
pub use yaml::YamlFault;

/// A spec with a comment for what can be said, to begin with.
pub const EXAMPLE: &str = include_str!("example.toml");

/// What somebody wants on a disk.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(
    rename_all = "kebab-case",
    deny_unknown_fields,
    title = "Cellblock image"
)]
pub struct Spec {
    /// The disk as a whole.
    #[schemars(default)]
    pub disk: DiskSpec,
    /// The partitions, in the order in which they lie on the disk.
    #[schemars(rename = "partition", length(min = 1))]
    pub partitions: Vec<PartitionSpec>,
    /// What firmware starts.
    #[schemars(default)]
    pub boot: BootSpec,
    /// Formatters of your own, by the name of the file system that they make.
    #[schemars(default)]
    pub guests: BTreeMap<String, GuestSpec>,
    /// Where partitions may come from that were made before, if whoever builds asks for it (`--spec-cache`).
    pub cache: Option<CacheSpec>,
}

/// The disk as a whole.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiskSpec {
    /// The kind of partition table; a GPT when absent.
    pub table: Option<Placed<TableName>>,
    /// The size of the disk, or "auto" for the smallest multiple of 1 MiB that holds the partitions. "auto" when absent.
    pub size: Option<Placed<DiskSize>>,
    /// Bytes in a sector, 512 or 4096; 512 when absent.
    #[schemars(with = "Option<schema::SectorSize>")]
    pub sector_size: Option<Placed<u32>>,
    /// What identifiers that are not given derive from: 32 hexadecimal digits, or "random" for others in each build.
    #[schemars(with = "Option<schema::Seed>")]
    pub seed: Option<Placed<Seed>>,
    /// The identifier of the disk: a UUID for a GPT, "0x" and 8 hexadecimal digits for an MBR. From the seed when absent.
    #[schemars(with = "Option<String>")]
    pub id: Option<Placed<DiskId>>,
    /// The time that file systems are stamped with: "2024-01-31T12:00:00Z" or seconds since 1970.
    /// When absent, the environment's `SOURCE_DATE_EPOCH`, without that the newest file of each tree, and without
    /// any 1980-01-01.
    #[schemars(with = "Option<schema::Time>")]
    pub time: Option<Placed<i64>>,
    /// Partitions start at multiples of this; 1 MiB when absent.
    #[schemars(with = "Option<schema::Size>")]
    pub alignment: Option<Placed<u64>>,
    /// Where the table's own parts lie.
    #[schemars(flatten)]
    pub layout: TableSpec,
    /// What is written around the partitions as it is: into the first 440 bytes, where a BIOS finds its boot code, or
    /// into gaps. Offsets count from the start of the disk.
    #[schemars(default, with = "Vec<schema::Raw>")]
    pub raw: Vec<RawSpec>,
}

impl DiskSpec {
    /// The partition table, given or by default.
    pub fn table_name(&self) -> TableName {
        self.table
            .as_ref()
            .map_or(TableName::Gpt, |table| table.value)
    }

    /// The kind of partition table.
    pub fn scheme(&self) -> Scheme {
        self.table_name().scheme()
    }
}

/// A kind of partition table, by its name in the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum TableName {
    /// A GUID partition table.
    Gpt,
    /// A master boot record, with logical partitions when there are more than four.
    Mbr,
    /// A GUID partition table whose master boot record describes up to three partitions too: those with `mbr-type`.
    Hybrid,
    /// No table at all: each partition is a place on the disk, at its `offset`, that nothing describes.
    None,
}

impl TableName {
    /// The kind of table; a hybrid one is a GPT.
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Mbr => Scheme::Mbr,
            Self::Gpt | Self::Hybrid => Scheme::Gpt,
            Self::None => Scheme::None,
        }
    }

    /// What errors call it.
    fn described(self) -> &'static str {
        match self {
            Self::Gpt | Self::Hybrid => "a GPT",
            Self::Mbr => "an MBR",
            Self::None => "a disk without a table",
        }
    }
}

/// How large the disk is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskSize {
    /// As large as its partitions need.
    Auto,
    /// Exactly this number of bytes.
    Fixed(u64),
}

/// One partition.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PartitionSpec {
    /// Where the partition's table stands.
    #[schemars(skip)]
    pub place: Place,
    /// The name in the GPT, and what errors and the command line call the partition. After its type when absent. An empty one
    /// leaves the name in the GPT empty, and the partition is called after its type.
    #[schemars(with = "Option<String>")]
    pub name: Option<Placed<String>>,
    /// Whether the name in the GPT is empty.
    #[schemars(skip)]
    pub is_unnamed: bool,
    /// The name in the GPT where it is another than `name`: several partitions may have one, such as "_empty", by which systemd-sysupdate
    /// finds free slots.
    #[schemars(with = "Option<String>")]
    pub gpt_name: Option<Placed<String>>,
    /// The type: a Discoverable Partitions name ("esp", "root-x86-64"), a GUID, or for an MBR a name or byte ("0x83").
    /// Only without a table there is none.
    #[schemars(rename = "type", with = "Option<schema::TypeName>")]
    pub kind: Placed<PartitionType>,
    /// The size: "256MiB", "minimum", "minimum + 20%", "minimum + 64MiB" or "rest". When absent, "minimum" for a
    /// file system, and what its files need for a raw partition.
    pub size: Option<Placed<SizeRule>>,
    /// Where the partition begins, from the start of the disk; after the one before it when absent.
    #[schemars(with = "Option<schema::Size>")]
    pub offset: Option<Placed<u64>>,
    /// The number in the table; the lowest free one when absent.
    #[schemars(with = "Option<schema::Number>")]
    pub number: Option<Placed<u32>>,
    /// The partition's UUID (GPT). From the seed when absent.
    #[schemars(with = "Option<schema::Identifier>")]
    pub id: Option<Placed<Uuid>>,
    /// Attributes (GPT): "required", "no-block-io", "legacy-boot", "grow-fs", "read-only", "no-auto", or bit numbers.
    #[schemars(with = "Option<Vec<schema::AttributeName>>")]
    pub attributes: Option<Placed<Attributes>>,
    /// The type in the MBR of a hybrid table: a name ("fat32") or byte ("0x0c"); only the GPT has the partition when absent.
    #[schemars(with = "Option<schema::MbrTypeName>")]
    pub mbr_type: Option<Placed<u8>>,
    /// Whether a BIOS boots from it (MBR, also that of a hybrid table).
    #[schemars(with = "Option<bool>")]
    pub active: Option<Placed<bool>>,
    /// The file system to make, unless the partition is raw or stays empty.
    #[schemars(flatten)]
    pub filesystem: Option<FilesystemSpec>,
    /// Files to copy as they are, in place of a file system. Offsets count from the start of the partition.
    #[schemars(default, with = "Vec<schema::Raw>")]
    pub raw: Vec<RawSpec>,
    /// The dm-verity hash tree of another partition, in place of a file system.
    pub verity: Option<VeritySpec>,
    /// The signature of a root hash, in place of a file system.
    pub verity_signature: Option<VeritySignatureSpec>,
}

impl PartitionSpec {
    /// The size rule, given or by default.
    pub fn size_rule(&self) -> SizeRule {
        self.size
            .as_ref()
            .map_or(SizeRule::MINIMUM, |size| size.value)
    }
}

/// A file system and what goes into it.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub struct FilesystemSpec {
    /// The kind: "ext4" (or "ext2", "ext3"), "vfat" (or "fat12", "fat16", "fat32"), "swap", or a name from `[guests]`.
    #[schemars(rename = "filesystem", with = "String")]
    pub kind: Placed<String>,
    /// The volume label; none when absent.
    #[schemars(with = "Option<String>")]
    pub label: Option<Placed<String>>,
    /// The file system's UUID, or for FAT its serial number ("ABCD-1234"). From the seed when absent.
    #[schemars(with = "Option<String>")]
    pub uuid: Option<Placed<FilesystemId>>,
    /// What goes into it; of two sources with the same file the later wins.
    #[schemars(default, with = "Vec<schema::ContentTable>")]
    pub content: Vec<Content>,
    /// Options of the formatter; `cellblock guests` lists them.
    #[schemars(default, with = "BTreeMap<String, schema::OptionValue>")]
    pub options: BTreeMap<String, Placed<String>>,
    /// Where the paths of what goes into it stand.
    #[schemars(skip)]
    pub content_places: BTreeMap<PathBuf, Place>,
    /// What the format may lose instead of refusing it.
    #[schemars(default, with = "Vec<schema::LossName>")]
    pub drop: Vec<Loss>,
    /// What labels everything in it for SELinux.
    pub selinux: Option<SelinuxSpec>,
}

/// What labels the files of a file system for SELinux.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SelinuxSpec {
    /// Where the table stands.
    #[schemars(skip)]
    pub place: Place,
    /// The policy's `file_contexts`; `.local`, `.homedirs`, `.subs` and `.subs_dist` beside it are read too.
    #[schemars(with = "String")]
    pub contexts: Placed<PathBuf>,
}

/// A formatter that is not built in.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "schema::Guest")]
pub struct GuestSpec {
    /// The component, or the WASI command.
    pub file: Placed<GuestFile>,
    /// The SHA-256 digest that the file must have, if it is pinned.
    pub sha256: Option<[u8; 32]>,
    /// How it is called, if it is a WASI command.
    pub command: Option<CommandLine>,
}

impl Spec {
    /// Replaces a seed that is to be random by bytes that `draw` gives; another one, or none, stays.
    ///
    /// # Errors
    /// That of `draw`.
    pub fn draw_seed<E>(&mut self, draw: impl FnOnce() -> Result<[u8; 16], E>) -> Result<(), E> {
        if let Some(seed) = &mut self.disk.seed
            && seed.value == Seed::Random
        {
            seed.value = Seed::Given(draw()?);
        }
        Ok(())
    }

    /// Checks that there is a formatter for every file system: one of `built_in`, or of the spec's own guests.
    ///
    /// # Errors
    /// [`SpecError`] with one problem for each file system that nothing makes.
    pub fn check_filesystems(&self, built_in: &[&str]) -> Result<(), SpecError> {
        let known: Vec<&str> = built_in
            .iter()
            .copied()
            .chain(self.guests.keys().map(String::as_str))
            .collect();
        let problems: Vec<Problem> = self
            .partitions
            .iter()
            .enumerate()
            .filter_map(|(index, partition)| {
                Some((index, partition, partition.filesystem.as_ref()?))
            })
            .filter(|(_, _, filesystem)| !known.contains(&filesystem.kind.value.as_str()))
            .map(|(index, partition, filesystem)| Problem {
                kind: unknown_filesystem(&filesystem.kind.value, &known),
                place: filesystem.kind.place.clone(),
                within: Within::Partition {
                    position: index + 1,
                    name: partition.name.as_ref().map(|name| name.value.clone()),
                },
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(SpecError { problems })
        }
    }
}

/// The problem of a file system that none of the `known` formatters makes.
pub fn unknown_filesystem(kind: &str, known: &[&str]) -> ProblemKind {
    ProblemKind::UnknownFilesystem {
        kind: kind.to_owned(),
        nearest: nearest(kind, known.iter().copied()).map(str::to_owned),
        known: known.iter().map(|&name| name.to_owned()).collect(),
    }
}
