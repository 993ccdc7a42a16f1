//! Partition tables: a table to the bytes of a disk, and the bytes of a disk to a table.
//!
//! ```text
//! GPT   | MBR | header | 128 entries | ....  partitions  .... | 128 entries | header |
//!         LBA 0    1        2 ...      first_usable  last_usable              last
//!
//! MBR   | MBR | .. partition 1 .. | .. 2 .. | .. 3 .. | extended partition 4 ............. |
//!         LBA 0                                       | EBR | .. 5 .. | EBR | .. 6 .. | ...
//! ```
//!
//! A hybrid table is a GPT whose MBR describes up to three of its partitions too, for firmware that knows no GPT:
//! those have a [`Partition::mbr_type`].
//!
//! Everything on disk is little-endian; GUIDs have their first three fields little-endian too.
//! Nothing here opens, reads or writes a file: [`Table::encode`] returns the bytes with their offsets,
//! and [`Table::decode`] reads through [`ReadAt`].
//!
//! A further kind of table is a module of its own beside `gpt` and `mbr`, and its name in `scheme`.

#![forbid(unsafe_code)]

mod attributes;
mod check;
mod detect;
mod error;
mod finding;
mod gaps;
mod gpt;
mod mbr;
mod read;
mod repair;
mod scheme;
mod select;
mod sfdisk;
mod shape;
mod span;
#[cfg(test)]
mod tests;
mod types;
mod unpartitioned;

use std::fmt;
use std::ops::Range;

use uuid::Uuid;

pub use attributes::Attributes;
pub use error::{Absence, TableError};
pub use finding::{Finding, HeaderFault, Severity};
pub use gaps::gaps;
pub use gpt::{MAX_NAME_UNITS, MAX_PARTITIONS};
pub use mbr::{MAX_HYBRID, MAX_SECTORS as MAX_MBR_SECTORS};
pub use read::ReadAt;
pub use repair::{Mend, Mending, Repair, RepairError};
pub use scheme::{Reserved, Scheme};
pub use select::{SelectError, Selector};
pub use sfdisk::{SfdiskPartition, SfdiskReport, SfdiskTable, json_like_sfdisk};
pub use shape::Shape;
pub use span::Span;
pub use types::{TypeError, by_name, mbr_by_name, mbr_name_of, name_of, names};

/// The boundary that partitions start on, in bytes: it suits every medium and lets file systems be
/// cloned into place.
pub const ALIGNMENT: u64 = 1 << 20;

/// The space before a logical partition that belongs to its boot record unless another is chosen, in bytes.
pub const BOOT_RECORD_SPACE: u64 = ALIGNMENT;

/// The bytes at the start of a disk that a BIOS runs. An MBR's signature and entries follow (UEFI 2.10, table 5-1).
pub const BOOT_CODE: usize = 440;

/// A logical block address: a position on a disk, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lba(pub u64);

impl Lba {
    /// The position in bytes. It saturates, which no address on a disk that [`Table`] accepts comes
    /// near.
    #[must_use]
    pub fn to_bytes(self, sector_size: SectorSize) -> u64 {
        self.0.saturating_mul(sector_size.bytes())
    }
}

impl fmt::Display for Lba {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The size of a disk's logical sectors: 512 or 4096 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectorSize(u32);

impl SectorSize {
    /// Sectors of 512 bytes.
    pub const B512: Self = Self(512);
    /// Sectors of 4096 bytes.
    pub const B4096: Self = Self(4096);
    /// Every size there is, the common one first.
    pub const ALL: [Self; 2] = [Self::B512, Self::B4096];

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.0)
    }

    /// The number of sectors that a number of bytes fills, the last perhaps in part.
    #[must_use]
    pub fn sectors_for(self, bytes: u64) -> u64 {
        bytes.div_ceil(self.bytes())
    }

    /// The size in bytes, as the length of a slice.
    fn length(self) -> usize {
        if self == Self::B4096 { 4096 } else { 512 }
    }
}

impl TryFrom<u32> for SectorSize {
    type Error = TableError;

    fn try_from(bytes: u32) -> Result<Self, TableError> {
        Self::ALL
            .into_iter()
            .find(|size| size.0 == bytes)
            .ok_or(TableError::SectorSize { bytes })
    }
}

impl fmt::Display for SectorSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What identifies a disk; it also says which kind of table the disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskId {
    /// The disk GUID of a GPT.
    Gpt(Uuid),
    /// The disk signature at byte 0x1b8 of an MBR.
    Mbr(u32),
    /// A disk without a table has none.
    None,
}

impl DiskId {
    /// The kind of table that has such an identifier.
    #[must_use]
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Gpt(_) => Scheme::Gpt,
            Self::Mbr(_) => Scheme::Mbr,
            Self::None => Scheme::None,
        }
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpt(id) => fmt::Display::fmt(id, f),
            Self::Mbr(id) => write!(f, "0x{id:08x}"),
            Self::None => f.write_str("none"),
        }
    }
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartitionType {
    /// The type GUID of a GPT entry.
    Gpt(Uuid),
    /// The type byte of an MBR entry.
    Mbr(u8),
    /// Without a table nothing says it.
    None,
}

/// A partition table, and all that is needed to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The disk's identifier.
    pub disk_id: DiskId,
    /// The size of a sector: the unit of every address and length in the table.
    pub sector_size: SectorSize,
    /// The length of the disk, in sectors.
    pub disk_sectors: u64,
    /// The first sector that a partition may have.
    pub first_usable: Lba,
    /// The last sector that a partition may have.
    pub last_usable: Lba,
    /// Where the table's own parts lie.
    pub shape: Shape,
    /// The partitions, in the order of their numbers.
    pub partitions: Vec<Partition>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The number, from 1. In an MBR, 1 to 4 are primary and from 5 on logical.
    pub number: u32,
    /// The first sector.
    pub start: Lba,
    /// The length, in sectors.
    pub sectors: u64,
    /// What it is for.
    pub kind: PartitionType,
    /// GPT: the partition's GUID. An MBR stores none.
    pub id: Option<Uuid>,
    /// GPT: at most 36 UTF-16 units. An MBR stores none; the name is then only for reports.
    pub name: String,
    /// GPT: the attribute bits. An MBR stores none.
    pub attributes: Attributes,
    /// GPT: the type byte in a hybrid MBR; `None` when only the GPT describes the partition.
    pub mbr_type: Option<u8>,
    /// MBR, also a hybrid one: whether a BIOS boots it.
    pub active: bool,
    /// MBR, logical partitions: the sector of the extended boot record that describes the partition.
    /// `None` is [`Table::boot_record`]'s choice.
    pub boot_record: Option<Lba>,
}

impl Partition {
    /// A partition without identifier, name or flags.
    #[must_use]
    pub fn new(number: u32, start: Lba, sectors: u64, kind: PartitionType) -> Self {
        Self {
            number,
            start,
            sectors,
            kind,
            id: None,
            name: String::new(),
            attributes: Attributes::empty(),
            mbr_type: None,
            active: false,
            boot_record: None,
        }
    }

    /// The last sector.
    #[must_use]
    pub fn last(&self) -> Lba {
        Lba(self.start.0.saturating_add(self.sectors.saturating_sub(1)))
    }

    /// The sectors that the partition covers.
    #[must_use]
    pub fn span(&self) -> Span {
        Span {
            number: self.number,
            first: self.start,
            last: self.last(),
        }
    }

    /// Whether an MBR stores this partition in the chain of extended boot records.
    #[must_use]
    pub fn is_logical(&self) -> bool {
        let primaries = self.kind.scheme().primaries();
        primaries.is_some_and(|most| self.number > most)
    }
}

/// Bytes and where on the disk they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// The position, in bytes.
    pub offset: u64,
    /// What to write there; whole sectors, with zeroes where the table has nothing.
    pub bytes: Vec<u8>,
}

/// What was read from a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The table.
    pub table: Table,
    /// GPT: how many entries it has room for. One that is written has [`MAX_PARTITIONS`].
    pub entries: Option<u32>,
    /// What is wrong or unusual with it, in the order of the disk.
    pub findings: Vec<Finding>,
}

impl Table {
    /// An empty table: of the kind that the identifier is of, with the most room for partitions that its shape leaves.
    ///
    /// # Errors
    /// [`TableError::DiskTooSmall`] when the table does not fit beside one sector for partitions,
    /// [`TableError::DiskTooLarge`] when the disk has more bytes than a file can have.
    pub fn new(
        disk_id: DiskId,
        sector_size: SectorSize,
        disk_sectors: u64,
        shape: Shape,
    ) -> Result<Self, TableError> {
        check::disk_size(sector_size, disk_sectors)?;
        let (first_usable, last_usable) =
            disk_id.scheme().usable(sector_size, disk_sectors, &shape)?;
        Ok(Self {
            disk_id,
            sector_size,
            disk_sectors,
            first_usable,
            last_usable,
            shape,
            partitions: Vec::new(),
        })
    }

    /// An empty GPT with the smallest array of entries, and so the most room for partitions.
    ///
    /// ```
    /// use cellblock_table::{Lba, Partition, PartitionType, Scheme, SectorSize, Table};
    /// use uuid::Uuid;
    ///
    /// // A disk of 64 MiB with one partition, from 1 MiB on.
    /// let mut table = Table::gpt(Uuid::from_u128(1), SectorSize::B512, 131_072)?;
    /// let linux = PartitionType::parse("linux-generic", Scheme::Gpt)?;
    /// table.partitions.push(Partition {
    ///     id: Some(Uuid::from_u128(2)),
    ///     name: "root".to_owned(),
    ///     ..Partition::new(1, Lba(2048), 65_536, linux)
    /// });
    ///
    /// // Its bytes on a disk, and back.
    /// let mut disk = vec![0; 64 << 20];
    /// for region in table.encode()? {
    ///     let start = usize::try_from(region.offset)?;
    ///     disk[start..start + region.bytes.len()].copy_from_slice(&region.bytes);
    /// }
    /// let decoded = Table::decode(&disk.as_slice())?;
    /// assert_eq!(decoded.table, table);
    /// assert!(decoded.findings.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Table::new`].
    pub fn gpt(id: Uuid, sector_size: SectorSize, disk_sectors: u64) -> Result<Self, TableError> {
        Self::new(DiskId::Gpt(id), sector_size, disk_sectors, Shape::default())
    }

    /// An empty MBR. Of a disk beyond 2^32 sectors, it can use the first 2^32.
    ///
    /// # Errors
    /// As [`Table::new`].
    pub fn mbr(id: u32, sector_size: SectorSize, disk_sectors: u64) -> Result<Self, TableError> {
        Self::new(DiskId::Mbr(id), sector_size, disk_sectors, Shape::default())
    }

    /// The kind of the table.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.disk_id.scheme()
    }

    /// Whether it is a GPT whose MBR describes partitions too.
    #[must_use]
    pub fn is_hybrid(&self) -> bool {
        self.partitions
            .iter()
            .any(|partition| partition.mbr_type.is_some())
    }

    /// The length of the disk, in bytes.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        Lba(self.disk_sectors).to_bytes(self.sector_size)
    }

    /// The bytes of the disk that a partition covers.
    #[must_use]
    pub fn place_of(&self, partition: &Partition) -> Range<u64> {
        let end = Lba(partition.start.0.saturating_add(partition.sectors));
        partition.start.to_bytes(self.sector_size)..end.to_bytes(self.sector_size)
    }

    /// The first sector that partitions may use that is also aligned.
    #[must_use]
    pub fn first_aligned(&self) -> Lba {
        Lba(self.first_usable.0.next_multiple_of(self.alignment()))
    }

    /// The alignment of the table's kind, in sectors.
    #[must_use]
    pub fn alignment(&self) -> u64 {
        self.scheme().alignment() / self.sector_size.bytes()
    }

    /// The extended partition of an MBR, which holds the logical ones.
    #[must_use]
    pub fn extended(&self) -> Option<&Partition> {
        self.partitions
            .iter()
            .find(|partition| partition.kind.is_extended() && !partition.is_logical())
    }

    /// The partitions that have content of their own: all but the extended one, which holds the logical ones.
    pub fn with_content(&self) -> impl Iterator<Item = &Partition> {
        let extended = self.extended().map(|one| one.number);
        let all = self.partitions.iter();
        all.filter(move |one| Some(one.number) != extended)
    }

    /// The sector of a logical partition's extended boot record; `None` for any other partition.
    ///
    /// Unless the partition has a record elsewhere, it is [`BOOT_RECORD_SPACE`] before it. So every logical partition
    /// costs 1 MiB beyond its size, all of them are aligned, and so is the extended partition, which starts with the
    /// record of the first.
    #[must_use]
    pub fn boot_record(&self, partition: &Partition) -> Option<Lba> {
        mbr::boot_record(self, partition)
    }

    /// The extended partition (type 0x0f) that just holds these logical ones and their boot
    /// records, laid out as [`Table::boot_record`] says; `None` when there is none to hold.
    #[must_use]
    pub fn extended_around(&self, number: u32, logicals: &[Partition]) -> Option<Partition> {
        mbr::extended_around(self, number, logicals)
    }

    /// The bytes of the table, by ascending offset; the regions do not overlap.
    ///
    /// A GPT is two regions: the protective or hybrid MBR with the primary header and entries, and the backup
    /// at the end of the disk. An MBR is one sector, and one more for each logical partition, or for an extended one
    /// without any.
    ///
    /// # Errors
    /// The first rule of the table's kind that the partitions break; nothing is written that
    /// [`Table::decode`] would find damaged.
    pub fn encode(&self) -> Result<Vec<Region>, TableError> {
        check::disk_size(self.sector_size, self.disk_sectors)?;
        check::usable_range(self)?;
        check::partitions(self)?;
        self.scheme().format().encode(self)
    }

    /// Reads the table of a disk. What the disk does not say of its sectors, a GPT shows by where its headers are; an MBR
    /// does not show it, and is taken to count in 512 bytes.
    ///
    /// # Errors
    /// [`TableError::NoTable`] when there is none, [`TableError::Damaged`] when neither copy of a
    /// GPT can be used, [`TableError::Io`] when the disk cannot be read. What can be worked around
    /// becomes a [`Finding`].
    pub fn decode(disk: &dyn ReadAt) -> Result<Decoded, TableError> {
        detect::decode(&detect::Disk::new(disk, None)?)
    }

    /// Reads the table of a disk whose sectors have a known size.
    ///
    /// # Errors
    /// As [`Table::decode`].
    pub fn decode_as(disk: &dyn ReadAt, sector_size: SectorSize) -> Result<Decoded, TableError> {
        detect::decode(&detect::Disk::new(disk, Some(sector_size))?)
    }
}
