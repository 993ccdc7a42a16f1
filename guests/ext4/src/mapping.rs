//! The blocks of a file, and what maps them: a tree of extents, or lists of blocks.

use cellblock_guest::FormatError;

use crate::census::BlockRange;
use crate::extents::ExtentTree;
use crate::format::{InodeFlags, MAXIMUM_EXTENT_BLOCKS};
use crate::indirect::IndirectMap;
use crate::options::Options;
use crate::space::{Cursor, Run};

/// Blocks of a file that are consecutive on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MappedRun {
    /// The first in the file.
    pub(crate) logical: u32,
    pub(crate) run: Run,
}

/// Takes blocks with their places.
pub(crate) type BlockSink<'s> = dyn FnMut(u64, &[u8]) -> Result<(), FormatError> + 's;

/// The map of one file after the other.
#[derive(Debug)]
pub(crate) struct Mapping {
    block_size: u32,
    has_extents: bool,
    runs: Vec<MappedRun>,
    data_blocks: u64,
    /// The places of the map's own blocks.
    nodes: Vec<u64>,
}

impl Mapping {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            block_size: options.block_size,
            has_extents: options.has_extents(),
            runs: Vec::new(),
            data_blocks: 0,
            nodes: Vec::new(),
        }
    }

    /// Maps the first `blocks` blocks of a file to the next free blocks.
    pub(crate) fn map_all(&mut self, cursor: &mut Cursor<'_>, blocks: u64) {
        // Nearly all files are one extent, which needs no blocks for the map.
        if self.has_extents
            && blocks <= u64::from(MAXIMUM_EXTENT_BLOCKS)
            && let Some(run) = cursor.take_together(blocks)
        {
            self.runs.clear();
            if blocks > 0 {
                self.runs.push(MappedRun { logical: 0, run });
            }
            self.nodes.clear();
            self.data_blocks = blocks;
            return;
        }
        let all = BlockRange {
            first: 0,
            count: blocks,
        };
        self.map(cursor, &[all]);
    }

    /// Maps `ranges` of a file to the next free blocks, and then the map's own blocks.
    pub(crate) fn map(&mut self, cursor: &mut Cursor<'_>, ranges: &[BlockRange]) {
        self.runs.clear();
        self.nodes.clear();
        self.data_blocks = 0;
        for range in ranges {
            self.map_range(cursor, *range);
        }
        for _ in 0..self.node_count() {
            self.nodes.push(cursor.take(1).start);
        }
    }

    fn node_count(&self) -> u64 {
        if self.has_extents {
            self.extent_tree().node_count()
        } else {
            self.indirect_map().node_count()
        }
    }

    fn map_range(&mut self, cursor: &mut Cursor<'_>, range: BlockRange) {
        let mut logical = u64::from(range.first);
        let mut left = range.count;
        while left > 0 {
            let run = cursor.take(left);
            self.runs.push(MappedRun {
                logical: u32::try_from(logical).expect("the size of files is checked"),
                run,
            });
            logical += run.count;
            left -= run.count;
        }
        self.data_blocks += range.count;
    }

    fn extent_tree(&self) -> ExtentTree<'_> {
        ExtentTree::new(self.block_size, &self.runs)
    }

    fn indirect_map(&self) -> IndirectMap<'_> {
        IndirectMap::new(self.block_size, &self.runs)
    }

    /// The runs of data, ascending.
    pub(crate) fn runs(&self) -> &[MappedRun] {
        &self.runs
    }

    /// The place of a block of a file that is mapped without holes.
    pub(crate) fn block(&self, logical: u64) -> Option<u64> {
        self.runs.iter().find_map(|mapped| {
            let offset = logical.checked_sub(u64::from(mapped.logical))?;
            (offset < mapped.run.count).then_some(mapped.run.start + offset)
        })
    }

    /// The places of the blocks of data, in the file's order.
    pub(crate) fn places(&self) -> impl Iterator<Item = u64> {
        self.runs
            .iter()
            .flat_map(|mapped| mapped.run.start..mapped.run.end())
    }

    /// All blocks, with the map's own.
    pub(crate) fn blocks(&self) -> u64 {
        self.data_blocks + self.nodes.len() as u64
    }

    /// Whether the map has blocks of its own.
    pub(crate) fn has_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Writes the map's own blocks to `sink` with their places, and with checksums if there is the inode's `seed` and they
    /// have room for them.
    pub(crate) fn write_nodes(
        &self,
        seed: Option<u32>,
        sink: &mut BlockSink<'_>,
    ) -> Result<(), FormatError> {
        if self.has_extents {
            self.extent_tree()
                .write(&self.nodes, seed, sink)
                .map(|_| ())
        } else {
            self.indirect_map().write(&self.nodes, sink)
        }
    }

    /// Writes what stands in the inode to `root`, which is zeros.
    pub(crate) fn write_root(&self, root: &mut [u8; 60]) -> Result<(), FormatError> {
        if !self.has_extents {
            *root = self.indirect_map().root(&self.nodes);
        } else if self.has_nodes() {
            *root = self
                .extent_tree()
                .write(&self.nodes, None, &mut |_, _| Ok(()))?;
        } else {
            self.extent_tree().write_small_root(root);
        }
        Ok(())
    }

    /// What the inode's flags say of the map.
    pub(crate) fn flags(&self) -> InodeFlags {
        if self.has_extents {
            InodeFlags::EXTENTS
        } else {
            InodeFlags::empty()
        }
    }
}
