//! Chunks: a list of the places of parts of one length.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::ReaderError;

use super::{Mapped, Spot, check, position};
use crate::inode::Inode;
use crate::meta::Open;

const BITS: u32 = 0x1F;
const HAS_INDEXES: u32 = 0x20;
const IS_WIDE: u32 = 0x40;

pub(super) fn map(open: &Open<'_>, inode: &Inode) -> Result<Vec<Mapped>, ReaderError> {
    let format = inode.value & 0xFFFF;
    if format & !(BITS | HAS_INDEXES | IS_WIDE) != 0 {
        return Err(inode.damaged(format!("has chunks of format {format:#x}")));
    }
    let chunk = 1_u64 << (open.superblock.block_bits + (format & BITS));
    let entry: u64 = if format & HAS_INDEXES == 0 { 4 } else { 8 };
    let count = inode.size.div_ceil(chunk);
    let length = count.saturating_mul(entry);
    let owner = inode.name();
    open.spend(length, &owner)?;
    let length = usize::try_from(length).map_err(|_| inode.damaged("has too many chunks"))?;
    let list = open.bytes(inode.end.next_multiple_of(entry), length, &owner)?;
    let mut fields = Fields(&list);
    let mut mapped = Vec::new();
    for number in 0..count {
        let offset = number * chunk;
        let length = chunk.min(inode.size - offset);
        let block = match entry {
            4 => fields.u32().map(|block| (block, u64::from(block))),
            _ => wide(&mut fields, format, inode)?,
        };
        let (low, block) = block.ok_or_else(|| inode.damaged("has a list that ends early"))?;
        let is_hole = low == u32::MAX && matches!(block >> 32, 0 | 0xFFFF);
        if is_hole {
            continue;
        }
        let start = position(open, inode, block)?;
        check(open, inode, start, length)?;
        mapped.push(Mapped {
            offset,
            length,
            spot: Spot::Plain(start),
        });
    }
    Ok(mapped)
}

/// The lower half of a block's number, and all of it.
fn wide(
    fields: &mut Fields<'_>,
    format: u32,
    inode: &Inode,
) -> Result<Option<(u32, u64)>, ReaderError> {
    let (Some(high), Some(device), Some(low)) = (fields.u16(), fields.u16(), fields.u32()) else {
        return Ok(None);
    };
    if device != 0 {
        return Err(inode.damaged(format!("has a chunk on device {device}")));
    }
    let high = if format & IS_WIDE == 0 { 0 } else { high };
    Ok(Some((low, u64::from(high) << 32 | u64::from(low))))
}
