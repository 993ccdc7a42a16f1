//! What is wrong or unusual with a table that could be read all the same.

use thiserror::Error;
use uuid::Uuid;

use super::{Lba, Span};
use cellblock_text::grouped;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Legal, though perhaps not what was meant.
    Advice,
    /// Against the rules of the table, and yet where the partitions lie is beyond doubt: what is on the disk can be read.
    Warning,
    /// Against the rules of the table: other programs may refuse the disk, or lose data on it.
    Damage,
}

/// Something wrong or unusual with a table that could be read all the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Finding {
    /// There is a GPT, and no protective entry (type 0xee) in the MBR.
    #[error("the MBR does not protect the GPT: it has no entry of type 0xee")]
    NotProtected,
    /// The protective entry does not cover what it should (UEFI 2.10, table 5-4).
    #[error(
        "the protective entry covers {} sectors from sector {}, not {} from sector 1",
        grouped(u64::from(*sectors)), grouped(u64::from(*start)), grouped(u64::from(*expected))
    )]
    ProtectiveExtent {
        /// The first sector, as stored.
        start: u32,
        /// The number of sectors, as stored.
        sectors: u32,
        /// The number of sectors it should have.
        expected: u32,
    },
    /// The MBR of a GPT describes partitions too.
    #[error("the MBR describes partitions too, beside the GPT (a hybrid table): {partitions}")]
    HybridMbr {
        /// The number of entries other than the protective one.
        partitions: u32,
    },
    /// An entry of a hybrid MBR describes sectors that are no partition of the GPT.
    #[error(
        "entry {entry} of the MBR (type 0x{kind:02x}) describes {} sectors from sector {}, \
         which is no partition of the GPT", grouped(*sectors), grouped(first.0)
    )]
    HybridStray {
        /// The number of the entry in the MBR, 1 to 4.
        entry: u32,
        /// Its type.
        kind: u8,
        /// The first sector, as stored.
        first: Lba,
        /// The number of sectors, as stored.
        sectors: u64,
    },
    /// An MBR is in force, and behind it lies the header of a GPT.
    #[error("a GPT header lies behind an MBR that does not announce it; the MBR counts")]
    GptBehindMbr,
    /// The primary header or its entries are damaged.
    #[error("primary GPT: {0}")]
    Primary(HeaderFault),
    /// The backup header or its entries are damaged or missing.
    #[error("backup GPT: {0}")]
    Backup(HeaderFault),
    /// The table was read from the backup, for the primary is damaged.
    #[error("the primary GPT is damaged: the backup was used")]
    BackupUsed,
    /// The backup is not at the end of the disk, as when the disk grew.
    #[error("the backup GPT is at sector {}, not at the disk's last, {}", grouped(at.0), grouped(expected.0))]
    BackupMisplaced {
        /// Where it is.
        at: Lba,
        /// Where it belongs.
        expected: Lba,
    },
    /// The primary header says that there is no backup.
    #[error("the GPT has no backup at the end of the disk")]
    NoBackup,
    /// Nothing says how long the sectors of an MBR are.
    #[error(
        "nothing says how long the sectors of this MBR are: 512 bytes were assumed, and 4096 would fit the disk as well"
    )]
    SectorSizeUnknown,
    /// The disk is an ISO 9660 file system with an MBR, of which one partition is the whole of it.
    #[error(
        "an ISO 9660 file system that also starts from disks: partition {number} is the whole of it"
    )]
    Isohybrid {
        /// That partition's number.
        number: u32,
    },
    /// Both copies are sound and say different things.
    #[error("the primary and the backup GPT differ in {what}: the primary was used")]
    CopiesDiffer {
        /// What is different.
        what: &'static str,
    },
    /// Two partitions share sectors.
    #[error("{first} overlaps {second}")]
    Overlap {
        /// The one that starts first.
        first: Span,
        /// The one that starts inside it.
        second: Span,
    },
    /// A partition lies outside the sectors that the header declares usable.
    #[error(
        "{span} lies outside the usable sectors {} to {}",
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
    /// A partition ends beyond the disk.
    #[error("{span} ends beyond the disk, which has {} sectors", grouped(*disk_sectors))]
    BeyondDisk {
        /// The partition.
        span: Span,
        /// The length of the disk, in sectors.
        disk_sectors: u64,
    },
    /// A partition's last sector lies before its first; it is left out of the table.
    #[error(
        "partition {number} ends at sector {} before it starts at {}: ignored",
        grouped(last.0), grouped(first.0)
    )]
    Inverted {
        /// The partition's number.
        number: u32,
        /// The first sector, as stored.
        first: Lba,
        /// The last sector, as stored.
        last: Lba,
    },
    /// A partition does not start on an alignment boundary.
    #[error("partition {number} starts at byte {}, which is not a multiple of 1 MiB", grouped(*offset))]
    Misaligned {
        /// The partition's number.
        number: u32,
        /// Where it starts, in bytes.
        offset: u64,
    },
    /// A partition starts before one with a lower number.
    #[error("partition {number} lies before partition {previous}: numbers are not in disk order")]
    OutOfOrder {
        /// The higher number.
        number: u32,
        /// The lower number.
        previous: u32,
    },
    /// Two partitions have the same GUID.
    #[error("partitions {first} and {second} have the same GUID {id}")]
    IdTaken {
        /// The lower number.
        first: u32,
        /// The higher number.
        second: u32,
        /// The GUID of both.
        id: Uuid,
    },
    /// A name is not valid UTF-16; the bad units are replaced.
    #[error("the name of partition {number} is not valid UTF-16")]
    NameNotUtf16 {
        /// The partition's number.
        number: u32,
    },
    /// A boot indicator in an extended boot record is neither 0x00 nor 0x80.
    #[error("partition {number} has boot indicator 0x{byte:02x}, not 0x00 or 0x80")]
    BootIndicator {
        /// The partition's number.
        number: u32,
        /// The byte.
        byte: u8,
    },
    /// An MBR has a second extended partition, whose logical partitions are not read.
    #[error("partition {number} is a second extended partition: what is in it is not read")]
    SecondExtended {
        /// The partition's number.
        number: u32,
    },
    /// The chain of logical partitions ends at a sector that is no boot record, or is not on the disk.
    #[error("the chain of logical partitions breaks at sector {}: no boot record there", grouped(at.0))]
    ChainBroken {
        /// The sector.
        at: Lba,
    },
    /// The chain of logical partitions leads back to where it was, or never ends.
    #[error(
        "the chain of logical partitions does not end: sector {} was visited or comes too late",
        grouped(at.0)
    )]
    ChainEndless {
        /// The sector where reading stopped.
        at: Lba,
    },
    /// The boot record of a logical partition lies inside a partition, whose content would overwrite it.
    #[error("the boot record of partition {number} at sector {} lies inside {inside}", grouped(boot_record.0))]
    BootRecordInside {
        /// The logical partition that it describes.
        number: u32,
        /// Where it is.
        boot_record: Lba,
        /// The partition that it is in.
        inside: Span,
    },
    /// A logical partition lies outside the extended one.
    #[error("logical {logical} lies outside the extended {extended}")]
    OutsideExtended {
        /// The logical partition.
        logical: Span,
        /// The extended partition.
        extended: Span,
    },
}

impl Finding {
    /// How much the finding matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::HybridMbr { .. }
            | Self::Misaligned { .. }
            | Self::OutOfOrder { .. }
            | Self::NoBackup
            | Self::SectorSizeUnknown => Severity::Advice,
            Self::ProtectiveExtent { .. }
            | Self::Backup(_)
            | Self::BackupMisplaced { .. }
            | Self::Isohybrid { .. } => Severity::Warning,
            Self::BeyondDisk { span, disk_sectors } if span.first.0 < *disk_sectors => {
                Severity::Warning
            }
            _ => Severity::Damage,
        }
    }

    /// Whether [`Table::repair`](crate::Table::repair) may be able to mend it.
    #[must_use]
    pub fn is_repairable(&self) -> bool {
        matches!(
            self,
            Self::NotProtected
                | Self::ProtectiveExtent { .. }
                | Self::Primary(_)
                | Self::Backup(_)
                | Self::BackupUsed
                | Self::BackupMisplaced { .. }
                | Self::CopiesDiffer { .. }
        )
    }
}

/// What is wrong with one copy of a GPT (UEFI 2.10, 5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderFault {
    /// The header's place is not on the disk.
    #[error("sector {} is not on the disk", grouped(at.0))]
    BeyondDisk {
        /// Where the header should be.
        at: Lba,
    },
    /// There is no signature `EFI PART`.
    #[error("no header at sector {}", grouped(at.0))]
    Missing {
        /// Where the header should be.
        at: Lba,
    },
    /// The revision is not 1.x.
    #[error("revision 0x{revision:08x} is not supported")]
    Revision {
        /// The revision: major in the high half, minor in the low half.
        revision: u32,
    },
    /// The header says it is shorter than 92 bytes, or longer than a sector.
    #[error("a header of {bytes} bytes is impossible")]
    Size {
        /// The size it states.
        bytes: u32,
    },
    /// The header's CRC32 is wrong.
    #[error("the header's checksum is 0x{computed:08x}, and 0x{stored:08x} is stored")]
    Checksum {
        /// As stored.
        stored: u32,
        /// As computed.
        computed: u32,
    },
    /// The header says it is elsewhere.
    #[error("the header at sector {} says it is at {}", grouped(at.0), grouped(says.0))]
    Misplaced {
        /// Where it is.
        at: Lba,
        /// Where it says it is.
        says: Lba,
    },
    /// The entries are of an impossible size or number.
    #[error("{count} entries of {bytes} bytes are impossible")]
    EntryShape {
        /// The number of entries.
        count: u32,
        /// The size of one, in bytes.
        bytes: u32,
    },
    /// The entries are not on the disk.
    #[error("the entries at sector {} do not end on the disk", grouped(at.0))]
    EntriesBeyondDisk {
        /// Where they start.
        at: Lba,
    },
    /// The CRC32 of the entries is wrong.
    #[error("the entries' checksum is 0x{computed:08x}, and 0x{stored:08x} is stored")]
    EntriesChecksum {
        /// As stored in the header.
        stored: u32,
        /// As computed.
        computed: u32,
    },
    /// The usable range is empty, or holds a part of the table.
    #[error("usable sectors {} to {} are impossible", grouped(first.0), grouped(last.0))]
    UsableRange {
        /// The first usable sector, as stored.
        first: Lba,
        /// The last usable sector, as stored.
        last: Lba,
    },
}
