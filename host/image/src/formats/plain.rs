//! The blocks of a disk as they are, in formats that do not compress.
//!
//! ```text
//!     extents ──> block ──> its first bytes: zeros? ──> copied by the kernel, from file to file
//!                           then the next ones: zeros? ──> left out
//! ```
//!
//! Most blocks are told from zeros by their first bytes, and no others of them are read into this program.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use super::blocks::{Grid, Hand, Packed, in_groups, in_order, is_zero};
use super::{Disk, Writer};
use crate::{Bytes, ImageError, copy};

/// The bytes that are looked at first.
const FIRST: usize = 4 << 10;
/// The bytes that are looked at next, and so on.
const NEXT: usize = 64 << 10;

/// A block that is not zeros, as far as the disk goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Block<'a> {
    /// Here.
    Bytes(&'a [u8]),
    /// In a file, at this offset, so many bytes.
    File(&'a File, u64, u64),
}

impl Block<'_> {
    /// The bytes of it.
    pub(super) fn length(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, _, length) => length,
        }
    }
}

impl Writer<'_> {
    /// Writes a block at an offset.
    pub(super) fn block(&self, offset: u64, block: Block<'_>) -> Result<(), ImageError> {
        let (file, from, length) = match block {
            Block::Bytes(bytes) => return self.at(offset, bytes),
            Block::File(file, from, length) => (file, from, length),
        };
        let to = self.start + offset;
        let copied = copy::range(file.as_fd(), from, self.file, to, length, copy::UNWATCHED);
        let copied = copied.map_err(|source| {
            self.scratch
                .transfer_error("writing", offset, length, source)
        })?;
        if copied < length {
            return Err(ImageError::Read {
                offset: from + copied,
                source: std::io::ErrorKind::UnexpectedEof.into(),
            });
        }
        Ok(())
    }

    /// Writes a block behind what was written one behind the other, and zeros behind it if it has fewer than `room` bytes.
    pub(super) fn append_block(&mut self, block: Block<'_>, room: u64) -> Result<(), ImageError> {
        self.block(self.position, block)?;
        self.position += room;
        Ok(())
    }
}

/// Hands the blocks of `block` bytes in which there is something else than zeros to `take`, with their indices, ascending. `watch` is
/// told of each number of bytes of the disk that is done.
pub(super) fn blocks(
    disk: &Disk<'_>,
    watch: &dyn Fn(u64),
    block: u64,
    mut take: impl FnMut(u64, Block<'_>) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    let there = |offset: u64| offset..(offset + block).min(disk.size);
    let Bytes::File(file) = disk.bytes else {
        let work = |hand: &mut Hand<'_>, offset: u64| {
            let there = there(offset);
            let length = there.end - there.start;
            hand.plain(
                offset,
                usize::try_from(length).expect("a block is in memory"),
            )
        };
        return in_order(disk, watch, block, work, |index, packed| match packed {
            Packed::Zeros => Ok(()),
            Packed::Plain(bytes) | Packed::Kept(bytes) => take(index, Block::Bytes(&bytes)),
        });
    };
    let mut buffer = vec![0; NEXT];
    let mut done = 0;
    for index in Grid::new(disk.extents()?, block) {
        let there = there(index * block);
        if !is_zero_there(file, there.clone(), &mut buffer)? {
            let length = there.end - there.start;
            let block = match usize::try_from(length) {
                Ok(length) if length <= FIRST => Block::Bytes(&buffer[..length]),
                _ => Block::File(file, there.start, length),
            };
            take(index, block)?;
        }
        watch(there.end - done);
        done = there.end;
    }
    watch(disk.size - done);
    Ok(())
}

/// Tells `take` the index of each block of `block` bytes in which there is something else than zeros, ascending, of a disk that is in `file`. They
/// are looked at on several threads. `watch` is told of each number of bytes of the disk that is done.
pub(super) fn stored(
    disk: &Disk<'_>,
    file: &File,
    watch: &dyn Fn(u64),
    block: u64,
    mut take: impl FnMut(u64),
) -> Result<(), ImageError> {
    /// The bytes of the disk that one thread looks at before it takes others.
    const TOGETHER: u64 = 8 << 20;
    /// The most blocks among them.
    const MOST: u64 = 128;
    let together = usize::try_from((TOGETHER / block).clamp(1, MOST)).expect("at most 128");
    let look = |_: &mut Hand<'_>, offsets: &[u64]| {
        let mut buffer = vec![0; NEXT];
        let has_data = |offset: &u64| {
            let there = *offset..(offset + block).min(disk.size);
            is_zero_there(file, there, &mut buffer).map(|is_zero| !is_zero)
        };
        offsets.iter().map(has_data).collect()
    };
    in_groups(disk, watch, block, together, look, |index, has_data| {
        if has_data {
            take(index);
        }
        Ok(())
    })
}

/// Whether a range of a file is zeros. One of at most `FIRST` bytes is in the buffer then.
fn is_zero_there(file: &File, range: Range<u64>, buffer: &mut [u8]) -> Result<bool, ImageError> {
    let (mut at, mut most) = (range.start, FIRST);
    while at < range.end {
        let part = &mut buffer[..copy::at_most(range.end - at, most)];
        let read = file.read_exact_at(part, at);
        read.map_err(|source| ImageError::Read { offset: at, source })?;
        if !is_zero(part) {
            return Ok(false);
        }
        at += part.len() as u64;
        most = NEXT;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_byte_anywhere_in_a_range_is_seen_and_none_beside_it() {
        let length = FIRST + 2 * NEXT + 100;
        for at in [0, FIRST - 1, FIRST, FIRST + NEXT, length - 1] {
            let mut bytes = vec![0; length + 20];
            bytes[9] = 1;
            bytes[10 + length] = 1;
            let file = tempfile::tempfile().unwrap();
            let range = 10..10 + length as u64;
            let mut buffer = vec![0; NEXT];
            file.write_all_at(&bytes, 0).unwrap();
            assert!(is_zero_there(&file, range.clone(), &mut buffer).unwrap());
            file.write_all_at(&[1], 10 + at as u64).unwrap();
            assert!(!is_zero_there(&file, range, &mut buffer).unwrap(), "{at}");
        }
    }
}
