//! Inodes.

use cellblock_guest::Device;
use cellblock_guest::fields::Fields;
use cellblock_guest::reader::ReaderError;

use crate::metadata::{Metadata, Reference};
use crate::superblock::Superblock;

/// There is no fragment, or no attributes.
const NONE: u32 = u32::MAX;
/// The longest target of a symbolic link.
const TARGET_LIMIT: u32 = 4095;

/// An inode as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Inode<'a> {
    pub(crate) number: u32,
    pub(crate) mode: u16,
    /// An index into the table of owners.
    pub(crate) owner: u16,
    /// As `owner`.
    pub(crate) group: u16,
    pub(crate) modified: u32,
    /// An index into the table of sets of attributes.
    pub(crate) attributes: Option<u32>,
    pub(crate) content: Content<'a>,
    /// The bytes of the table that it takes.
    pub(crate) length: usize,
}

/// What an inode is.
#[derive(Clone, Debug)]
pub(crate) enum Content<'a> {
    Directory(Directory),
    File(File<'a>),
    Symlink(&'a [u8]),
    BlockDevice(Device),
    CharacterDevice(Device),
    Fifo,
    Socket,
}

/// Where a directory's list stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directory {
    pub(crate) list: Reference,
    /// 3 bytes more than the list has: for `.` and `..`, which are not in it.
    pub(crate) size: u32,
}

/// Where a file's bytes stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File<'a> {
    pub(crate) size: u64,
    /// Where its first block stands; the others follow.
    pub(crate) start: u64,
    /// The block of tails that has its end, and how far into it.
    pub(crate) fragment: Option<(u32, u32)>,
    /// The lengths of its blocks, four bytes each.
    pub(crate) blocks: &'a [u8],
}

impl<'a> Inode<'a> {
    pub(crate) fn read(
        table: &'a Metadata,
        superblock: &Superblock,
        reference: Reference,
        owner: impl Fn() -> String,
    ) -> Result<Self, ReaderError> {
        let start = table.at(reference, owner)?;
        let mut fields = start;
        let named = || {
            let number = Fields(start.0.get(12..).unwrap_or_default()).u32();
            number.map_or_else(
                || format!("the inode at {}:{}", reference.block, reference.offset),
                |number| format!("inode {number}"),
            )
        };
        let mut inode = Self::parse(&mut fields, superblock)
            .ok_or_else(|| ReaderError::damaged(named(), None, "ends behind the table of inodes"))?
            .map_err(|problem| ReaderError::damaged(named(), None, problem))?;
        inode.length = start.0.len() - fields.0.len();
        Ok(inode)
    }

    /// None if it ends early; or what is wrong with it.
    fn parse(fields: &mut Fields<'a>, superblock: &Superblock) -> Option<Result<Self, String>> {
        let kind = fields.u16()?;
        let mode = fields.u16()? & 0o7777;
        let owner = fields.u16()?;
        let group = fields.u16()?;
        let modified = fields.u32()?;
        let number = fields.u32()?;
        let is_extended = kind > 7;
        let (content, attributes) = match kind {
            1 | 8 => directory(fields, is_extended)?,
            2 | 9 => match file(fields, is_extended, superblock.block_size)? {
                Ok(file) => file,
                Err(problem) => return Some(Err(problem)),
            },
            3 | 10 => {
                let _links = fields.u32()?;
                let length = fields.u32()?;
                if length > TARGET_LIMIT {
                    return Some(Err(format!("has a target of {length} bytes")));
                }
                let target = fields.bytes(length as usize)?;
                let attributes = if is_extended { fields.u32()? } else { NONE };
                (Content::Symlink(target), attributes)
            }
            4 | 5 | 11 | 12 => {
                let _links = fields.u32()?;
                let device = device(fields.u32()?);
                let attributes = if is_extended { fields.u32()? } else { NONE };
                match kind {
                    4 | 11 => (Content::BlockDevice(device), attributes),
                    _ => (Content::CharacterDevice(device), attributes),
                }
            }
            6 | 7 | 13 | 14 => {
                let _links = fields.u32()?;
                let attributes = if is_extended { fields.u32()? } else { NONE };
                match kind {
                    6 | 13 => (Content::Fifo, attributes),
                    _ => (Content::Socket, attributes),
                }
            }
            _ => return Some(Err(format!("is of type {kind}, which there is not"))),
        };
        Some(Ok(Self {
            number,
            mode,
            owner,
            group,
            modified,
            attributes: (attributes != NONE).then_some(attributes),
            content,
            length: 0,
        }))
    }

    pub(crate) fn name(&self) -> String {
        format!("inode {}", self.number)
    }

    pub(crate) fn damaged(&self, problem: impl Into<String>) -> ReaderError {
        ReaderError::damaged(self.name(), None, problem)
    }
}

fn directory<'a>(fields: &mut Fields<'a>, is_extended: bool) -> Option<(Content<'a>, u32)> {
    let (block, size, offset, attributes);
    if is_extended {
        let _links = fields.u32()?;
        size = fields.u32()?;
        block = fields.u32()?;
        let _parent = fields.u32()?;
        let _index = fields.u16()?;
        offset = fields.u16()?;
        attributes = fields.u32()?;
    } else {
        block = fields.u32()?;
        let _links = fields.u32()?;
        size = fields.u16()?.into();
        offset = fields.u16()?;
        let _parent = fields.u32()?;
        attributes = NONE;
    }
    let list = Reference {
        block: block.into(),
        offset,
    };
    Some((Content::Directory(Directory { list, size }), attributes))
}

fn file<'a>(
    fields: &mut Fields<'a>,
    is_extended: bool,
    block_size: u32,
) -> Option<Result<(Content<'a>, u32), String>> {
    let (start, size, fragment, offset, attributes);
    if is_extended {
        start = fields.u64()?;
        size = fields.u64()?;
        let _holes = fields.u64()?;
        let _links = fields.u32()?;
        fragment = fields.u32()?;
        offset = fields.u32()?;
        attributes = fields.u32()?;
    } else {
        start = fields.u32()?.into();
        fragment = fields.u32()?;
        offset = fields.u32()?;
        size = fields.u32()?.into();
        attributes = NONE;
    }
    if i64::try_from(size).is_err() {
        return Some(Err(format!("has {size} bytes")));
    }
    let block_size = u64::from(block_size);
    let has_fragment = fragment != NONE;
    let blocks = match has_fragment {
        true => size / block_size,
        false => size.div_ceil(block_size),
    };
    let blocks = usize::try_from(blocks).ok()?.checked_mul(4)?;
    let file = File {
        size,
        start,
        fragment: has_fragment.then_some((fragment, offset)),
        blocks: fields.bytes(blocks)?,
    };
    Some(Ok((Content::File(file), attributes)))
}

/// A device's number as Linux writes it into 32 bits: 12 bits of the driver above the lowest 8 of the unit, whose others stand
/// above these.
fn device(number: u32) -> Device {
    Device {
        major: number >> 8 & 0xFFF,
        minor: number & 0xFF | number >> 12 & 0xF_FF00,
    }
}
