//! GRUB on a BIOS: two images that have to be told the sectors that they lie in.
//!
//! ```text
//! boot.img            first sector of the disk; reads one sector, the first of core.img
//!   0x000  code, with room for the parameters of a FAT's boot sector
//!   0x05a  where in memory the first sector of core.img goes, 0x8000
//!   0x05c  where on the disk that sector lies, 64 bits
//!   0x064  the BIOS drive to read from, 0xff for the one that was booted
//!   0x066  a jump over the mending of drive numbers
//!   0x1b8  the disk's signature and the partition table: not GRUB's
//!
//! core.img            sector 0 reads all that follow, by a list that begins at its end and grows down
//!   0x1f4  where on the disk the next sectors lie, 64 bits
//!   0x1fc  how many they are
//!   0x1fe  the segment in memory that they go to, 0x820
//! ```

use thiserror::Error;
use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use cellblock_table::Lba;

/// The bytes in a sector: GRUB's boot code for a BIOS knows no others.
pub const SECTOR_BYTES: usize = 512;
/// The bytes of boot.img that are code; what follows on the disk is its signature and table.
pub const CODE_BYTES: usize = cellblock_table::BOOT_CODE;

/// The most bytes that core.img has: a first sector, and as many as its list counts.
pub const MOST_CORE_BYTES: usize = (1 + 0xffff) * SECTOR_BYTES;

/// The last two bytes of a boot sector.
const SIGNATURE: u16 = 0xaa55;
/// Where boot.img puts the first sector of core.img.
const CORE_ADDRESS: u16 = 0x8000;
/// The segment behind that sector.
const NEXT_SEGMENT: u16 = (CORE_ADDRESS + 0x200) >> 4;
/// Two instructions that do nothing, in place of a jump: what follows sets a drive number that some BIOSes forget.
const NO_JUMP: [u8; 2] = [0x90, 0x90];

/// The first sector of a disk as GRUB has it.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct BootSector {
    /// A jump over the parameters.
    jump: [u8; 3],
    /// Zero on a disk with partitions.
    parameters: [u8; 0x57],
    /// [`CORE_ADDRESS`].
    core_address: U16,
    /// The first sector of core.img.
    core_sector: U64,
    /// The BIOS drive, or 0xff.
    drive: u8,
    /// An instruction that turns interrupts off.
    no_interrupts: u8,
    /// A jump, or [`NO_JUMP`].
    drive_check: [u8; 2],
    /// Code.
    code: [u8; 0x150],

    /// The disk's signature and its partitions.
    table: [u8; 0x46],
    /// [`SIGNATURE`].
    signature: U16,
}

const _: () = assert!(size_of::<BootSector>() == SECTOR_BYTES);

/// The first sector of core.img.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct CoreSector {
    /// Code, and the unused part of the list.
    code: [u8; 0x1f4],
    /// The second sector of core.img.
    next: U64,
    /// The number of sectors behind the first.
    count: U16,
    /// [`NEXT_SEGMENT`].
    segment: U16,
}

const _: () = assert!(size_of::<CoreSector>() == SECTOR_BYTES);

/// Why an image of GRUB cannot be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// The file is not boot.img.
    #[error(
        "it is not GRUB's boot.img, a sector of 512 bytes that ends in 55 aa; \
         take lib/grub/i386-pc/boot.img of the GRUB that made the core image"
    )]
    NotBootImage,
    /// The file is not core.img.
    #[error(
        "it is not GRUB's core.img for a BIOS on a disk; make it by grub-mkimage with `--format=i386-pc`"
    )]
    NotCoreImage,
    /// The file has not as many sectors as it says.
    #[error("it has {found} sectors, and says that it has {stated}: it is damaged, make it again")]
    Length {
        /// Its length in sectors.
        found: usize,
        /// What its first sector says.
        stated: usize,
    },
}

/// The first [`CODE_BYTES`] bytes of a disk that boots core.img at the sector `core`.
///
/// # Errors
/// [`Fault::NotBootImage`] if `boot_image` is something else.
pub fn boot_code(boot_image: &[u8], core: Lba) -> Result<Vec<u8>, Fault> {
    let mut sector = BootSector::read_from_bytes(boot_image).map_err(|_| Fault::NotBootImage)?;
    if sector.signature.get() != SIGNATURE || sector.core_address.get() != CORE_ADDRESS {
        return Err(Fault::NotBootImage);
    }
    sector.core_sector = core.0.into();
    sector.drive_check = NO_JUMP;
    Ok(sector.as_bytes()[..CODE_BYTES].to_vec())
}

/// core.img as it is stored from the sector `at` on, in whole sectors.
///
/// # Errors
/// [`Fault`] if `core_image` is something else, or not complete.
pub fn core(core_image: &[u8], at: Lba) -> Result<Vec<u8>, Fault> {
    let (first, rest) =
        CoreSector::read_from_prefix(core_image).map_err(|_| Fault::NotCoreImage)?;
    if first.segment.get() != NEXT_SEGMENT || rest.is_empty() {
        return Err(Fault::NotCoreImage);
    }
    let (found, stated) = (
        rest.len().div_ceil(SECTOR_BYTES),
        usize::from(first.count.get()),
    );
    if found != stated {
        return Err(Fault::Length {
            found: found + 1,
            stated: stated + 1,
        });
    }
    let first = CoreSector {
        next: (at.0 + 1).into(),
        ..first
    };
    let mut stored = first.as_bytes().to_vec();
    stored.extend(rest);
    stored.resize((found + 1) * SECTOR_BYTES, 0);
    Ok(stored)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn boot_image() -> Vec<u8> {
        let mut image = vec![0xee; SECTOR_BYTES];
        image[0x5a..0x5c].copy_from_slice(&[0x00, 0x80]);
        image[0x1fe..].copy_from_slice(&[0x55, 0xaa]);
        image
    }

    /// A core image of a first sector and `bytes` behind it.
    fn core_image(bytes: usize) -> Vec<u8> {
        let mut image = vec![0xcc; SECTOR_BYTES + bytes];
        let count = u8::try_from(bytes.div_ceil(SECTOR_BYTES)).unwrap();
        image[0x1fc..0x200].copy_from_slice(&[count, 0, 0x20, 0x08]);
        image
    }

    #[test]
    fn boot_code_is_told_where_the_core_is() {
        let code = boot_code(&boot_image(), Lba(0x1_0000_0800)).unwrap();
        assert_eq!(code.len(), CODE_BYTES);
        assert_eq!(code[0x5c..0x64], [0, 8, 0, 0, 1, 0, 0, 0]);
        assert_eq!(code[0x64..0x69], [0xee, 0xee, 0x90, 0x90, 0xee]);
    }

    #[test]
    fn the_core_is_told_where_its_second_sector_is_and_fills_its_last() {
        let stored = core(&core_image(600), Lba(2048)).unwrap();
        assert_eq!(stored.len(), 3 * SECTOR_BYTES);
        assert_eq!(
            stored[0x1f4..0x200],
            [1, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x20, 8]
        );
        assert_eq!(stored[0x200 + 599..0x200 + 601], [0xcc, 0]);
    }

    #[test]
    fn other_files_are_refused() {
        let mut unsigned = boot_image();
        unsigned[0x1ff] = 0;
        for image in [&unsigned, &boot_image()[1..].to_vec(), &core_image(512)] {
            assert_eq!(boot_code(image, Lba(1)), Err(Fault::NotBootImage));
        }
        for image in [&boot_image(), &core_image(0), &Vec::new()] {
            assert_eq!(core(image, Lba(1)), Err(Fault::NotCoreImage));
        }
        let truncated = &core_image(2000)[..2000];
        let fault = Fault::Length {
            found: 4,
            stated: 5,
        };
        assert_eq!(core(truncated, Lba(1)), Err(fault));
    }
}
