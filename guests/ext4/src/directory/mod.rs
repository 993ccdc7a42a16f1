//! Directories: how entries fill blocks, and the hashed index over them.

mod inline;
mod write;

use cellblock_guest::{FormatError, Totals};

use crate::format::{
    DirectoryTail, EntryHeader, FileType, INLINE_MAP_SPACE, IndexEntry, IndexTail, InodeNumber,
    RootInformation, entry_length,
};
use crate::options::Options;
use cellblock_guest::htree::NameHash;

pub(crate) use inline::{arrange_inline, inline_bytes};
pub(crate) use write::{DirectoryWriter, Identity};

/// Bytes of the entries `.` and `..`.
const DOTS: u32 = 2 * (EntryHeader::SIZE + 4);

/// Directories with so many levels of index nodes between the root and the leaves need `LARGE_DIRECTORIES`.
const LARGE_DIRECTORY_LEVELS: u8 = 2;

/// Directories of this size need `LARGE_DIRECTORIES`. Bytes.
const LARGE_DIRECTORY: u64 = 1 << 31;

/// The bytes of names and targets, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<u8>);

impl Names {
    /// Takes memory once for all names and targets.
    pub(crate) fn make_room(&mut self, totals: &Totals) {
        let bytes = totals.names.saturating_add(totals.targets);
        // More than memory holds is refused as it is added.
        self.0.reserve_exact(usize::try_from(bytes).unwrap_or(0));
    }

    /// Keeps `bytes`, and tells where.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<u32, FormatError> {
        let start = u32::try_from(self.0.len())
            .map_err(|_| FormatError::TooManyNodes(u64::from(u32::MAX)))?;
        self.0.extend_from_slice(bytes);
        Ok(start)
    }

    pub(crate) fn get(&self, start: u32, length: u16) -> &[u8] {
        let start = start as usize;
        &self.0[start..start + usize::from(length)]
    }
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    /// Where its name is kept.
    pub(crate) start: u32,
    pub(crate) inode: InodeNumber,
    /// Bytes of the name.
    pub(crate) length: u8,
    pub(crate) file_type: FileType,
}

impl Child {
    fn name<'a>(&self, names: &'a Names) -> &'a [u8] {
        names.get(self.start, u16::from(self.length))
    }
}

/// What fits into the blocks of directories.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    block_size: u32,
    /// Bytes of a block that entries fill.
    entry_space: u32,
    /// Index entries of a root.
    root_entries: u32,
    /// Index entries of a node.
    node_entries: u32,
    /// Whether directories of several blocks are indexed.
    indexed: bool,
    /// Levels of index nodes between the root and the leaves: the most that there are.
    index_levels: u8,
    has_file_types: bool,
}

impl Limits {
    pub(crate) fn new(options: &Options) -> Self {
        let block_size = options.block_size;
        let (leaf_tail, index_tail) = if options.has_metadata_checksums() {
            (DirectoryTail::SIZE, IndexTail::SIZE)
        } else {
            (0, 0)
        };
        let information = size_of::<RootInformation>() as u64;
        let root = DOTS + u32::try_from(information).unwrap_or(8) + index_tail;
        Self {
            block_size,
            entry_space: block_size - leaf_tail,
            root_entries: (block_size - root) / IndexEntry::SIZE,
            node_entries: (block_size - EntryHeader::SIZE - index_tail) / IndexEntry::SIZE,
            indexed: options.has_directory_index(),
            index_levels: if options.may_have_large_directories() {
                LARGE_DIRECTORY_LEVELS
            } else {
                LARGE_DIRECTORY_LEVELS - 1
            },
            has_file_types: options.has_file_types(),
        }
    }
}

/// The blocks of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// All blocks.
    pub(crate) blocks: u32,
    /// The index, if there is one.
    pub(crate) index: Option<Index>,
    /// If it stands in its inode, the bytes of entries beyond those in the inode's map.
    pub(crate) inline_rest: Option<u32>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            blocks: 1,
            index: None,
            inline_rest: None,
        }
    }
}

/// The index of a directory. Its blocks are the root, the upper nodes, the lower nodes, the leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    /// Levels of nodes between the root and the leaves.
    levels: u8,
    upper_nodes: u32,
    lower_nodes: u32,
    leaves: u32,
}

impl Index {
    fn over(limits: &Limits, leaves: u32) -> Option<Self> {
        let mut index = Self {
            levels: 0,
            upper_nodes: 0,
            lower_nodes: 0,
            leaves,
        };
        let mut top = leaves;
        while top > limits.root_entries {
            if index.levels == limits.index_levels {
                return None;
            }
            top = top.div_ceil(limits.node_entries);
            index.levels += 1;
            (index.upper_nodes, index.lower_nodes) = match index.levels {
                1 => (0, top),
                _ => (top, index.lower_nodes),
            };
        }
        Some(index)
    }
}

impl Shape {
    fn linear(limits: &Limits, children: &[Child]) -> Option<Self> {
        let blocks = Leaves::linear(limits, children).count();
        Some(Self {
            blocks: u32::try_from(blocks).ok()?.max(1),
            index: None,
            inline_rest: None,
        })
    }

    /// Bytes.
    pub(crate) fn size(self, block_size: u32) -> u64 {
        match self.inline_rest {
            Some(rest) => u64::from(INLINE_MAP_SPACE + rest),
            None => u64::from(self.blocks) * u64::from(block_size),
        }
    }

    /// Whether the directory needs the feature `LARGE_DIRECTORIES`.
    pub(crate) fn needs_large_directories(self, block_size: u32) -> bool {
        self.size(block_size) >= LARGE_DIRECTORY
            || self
                .index
                .is_some_and(|index| index.levels == LARGE_DIRECTORY_LEVELS)
    }

    /// Adds empty blocks, so that e2fsck has where to put what it finds: 16 KiB in all, as in mke2fs.
    pub(crate) fn spare_for_lost_and_found(&mut self, block_size: u32) {
        if self.index.is_none() {
            self.blocks = self.blocks.max((16384 / block_size).min(12));
        }
    }
}

/// Brings `children` into the order in which they stand in the directory, and tells the blocks that they take; none if there
/// are too many. One that is too large for an index has none.
pub(crate) fn arrange(
    limits: &Limits,
    names: &Names,
    hash: NameHash,
    children: &mut [Child],
    scratch: &mut Vec<(u64, Child)>,
) -> Option<Shape> {
    let linear = Shape::linear(limits, children)?;
    if linear.blocks == 1 || !limits.indexed {
        return Some(linear);
    }
    scratch.clear();
    scratch.extend(children.iter().map(|child| {
        let hash = hash.of(child.name(names)).major;
        ((u64::from(hash) << 32) | u64::from(child.start), *child)
    }));
    scratch.sort_unstable_by_key(|(key, _)| *key);
    for (child, (_, sorted)) in children.iter_mut().zip(scratch.iter()) {
        *child = *sorted;
    }
    let leaves = u32::try_from(Leaves::hashed(limits, children).count()).ok()?;
    let Some(index) = Index::over(limits, leaves) else {
        return Shape::linear(limits, children);
    };
    let blocks = leaves.checked_add(1 + index.upper_nodes + index.lower_nodes)?;
    Some(Shape {
        blocks,
        index: Some(index),
        inline_rest: None,
    })
}

/// The most blocks that the directories of trees of these `totals` have.
pub(crate) fn most_blocks(options: &Options, totals: &Totals) -> u64 {
    /// Those of `lost+found`, and its own name.
    const LOST_AND_FOUND: u64 = 13;
    const ROUNDED_UP: u64 = 3;
    let names = u64::from(totals.nodes);
    let entries = totals
        .names
        .saturating_add(names.saturating_mul(u64::from(EntryHeader::SIZE) + ROUNDED_UP));
    // What does not fit any more leaves less than its own length.
    let filled = Limits::new(options).entry_space - entry_length(u8::MAX);
    // The root of an index is a block more where there are two full ones, and each hundred or more have a node.
    u64::from(totals.directories)
        .saturating_add(LOST_AND_FOUND)
        .saturating_add(entries.div_ceil(u64::from(filled)).saturating_mul(2))
}

/// The entries of each block, as many as fit.
struct Leaves<'a> {
    rest: &'a [Child],
    space: u32,
    used: u32,
    /// Whether there is a block even without entries.
    dots: bool,
}

impl<'a> Leaves<'a> {
    /// Blocks of which the first has `.` and `..` as well.
    fn linear(limits: &Limits, children: &'a [Child]) -> Self {
        Self {
            rest: children,
            space: limits.entry_space,
            used: DOTS,
            dots: true,
        }
    }

    /// Blocks below an index.
    fn hashed(limits: &Limits, children: &'a [Child]) -> Self {
        Self {
            rest: children,
            space: limits.entry_space,
            used: 0,
            dots: false,
        }
    }
}

impl<'a> Iterator for Leaves<'a> {
    type Item = &'a [Child];

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() && !self.dots {
            return None;
        }
        self.dots = false;
        let mut used = std::mem::take(&mut self.used);
        let mut count = 0;
        for child in self.rest {
            used += entry_length(child.length);
            if used > self.space {
                break;
            }
            count += 1;
        }
        let (leaf, rest) = self.rest.split_at(count);
        self.rest = rest;
        Some(leaf)
    }
}
