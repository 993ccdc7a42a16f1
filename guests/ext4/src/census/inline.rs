//! Content that is so short that it stands in its inode.

use cellblock_guest::{FormatError, ReadError, Tree};

use super::{Body, Reader};
use crate::format::INLINE_MAP_SPACE;
use crate::layout::FAST_SYMLINK_LIMIT;

impl Reader<'_> {
    /// Reads the files and takes the targets of symbolic links that stand in their inodes.
    pub(super) fn read_inline(&mut self, tree: &mut dyn Tree) -> Result<(), FormatError> {
        if !self.options.has_inline_data() {
            return Ok(());
        }
        let census = &mut self.census;
        for inode in &mut census.inodes {
            let room = census
                .attributes
                .inline_room(self.options, inode.attributes);
            let Some(room) = room.map(|room| INLINE_MAP_SPACE + room) else {
                continue;
            };
            let has_attribute_block = inode
                .attributes
                .is_some_and(|attributes| attributes.block.is_some());
            match inode.body {
                Body::File { node, size, .. } if size > 0 && size <= u64::from(room) => {
                    let length = u32::try_from(size).expect("it is no larger than the room");
                    let bytes = tree.read(node, 0, length)?;
                    if bytes.len() != length as usize {
                        return Err(ReadError::Source.into());
                    }
                    inode.body = Body::Inline {
                        start: census.names.add(&bytes)?,
                        length: u16::try_from(size).expect("an inode has at most 4096 bytes"),
                    };
                }
                // Of such a symbolic link, e2fsck overlooks a block of attributes.
                Body::Symlink { start, length }
                    if length >= FAST_SYMLINK_LIMIT
                        && u32::from(length) <= room
                        && !has_attribute_block =>
                {
                    inode.body = Body::Inline { start, length };
                }
                _ => {}
            }
        }
        Ok(())
    }
}
