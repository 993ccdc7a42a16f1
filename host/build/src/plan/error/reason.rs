//! The reasons, each with its numbers and what to change.

use std::ops::Range;
use std::path::PathBuf;

use thiserror::Error;
use uuid::Uuid;

use super::words::{Bytes, DidYouMean, Multiples};
use crate::plan::space::{Named, Occupant};
use cellblock_table::{MAX_HYBRID, Scheme};
use cellblock_text::exact;

/// Why a spec cannot become a plan.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// A random seed that nobody drew.
    #[error(
        "the seed is \"random\", and was not drawn before the plan was made: call `Spec::draw_seed`"
    )]
    SeedNotDrawn,
    /// Two partitions have one name.
    #[error(
        "partition {other} has the same name: names must differ, since errors and commands use them"
    )]
    DuplicateName {
        /// The number of the other one.
        other: u32,
    },
    /// Two partitions have one number.
    #[error(
        "number {number} is also asked for by partition '{other}': choose another, or leave one out"
    )]
    DuplicateNumber {
        /// The number.
        number: u32,
        /// The name of the other one, or its place in the file.
        other: String,
    },
    /// Two partitions, or a partition and the disk, have one identifier.
    #[error("{other} has the identifier {id} too: identifiers must differ")]
    DuplicateId {
        /// The identifier.
        id: Uuid,
        /// What else has it.
        other: String,
    },
    /// A name is too long for a GPT.
    #[error("the name has {units} UTF-16 units, and a GPT holds {most}: shorten it by {}", units - most)]
    NameTooLong {
        /// Its length in UTF-16 units.
        units: usize,
        /// The most that there is room for.
        most: usize,
    },
    /// A name with a control character in it.
    #[error("the name contains the control character {character:?}: remove it")]
    NameHasControl {
        /// The character.
        character: char,
    },
    /// A label with a control character in it.
    #[error(
        "the label contains the control character {character:?}: remove it, since what lists disks prints it"
    )]
    LabelHasControl {
        /// The character.
        character: char,
    },
    /// Two partitions that a BIOS is to boot.
    #[error(
        "partition '{other}' is `active` too: the boot code of an MBR starts the only one, and takes two for a damaged table"
    )]
    DuplicateActive {
        /// The name of the other one.
        other: String,
    },
    /// A number that this kind of table does not have.
    #[error("number {number} does not exist in {scheme}, which has numbers 1 to {most}")]
    NumberOutOfRange {
        /// The number.
        number: u32,
        /// The kind of table.
        scheme: Scheme,
        /// The highest number.
        most: u32,
    },
    /// The number of the extended partition of an MBR with logical partitions.
    #[error(
        "number {number} is the extended partition that holds the logical ones: choose another of 1 to 4, or 5 and above"
    )]
    ExtendedNumber {
        /// The number.
        number: u32,
    },
    /// An extended partition without any in it.
    #[error(
        "no partition is logical, so the extended partition {number} would be empty: remove `extended-number`, or add \
         partitions behind it"
    )]
    ExtendedEmpty {
        /// Its number.
        number: u32,
    },
    /// The type by which an MBR says that the disk has a GPT.
    #[error(
        "type 0xee says that the disk has a GPT, which it has not: write the type of the content, or table = \"hybrid\""
    )]
    ProtectiveType,
    /// A type that only the host itself gives.
    #[error(
        "an extended partition is made by itself when there are more than four partitions: give the type of its content"
    )]
    ExtendedType,
    /// A logical partition out of turn.
    #[error(
        "logical partitions are numbered in their order on the disk: this one must be number {expected}, not {number}"
    )]
    LogicalOutOfTurn {
        /// Its number.
        number: u32,
        /// The number that its place gives it.
        expected: u32,
    },
    /// A logical partition behind a primary one that is behind another logical one.
    #[error(
        "it is logical, and a primary partition lies between it and the logical ones before: these follow each other, as one \
         extended partition holds them all"
    )]
    LogicalBehindPrimary,
    /// More partitions than numbers.
    #[error("{count} partitions are more than {scheme} holds, which is {most}")]
    TooManyPartitions {
        /// How many there are.
        count: usize,
        /// The kind of table.
        scheme: Scheme,
        /// The highest number.
        most: u32,
    },
    /// A size or an offset that is not a whole number of sectors.
    #[error(
        "its {what} of {} is no multiple of the sector of {sector} bytes: write {}",
        exact(*.bytes), Multiples(*.below, *.above, *.what == "`plus`")
    )]
    NotWholeSectors {
        /// `size` or `offset`.
        what: &'static str,
        /// In bytes.
        bytes: u64,
        /// The sector size in bytes.
        sector: u64,
        /// The next smaller multiple.
        below: u64,
        /// The next larger multiple.
        above: u64,
    },
    /// A size of zero.
    #[error("its size is 0: give it one sector or more")]
    EmptySize,
    /// An alignment that is zero or no multiple of the sector size.
    #[error("the alignment of {} is no multiple of the sector of {sector} bytes: write, for example, \"1MiB\"", exact(*.alignment))]
    Alignment {
        /// In bytes.
        alignment: u64,
        /// The sector size in bytes.
        sector: u64,
    },
    /// A space for boot records that is zero or no multiple of the sector size.
    #[error("the `boot-record-space` of {} is no multiple of the sector of {sector} bytes: write, for example, \"1MiB\"", exact(*.space))]
    BootRecordSpace {
        /// In bytes.
        space: u64,
        /// The sector size in bytes.
        sector: u64,
    },
    /// A place for the entries of a GPT that is in the header, or not a whole sector.
    #[error(
        "the `gpt-location` of {} is not behind the header, which ends at {}, and a multiple of the sector of {sector} bytes: \
         write, for example, \"16KiB\"", exact(*.location), exact(*.first)
    )]
    GptLocation {
        /// In bytes.
        location: u64,
        /// The first byte behind the header.
        first: u64,
        /// The sector size in bytes.
        sector: u64,
    },
    /// GRUB for a BIOS on a disk that it finds no partitions on.
    #[error(
        "GRUB for a BIOS finds its files in a partition, and this disk has no table: write table = \"gpt\" or \"mbr\""
    )]
    GrubWithoutTable,
    /// An offset inside the partition table.
    #[error("its offset of {} lies in the partition table, which ends at {}", exact(*.offset), exact(*.first))]
    InsideTable {
        /// In bytes.
        offset: u64,
        /// The first byte that partitions may use.
        first: u64,
    },
    /// An offset before the start of the partition before it.
    #[error(
        "its offset of {} lies before {other}, which starts at {}: partitions are listed in the order of the disk",
        exact(*.offset), exact(*.start)
    )]
    Misordered {
        /// In bytes.
        offset: u64,
        /// The partition listed before it.
        other: Named,
        /// Where that one starts.
        start: u64,
    },
    /// An offset inside the partition before it.
    #[error(
        "its offset of {} overlaps {other}, which ends at {}: write {free} or more, or leave the offset out",
        exact(*.offset), exact(*.end)
    )]
    Overlap {
        /// In bytes.
        offset: u64,
        /// The partition listed before it.
        other: Named,
        /// Where that one ends, exclusive.
        end: u64,
        /// The first offset that is free.
        free: u64,
    },
    /// A logical partition without space for its boot record.
    #[error(
        "its offset of {} leaves no room for its boot record, which takes {} before it: write {free} or more",
        exact(*.offset), exact(*.record)
    )]
    NoRoomForBootRecord {
        /// In bytes.
        offset: u64,
        /// The space for the record.
        record: u64,
        /// The first offset that is free.
        free: u64,
    },
    /// Two partitions want the rest.
    #[error("{other} takes the \"rest\" already: only one partition can")]
    SecondRest {
        /// The first of them.
        other: Named,
    },
    /// A rest of a disk whose size follows from its partitions.
    #[error(
        "it takes the \"rest\" of a disk whose size is \"auto\": give the disk a size, such as size = \"4GiB\""
    )]
    RestOfAuto,
    /// The disk's size is no whole number of sectors.
    #[error(
        "the disk's size of {} is no multiple of the sector of {sector} bytes: write {}",
        exact(*.bytes), Multiples(*.below, *.above, false)
    )]
    DiskNotWholeSectors {
        /// In bytes.
        bytes: u64,
        /// The sector size in bytes.
        sector: u64,
        /// The next smaller multiple.
        below: u64,
        /// The next larger multiple.
        above: u64,
    },
    /// The partitions do not fit.
    #[error(
        "the disk of {} is too small: the partitions and the table need {} ({} short)",
        exact(*.disk), exact(*.needed), exact(*.missing)
    )]
    DiskTooSmall {
        /// The size of the disk in bytes.
        disk: u64,
        /// The smallest size that is enough.
        needed: u64,
        /// The difference.
        missing: u64,
    },
    /// The disk is longer than a file can be.
    #[error("the disk would be longer than {}, the most that a file can have", exact(*.most))]
    TooLarge {
        /// The longest file, in bytes.
        most: u64,
    },
    /// A partition reaches beyond what an MBR can address.
    #[error(
        "it ends at {}, and an MBR with sectors of {sector} bytes ends at {}: use table = \"gpt\"",
        exact(*.end), exact(*.limit)
    )]
    BeyondMbr {
        /// Where it would end, in bytes.
        end: u64,
        /// The end of what can be addressed.
        limit: u64,
        /// The sector size in bytes.
        sector: u64,
    },
    /// A hybrid table without anything that makes it one.
    #[error(
        "no partition of the hybrid table has an `mbr-type`: give one to each that the MBR is to describe, such as \
         mbr-type = \"0x0c\", or write table = \"gpt\""
    )]
    HybridEmpty,
    /// More partitions for the MBR of a hybrid table than it has room for.
    #[error(
        "{count} partitions have an `mbr-type`, and the MBR of a hybrid table has room for {MAX_HYBRID}: \
         remove {}", count - MAX_HYBRID
    )]
    HybridTooMany {
        /// How many there are.
        count: usize,
    },
    /// A type that no partition has in a hybrid MBR.
    #[error(
        "type 0x{kind:02x} has a meaning of its own in the MBR of a hybrid table: \
         write the type of the content, such as \"0x0c\""
    )]
    HybridType {
        /// The type.
        kind: u8,
    },
    /// A partition in a hybrid MBR reaches beyond what that can address.
    #[error(
        "it ends at {}, and the MBR of a hybrid table with sectors of {sector} bytes ends at {}: \
         move it before that, or remove its `mbr-type`", exact(*.end), exact(*.limit)
    )]
    HybridBeyond {
        /// Where it would end, in bytes.
        end: u64,
        /// The end of what can be addressed.
        limit: u64,
        /// The sector size in bytes.
        sector: u64,
    },
    /// A file that the spec names cannot be used.
    #[error("cannot use {}: {why}", .file.display())]
    RawFile {
        /// The file.
        file: PathBuf,
        /// What the system says.
        why: String,
    },
    /// Labels for SELinux where nothing stores them.
    #[error(
        "`selinux` (--contexts) labels files by an extended attribute, and {kind} stores none: remove it, or make an ext4, an erofs, or a squashfs without `no-xattrs`"
    )]
    LabelsNotStored {
        /// The kind of file system.
        kind: String,
    },
    /// A file is larger than the room that the spec gives it.
    #[error(
        "{} has {}, and its `size` is {}: {} are too many",
        .file.display(), exact(*.length), exact(*.size), exact(length - size)
    )]
    RawLargerThanSize {
        /// The file.
        file: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// The most that it may have.
        size: u64,
    },
    /// Something reaches beyond the partition or the disk that it is written into.
    #[error(
        "{occupant} ends at {}, but the {ground} at {} ({} short)",
        exact(*.end), exact(*.size), exact(end - size)
    )]
    RawTooLong {
        /// What is written.
        occupant: Occupant,
        /// Where it would end, in bytes from the start of the partition or the disk.
        end: u64,
        /// `partition` or `disk`.
        ground: &'static str,
        /// The length of that.
        size: u64,
    },
    /// Something is written where something else is.
    #[error(
        "{first} at {} overlaps {second} at {}: {}",
        Bytes(.first_range), Bytes(.second_range), .second.advice(.second_range, .first_range.end)
    )]
    RawOverlap {
        /// What is written.
        first: Occupant,
        /// Where, in bytes.
        first_range: Range<u64>,
        /// What is there.
        second: Occupant,
        /// Where that is, in bytes.
        second_range: Range<u64>,
    },
    /// The address of a partition that there is none of.
    #[error("there is no partition '{name}'{}", DidYouMean(.nearest))]
    NoSuchPartition {
        /// As it was written.
        name: String,
        /// The partition that is spelled most like it.
        nearest: Option<String>,
    },
    /// The address of something behind the partition that it is to be in.
    #[error(
        "`plus` of {} leads beyond {partition}, which has {}",
        exact(*.plus), exact(*.size)
    )]
    BeyondPartition {
        /// The distance from the start of the partition, in bytes.
        plus: u64,
        /// The partition.
        partition: Named,
        /// Its size in bytes.
        size: u64,
    },
    /// A partition has no root hash.
    #[error(
        "partition '{name}' has no hash tree whose root hash could be signed: a partition with verity = {{ of = \"{name}\" }} makes one"
    )]
    NoTreeToSign {
        /// The partition.
        name: String,
    },
    /// A signature that does not fit.
    #[error("the signature takes {}, and the partition has {}: {} are too many", exact(*.needed), exact(*.size), exact(needed - size))]
    SignatureTooLarge {
        /// The bytes of the signature.
        needed: u64,
        /// The bytes of its partition.
        size: u64,
    },
    /// A partition for a signature that systemd would not look into.
    #[error("the partition of a signature has {}, and systemd reads none of more than {}: make it smaller", exact(*.size), exact(*.most))]
    SignatureRoomTooLarge {
        /// Its bytes.
        size: u64,
        /// The most that it can have.
        most: u64,
    },
    /// A command line that the system would not know what to make of.
    #[error("unified kernel {kernel}: the command line has `{word}` {count} times: keep one")]
    RootHashes {
        /// The name of the kernel.
        kernel: String,
        /// The word.
        word: &'static str,
        /// How often it is there.
        count: usize,
    },
    /// A text in which a value is asked for, and that is no template.
    #[error(
        "unified kernel {kernel}: the command line has `{{{{ {placeholder} }}}}`, which is filled in only in a template: put it into a \
         file, and write command-line = {{ template = \"FILE\" }}"
    )]
    PlaceholderInText {
        /// The name of the kernel.
        kernel: String,
        /// The name of the value.
        placeholder: String,
    },
    /// A second hash tree of a partition.
    #[error("{other} holds the hash tree of '{name}' already: one is enough")]
    SecondTree {
        /// The partition with the data.
        name: String,
        /// The partition that holds the other tree.
        other: Named,
    },
    /// A hash tree of a partition that stays empty.
    #[error(
        "partition '{name}' has no content that a hash tree could verify: give it a `filesystem` or `raw`"
    )]
    TreeOfNothing {
        /// The partition.
        name: String,
    },
    /// A hash tree over something that is no whole number of blocks.
    #[error("{data} has {}, which is no multiple of the data block of {block} bytes", exact(*.size))]
    NotWholeBlocks {
        /// The partition with the data.
        data: Named,
        /// Its size in bytes.
        size: u64,
        /// The bytes of a data block.
        block: u64,
    },
    /// A hash tree that has no room.
    #[error(
        "the hash tree of {data}, which has {}, takes {}, and the partition has {} ({} short)",
        exact(*.data_size), exact(*.needed), exact(*.size), exact(needed - size)
    )]
    TreeTooLarge {
        /// The partition with the data.
        data: Named,
        /// Its size in bytes.
        data_size: u64,
        /// The bytes of the tree.
        needed: u64,
        /// The size of the partition with the tree.
        size: u64,
    },
    /// A partition that has no room for data with their hash tree.
    #[error(
        "it has {}, which is too little for a block of data and the hash tree behind it",
        exact(*.size)
    )]
    NoRoomBehind {
        /// The size of the partition in bytes.
        size: u64,
    },
    /// A hash tree whose size nothing tells in time.
    #[error(
        "{data} takes the \"rest\", so the size of its hash tree is not known before it is placed: give this partition a \
         `size`, for example the disk's size divided by 100"
    )]
    TreeOfRest {
        /// The partition with the data.
        data: Named,
    },
    /// Partitions that need one another before they can be made.
    #[error("each of these needs the next one before it can be made: {}", names.join(" -> "))]
    Circle {
        /// Their names; the last one is the first again.
        names: Vec<String>,
    },
    /// An address that does not fit where it is to be stored.
    #[error(
        "sector {lba} has no address of 4 bytes, which end at {}: move the partition to the front",
        u32::MAX
    )]
    LongAddress {
        /// The sector.
        lba: u64,
    },
    /// Something for UEFI, and no partition that UEFI reads.
    #[error(
        "there is no EFI system partition to put this on: add a partition with type = \"esp\" and filesystem = \"vfat\""
    )]
    NoEsp,
    /// GRUB for a BIOS on a GPT, and no partition for its core image.
    #[error(
        "GRUB's core image of {} has no place: add a partition with type = \"bios-boot\" and size = \"1MiB\", \
         and nothing in it", exact(*.bytes)
    )]
    NoBiosBoot {
        /// The length of the core image.
        bytes: u64,
    },
    /// GRUB for a BIOS on a disk whose sectors it does not know.
    #[error(
        "GRUB's code for a BIOS reads sectors of 512 bytes, and those of this disk have {sector}: use GRUB for UEFI"
    )]
    GrubSector {
        /// The sector size in bytes.
        sector: u64,
    },
    /// GRUB's core image does not fit.
    #[error(
        "{} takes {}, but {}{occupant} has {} ({} short); {}",
        .file.display(), exact(*.needed), if *.is_gap { "the gap before " } else { "" }, exact(*.size),
        exact(needed - size),
        if *.is_gap { "give that partition a larger `offset`" } else { "give it a larger `size`" }
    )]
    CoreTooLarge {
        /// The core image.
        file: PathBuf,
        /// Its length in whole sectors, in bytes.
        needed: u64,
        /// The length of the room, in bytes.
        size: u64,
        /// Whether it is the gap before the occupant, and not the occupant itself.
        is_gap: bool,
        /// What is there.
        occupant: Occupant,
    },
    /// An identifier of another kind than the file system stores.
    #[error("the file system {kind} has {expected}, which is not what `uuid` gives")]
    FilesystemId {
        /// The kind of file system.
        kind: String,
        /// What it stores, with an example.
        expected: &'static str,
    },
    /// An identifier of zeros, which stands for none.
    #[error(
        "a `uuid` of zeros stands for none, and nothing finds a file system by it: write another, or leave it out"
    )]
    NilFilesystemId,
    /// An identifier for a file system that stores none.
    #[error("the file system {kind} stores no identifier: remove `uuid`")]
    NoFilesystemId {
        /// The kind of file system.
        kind: String,
    },
    /// A file system of its own has nothing to take the rest of.
    #[error("a file system in a file of its own has no \"rest\": write a size, or \"minimum\"")]
    RestOfFile,
}
