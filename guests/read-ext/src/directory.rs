//! Directories: Documentation/filesystems/ext4/directory.rst. The blocks of a hash tree look like empty ones to whoever reads in a
//! row, so that both kinds are read alike.

use cellblock_guest::crc32c::crc32c;
use cellblock_guest::reader::ReaderError;

use crate::content;
use crate::field::{u16, u32};
use crate::inode::{Flags, Inode, MAP};
use crate::mapping::all_runs;
use crate::names::Names;
use crate::volume::Ext;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) inode: u32,
}

/// The bytes of an entry without its name.
const HEAD: usize = 8;

/// The entries of a directory by ascending name, without `.` and `..`.
pub(crate) fn entries(ext: &Ext<'_>, inode: &Inode) -> Result<Vec<Entry>, ReaderError> {
    let mut names = Names::of(ext, inode);
    let mut entries = if inode.flags.contains(Flags::INLINE_DATA) {
        of_inline(ext, inode, &names)?
    } else {
        of_blocks(ext, inode, &mut names)?
    };
    entries.sort_unstable();
    let twice = entries.windows(2).find(|pair| pair[0].name == pair[1].name);
    if let Some(pair) = twice {
        let name = pair[0].name.escape_ascii();
        return Err(inode.damaged(format!("has two entries '{name}'")));
    }
    Ok(entries)
}

/// Behind the number of the parent stand entries, and more in the attribute with the rest.
fn of_inline(ext: &Ext<'_>, inode: &Inode, names: &Names) -> Result<Vec<Entry>, ReaderError> {
    let bytes = content::inline(ext, inode)?;
    let mut entries = Vec::new();
    let (inner, outer) = bytes.split_at(bytes.len().min(MAP));
    for part in [inner.get(4..).unwrap_or_default(), outer] {
        parse(inode, part, names, &mut entries)?;
    }
    Ok(entries)
}

fn of_blocks(ext: &Ext<'_>, inode: &Inode, names: &mut Names) -> Result<Vec<Entry>, ReaderError> {
    let size = u64::from(ext.superblock.block_size);
    let blocks = inode.size.div_ceil(size);
    let mut entries = Vec::new();
    for run in all_runs(ext, inode)? {
        let mut left = run.count.min(blocks.saturating_sub(run.logical));
        let mut block = run.physical;
        let mut is_root = run.logical == 0;
        while left > 0 {
            let count = u32::try_from(left.min((256 << 10) / size)).expect("it is small");
            ext.spend(count.into())?;
            let bytes = ext.blocks(block, count, &inode.name())?;
            for block in bytes.chunks_exact(ext.superblock.block_size as usize) {
                check(inode, block)?;
                if is_root {
                    names.read_root(inode, block);
                    is_root = false;
                }
                parse(inode, block, names, &mut entries)?;
            }
            left -= u64::from(count);
            block += u64::from(count);
        }
    }
    Ok(entries)
}

/// The entries of one block, which reach exactly to its end.
fn parse(
    inode: &Inode,
    block: &[u8],
    names: &Names,
    entries: &mut Vec<Entry>,
) -> Result<(), ReaderError> {
    let mut rest = block;
    while !rest.is_empty() {
        let problem = |what: String| {
            let at = block.len() - rest.len();
            inode.damaged(format!(
                "has {what}, {at} bytes into a block of the directory"
            ))
        };
        if rest.len() < HEAD {
            return Err(problem(format!("{} bytes for an entry", rest.len())));
        }
        let number = u32(rest, 0);
        let length = record_length(u16(rest, 4), block.len());
        let name_length = usize::from(rest[6]);
        if length < HEAD || !length.is_multiple_of(4) || length > rest.len() {
            return Err(problem(format!("an entry of {length} bytes")));
        }
        if number != 0 {
            if HEAD + name_length > length {
                let what = format!("a name of {name_length} bytes in an entry of {length}");
                return Err(problem(what));
            }
            let name = &rest[HEAD..][..name_length];
            if !matches!(name, b"." | b"..") {
                check_name(inode, name)?;
                entries.push(Entry {
                    name: names.shown(name, &rest[..length]),
                    inode: number,
                });
            }
        }
        rest = &rest[length..];
    }
    Ok(())
}

/// In blocks of 64 KiB, the length of a whole block does not fit, and the two lowest bits are the highest.
fn record_length(raw: u16, block: usize) -> usize {
    if block < 1 << 16 {
        return raw.into();
    }
    match raw {
        0 | u16::MAX => block,
        raw => usize::from(raw & !3) | usize::from(raw & 3) << 16,
    }
}

fn check_name(inode: &Inode, name: &[u8]) -> Result<(), ReaderError> {
    let is_encrypted = inode.flags.contains(Flags::ENCRYPTED);
    let what = if name.is_empty() {
        "an entry without a name"
    } else if is_encrypted {
        return Ok(());
    } else if name.contains(&b'/') {
        "a name with a slash"
    } else if name.contains(&0) {
        "a name with a zero byte"
    } else {
        return Ok(());
    };
    Err(inode.damaged(format!("has {what}: '{}'", name.escape_ascii())))
}

/// Blocks of entries end with an entry for their checksum; those of the hash tree have it behind their last record.
fn check(inode: &Inode, block: &[u8]) -> Result<(), ReaderError> {
    const TAIL: usize = 12;
    let Some(seed) = inode.seed else {
        return Ok(());
    };
    let wrong = || inode.damaged("has a block of the directory with a wrong checksum");
    // A block that became one of the tree may end as it did before, so that what it begins with decides: entries of such lengths
    // leave no room for a tail.
    let records = index_records(block).filter(|_| inode.flags.contains(Flags::INDEXED));
    let Some(at) = records else {
        let (covered, tail) = block.split_at(block.len() - TAIL);
        let is_tail = u32(tail, 0) == 0 && u16(tail, 4) == 12 && tail[6] == 0 && tail[7] == 0xDE;
        return if !is_tail {
            Err(inode.damaged("has a block of the directory without a checksum"))
        } else if crc32c(seed, covered) == u32(tail, 8) {
            Ok(())
        } else {
            Err(wrong())
        };
    };
    let [limit, count] = [at, at + 2].map(|at| usize::from(u16(block, at)));
    let tail = at + 8 * limit;
    if count > limit || tail + 8 > block.len() {
        return Err(wrong());
    }
    let checksum = crc32c(seed, &block[..at + 8 * count]);
    let checksum = crc32c(checksum, &block[tail..tail + 4]);
    if crc32c(checksum, &[0; 4]) == u32(block, tail + 4) {
        return Ok(());
    }
    Err(wrong())
}

/// Where the records of a block of the hash tree begin: the root hides them behind `..`, others behind one empty entry.
fn index_records(block: &[u8]) -> Option<usize> {
    let length = |at| record_length(u16(block, at), block.len());
    if length(4) == block.len() && u32(block, 0) == 0 {
        return Some(8);
    }
    (length(4) == 12 && length(16) == block.len() - 12).then_some(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_64_kib_have_two_bits_more() {
        assert_eq!(record_length(12, 4096), 12);
        assert_eq!(record_length(0, 1 << 16), 1 << 16);
        assert_eq!(record_length(u16::MAX, 1 << 16), 1 << 16);
        assert_eq!(record_length(0xFFF4, 1 << 16), 0xFFF4);
    }
}
