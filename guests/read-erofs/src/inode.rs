//! Inodes, in their two lengths.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::ReaderError;
use cellblock_guest::{Device, Timestamp};

use crate::meta::Open;

/// The bytes between two numbers of inodes.
const SLOT: u64 = 32;
const TYPE: u16 = 0o170_000;

/// How content is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Plain,
    CompressedFull,
    Inline,
    CompressedCompact,
    Chunks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
    Symlink,
    BlockDevice,
    CharacterDevice,
    Fifo,
    Socket,
}

#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Timestamp,
    pub(crate) size: u64,
    pub(crate) layout: Layout,
    /// What the layout, or the kind, makes of it: a block, a device, a format of chunks.
    pub(crate) value: u32,
    /// The upper bits of a block.
    pub(crate) high: u16,
    /// Where its attributes begin in the partition, and where what comes behind them.
    pub(crate) attributes: u64,
    pub(crate) end: u64,
}

impl Inode {
    pub(crate) fn read(open: &Open<'_>, number: u64, owner: &str) -> Result<Self, ReaderError> {
        let superblock = &open.superblock;
        let area = u64::from(superblock.inode_area) << superblock.block_bits;
        let offset = number
            .checked_mul(SLOT)
            .and_then(|offset| offset.checked_add(area));
        let Some(offset) = offset else {
            let problem = format!("points to inode {number}, which is not there");
            return Err(ReaderError::damaged(owner, None, problem));
        };
        let name = name(number);
        let short = open.bytes(offset, 32, &name)?;
        let format = u16::from_le_bytes([short[0], short[1]]);
        let is_extended = format & 1 != 0;
        let bytes = if is_extended {
            open.bytes(offset, 64, &name)?
        } else {
            short
        };
        let mut inode = Self::parse(&bytes, format, open)
            .ok_or_else(|| ReaderError::damaged(&name, offset, "ends early"))?
            .map_err(|problem| ReaderError::damaged(&name, offset, problem))?;
        inode.number = number;
        inode.attributes = offset + bytes.len() as u64;
        inode.end += inode.attributes;
        Ok(inode)
    }

    /// None if it ends early; or what is wrong with it.
    fn parse(bytes: &[u8], format: u16, open: &Open<'_>) -> Option<Result<Self, String>> {
        const HAS_ONE_LINK: u16 = 1 << 4;
        let superblock = &open.superblock;
        let is_extended = format & 1 != 0;
        let layout = match format >> 1 & 7 {
            0 => Layout::Plain,
            1 => Layout::CompressedFull,
            2 => Layout::Inline,
            3 => Layout::CompressedCompact,
            4 => Layout::Chunks,
            other => return Some(Err(format!("has layout {other}, which there is not"))),
        };
        let mut fields = Fields(bytes);
        let _format = fields.u16()?;
        let attributes = u64::from(fields.u16()?);
        let mode = fields.u16()?;
        let high = fields.u16()?;
        let kind = match mode & TYPE {
            0o040_000 => Kind::Directory,
            0o100_000 => Kind::File,
            0o120_000 => Kind::Symlink,
            0o060_000 => Kind::BlockDevice,
            0o020_000 => Kind::CharacterDevice,
            0o010_000 => Kind::Fifo,
            0o140_000 => Kind::Socket,
            _ => return Some(Err(format!("has mode {mode:o}, which is of no type"))),
        };
        let has_high = is_extended || format & HAS_ONE_LINK != 0 && kind != Kind::Directory;
        let (size, value, uid, gid, modified);
        if is_extended {
            size = fields.u64()?;
            value = fields.u32()?;
            let _number = fields.u32()?;
            uid = fields.u32()?;
            gid = fields.u32()?;
            modified = (fields.u64()?, fields.u32()?);
        } else {
            size = fields.u32()?.into();
            let seconds = fields.u32()?;
            value = fields.u32()?;
            let _number = fields.u32()?;
            uid = fields.u16()?.into();
            gid = fields.u16()?.into();
            let seconds = superblock.epoch.wrapping_add(seconds.into());
            modified = (seconds, superblock.nanoseconds);
        }
        if i64::try_from(size).is_err() {
            return Some(Err(format!("has {size} bytes")));
        }
        if modified.1 >= 1_000_000_000 {
            return Some(Err(format!("has a time of {} nanoseconds", modified.1)));
        }
        Some(Ok(Self {
            number: 0,
            kind,
            mode: mode & 0o7777,
            uid,
            gid,
            modified: Timestamp {
                seconds: modified.0.cast_signed(),
                nanoseconds: modified.1,
            },
            size,
            layout,
            value,
            high: if has_high && superblock.is_wide {
                high
            } else {
                0
            },
            attributes: 0,
            end: match attributes {
                0 => 0,
                count => 12 + (count - 1) * 4,
            },
        }))
    }

    pub(crate) fn name(&self) -> String {
        name(self.number)
    }

    pub(crate) fn damaged(&self, problem: impl Into<String>) -> ReaderError {
        ReaderError::damaged(self.name(), None, problem)
    }

    /// As Linux writes a device's number into 32 bits: 12 bits of the driver above the lowest 8 of the unit, whose others
    /// stand above these.
    pub(crate) fn device(&self) -> Device {
        Device {
            major: self.value >> 8 & 0xFFF,
            minor: self.value & 0xFF | self.value >> 12 & 0xF_FF00,
        }
    }
}

fn name(number: u64) -> String {
    format!("inode {number}")
}
