//! Why a table cannot be written or read.

use std::io;

use thiserror::Error;

use super::{HeaderFault, Lba, Scheme, SectorSize, Span};
use cellblock_text::grouped;

/// Why a table cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TableError {
    /// Sectors are neither 512 nor 4096 bytes long.
    #[error("a sector size of {bytes} bytes is not supported; use 512 or 4096")]
    SectorSize {
        /// The size asked for.
        bytes: u32,
    },
    /// The table itself does not fit the disk.
    #[error(
        "a disk of {} sectors of {sector_size} bytes is too small for {scheme}, \
         which needs at least {}; make the disk larger", grouped(*sectors), grouped(*needed)
    )]
    DiskTooSmall {
        /// The kind of table.
        scheme: Scheme,
        /// The disk's length, in sectors.
        sectors: u64,
        /// The shortest disk with room for a partition, in sectors.
        needed: u64,
        /// The size of a sector.
        sector_size: SectorSize,
    },
    /// The disk has more bytes than a file can have.
    #[error("a disk of {} sectors of {sector_size} bytes is larger than a file can be", grouped(*sectors))]
    DiskTooLarge {
        /// The disk's length, in sectors.
        sectors: u64,
        /// The size of a sector.
        sector_size: SectorSize,
    },
    /// The usable range runs into the table or beyond the disk.
    #[error(
        "partitions may use sectors {} to {}, but the table leaves {} to {} free",
        grouped(first.0), grouped(last.0), grouped(free_first.0), grouped(free_last.0)
    )]
    UsableRange {
        /// The first usable sector that was asked for.
        first: Lba,
        /// The last usable sector that was asked for.
        last: Lba,
        /// The first sector that the table leaves free.
        free_first: Lba,
        /// The last sector that the table leaves free.
        free_last: Lba,
    },
    /// A partition has no sectors.
    #[error("partition {number} is empty; give it at least one sector")]
    Empty {
        /// The partition's number.
        number: u32,
    },
    /// Two partitions have the same number.
    #[error("two partitions have number {number}; numbers must differ")]
    NumberTaken {
        /// The number.
        number: u32,
    },
    /// A partition's number does not exist in this kind of table.
    #[error("partition number {number} does not exist in {scheme}, which has 1 to {most}")]
    NumberOutOfRange {
        /// The number.
        number: u32,
        /// The highest number there is.
        most: u32,
        /// The kind of table.
        scheme: Scheme,
    },
    /// Two partitions share sectors.
    #[error("{first} overlaps {second}; move or shrink one of them")]
    Overlap {
        /// The one that starts first.
        first: Span,
        /// The one that starts inside it.
        second: Span,
    },
    /// A partition lies before the first or after the last usable sector.
    #[error(
        "{span} lies outside sectors {} to {}, which partitions may use; move it, or make the disk larger",
        grouped(first_usable.0), grouped(last_usable.0)
    )]
    OutsideUsable {
        /// The partition.
        span: Span,
        /// The first usable sector.
        first_usable: Lba,
        /// The last usable sector.
        last_usable: Lba,
    },
    /// A partition's type belongs to another kind of table, or means "unused".
    #[error("partition {number} has a type that {scheme} does not store")]
    WrongType {
        /// The partition's number.
        number: u32,
        /// The kind of table.
        scheme: Scheme,
    },
    /// A GPT partition has no GUID, or the zero GUID.
    #[error("partition {number} has no GUID, which GPT requires")]
    MissingId {
        /// The partition's number.
        number: u32,
    },
    /// Two GPT partitions have the same GUID.
    #[error("partitions {first} and {second} have the same GUID; they must differ")]
    IdTaken {
        /// The lower number.
        first: u32,
        /// The higher number.
        second: u32,
    },
    /// A partition has something that this kind of table cannot store.
    #[error("partition {number} has {what}, which {scheme} does not store")]
    NotStored {
        /// The partition's number.
        number: u32,
        /// What cannot be stored.
        what: &'static str,
        /// The kind of table.
        scheme: Scheme,
    },
    /// A GPT partition's name is too long.
    #[error(
        "the name '{name}' of partition {number} has {units} UTF-16 units, GPT stores {}; shorten it",
        super::MAX_NAME_UNITS
    )]
    NameTooLong {
        /// The partition's number.
        number: u32,
        /// Its name.
        name: String,
        /// The name's length in UTF-16 units.
        units: usize,
    },
    /// A GPT partition's name contains the character that ends names.
    #[error(
        "the name of partition {number} contains a NUL character, which ends a name in GPT; remove it"
    )]
    NameHasNul {
        /// The partition's number.
        number: u32,
    },
    /// An MBR has more than one extended partition.
    #[error("partitions {first} and {second} are both extended; an MBR has at most one")]
    TwoExtended {
        /// The lower number.
        first: u32,
        /// The higher number.
        second: u32,
    },
    /// A logical partition exists, and no extended partition to hold it.
    #[error(
        "partition {number} is logical, and there is no extended partition; add one among 1 to 4"
    )]
    NoExtended {
        /// The logical partition's number.
        number: u32,
    },
    /// A logical partition or its boot record lies outside the extended partition.
    #[error(
        "{logical}, with its boot record at sector {}, lies outside the extended {extended}",
        grouped(boot_record.0)
    )]
    OutsideExtended {
        /// The logical partition.
        logical: Span,
        /// Where its boot record is.
        boot_record: Lba,
        /// The extended partition.
        extended: Span,
    },
    /// The chain of boot records must start in the extended partition's first sector.
    #[error(
        "the boot record of partition {number} is at sector {}, but the first one must be \
         at sector {}, where the extended partition starts", grouped(boot_record.0), grouped(extended.0)
    )]
    FirstBootRecord {
        /// The first logical partition's number.
        number: u32,
        /// Where its boot record is.
        boot_record: Lba,
        /// Where the extended partition starts.
        extended: Lba,
    },
    /// A boot record lies inside a partition, upon another record, or not before its partition.
    #[error(
        "the boot record of partition {number} at sector {} is not in free space before it",
        grouped(boot_record.0)
    )]
    BootRecordInTheWay {
        /// The logical partition's number.
        number: u32,
        /// Where its boot record is.
        boot_record: Lba,
    },
    /// Logical partitions are numbered by their place in the chain, so no number can be left out.
    #[error(
        "logical partition {number} follows {previous}; logical partitions are numbered from 5 without gaps"
    )]
    LogicalGap {
        /// The number that is out of turn.
        number: u32,
        /// The number before it.
        previous: u32,
    },
    /// More partitions are to be in a hybrid MBR than it has entries for.
    #[error(
        "{count} partitions have a type for the hybrid MBR, which has room for {}",
        super::MAX_HYBRID
    )]
    HybridTooMany {
        /// How many there are.
        count: usize,
    },
    /// A partition cannot be in a hybrid MBR, for it ends beyond what 32 bits can address.
    #[error(
        "{span} ends beyond sector {}, the last that a hybrid MBR can address",
        grouped(super::MAX_MBR_SECTORS - 1)
    )]
    HybridBeyond {
        /// The partition.
        span: Span,
    },
    /// The guard of a hybrid MBR would be in an entry that there is none of.
    #[error("the MBR has entries 1 to 4, so its guard cannot be in entry {number}")]
    GuardNumber {
        /// The number asked for.
        number: u32,
    },
    /// The primary entries of a GPT would lie over the MBR or the header.
    #[error(
        "the entries of a GPT cannot begin in sector {entries}: the MBR and the header take sectors 0 and 1"
    )]
    EntriesOverHeader {
        /// The first sector asked for.
        entries: Lba,
    },
    /// An entry of type 0xee makes an MBR the guard of a GPT, and not a table of its own.
    #[error(
        "partition {number} has type 0xee, by which an MBR says that the disk has a GPT; give it another type"
    )]
    ProtectiveInMbr {
        /// The partition's number.
        number: u32,
    },
    /// A type that no partition in a hybrid MBR can have.
    #[error("partition {number} cannot have type 0x{kind:02x} in a hybrid MBR")]
    HybridType {
        /// The partition's number.
        number: u32,
        /// The type.
        kind: u8,
    },
    /// The disk has no partition table.
    #[error("no partition table: {0}")]
    NoTable(Absence),
    /// Neither copy of a GPT can be used.
    #[error("the GPT is damaged beyond use: primary header: {primary}; backup header: {backup}")]
    Damaged {
        /// What is wrong with the primary copy.
        primary: HeaderFault,
        /// What is wrong with the backup.
        backup: HeaderFault,
    },
    /// The disk cannot be read.
    #[error("cannot read the disk at byte {}: {source}", grouped(*offset))]
    Io {
        /// Where, in bytes.
        offset: u64,
        /// Why.
        source: io::Error,
    },
}

/// How it is known that a disk has no partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Absence {
    /// It is shorter than a sector.
    #[error("{size} bytes are less than a sector")]
    TooShort {
        /// The length in bytes.
        size: u64,
    },
    /// The first sector does not end in 55 aa.
    #[error("the first sector has no boot signature, and there is no GPT header")]
    NoSignature,
    /// A FAT, NTFS or exFAT file system fills the disk; its boot sector ends like an MBR.
    #[error("the first sector is the boot sector of a file system")]
    FileSystem,
    /// A boot indicator is neither 0x00 nor 0x80, so what would be the table is something else.
    #[error("the first sector has boot indicator 0x{byte:02x} where a table has 0x00 or 0x80")]
    BootIndicator {
        /// The byte.
        byte: u8,
    },
}
