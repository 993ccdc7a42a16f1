//! The bytes of a boot record: the master's in sector 0, and the extended ones of logical partitions.

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::BOOT_CODE;

/// The last two bytes of every boot record: 55 aa.
pub(super) const SIGNATURE: u16 = 0xaa55;

/// The boot indicator of the partition that a BIOS boots; it is zero otherwise.
pub(super) const ACTIVE: u8 = 0x80;

/// The type of the entry that guards a GPT (UEFI 2.10, table 5-4).
pub(crate) const PROTECTIVE: u8 = 0xee;

/// The type of an extended partition that is addressed by sector number.
pub(super) const EXTENDED: u8 = 0x0f;

/// The type of the entry that leads from one extended boot record to the next.
pub(super) const LINK: u8 = 0x05;

/// The number of sectors that 32 bits can address.
pub const MAX_SECTORS: u64 = 1 << 32;

/// The partitions that a hybrid MBR has room for, beside the entry that guards the GPT.
pub const MAX_HYBRID: usize = 3;

/// A boot record: the first 512 bytes of its sector, whatever the size of that.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct BootRecord {
    /// What a BIOS runs; zero when there is none.
    pub(super) code: [u8; BOOT_CODE],

    /// The disk's signature; zero in an extended boot record.
    pub(super) disk_id: U32,
    /// Zero.
    pub(super) reserved: U16,

    /// The partitions. An extended record uses the first for its partition, and the second to lead
    /// to the next record.
    pub(super) entries: [Entry; 4],

    /// [`SIGNATURE`].
    pub(super) signature: U16,
}

const _: () = assert!(size_of::<BootRecord>() == 512);

/// An entry. It is unused when it has no sectors.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub(crate) struct Entry {
    /// [`ACTIVE`], or zero.
    pub(super) indicator: u8,
    /// The first sector by cylinder, head and sector.
    pub(super) first_chs: Chs,
    /// The type.
    pub(super) kind: u8,
    /// The last sector by cylinder, head and sector.
    pub(super) last_chs: Chs,
    /// The first sector. In a boot record at LBA b of an extended partition that starts at e it counts
    /// from b for the partition, and from e for the link.
    pub(super) first: U32,
    /// The number of sectors.
    pub(super) sectors: U32,
}

const _: () = assert!(size_of::<Entry>() == 16);

/// An address by cylinder, head and sector: the head; the sector from 1 in the low 6 bits, with the
/// cylinder's high 2 bits above; the cylinder's low 8 bits.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(transparent)]
pub(super) struct Chs(pub(super) [u8; 3]);

/// The geometry that is assumed of every disk: what BIOSes report of large ones.
const HEADS: u64 = 255;
const SECTORS_A_TRACK: u64 = 63;

impl Chs {
    /// What stands for every address beyond cylinder 1023.
    pub(super) const BEYOND: Self = Self([0xfe, 0xff, 0xff]);

    /// The address of a sector.
    pub(super) fn new(lba: u64) -> Self {
        let (track, sector) = (lba / SECTORS_A_TRACK, lba % SECTORS_A_TRACK + 1);
        let (cylinder, head) = (track / HEADS, track % HEADS);
        let parts = (
            u8::try_from(head),
            u8::try_from(sector),
            u16::try_from(cylinder),
        );
        match parts {
            (Ok(head), Ok(sector), Ok(cylinder)) if cylinder < 1024 => {
                let [low, high] = cylinder.to_le_bytes();
                Self([head, high << 6 | sector, low])
            }
            _ => Self::BEYOND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_by_cylinder_are_what_sfdisk_writes() {
        assert_eq!(Chs::new(2048), Chs([0x20, 0x21, 0x00]));
        assert_eq!(Chs::new(38_912), Chs([0x6b, 0x2a, 0x02]));
        assert_eq!(Chs::new(1024 * 255 * 63 - 1), Chs([0xfe, 0xff, 0xff]));
        assert_eq!(Chs::new(1023 * 255 * 63), Chs([0x00, 0xc1, 0xff]));
        assert_eq!(Chs::new(u64::MAX), Chs::BEYOND);
    }
}
