//! Blocks in a row; the last part may stand behind the inode.

use cellblock_guest::reader::ReaderError;

use super::{Mapped, Spot, check, position};
use crate::inode::{Inode, Layout};
use crate::meta::Open;

pub(super) fn map(open: &Open<'_>, inode: &Inode) -> Result<Vec<Mapped>, ReaderError> {
    let block_size = open.superblock.block_size();
    let tail = match inode.layout {
        Layout::Inline => inode.size - (inode.size - 1) / block_size * block_size,
        _ => 0,
    };
    let length = inode.size - tail;
    let mut mapped = Vec::new();
    let is_hole = inode.value == u32::MAX && matches!(inode.high, 0 | u16::MAX);
    if length > 0 && !is_hole {
        let block = u64::from(inode.high) << 32 | u64::from(inode.value);
        let start = position(open, inode, block)?;
        check(open, inode, start, length)?;
        mapped.push(Mapped {
            offset: 0,
            length,
            spot: Spot::Plain(start),
        });
    }
    if tail > 0 {
        if inode.end % block_size + tail > block_size {
            return Err(inode.damaged(format!(
                "has {tail} bytes behind it, which go on in the next block"
            )));
        }
        check(open, inode, inode.end, tail)?;
        mapped.push(Mapped {
            offset: length,
            length: tail,
            spot: Spot::Plain(inode.end),
        });
    }
    Ok(mapped)
}
