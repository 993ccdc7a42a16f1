//! How much room inodes take, before it is known where they stand.

use crate::census::{Census, File, Inode};
use crate::format::{CompactInode, ExtendedInode};
use crate::options::Options;

/// Whether an inode's numbers fit a compact one.
pub(crate) fn is_compact(options: &Options, inode: &Inode, size: u64) -> bool {
    let time = inode.modified;
    let is_counted = if options.features.wide {
        time.nanoseconds == 0 && u32::try_from(time.seconds).is_ok()
    } else {
        time == options.time
    };
    let fits = |value: u32| u16::try_from(value).is_ok();
    !options.features.extended_inodes
        && is_counted
        && u32::try_from(size).is_ok()
        && [inode.uid, inode.gid, inode.links].into_iter().all(fits)
}

/// The bytes of an inode and its attributes.
pub(crate) fn head_bytes(options: &Options, census: &Census, inode: &Inode, size: u64) -> u64 {
    let own = if is_compact(options, inode, size) {
        size_of::<CompactInode>()
    } else {
        size_of::<ExtendedInode>()
    };
    own as u64 + census.attributes.body_bytes(inode.attributes)
}

/// The bytes of content that stand behind an inode, which are the last of `size`: all that are in no full block, if there is
/// room for them in the inode's own block.
pub(crate) fn inline_bytes(options: &Options, head: u64, size: u64) -> u64 {
    let tail = options.tail(size);
    if options.features.inline_data && head + tail <= options.block_size() {
        tail
    } else {
        0
    }
}

/// The same of a file.
pub(crate) fn inline_bytes_of_file(options: &Options, census: &Census, file: &File) -> u64 {
    let inode = &census.inodes[file.inode.position()];
    let head = head_bytes(options, census, inode, file.size);
    inline_bytes(options, head, file.size)
}
