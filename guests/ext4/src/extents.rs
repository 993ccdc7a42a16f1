//! The blocks of a file: the extents that map them, and the tree over the extents.

use cellblock_guest::FormatError;
use zerocopy::IntoBytes as _;

use crate::census::BlockRange;
use crate::checksum::crc32c;
use crate::format::{Extent, ExtentHeader, ExtentIndex, MAXIMUM_EXTENT_BLOCKS};
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
    /// Entries of a node below the root.
    node_entries: u32,
    runs: Vec<MappedRun>,
    /// The extents of `runs`, of which each may need more than one.
    extents: u64,
    data_blocks: u64,
    /// The nodes below the root: all leaves, then the level above, and so on.
    nodes: Vec<u64>,
}

impl Mapping {
    pub(crate) fn new(block_size: u32) -> Self {
        Self {
            block_size,
            node_entries: (block_size - ExtentHeader::SIZE) / ExtentHeader::SIZE,
            runs: Vec::new(),
            extents: 0,
            data_blocks: 0,
            nodes: Vec::new(),
        }
    }

    /// Maps the first `blocks` blocks of a file to the next free blocks.
    pub(crate) fn map_all(&mut self, cursor: &mut Cursor<'_>, blocks: u64) {
        let all = BlockRange {
            first: 0,
            count: blocks,
        };
        self.map(cursor, &[all]);
    }

    /// Maps `ranges` of a file to the next free blocks, and then the tree's nodes.
    pub(crate) fn map(&mut self, cursor: &mut Cursor<'_>, ranges: &[BlockRange]) {
        self.runs.clear();
        self.nodes.clear();
        self.extents = 0;
        self.data_blocks = 0;
        for range in ranges {
            self.map_range(cursor, *range);
        }
        if self.extents > u64::from(ExtentHeader::ROOT_ENTRIES) {
            for _ in 0..self.node_count() {
                self.nodes.push(cursor.take(1).start);
            }
        }
    }

    fn map_range(&mut self, cursor: &mut Cursor<'_>, range: BlockRange) {
        let mut logical = u64::from(range.first);
        let mut left = range.count;
        while left > 0 {
            let run = cursor.take(left);
            self.runs.push(MappedRun {
                // A file has no more blocks than that.
                logical: u32::try_from(logical).unwrap_or(u32::MAX),
                run,
            });
            self.extents += run.count.div_ceil(u64::from(MAXIMUM_EXTENT_BLOCKS));
            logical += run.count;
            left -= run.count;
        }
        self.data_blocks += range.count;
    }

    /// The nodes below the root.
    fn node_count(&self) -> u64 {
        let mut level = self.extents;
        let mut nodes = 0;
        while level > u64::from(ExtentHeader::ROOT_ENTRIES) {
            level = level.div_ceil(u64::from(self.node_entries));
            nodes += level;
        }
        nodes
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

    /// All blocks, with the tree's.
    pub(crate) fn blocks(&self) -> u64 {
        self.data_blocks + self.nodes.len() as u64
    }

    fn extents(&self) -> impl Iterator<Item = Entry> {
        self.runs.iter().flat_map(|mapped| {
            (0..mapped.run.count)
                .step_by(MAXIMUM_EXTENT_BLOCKS as usize)
                .map(|offset| {
                    let length = (mapped.run.count - offset).min(u64::from(MAXIMUM_EXTENT_BLOCKS));
                    Entry {
                        logical: mapped.logical.wrapping_add(low(offset)),
                        block: mapped.run.start + offset,
                        length: u16::try_from(length).unwrap_or(u16::MAX),
                    }
                })
        })
    }

    /// The root, as it stands in the inode. Nodes below it go to `sink` with their places, and with checksums if there
    /// is the inode's `seed`.
    pub(crate) fn tree(
        &self,
        seed: Option<u32>,
        sink: &mut BlockSink<'_>,
    ) -> Result<[u8; 60], FormatError> {
        let mut places = self.nodes.iter().copied();
        let mut level: Vec<Entry> = self.extents().collect();
        let mut depth = 0;
        while level.len() > ExtentHeader::ROOT_ENTRIES as usize {
            let mut above = Vec::new();
            for entries in level.chunks(self.node_entries as usize) {
                let mut block = vec![0; self.block_size as usize];
                write_node(&mut block, self.node_entries, depth, entries);
                if let Some(seed) = seed {
                    let covered = (ExtentHeader::SIZE * (1 + self.node_entries)) as usize;
                    let checksum = crc32c(seed, &block[..covered]).to_le_bytes();
                    block[covered..covered + checksum.len()].copy_from_slice(&checksum);
                }
                let place = places.next().unwrap_or_default();
                sink(place, &block)?;
                above.push(Entry {
                    logical: entries.first().map_or(0, |entry| entry.logical),
                    block: place,
                    length: 0,
                });
            }
            level = above;
            depth += 1;
        }
        let mut root = [0; 60];
        write_node(&mut root, ExtentHeader::ROOT_ENTRIES, depth, &level);
        Ok(root)
    }

    /// The root alone.
    pub(crate) fn root(&self) -> Result<[u8; 60], FormatError> {
        if self.has_nodes() {
            return self.tree(None, &mut |_, _| Ok(()));
        }
        let mut entries = [Entry::default(); ExtentHeader::ROOT_ENTRIES as usize];
        let mut count = 0;
        for (slot, extent) in entries.iter_mut().zip(self.extents()) {
            *slot = extent;
            count += 1;
        }
        let mut root = [0; 60];
        write_node(&mut root, ExtentHeader::ROOT_ENTRIES, 0, &entries[..count]);
        Ok(root)
    }

    /// Whether there are nodes below the root.
    pub(crate) fn has_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }
}

/// An extent, or a node below.
#[derive(Clone, Copy, Default)]
struct Entry {
    logical: u32,
    block: u64,
    /// Blocks; 0 for a node.
    length: u16,
}

fn write_node(bytes: &mut [u8], maximum: u32, depth: u16, entries: &[Entry]) {
    let narrow = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
    let header = ExtentHeader {
        magic: ExtentHeader::MAGIC.into(),
        entries: narrow(entries.len()).into(),
        maximum: narrow(maximum as usize).into(),
        depth: depth.into(),
        generation: 0.into(),
    };
    let (slots, _) = bytes.as_chunks_mut::<{ ExtentHeader::SIZE as usize }>();
    let Some((first, slots)) = slots.split_first_mut() else {
        return;
    };
    first.copy_from_slice(header.as_bytes());
    for (slot, entry) in slots.iter_mut().zip(entries) {
        let high = u16::try_from(entry.block >> 32).unwrap_or(u16::MAX).into();
        if depth == 0 {
            let extent = Extent {
                logical: entry.logical.into(),
                length: entry.length.into(),
                start_high: high,
                start_low: low(entry.block).into(),
            };
            slot.copy_from_slice(extent.as_bytes());
        } else {
            let index = ExtentIndex {
                logical: entry.logical.into(),
                node_low: low(entry.block).into(),
                node_high: high,
                unused: 0.into(),
            };
            slot.copy_from_slice(index.as_bytes());
        }
    }
}

/// The low 32 bits.
pub(crate) fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The high 32 bits.
pub(crate) fn high(value: u64) -> u32 {
    low(value >> 32)
}
