//! Small directories that stand in their inodes.
//!
//! ```text
//!   map of the inode: 60 bytes           attribute system.data
//!   +--------+---------------------+     +-----------------+
//!   | parent | entries, 56 bytes   |     | entries, if any |
//!   +--------+---------------------+     +-----------------+
//! ```
//!
//! There are no entries `.` and `..`, and no checksum but the inode's.

use super::write::put_entries;
use super::{Child, Limits, Names, Shape};
use crate::format::{EntryHeader, InodeNumber, entry_length};

/// Bytes of the parent's number.
const PARENT: usize = 4;

/// Bytes of entries in an inode's map.
const MAP_SPACE: u32 = 56;

/// Brings `children` into the order in which they stand in their directory's inode, which has `room` bytes beyond its map;
/// none if they do not fit.
pub(crate) fn arrange_inline(children: &mut [Child], room: u32) -> Option<Shape> {
    let shortest = EntryHeader::SIZE + 4;
    if children.len() > ((MAP_SPACE + room) / shortest) as usize {
        return None;
    }
    let mut used = 0;
    let mut rest = 0;
    let (in_map, others): (Vec<Child>, Vec<Child>) = children.iter().partition(|child| {
        let length = entry_length(child.length);
        let fits = used + length <= MAP_SPACE;
        *if fits { &mut used } else { &mut rest } += length;
        fits
    });
    if rest > room {
        return None;
    }
    for (slot, child) in children.iter_mut().zip(in_map.into_iter().chain(others)) {
        *slot = child;
    }
    Some(Shape {
        blocks: 0,
        index: None,
        inline_rest: Some(rest),
    })
}

/// The map of a directory's inode, and the `rest` bytes beyond it. `children` are as [`arrange_inline`] left them.
pub(crate) fn inline_bytes(
    limits: &Limits,
    names: &Names,
    parent: InodeNumber,
    children: &[Child],
    rest: u32,
) -> ([u8; 60], Vec<u8>) {
    let mut used = 0;
    let in_map = children
        .iter()
        .take_while(|child| {
            used += entry_length(child.length);
            used <= MAP_SPACE
        })
        .count();
    let (in_map, others) = children.split_at(in_map);
    let mut map = [0; 60];
    let (number, entries) = map.split_at_mut(PARENT);
    number.copy_from_slice(&parent.0.to_le_bytes());
    put_entries(limits, names, entries, in_map);
    let mut beyond = vec![0; rest as usize];
    if rest > 0 {
        put_entries(limits, names, &mut beyond, others);
    }
    (map, beyond)
}
