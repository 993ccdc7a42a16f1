//! Inodes: Documentation/filesystems/ext4/inodes.rst, `struct ext4_inode`.

use bitflags::bitflags;
use cellblock_guest::crc32c::crc32c;
use cellblock_guest::reader::ReaderError;
use cellblock_guest::{Device, Timestamp};

use crate::field::{array, joined, u16, u32};
use crate::superblock::ReadOnlyCompatible;
use crate::volume::{Block, Ext};

/// The root directory's.
pub(crate) const ROOT: u32 = 2;
/// The bytes of the oldest inodes, to which all others add.
const BASE: usize = 128;
/// The bytes of the block map, in which content can stand, too.
pub(crate) const MAP: usize = 60;

bitflags! {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Flags: u32 {
        const SECURE_DELETION = 0x1;
        const UNDELETABLE = 0x2;
        const COMPRESSED = 0x4;
        const SYNCHRONOUS = 0x8;
        const IMMUTABLE = 0x10;
        const APPEND = 0x20;
        const NO_DUMP = 0x40;
        const NO_ACCESS_TIME = 0x80;
        const NO_COMPRESSION = 0x400;
        const ENCRYPTED = 0x800;
        const INDEXED = 0x1000;
        const JOURNALED_DATA = 0x4000;
        const NO_TAIL = 0x8000;
        const SYNCHRONOUS_DIRECTORY = 0x1_0000;
        const TOP_DIRECTORY = 0x2_0000;
        const EXTENTS = 0x8_0000;
        const VERITY = 0x10_0000;
        const EA_INODE = 0x20_0000;
        const NO_COPY_ON_WRITE = 0x80_0000;
        const DIRECT_ACCESS = 0x200_0000;
        const INLINE_DATA = 0x1000_0000;
        const PROJECT_INHERIT = 0x2000_0000;
        const CASEFOLD = 0x4000_0000;
        const _ = !0;
    }
}

/// What an inode is, by the upper bits of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}

/// An inode.
#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) links: u16,
    pub(crate) modified: Timestamp,
    /// What it takes on the disk, in sectors or blocks; 0 for nothing.
    pub(crate) sectors: u64,
    pub(crate) flags: Flags,
    /// The project that it counts to, for quotas; 0 for none.
    pub(crate) project: u32,
    pub(crate) map: [u8; MAP],
    /// The block of its attributes, or 0.
    pub(crate) attributes: Block,
    /// The attributes inside of it, from behind its magic number on.
    pub(crate) inner_attributes: Vec<u8>,
    /// The seed of the checksums of what belongs to it.
    pub(crate) seed: Option<u32>,
}

impl Inode {
    /// Reads an inode that `owner` names.
    pub(crate) fn read(ext: &Ext<'_>, number: u32, owner: &str) -> Result<Self, ReaderError> {
        if number == 0 || number > ext.superblock.inodes {
            let problem = format!("names inode {number} of {}", ext.superblock.inodes);
            return Err(ReaderError::damaged(owner, None, problem));
        }
        let (bytes, offset) = ext.inode_bytes(number)?;
        let damaged =
            |problem: String| ReaderError::damaged(format!("inode {number}"), offset, problem);
        let extra = extra(&bytes).map_err(damaged)?;
        let seed = ext.superblock.seed.map(|seed| {
            let seed = crc32c(seed, &number.to_le_bytes());
            crc32c(seed, &bytes[0x64..0x68])
        });
        if let Some(seed) = seed
            && !is_sound(&bytes, extra, seed)
        {
            return Err(damaged("has a wrong checksum".to_owned()));
        }
        let mode = u16(&bytes, 0);
        let kind = kind(mode).ok_or_else(|| {
            damaged(format!(
                "has the mode {mode:#o}, which no file has, and is named by {owner}"
            ))
        })?;
        let word = |at| u32(&bytes, at);
        Ok(Self {
            number,
            kind,
            mode: mode & 0o7777,
            uid: u32::from(u16(&bytes, 0x2)) | u32::from(u16(&bytes, 0x78)) << 16,
            gid: u32::from(u16(&bytes, 0x18)) | u32::from(u16(&bytes, 0x7A)) << 16,
            size: size(&bytes, kind),
            links: u16(&bytes, 0x1A),
            modified: modified(&bytes, extra),
            sectors: joined(word(0x1C), u16(&bytes, 0x74).into()),
            flags: Flags::from_bits_retain(word(0x20)),
            project: project(ext, &bytes, extra),
            map: array(&bytes, 0x28),
            attributes: joined(word(0x68), u16(&bytes, 0x76).into()),
            inner_attributes: inner_attributes(&bytes, extra),
            seed,
        })
    }

    /// What errors call it.
    pub(crate) fn name(&self) -> String {
        format!("inode {}", self.number)
    }

    /// That it is damaged.
    pub(crate) fn damaged(&self, problem: impl Into<String>) -> ReaderError {
        ReaderError::damaged(self.name(), None, problem)
    }

    /// The number of a device: in the old form, or else in the new one.
    pub(crate) fn device(&self) -> Device {
        let old = u32(&self.map, 0);
        if old != 0 {
            return Device {
                major: old >> 8 & 0xFF,
                minor: old & 0xFF,
            };
        }
        let new = u32(&self.map, 4);
        Device {
            major: new >> 8 & 0xFFF,
            minor: new & 0xFF | new >> 12 & 0xF_FF00,
        }
    }
}

/// The bytes behind the first 128 that are in use.
fn extra(bytes: &[u8]) -> Result<usize, String> {
    if bytes.len() <= BASE {
        return Ok(0);
    }
    let extra = usize::from(u16(bytes, BASE));
    if !extra.is_multiple_of(4) || BASE + extra > bytes.len() {
        return Err(format!(
            "uses {extra} bytes behind its first {BASE}, and has {}",
            bytes.len()
        ));
    }
    Ok(extra)
}

/// Whether the checksum is right, of which the upper half is there only where it has room.
fn is_sound(bytes: &[u8], extra: usize, seed: u32) -> bool {
    const LOW: usize = 0x7C;
    const HIGH: usize = 0x82;
    let has_high = BASE + extra >= HIGH + 2;
    let mut zeroed = bytes.to_vec();
    zeroed[LOW..][..2].fill(0);
    let mut expected = u32::from(u16(bytes, LOW));
    let mut mask = 0xFFFF;
    if has_high {
        zeroed[HIGH..][..2].fill(0);
        expected |= u32::from(u16(bytes, HIGH)) << 16;
        mask = u32::MAX;
    }
    crc32c(seed, &zeroed) & mask == expected
}

fn kind(mode: u16) -> Option<Kind> {
    Some(match mode & 0o170_000 {
        0o040_000 => Kind::Directory,
        0o100_000 => Kind::File,
        0o120_000 => Kind::Symlink,
        0o020_000 => Kind::CharacterDevice,
        0o060_000 => Kind::BlockDevice,
        0o010_000 => Kind::Fifo,
        0o140_000 => Kind::Socket,
        _ => return None,
    })
}

/// The upper half once was the access control list of directories, and is 0 or their size's with `largedir`.
fn size(bytes: &[u8], kind: Kind) -> u64 {
    let high = match kind {
        Kind::File | Kind::Directory => u32(bytes, 0x6C),
        _ => 0,
    };
    joined(u32(bytes, 0x4), high)
}

/// Seconds with a sign, and behind the first 128 bytes two bits more of them and the nanoseconds.
fn modified(bytes: &[u8], extra: usize) -> Timestamp {
    const MORE: usize = 0x88;
    let seconds = i64::from(i32::from_le_bytes(array(bytes, 0x10)));
    if BASE + extra < MORE + 4 {
        return Timestamp {
            seconds,
            nanoseconds: 0,
        };
    }
    let more = u32(bytes, MORE);
    Timestamp {
        seconds: seconds + (i64::from(more & 3) << 32),
        nanoseconds: (more >> 2).min(999_999_999),
    }
}

/// It counts where the file system has projects, and the inode has room for one.
fn project(ext: &Ext<'_>, bytes: &[u8], extra: usize) -> u32 {
    const PROJECT: usize = 0x9C;
    let has_projects = ext
        .superblock
        .read_only
        .contains(ReadOnlyCompatible::PROJECT);
    if has_projects && BASE + extra >= PROJECT + 4 {
        u32(bytes, PROJECT)
    } else {
        0
    }
}

fn inner_attributes(bytes: &[u8], extra: usize) -> Vec<u8> {
    const MAGIC: [u8; 4] = 0xEA02_0000_u32.to_le_bytes();
    if extra == 0 {
        return Vec::new();
    }
    let behind = bytes[BASE + extra..].strip_prefix(&MAGIC);
    behind.map(<[u8]>::to_vec).unwrap_or_default()
}
