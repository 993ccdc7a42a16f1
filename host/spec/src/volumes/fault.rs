//! What imagecraft or snapd would refuse.

use std::path::PathBuf;

use thiserror::Error;

use super::super::place::Place;
use cellblock_text::{exact, grouped};

/// A rule of `volumes:` that is broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VolumeFault {
    /// None or several volumes, where there must be one.
    #[error("there are {found} volumes, and imagecraft makes exactly one")]
    VolumeCount {
        /// How many there are.
        found: usize,
    },
    /// A gadget without volumes.
    #[error("there is no volume, and a disk is made of one")]
    NoVolume,
    /// A key that is no business of an eMMC's hardware partitions.
    #[error("`{key}` says nothing of an eMMC's hardware partitions")]
    OfNoEmmc {
        /// The key.
        key: &'static str,
    },
    /// A gadget that names no boot loader.
    #[error("no volume has a `bootloader`")]
    NoBootLoader,
    /// Two volumes that name a boot loader.
    #[error("another volume has a `bootloader`, which one has")]
    SecondBootLoader {
        /// Where it stands for the first time.
        first: Place,
    },
    /// A role that needs another one.
    #[error("a structure with the role `{role}` needs one with the role `{needed}`")]
    MissingRole {
        /// The role.
        role: &'static str,
        /// The one that is missing.
        needed: &'static str,
    },
    /// A role in another volume than the one that it belongs with.
    #[error("the role `{role}` is in another volume than `{main}`")]
    RoleElsewhere {
        /// The role.
        role: &'static str,
        /// The one that it belongs with.
        main: &'static str,
        /// Where that one stands.
        first: Place,
    },
    /// A word that is in a list twice.
    #[error("`{word}` is there twice")]
    Repeated {
        /// The word.
        word: String,
        /// Where it stands for the first time.
        first: Place,
    },
    /// Files that an update keeps, where there is no file system.
    #[error("a structure without a file system has no files to preserve")]
    PreservedNowhere,
    /// Defaults for something that is no snap.
    #[error(
        "`{text}` is neither `system` nor the identifier of a snap, which has 32 letters and digits"
    )]
    NoSnap {
        /// What was written.
        text: String,
    },
    /// A volume that the gadget does not have.
    #[error("there is no volume `{name}`")]
    UnknownVolume {
        /// As it was written.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Content outside the gadget.
    #[error("`{source_path}` leads out of the gadget")]
    OutsideContent {
        /// As it was written.
        source_path: String,
    },
    /// A reference to the kernel's snap that names no file.
    #[error("`{reference}` names no content of the kernel's snap")]
    NoKernelContent {
        /// As it was written.
        reference: String,
    },
    /// A table that the installer chooses.
    #[error("the kind of table is left to the installer, and an image needs one")]
    PartialSchema,
    /// A name of a volume or a structure that cannot be.
    #[error("`{name}` cannot be a name")]
    Name {
        /// The name.
        name: String,
        /// What names are made of.
        rule: &'static str,
    },
    /// A volume without structures.
    #[error("there is no structure")]
    NoStructure,
    /// A choice that imagecraft's grammar makes by the platform.
    #[error("`{key}` chooses by the platform that is built for")]
    Grammar {
        /// The key.
        key: String,
    },
    /// A platform that the file does not have.
    #[error("there is no platform `{name}`")]
    UnknownPlatform {
        /// As it was typed.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A choice that is to fail, and nothing before it was chosen.
    #[error("nothing before `else fail` is for this platform")]
    ElseFail,
    /// An `else` without a choice before it, or a key beside choices that makes none.
    #[error("`{key}` follows no choice")]
    NoChoice {
        /// The key.
        key: String,
    },
    /// A platform without architectures whose name is none.
    #[error("`{name}` is no architecture")]
    NoArchitecture {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// A key of snapd's that imagecraft refuses.
    #[error("imagecraft does not support `{key}` in a structure")]
    NotOfImagecraft {
        /// The key.
        key: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// A label that is longer than the file system stores.
    #[error("the label `{label}` has {} bytes, and {filesystem} stores {most}", label.len())]
    LabelTooLong {
        /// The label.
        label: String,
        /// The kind of file system.
        filesystem: &'static str,
        /// The most bytes that it stores.
        most: usize,
        /// Whether nobody wrote it, and it follows from the name or the role.
        is_implied: bool,
    },
    /// Two file systems of one volume with one label.
    #[error("the label `{label}` is taken")]
    DuplicateLabel {
        /// The label.
        label: String,
        /// Where it stands for the first time.
        first: Place,
    },
    /// A structure that begins inside the one before it.
    #[error("it begins at {}, and structure {other} ends at {}", exact(*.start), exact(*.end))]
    Overlap {
        /// In bytes.
        start: u64,
        /// What the other one is called.
        other: String,
        /// Where the other one ends, exclusive.
        end: u64,
        /// Where the other one stands.
        first: Place,
    },
    /// A smallest size that is larger than the size.
    #[error("its `min-size` of {} is larger than its `size` of {}", exact(*.minimum), exact(*.size))]
    MinimumAboveSize {
        /// In bytes.
        minimum: u64,
        /// In bytes.
        size: u64,
    },
    /// A role of partitions for what is none.
    #[error("a structure that is no partition has no such role")]
    RoleOfBare,
    /// A file system in what is no partition.
    #[error("a structure of the type `bare` has no file system")]
    FilesystemOfBare,
    /// A rule of one kind of structure that is broken.
    #[error("a structure for {kind} {rule}")]
    Rule {
        /// The type or role.
        kind: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// A structure that ends beyond the longest file.
    #[error(
        "the structure of {} from byte {} on ends beyond {}, the longest that a file can be",
        exact(*.size), grouped(*.start), exact(*.most)
    )]
    BeyondFile {
        /// Where it starts, in bytes from the start of the disk.
        start: u64,
        /// Its size in bytes.
        size: u64,
        /// The longest file, in bytes.
        most: u64,
    },
    /// An image that is larger than its structure.
    #[error("the image ends at {}, and its structure at {}", exact(*.end), exact(*.size))]
    ImageBeyond {
        /// Where it ends, in bytes from the start of the structure.
        end: u64,
        /// The length of the structure in bytes.
        size: u64,
    },
    /// Content for the other kind of structure.
    #[error("`{key}` says nothing of a structure {} a file system", if *.has_filesystem { "with" } else { "without" })]
    ForeignContent {
        /// The key.
        key: &'static str,
        /// Whether the structure has a file system.
        has_filesystem: bool,
    },
    /// Content of another snap.
    #[error("the content lies in {}", if *.is_kernel { "the kernel's snap" } else { "the root file system" })]
    ElsewhereContent {
        /// Whether it lies in the kernel's snap, and not in the root file system.
        is_kernel: bool,
    },
    /// A label that only a role gives.
    #[error("the label `{label}` belongs to a structure with a role")]
    ReservedLabel {
        /// The label.
        label: String,
    },
    /// A label of another kind than the role's.
    #[error("a structure with this role is labelled `{implied}`, and not `{label}`")]
    LabelOfRole {
        /// The label that is given.
        label: String,
        /// The one that the role implies.
        implied: &'static str,
    },
    /// A role that one structure has.
    #[error("another structure has the role `{role}`, which one has")]
    SecondRole {
        /// The role.
        role: &'static str,
        /// Where it stands for the first time.
        first: Place,
    },
    /// Content that is to be unpacked.
    #[error("content is not unpacked")]
    Unpack,
    /// A file that cannot be looked at.
    #[error("cannot use {}: {why}", .path.display())]
    NoSuchFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// An address relative to nothing.
    #[error("there is no structure `{name}`")]
    UnknownStructure {
        /// The name.
        name: String,
    },
    /// An address relative to another structure than the first.
    #[error("the structure `{name}` does not begin at 0, and an address lies in the one that does")]
    AddressElsewhere {
        /// The name.
        name: String,
    },
    /// An address behind all structures.
    #[error("the address ends at {}, and the last structure at {}", exact(*.end), exact(*.room))]
    AddressBehind {
        /// Where it ends, in bytes.
        end: u64,
        /// Where the structures end, in bytes.
        room: u64,
    },
    /// An address outside the structure that it is relative to.
    #[error("the address ends {} into a structure of {}", exact(*.end), exact(*.room))]
    AddressBeyond {
        /// In bytes from the start of the structure.
        end: u64,
        /// The length of the structure in bytes.
        room: u64,
    },
    /// Numbers for some partitions, and not for all.
    #[error("the partition has no number, and another one has")]
    NumberMissing {
        /// Where the other's number stands.
        other: Place,
    },
    /// A partition that a BIOS boots, among the logical ones.
    #[error(
        "a partition for system-boot is number {position}, and a BIOS boots only the first {primary} of more than four"
    )]
    LogicalBoot {
        /// Its place among the structures, from 1.
        position: usize,
        /// How many are primary.
        primary: usize,
    },
    /// Something else than `default` under `filesystems`.
    #[error("`filesystems` has exactly one key, which is `default`")]
    NotDefault,
    /// The first mount is not the root's.
    #[error("the first mount is `{mount}`, and must be `/`")]
    FirstMount {
        /// The mount point.
        mount: String,
    },
    /// Two mounts at one place.
    #[error("something is mounted at `{mount}` already")]
    DuplicateMount {
        /// The mount point.
        mount: String,
        /// Where it stands for the first time.
        first: Place,
    },
    /// A device that is no partition of the volume.
    #[error("`{device}` is no partition of this file")]
    UnknownDevice {
        /// As it was written.
        device: String,
        /// Every partition as a device.
        known: Vec<String>,
    },
}

impl VolumeFault {
    /// What to say at the place.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::LabelTooLong {
                is_implied: true, ..
            } => "no label is given, so this is it".to_owned(),
            Self::VolumeCount { .. }
            | Self::NoVolume
            | Self::NoBootLoader
            | Self::NoStructure
            | Self::UnknownPlatform { .. } => "in here".to_owned(),
            Self::NumberMissing { .. } => "this partition".to_owned(),
            Self::Overlap { .. } => "this structure".to_owned(),
            _ => "here".to_owned(),
        }
    }

    /// What to change.
    pub(crate) fn help(&self) -> Option<String> {
        let help = match self {
            Self::VolumeCount { .. } => "keep one of them".to_owned(),
            Self::NoVolume => "add one to `volumes`".to_owned(),
            Self::OfNoEmmc { key } => format!("remove `{key}`"),
            Self::NoBootLoader => "write, for example, bootloader: grub".to_owned(),
            Self::SecondBootLoader { .. } => "remove one of them".to_owned(),
            Self::MissingRole { needed, .. } => {
                format!("give a structure role: {needed}, or remove this role")
            }
            Self::RoleElsewhere { .. } => "move one of them to the volume of the other".to_owned(),
            Self::Repeated { .. } => "remove one of them".to_owned(),
            Self::PreservedNowhere => "remove `preserve`".to_owned(),
            Self::NoSnap { .. } => return None,
            Self::UnknownVolume { known, .. } => format!("the volumes are {}", known.join(", ")),
            Self::OutsideContent { .. } => {
                "put it into the gadget, and name it from its top".to_owned()
            }
            Self::NoKernelContent { .. } => {
                "write $kernel:, the name of an asset, / and a path without . and ..".to_owned()
            }
            Self::AddressElsewhere { .. } => {
                "write an offset from the start of the disk, without a name".to_owned()
            }
            Self::AddressBehind { .. } => "write an offset before the end".to_owned(),
            Self::PartialSchema => {
                "remove `schema` from `partial`, and write schema: gpt".to_owned()
            }
            Self::Overlap { end, .. } => format!("write offset: {end} or more, or leave it out"),
            Self::MinimumAboveSize { .. } => {
                "make `size` larger, or leave `min-size` out".to_owned()
            }
            Self::RoleOfBare => {
                "remove `role`, or give the structure the type of a partition".to_owned()
            }
            Self::FilesystemOfBare => {
                "write filesystem: none, or give the structure the type of a partition".to_owned()
            }
            Self::Rule { .. } | Self::NoSuchFile { .. } => return None,
            Self::BeyondFile { .. } => "let it start earlier, or make it smaller".to_owned(),
            Self::ImageBeyond { .. } => "make the structure larger".to_owned(),
            Self::ForeignContent {
                has_filesystem: true,
                ..
            } => "write source: and target:".to_owned(),
            Self::ForeignContent { .. } => "write image:, and perhaps offset: and size:".to_owned(),
            Self::ElsewhereContent { is_kernel: true } => {
                "name the directory of the kernel's snap with --kernel DIR".to_owned()
            }
            Self::ElsewhereContent { .. } => {
                "name the directory of the root file system with --rootfs DIR".to_owned()
            }
            Self::ReservedLabel { .. } => {
                "give the structure its role, or another label".to_owned()
            }
            Self::LabelOfRole { .. } => {
                "remove `filesystem-label`, which follows from the role".to_owned()
            }
            Self::SecondRole { .. } => "remove one of them".to_owned(),
            Self::Unpack => "unpack it, and name the directory".to_owned(),
            Self::UnknownStructure { .. } => {
                "write the name of a structure before the +".to_owned()
            }
            Self::AddressBeyond { .. } => "write an offset inside the structure".to_owned(),
            Self::Name { rule, .. } => (*rule).to_owned(),
            Self::NoStructure => "add one item or more to `structure`".to_owned(),
            Self::Grammar { .. } => {
                "name the platform that you build for with --platform NAME".to_owned()
            }
            Self::UnknownPlatform { known, .. } => {
                format!("the platforms are {}", known.join(", "))
            }
            Self::ElseFail => "build for another platform, with --platform NAME".to_owned(),
            Self::NoChoice { .. } => {
                "choices are `for`, `on`, `to`, and `else` behind one of them".to_owned()
            }
            Self::NoArchitecture { known, .. } => format!(
                "the architectures are {}; another platform has build-on: and build-for:",
                known.join(", ")
            ),
            Self::NotOfImagecraft { instead, .. } => (*instead).to_owned(),
            Self::LabelTooLong {
                is_implied: true,
                most,
                ..
            } => format!("add a `filesystem-label` of at most {most} bytes"),
            Self::LabelTooLong { most, .. } => {
                format!("shorten `filesystem-label` to {most} bytes")
            }
            Self::DuplicateLabel { .. } => {
                "give each partition a `filesystem-label` of its own".to_owned()
            }
            Self::NumberMissing { .. } => {
                "give every partition a `partition-number`, or none".to_owned()
            }
            Self::LogicalBoot { primary, .. } => {
                format!("move it to the first {primary} structures")
            }
            Self::NotDefault => {
                "write, for example, default: [{mount: /, device: (volume/pc/rootfs)}]".to_owned()
            }
            Self::FirstMount { .. } => "mount the root first".to_owned(),
            Self::DuplicateMount { .. } => "mount one of them elsewhere".to_owned(),
            Self::UnknownDevice { known, .. } => {
                format!("the partitions are {}", known.join(", "))
            }
        };
        Some(help)
    }

    /// Where its other half stands.
    pub(crate) fn related(&self) -> Option<Place> {
        match self {
            Self::DuplicateLabel { first, .. } | Self::DuplicateMount { first, .. } => {
                Some(first.clone())
            }
            Self::NumberMissing { other } => Some(other.clone()),
            Self::Overlap { first, .. }
            | Self::SecondRole { first, .. }
            | Self::RoleElsewhere { first, .. }
            | Self::Repeated { first, .. }
            | Self::SecondBootLoader { first } => Some(first.clone()),
            _ => None,
        }
    }
}
