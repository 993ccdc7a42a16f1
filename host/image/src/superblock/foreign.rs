//! The file systems and volumes that cellblock does not make, by their marks; where a label, an identifier and a size stand
//! at fixed offsets, those too.

use std::io;

use zerocopy::{FromBytes, IntoBytes, big_endian as be, little_endian as le};

use super::{Superblock, Volume, serial, text, uuid};

/// Where the superblock of a Btrfs lies, in bytes.
const BTRFS: u64 = 64 << 10;
/// Where the first descriptor of an ISO 9660 lies, in bytes.
const ISO: u64 = 32 << 10;
/// Where F2FS and erofs have theirs, in bytes.
const BEHIND_BOOT_CODE: u64 = 1024;
/// The largest exponent of a block of an erofs: 64 KiB.
const MOST_EROFS_EXPONENT: u8 = 16;

/// A format: where its mark stands, what the mark is, and what is said of it.
struct Format {
    offset: u64,
    mark: &'static [u8],
    tell: fn(&Volume<'_>) -> io::Result<Superblock>,
}

/// All formats. Of several that fit, the first holds: what encloses comes before what may be enclosed.
const FORMATS: [Format; 19] = [
    format(0, b"LUKS\xba\xbe", luks),
    format(0, b"verity\0\0", verity),
    format(3, b"-FVE-FS-", |_| named("BitLocker")),
    format(512, b"LABELONE", |_| named("LVM2_member")),
    format(0, b"XFSB", xfs),
    format(BTRFS + 64, b"_BHRfS_M", btrfs),
    format(0, b"hsqs", squashfs),
    format(0, b"sqsh", |_| named("squashfs3")),
    format(BEHIND_BOOT_CODE, &[0xe2, 0xe1, 0xf5, 0xe0], erofs),
    format(BEHIND_BOOT_CODE, &[0x10, 0x20, 0xf5, 0xf2], f2fs),
    format(3, b"EXFAT   ", exfat),
    format(3, b"NTFS    ", ntfs),
    format(ISO + 1, b"CD001", iso),
    format(ISO + 1, b"BEA01", |_| named("udf")),
    format(0, &[0x45, 0x3d, 0xcd, 0x28], |_| named("cramfs")),
    format(0, b"-rom1fs-", |_| named("romfs")),
    format(4096, &[0xc6, 0x85, 0x73, 0xf6], |_| named("bcache")),
    format(4096, &[0xfc, 0x4e, 0x2b, 0xa9], |_| {
        named("linux_raid_member")
    }),
    format(BTRFS + 52, b"ReIsEr2Fs", |_| named("reiserfs")),
];

/// The longest mark, in bytes.
const LONGEST: usize = 9;

const fn format(
    offset: u64,
    mark: &'static [u8],
    tell: fn(&Volume<'_>) -> io::Result<Superblock>,
) -> Format {
    assert!(mark.len() <= LONGEST, "find reads no more than this");
    Format { offset, mark, tell }
}

pub(super) fn find(volume: &Volume<'_>) -> io::Result<Option<Superblock>> {
    for format in &FORMATS {
        let mut buffer = [0; LONGEST];
        let mark = &mut buffer[..format.mark.len()];
        if volume.fill(format.offset, mark)? && mark == format.mark {
            return (format.tell)(volume).map(Some);
        }
    }
    Ok(None)
}

fn named(kind: &'static str) -> io::Result<Superblock> {
    Ok(Superblock::named(kind))
}

impl Volume<'_> {
    /// The field at this offset; zeros if the volume ends before.
    fn field<T: FromBytes + IntoBytes>(&self, offset: u64) -> io::Result<T> {
        Ok(self.read(offset)?.unwrap_or_else(T::new_zeroed))
    }
}

/// "LUKS1 On-Disk Format Specification" 1.2.3, "LUKS2 On-Disk Format Specification" 1.1.2.
fn luks(volume: &Volume<'_>) -> io::Result<Superblock> {
    let version = volume.field::<be::U16>(6)?.get();
    let id: [u8; 40] = volume.field(168)?;
    let label: [u8; 48] = volume.field(24)?;
    Ok(Superblock {
        version: Some(version.to_string()),
        label: text(&label).filter(|_| version == 2),
        uuid: text(&id),
        ..Superblock::named("crypto_LUKS")
    })
}

/// `Documentation/admin-guide/device-mapper/verity.rst`, and cryptsetup's header before the tree.
fn verity(volume: &Volume<'_>) -> io::Result<Superblock> {
    Ok(Superblock {
        version: Some(volume.field::<le::U32>(8)?.to_string()),
        uuid: uuid(volume.field(16)?),
        ..Superblock::named("DM_verity_hash")
    })
}

/// `fs/xfs/libxfs/xfs_format.h`.
fn xfs(volume: &Volume<'_>) -> io::Result<Superblock> {
    let block_bytes = u64::from(volume.field::<be::U32>(4)?.get());
    let blocks = volume.field::<be::U64>(8)?.get();
    let free = volume.field::<be::U64>(144)?.get();
    let label: [u8; 12] = volume.field(108)?;
    let told = Superblock {
        label: text(&label),
        uuid: uuid(volume.field(32)?),
        ..Superblock::named("xfs")
    };
    Ok(told.sized(
        blocks.checked_mul(block_bytes),
        free.checked_mul(block_bytes),
    ))
}

/// `include/uapi/linux/btrfs_tree.h`.
fn btrfs(volume: &Volume<'_>) -> io::Result<Superblock> {
    let size = volume.field::<le::U64>(BTRFS + 112)?.get();
    let used = volume.field::<le::U64>(BTRFS + 120)?.get();
    let label: [u8; 256] = volume.field(BTRFS + 299)?;
    Ok(Superblock {
        label: text(&label),
        uuid: uuid(volume.field(BTRFS + 32)?),
        size: Some(size),
        used: Some(used).filter(|used| *used <= size),
        ..Superblock::named("btrfs")
    })
}

/// `fs/squashfs/squashfs_fs.h`.
fn squashfs(volume: &Volume<'_>) -> io::Result<Superblock> {
    let (major, minor) = (
        volume.field::<le::U16>(28)?.get(),
        volume.field::<le::U16>(30)?.get(),
    );
    let bytes = volume.field::<le::U64>(40)?.get();
    let is_old = major < 4;
    let kind = if is_old { "squashfs3" } else { "squashfs" };
    let told = Superblock {
        version: Some(format!("{major}.{minor}")),
        ..Superblock::named(kind)
    };
    // Before version 4, the size stood elsewhere.
    Ok(told.sized(Some(bytes).filter(|_| !is_old), Some(0)))
}

/// `fs/erofs/erofs_fs.h`.
fn erofs(volume: &Volume<'_>) -> io::Result<Superblock> {
    let at = |offset| BEHIND_BOOT_CODE + offset;
    let exponent: u8 = volume.field(at(12))?;
    let blocks = u64::from(volume.field::<le::U32>(at(36))?.get());
    let label: [u8; 16] = volume.field(at(64))?;
    let told = Superblock {
        label: text(&label),
        uuid: uuid(volume.field(at(48))?),
        ..Superblock::named("erofs")
    };
    let size = (exponent <= MOST_EROFS_EXPONENT).then(|| blocks << exponent);
    Ok(told.sized(size, Some(0)))
}

/// `include/linux/f2fs_fs.h`.
fn f2fs(volume: &Volume<'_>) -> io::Result<Superblock> {
    let at = |offset| BEHIND_BOOT_CODE + offset;
    let (major, minor) = (
        volume.field::<le::U16>(at(4))?.get(),
        volume.field::<le::U16>(at(6))?.get(),
    );
    let label: [le::U16; 512] = volume.field(at(124))?;
    let units = label
        .iter()
        .map(|unit| unit.get())
        .take_while(|unit| *unit != 0);
    let label = String::from_utf16_lossy(&units.collect::<Vec<_>>());
    Ok(Superblock {
        version: Some(format!("{major}.{minor}")),
        label: (!label.is_empty()).then_some(label),
        uuid: uuid(volume.field(at(108))?),
        ..Superblock::named("f2fs")
    })
}

/// Microsoft's "exFAT file system specification", section 3.1.
fn exfat(volume: &Volume<'_>) -> io::Result<Superblock> {
    let sectors = volume.field::<le::U64>(72)?.get();
    let exponent: u8 = volume.field(108)?;
    Ok(Superblock {
        uuid: serial(volume.field::<le::U32>(100)?.get()),
        size: (9..=12)
            .contains(&exponent)
            .then(|| sectors.checked_mul(1 << exponent))
            .flatten(),
        ..Superblock::named("exfat")
    })
}

/// The boot sector of NTFS, as `fs/ntfs3/ntfs.h` has it.
fn ntfs(volume: &Volume<'_>) -> io::Result<Superblock> {
    let number = volume.field::<le::U64>(72)?.get();
    Ok(Superblock {
        uuid: (number != 0).then(|| format!("{number:016X}")),
        ..Superblock::named("ntfs")
    })
}

/// ECMA-119, 8.4.
fn iso(volume: &Volume<'_>) -> io::Result<Superblock> {
    let label: [u8; 32] = volume.field(ISO + 40)?;
    Ok(Superblock {
        label: text(&label),
        ..Superblock::named("iso9660")
    })
}
