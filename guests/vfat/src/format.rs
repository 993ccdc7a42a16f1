//! The bytes on disk.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// How many bytes of a sector the boot sector and the free-space information fill, whatever the sector's size.
pub(crate) const RECORD_BYTES: usize = 512;
/// The bytes of an entry of a directory.
pub(crate) const SLOT_BYTES: u32 = 32;
/// The number of the first cluster.
pub(crate) const FIRST_CLUSTER: u32 = 2;
/// A fixed disk.
pub(crate) const MEDIA: u8 = 0xF8;
/// The system that made the volume, in the form that the most drivers accept (FAT 1.03, page 9).
pub(crate) const SYSTEM_NAME: [u8; 8] = *b"MSWIN4.1";
/// The first fixed disk, for the BIOS.
pub(crate) const DRIVE_NUMBER: u8 = 0x80;
/// Tells that volume id, label and type follow.
pub(crate) const EXTENDED_SIGNATURE: u8 = 0x29;
/// The last two bytes of a boot sector.
pub(crate) const BOOT_SIGNATURE: [u8; 2] = [0x55, 0xAA];
/// Where FAT32 keeps its free-space information, in sectors.
pub(crate) const INFORMATION_SECTOR: u16 = 1;
/// Where FAT32 keeps the copies of its first sectors, in sectors.
pub(crate) const BACKUP_SECTOR: u16 = 6;
/// What stands for no label in the boot sector.
pub(crate) const NO_LABEL: [u8; 11] = *b"NO NAME    ";
/// What a BIOS finds that boots from the volume: `int 18h` (try the next device), then `hlt` for ever.
pub(crate) const BOOT_CODE: [u8; 5] = [0xCD, 0x18, 0xF4, 0xEB, 0xFD];

/// What every boot sector begins with.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct ParameterBlock {
    /// A jump over the fields, to the boot code.
    pub(crate) jump: [u8; 3],
    /// The system that made the volume.
    pub(crate) system_name: [u8; 8],
    /// 512 or 4096.
    pub(crate) bytes_per_sector: U16,
    /// A power of two from 1 to 128.
    pub(crate) sectors_per_cluster: u8,
    /// The sectors before the first allocation table, with this one.
    pub(crate) reserved_sectors: U16,
    /// How many allocation tables: 1 or 2.
    pub(crate) fat_count: u8,

    /// The slots of the root directory; 0 on FAT32.
    pub(crate) root_slots: U16,
    /// All sectors of the volume, if below 65,536 and not on FAT32; otherwise 0.
    pub(crate) sector_count_16: U16,
    /// [`MEDIA`].
    pub(crate) media: u8,
    /// The sectors of an allocation table; 0 on FAT32.
    pub(crate) fat_sectors_16: U16,
    /// The geometry that the BIOS is told.
    pub(crate) sectors_per_track: U16,
    /// The geometry that the BIOS is told.
    pub(crate) heads: U16,
    /// The sectors of the disk before the volume.
    pub(crate) hidden_sectors: U32,

    /// All sectors of the volume, if `sector_count_16` has no room for them; otherwise 0.
    pub(crate) sector_count_32: U32,
}

/// What FAT32 puts between the two other blocks.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Fat32Block {
    /// The sectors of an allocation table.
    pub(crate) fat_sectors: U32,
    /// 0: all allocation tables are kept equal.
    pub(crate) mirroring: U16,
    /// 0.0.
    pub(crate) version: U16,
    /// Where the root directory begins.
    pub(crate) root_cluster: U32,
    /// [`INFORMATION_SECTOR`].
    pub(crate) information_sector: U16,
    /// [`BACKUP_SECTOR`].
    pub(crate) backup_sector: U16,
    /// Zeros.
    pub(crate) reserved: [u8; 12],
}

/// What identifies a volume.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct IdentityBlock {
    /// [`DRIVE_NUMBER`].
    pub(crate) drive_number: u8,
    /// Zero: the volume is clean.
    pub(crate) state: u8,
    /// [`EXTENDED_SIGNATURE`].
    pub(crate) signature: u8,
    /// The volume id.
    pub(crate) volume_id: U32,
    /// The label, padded with spaces, or [`NO_LABEL`].
    pub(crate) label: [u8; 11],
    /// `FAT12`, `FAT16` or `FAT32`, padded with spaces; nobody may rely on it.
    pub(crate) type_name: [u8; 8],
}

/// The boot sector of FAT12 and FAT16.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct BootSector16 {
    pub(crate) parameters: ParameterBlock,
    pub(crate) identity: IdentityBlock,
    pub(crate) code: [u8; 448],
    pub(crate) signature: [u8; 2],
}

/// The boot sector of FAT32.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct BootSector32 {
    pub(crate) parameters: ParameterBlock,
    pub(crate) fat32: Fat32Block,
    pub(crate) identity: IdentityBlock,
    pub(crate) code: [u8; 420],
    pub(crate) signature: [u8; 2],
}

/// FAT32's free-space information ("FSInfo").
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Information {
    /// [`Information::LEAD`].
    pub(crate) lead: [u8; 4],
    /// Zeros.
    pub(crate) reserved: [u8; 480],
    /// [`Information::STRUCTURE`].
    pub(crate) structure: [u8; 4],
    /// The free clusters.
    pub(crate) free_clusters: U32,
    /// Where to look for a free cluster first, or [`Information::NONE`].
    pub(crate) next_free: U32,
    /// Zeros.
    pub(crate) more_reserved: [u8; 12],
    /// [`Information::TRAIL`].
    pub(crate) trail: [u8; 4],
}

impl Information {
    pub(crate) const LEAD: [u8; 4] = *b"RRaA";
    pub(crate) const STRUCTURE: [u8; 4] = *b"rrAa";
    pub(crate) const TRAIL: [u8; 4] = [0, 0, 0x55, 0xAA];
    /// No hint.
    pub(crate) const NONE: u32 = u32::MAX;
}

bitflags::bitflags! {
    /// The attributes of an entry.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Attributes: u8 {
        const READ_ONLY = 0x01;
        const HIDDEN = 0x02;
        const SYSTEM = 0x04;
        const VOLUME_LABEL = 0x08;
        const DIRECTORY = 0x10;
        const ARCHIVE = 0x20;
        /// All four at once mark an entry of a long name.
        const LONG_NAME = 0x0F;
    }
}

/// An entry of a directory, under its short name.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DirectoryEntry {
    /// 8 bytes of name, 3 of extension, each padded with spaces.
    pub(crate) name: [u8; 11],
    /// [`Attributes`].
    pub(crate) attributes: u8,
    /// 0: no lower case in the short name.
    pub(crate) case: u8,
    /// Hundredths of a second after `created_time`, below 200.
    pub(crate) created_hundredths: u8,
    pub(crate) created_time: U16,

    pub(crate) created_date: U16,
    pub(crate) accessed_date: U16,
    /// The high half of the first cluster.
    pub(crate) cluster_high: U16,
    pub(crate) modified_time: U16,
    pub(crate) modified_date: U16,
    /// The low half of the first cluster; 0 for an empty file.
    pub(crate) cluster_low: U16,
    /// The bytes of a file; 0 for a directory.
    pub(crate) size: U32,
}

/// Up to 13 UTF-16 units of a long name. The last part of the name comes first on disk.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct LongNameEntry {
    /// Which part of the name this is, from 1, with [`LongNameEntry::LAST`].
    pub(crate) order: u8,
    pub(crate) units_1: [U16; 5],
    /// [`Attributes::LONG_NAME`].
    pub(crate) attributes: u8,
    /// 0: a part of a name.
    pub(crate) entry_type: u8,
    /// The checksum of the short name.
    pub(crate) checksum: u8,
    pub(crate) units_2: [U16; 6],
    /// 0.
    pub(crate) cluster: U16,
    pub(crate) units_3: [U16; 2],
}

impl LongNameEntry {
    /// The UTF-16 units in an entry.
    pub(crate) const UNITS: usize = 13;
    /// Set in the order of the name's last part.
    pub(crate) const LAST: u8 = 0x40;
    /// What fills an entry behind the name's terminating 0.
    pub(crate) const PADDING: u16 = 0xFFFF;
}

const _: () = assert!(size_of::<ParameterBlock>() == 36);
const _: () = assert!(size_of::<Fat32Block>() == 28);
const _: () = assert!(size_of::<IdentityBlock>() == 26);
const _: () = assert!(size_of::<BootSector16>() == RECORD_BYTES);
const _: () = assert!(size_of::<BootSector32>() == RECORD_BYTES);
const _: () = assert!(size_of::<Information>() == RECORD_BYTES);
const _: () = assert!(size_of::<DirectoryEntry>() == SLOT_BYTES as usize);
const _: () = assert!(size_of::<LongNameEntry>() == SLOT_BYTES as usize);
