//! The boot sector: what stands where.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::{Partition, ReaderError};

const SECTOR: usize = 512;
/// The bytes of an entry of a directory.
const ENTRY: u64 = 32;
/// The most clusters of FAT12.
const FAT12_LIMIT: u32 = 4084;
/// The most clusters of FAT16, as Linux has it.
const FAT16_LIMIT: u32 = 65_524;
/// The most clusters of FAT32.
const FAT32_LIMIT: u32 = 0x0FFF_FFF5;

/// How wide an entry of the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

/// What the boot sector says, held against the partition. Bytes, but for `clusters` and `root_cluster`.
#[derive(Clone, Debug)]
pub(crate) struct Boot {
    pub(crate) width: Width,
    pub(crate) cluster_size: u64,
    pub(crate) clusters: u32,
    /// The table that counts.
    pub(crate) table: u64,
    pub(crate) table_size: u64,
    /// The root directory of FAT12 and FAT16.
    pub(crate) root: u64,
    pub(crate) root_size: u64,
    /// That of FAT32.
    pub(crate) root_cluster: u32,
    /// Where cluster 2 begins.
    pub(crate) data: u64,
    pub(crate) size: u64,
    pub(crate) serial: Option<u32>,
    pub(crate) label: [u8; 11],
    /// Where FAT32 keeps the number of free clusters.
    pub(crate) information: Option<u64>,
}

/// Numbers as they are stored.
struct Raw {
    sector: u64,
    per_cluster: u64,
    reserved: u64,
    tables: u64,
    root_entries: u64,
    sectors: u64,
    media: u8,
    table_sectors: u64,
    is_32: bool,
    flags: u16,
    version: u16,
    root_cluster: u32,
    information: u16,
    signature: u8,
    serial: u32,
    label: [u8; 11],
}

impl Raw {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(11..)?);
        let sector = fields.u16()?.into();
        let [per_cluster] = fields.bytes(1)?.try_into().ok()?;
        let reserved = fields.u16()?.into();
        let [tables] = fields.bytes(1)?.try_into().ok()?;
        let root_entries = fields.u16()?.into();
        let few = fields.u16()?;
        let [media] = fields.bytes(1)?.try_into().ok()?;
        let short = fields.u16()?;
        let _geometry_and_hidden = fields.u64()?;
        let many = fields.u32()?;
        let is_32 = short == 0;
        let (mut long, mut flags, mut version, mut root_cluster, mut information) = (0, 0, 0, 0, 0);
        if is_32 {
            long = fields.u32()?;
            flags = fields.u16()?;
            version = fields.u16()?;
            root_cluster = fields.u32()?;
            information = fields.u16()?;
            let _backup_and_reserved = fields.bytes(14)?;
        }
        let _drive = fields.u16()?;
        let [signature] = fields.bytes(1)?.try_into().ok()?;
        Some(Self {
            sector,
            per_cluster: u8::into(per_cluster),
            reserved,
            tables: u8::into(tables),
            root_entries,
            sectors: if few == 0 { many } else { few.into() }.into(),
            media,
            table_sectors: if is_32 { long } else { short.into() }.into(),
            is_32,
            flags,
            version,
            root_cluster,
            information,
            signature,
            serial: fields.u32()?,
            label: fields.bytes(11)?.try_into().ok()?,
        })
    }

    /// What Linux holds a FAT to (`fat_read_bpb` of fs/fat/inode.c), and that there are sectors: it needs neither a jump at the
    /// beginning nor a signature at the end.
    fn is_fat(&self) -> bool {
        self.sector.is_power_of_two()
            && (512..=4096).contains(&self.sector)
            && self.per_cluster.is_power_of_two()
            && self.reserved > 0
            && self.tables > 0
            && self.sectors > 0
            && self.table_sectors > 0
            && (self.media == 0xF0 || self.media >= 0xF8)
    }
}

impl Boot {
    pub(crate) fn read(partition: &dyn Partition) -> Result<Self, ReaderError> {
        if partition.size() < SECTOR as u64 {
            return Err(ReaderError::Unrecognised);
        }
        let bytes = partition.bytes(0, SECTOR)?;
        let raw = Raw::parse(&bytes)
            .filter(Raw::is_fat)
            .ok_or(ReaderError::Unrecognised)?;
        Self::lay_out(&raw, partition.size())
            .map_err(|problem| ReaderError::damaged("the boot sector", 0, problem))?
    }

    fn lay_out(raw: &Raw, partition: u64) -> Result<Result<Self, ReaderError>, String> {
        if raw.is_32 && raw.version != 0 {
            let what = format!("FAT32 of version {:#x}", raw.version);
            return Ok(Err(ReaderError::Unsupported(what)));
        }
        let size = raw.sectors * raw.sector;
        if size > partition {
            return Err(format!(
                "says that the file system has {size} bytes, and the partition has {partition}"
            ));
        }
        let table_size = raw.table_sectors * raw.sector;
        let tables = raw.reserved * raw.sector;
        let root = tables + raw.tables * table_size;
        let root_size = (raw.root_entries * ENTRY).next_multiple_of(raw.sector);
        let data = root + root_size;
        let cluster_size = raw.per_cluster * raw.sector;
        let Some(room) = size.checked_sub(data) else {
            return Err(format!("puts clusters at {data}, and ends at {size}"));
        };
        let clusters = u32::try_from(room / cluster_size).unwrap_or(u32::MAX);
        let (width, limit) = match raw.is_32 {
            true => (Width::ThirtyTwo, FAT32_LIMIT),
            false if clusters <= FAT12_LIMIT => (Width::Twelve, FAT12_LIMIT),
            false => (Width::Sixteen, FAT16_LIMIT),
        };
        let bits = match width {
            Width::Twelve => 12,
            Width::Sixteen => 16,
            Width::ThirtyTwo => 32,
        };
        // Linux takes what both have room for.
        let entries = u32::try_from((table_size * 8 / bits).saturating_sub(2)).unwrap_or(u32::MAX);
        let clusters = clusters.min(entries);
        if clusters > limit {
            return Err(format!("has {clusters} clusters, more than {limit}"));
        }
        if raw.is_32 == (raw.root_entries > 0) {
            return Err(format!("has {} entries in its root", raw.root_entries));
        }
        let is_one_of_several = raw.flags & 0x80 != 0;
        let active = if is_one_of_several {
            u64::from(raw.flags & 15)
        } else {
            0
        };
        if active >= raw.tables {
            return Err(format!("names table {active} of {}", raw.tables));
        }
        let has_signature = matches!(raw.signature, 0x28 | 0x29);
        let information = u64::from(raw.information) * raw.sector;
        let has_information = raw.is_32 && raw.information > 0 && information < tables;
        Ok(Ok(Self {
            width,
            cluster_size,
            clusters,
            table: tables + active * table_size,
            table_size,
            root,
            root_size: raw.root_entries * ENTRY,
            root_cluster: raw.root_cluster,
            data,
            size,
            serial: has_signature.then_some(raw.serial),
            label: if raw.signature == 0x29 {
                raw.label
            } else {
                [b' '; 11]
            },
            information: has_information.then_some(information),
        }))
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.width {
            Width::Twelve => "fat12",
            Width::Sixteen => "fat16",
            Width::ThirtyTwo => "fat32",
        }
    }
}
