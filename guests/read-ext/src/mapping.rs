//! Which blocks hold which bytes of a file: extents (Documentation/filesystems/ext4/ifork.rst), or the lists of blocks of
//! ext2 and ext3.

use cellblock_guest::crc32c::crc32c;
use cellblock_guest::reader::ReaderError;

use crate::field::{joined, u16, u32};
use crate::inode::{Flags, Inode};
use crate::volume::{Block, Ext};

/// Blocks in a row, of a file and of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first block in the file.
    pub(crate) logical: u64,
    /// Where it is in the partition.
    pub(crate) physical: Block,
    /// The number of blocks, never 0.
    pub(crate) count: u64,
}

/// The runs of an inode's content by ascending position in it, without those that are allocated and hold nothing yet.
pub(crate) fn runs(ext: &Ext<'_>, inode: &Inode) -> Result<Vec<Run>, ReaderError> {
    mapped(ext, inode, false)
}

/// The same of a directory or a link, whose blocks kernels read whether they are said to be written or not.
pub(crate) fn all_runs(ext: &Ext<'_>, inode: &Inode) -> Result<Vec<Run>, ReaderError> {
    mapped(ext, inode, true)
}

fn mapped(ext: &Ext<'_>, inode: &Inode, unwritten: bool) -> Result<Vec<Run>, ReaderError> {
    let mut map = Map {
        ext,
        inode,
        unwritten,
        runs: Vec::new(),
        next: 0,
    };
    if inode.flags.contains(Flags::EXTENTS) {
        map.extents(&inode.map, None, 0..1 << 32)?;
    } else {
        map.lists()?;
    }
    Ok(map.runs)
}

struct Map<'a, 'b> {
    ext: &'a Ext<'b>,
    inode: &'a Inode,
    /// Whether extents that are said to be unwritten are among the runs.
    unwritten: bool,
    runs: Vec<Run>,
    /// The first block of the file behind all that is mapped.
    next: u64,
}

impl Map<'_, '_> {
    fn add(&mut self, run: Run) -> Result<(), ReaderError> {
        let blocks = self.ext.superblock.blocks;
        let end = run.physical.checked_add(run.count);
        if run.physical == 0 || end.is_none_or(|end| end > blocks) {
            return Err(self.inode.damaged(format!(
                "has {} of its blocks from {} on, and the file system has {blocks}",
                run.count, run.physical
            )));
        }
        self.next = run.logical + run.count;
        if let Some(last) = self.runs.last_mut()
            && last.logical + last.count == run.logical
            && last.physical + last.count == run.physical
        {
            last.count += run.count;
            return Ok(());
        }
        self.runs.push(run);
        Ok(())
    }

    /// A node of the tree of extents, which speaks of the blocks `range` of the file. The root says how deep the tree is.
    fn extents(
        &mut self,
        node: &[u8],
        depth: Option<u16>,
        range: std::ops::Range<u64>,
    ) -> Result<(), ReaderError> {
        const MAGIC: u16 = 0xF30A;
        const HEADER: usize = 12;
        const ENTRY: usize = 12;
        /// The kernel's limit.
        const DEEPEST: u16 = 5;
        let [magic, entries, room, own_depth] = [0, 2, 4, 6].map(|at| u16(node, at));
        let problem = if magic != MAGIC {
            format!("has {magic:#x} where the magic number of extents is")
        } else if entries > room || HEADER + ENTRY * usize::from(room) > node.len() {
            format!("has {entries} extents where {room} are said to have room")
        } else if depth.map_or(own_depth > DEEPEST, |depth| depth != own_depth) {
            format!("has extents {own_depth} levels deep in the wrong place")
        } else {
            String::new()
        };
        if !problem.is_empty() {
            return Err(self.inode.damaged(problem));
        }
        let entries: Vec<&[u8]> = node[HEADER..]
            .chunks_exact(ENTRY)
            .take(entries.into())
            .collect();
        for (index, entry) in entries.iter().enumerate() {
            let logical = u64::from(u32(entry, 0));
            if logical < self.next.max(range.start) || logical >= range.end {
                return Err(self
                    .inode
                    .damaged(format!("has an extent of block {logical} out of order")));
            }
            if own_depth == 0 {
                self.extent(logical, entry, range.end)?;
                continue;
            }
            let next = entries.get(index + 1);
            let end = next.map_or(range.end, |next| u64::from(u32(next, 0)));
            let block = joined(u32(entry, 4), u16(entry, 8).into());
            let child = self.ext.block(block, &self.inode.name())?;
            self.check(&child)?;
            self.extents(&child, Some(own_depth - 1), logical..end)?;
        }
        Ok(())
    }

    fn extent(&mut self, logical: u64, entry: &[u8], end: u64) -> Result<(), ReaderError> {
        /// Above it, blocks are allocated and hold nothing yet.
        const WRITTEN: u16 = 1 << 15;
        let length = u16(entry, 4);
        let is_written = length <= WRITTEN;
        let count = u64::from(if is_written { length } else { length - WRITTEN });
        if count == 0 || logical + count > end {
            return Err(self.inode.damaged(format!(
                "has an extent of {count} blocks from block {logical} on"
            )));
        }
        if !is_written && !self.unwritten {
            self.next = logical + count;
            return Ok(());
        }
        self.add(Run {
            logical,
            physical: joined(u32(entry, 8), u16(entry, 6).into()),
            count,
        })
    }

    /// The checksum stands behind the last entry that has room.
    fn check(&self, node: &[u8]) -> Result<(), ReaderError> {
        let Some(seed) = self.inode.seed else {
            return Ok(());
        };
        let covered = 12 + 12 * usize::from(u16(node, 4));
        if covered + 4 > node.len() || crc32c(seed, &node[..covered]) != u32(node, covered) {
            return Err(self
                .inode
                .damaged("has a block of extents with a wrong checksum"));
        }
        Ok(())
    }

    /// Twelve blocks, and behind them lists of blocks, of lists, and of lists of lists.
    fn lists(&mut self) -> Result<(), ReaderError> {
        let size = u64::from(self.ext.superblock.block_size);
        let blocks = self.inode.size.div_ceil(size);
        let mut logical = 0;
        for (index, entry) in self.inode.map.chunks_exact(4).enumerate() {
            let level = u32::try_from(index.saturating_sub(11)).expect("there are 15");
            logical = self.pointer(u32(entry, 0), level, logical, blocks)?;
        }
        Ok(())
    }

    /// What a pointer of this level stands for: the block behind that of the file.
    fn pointer(
        &mut self,
        block: u32,
        level: u32,
        logical: u64,
        blocks: u64,
    ) -> Result<u64, ReaderError> {
        let per_block = u64::from(self.ext.superblock.block_size / 4);
        let end = logical + per_block.pow(level);
        if block == 0 || logical >= blocks {
            return Ok(end);
        }
        if level == 0 {
            self.add(Run {
                logical,
                physical: block.into(),
                count: 1,
            })?;
            return Ok(end);
        }
        let list = self.ext.block(block.into(), &self.inode.name())?;
        let mut at = logical;
        for entry in list.chunks_exact(4) {
            at = self.pointer(u32(entry, 0), level - 1, at, blocks)?;
        }
        Ok(end)
    }
}
