//! The numbers of a file system of one size: blocks, groups, inodes, journal. No bytes, and no places.

mod heads;

use crate::format::{InodeNumber, Superblock};
use crate::options::{BackupPolicy, InodeCount, Journal, Options, Reserved, SMALL_END};

pub(crate) use heads::Backups;

/// The smallest last group that is worth having, in blocks beyond its own metadata, as in mke2fs.
const WORTHWHILE_GROUP: u64 = 50;

/// The inodes of a group are fewer than this, as their number has 16 bits in many places.
const INODES_PER_GROUP_LIMIT: u64 = 1 << 16;

/// The smallest groups that mke2fs makes for the sake of many inodes. Blocks.
const SMALLEST_GROUP: u32 = 256;

/// The most groups whose tables fit into a guest's memory: 1 PiB of blocks of 4 KiB.
const MOST_GROUPS: u64 = 1 << 23;

/// How a file system of one size is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Bytes.
    pub(crate) block_size: u32,
    /// All blocks, with the one before the superblock if there is one.
    pub(crate) blocks: u64,
    /// The first block of group 0.
    pub(crate) first_data_block: u32,
    /// Blocks of every group but the last, a multiple of 8.
    pub(crate) blocks_per_group: u32,
    pub(crate) groups: u32,
    pub(crate) inodes_per_group: u32,
    /// Blocks of a group's inode table.
    pub(crate) inode_table_blocks: u32,
    /// Group descriptors of a block.
    pub(crate) descriptors_per_block: u32,
    /// Blocks of all group descriptors.
    pub(crate) descriptor_blocks: u32,
    /// Blocks kept after them for more.
    pub(crate) reserved_descriptor_blocks: u32,
    /// Whether they have an inode, as those of a file system of fewer than 2^32 blocks may.
    pub(crate) has_resize_inode: bool,
    /// Whether each block of group descriptors stands with its groups, not with the superblocks.
    pub(crate) has_meta_groups: bool,
    pub(crate) backups: Backups,
    /// Groups whose bitmaps and tables stand together.
    pub(crate) groups_per_flex: u32,
    /// Blocks of the journal; 0 for none.
    pub(crate) journal_blocks: u32,
    /// Blocks of the orphan file; 0 for none.
    pub(crate) orphan_blocks: u32,
}

/// The sizes at which mke2fs changes to another usage type: the bytes up to where it goes, and the bytes for an inode.
const USAGE_TYPES: [(u64, u64); 5] = [
    (3 << 20, 8192),
    (SMALL_END, 4096),
    (4 << 40, 16384),
    (16 << 40, 32768),
    (u64::MAX, 65536),
];

/// The first size in bytes above `size` at which the defaults may call for fewer inodes.
pub(crate) fn next_usage_type(size: u64) -> u64 {
    USAGE_TYPES
        .iter()
        .map(|(limit, _)| *limit)
        .find(|limit| *limit > size)
        .unwrap_or(u64::MAX)
}

fn automatic_inode_ratio(size: u64) -> u64 {
    USAGE_TYPES
        .iter()
        .find(|(limit, _)| size < *limit)
        .map_or(65536, |(_, ratio)| *ratio)
}

/// The journal's blocks in a file system of `blocks`, as in mke2fs; 0 below the smallest for which there is one.
fn automatic_journal(blocks: u64) -> u32 {
    const TABLE: [(u64, u32); 8] = [
        (2048, 0),
        (32768, 1024),
        (256 << 10, 4096),
        (512 << 10, 8192),
        (4096 << 10, 16384),
        (8192 << 10, 32768),
        (16384 << 10, 65536),
        (32768 << 10, 131_072),
    ];
    TABLE
        .iter()
        .find(|(limit, _)| blocks < *limit)
        .map_or(262_144, |(_, journal)| *journal)
}

/// The orphan file's blocks in a file system of `blocks`, as in mke2fs.
fn automatic_orphan_file(blocks: u64) -> u32 {
    const FEWEST: u64 = 32;
    const MOST: u64 = 512;
    u32::try_from((blocks / 4096).clamp(FEWEST, MOST)).expect("there are 512 at most")
}

impl Geometry {
    /// Divides a partition of `blocks`, of which a small rest at the end may stay unused.
    ///
    /// The number of inodes, the journal and the room for more groups are those of a partition of `nominal` blocks;
    /// there are at least `inodes` inodes. Where groups of the usual size are too few for them, there are more and smaller
    /// ones, as in mke2fs. None if the partition does not even hold the metadata.
    pub(crate) fn new(options: &Options, blocks: u64, nominal: u64, inodes: u32) -> Option<Self> {
        let wanted = wanted_inodes(options, nominal);
        let all_inodes = wanted.max(u64::from(inodes));
        let mut blocks_per_group = largest_group(options, blocks, all_inodes)?;
        while blocks_per_group >= SMALLEST_GROUP {
            let mut geometry = Self::undivided(options, blocks, nominal, blocks_per_group);
            if geometry.settle(options, nominal, inodes)? {
                return Some(geometry);
            }
            blocks_per_group -= 8;
        }
        None
    }

    fn undivided(options: &Options, blocks: u64, nominal: u64, blocks_per_group: u32) -> Self {
        let descriptor_size = u32::from(options.descriptor_size());
        Self {
            block_size: options.block_size,
            blocks,
            first_data_block: first_data_block(options),
            blocks_per_group,
            groups: 0,
            inodes_per_group: 0,
            inode_table_blocks: 0,
            descriptors_per_block: options.block_size / descriptor_size,
            descriptor_blocks: 0,
            reserved_descriptor_blocks: 0,
            has_resize_inode: options.has_resize_inode() && blocks <= u64::from(u32::MAX),
            has_meta_groups: options.has_meta_groups(),
            backups: Backups::All,
            groups_per_flex: 1 << options.log_groups_per_flex(),
            journal_blocks: journal_blocks(options, nominal),
            orphan_blocks: 0,
        }
    }

    /// Divides the blocks, without the last group if that is too small to be worth its metadata. False if the groups are
    /// too few for the inodes; none if the metadata does not fit.
    fn settle(&mut self, options: &Options, nominal: u64, inodes: u32) -> Option<bool> {
        self.divide(options, nominal, inodes)?;
        let last = self.groups - 1;
        let tail = self.group_blocks(last);
        let overhead = self.head_blocks(last) + 2 + u64::from(self.inode_table_blocks);
        if tail < u64::from(self.blocks_per_group) && last > 0 {
            if tail < overhead + WORTHWHILE_GROUP {
                self.blocks -= tail;
                self.divide(options, nominal, inodes)?;
            }
        } else if tail < overhead {
            return None;
        }
        let longest = self.longest_head() + 2 + u64::from(self.inode_table_blocks);
        if longest > u64::from(self.blocks_per_group) {
            return None;
        }
        if options.has_orphan_file() && self.journal_blocks > 0 {
            self.orphan_blocks = automatic_orphan_file(self.blocks.min(nominal));
        }
        let wanted = wanted_inodes(options, nominal);
        let is_enough = self.most_inodes_per_group() * u64::from(self.groups) >= wanted;
        Some(is_enough && self.inodes() >= inodes)
    }

    /// As many as a block of a bitmap has bits.
    fn most_inodes_per_group(&self) -> u64 {
        8 * u64::from(self.block_size)
    }

    /// Finds all numbers that depend on the number of groups.
    fn divide(&mut self, options: &Options, nominal: u64, inodes: u32) -> Option<()> {
        let blocks = self.blocks.checked_sub(u64::from(self.first_data_block))?;
        let block_size = u64::from(self.block_size);
        let groups = blocks.div_ceil(u64::from(self.blocks_per_group));
        self.groups = u32::try_from(groups).ok().filter(|groups| *groups > 0)?;
        self.backups = match options.backups() {
            BackupPolicy::All => Backups::All,
            BackupPolicy::Sparse => Backups::Sparse,
            BackupPolicy::Two => Backups::two(self.groups),
        };

        let inode_size = u64::from(options.inode_size);
        let most = self
            .most_inodes_per_group()
            .min(INODES_PER_GROUP_LIMIT - block_size / inode_size)
            .min(u64::from(u32::MAX) / groups);
        let per_block = block_size / inode_size;
        // A whole number of blocks, and of bytes of the bitmap, which mke2fs rounds down to.
        let step = per_block.max(8);
        let wanted = wanted_inodes(options, nominal).div_ceil(groups);
        let wanted = wanted.next_multiple_of(per_block) / 8 * 8;
        let each = u64::from(inodes)
            .div_ceil(groups)
            .next_multiple_of(step)
            .max(wanted)
            .min(most / step * step);
        self.inodes_per_group = u32::try_from(each).ok().filter(|each| *each > 0)?;
        self.inode_table_blocks = u32::try_from(each / per_block).ok()?;
        self.divide_descriptors(nominal)
    }

    /// Finds where group descriptors go. Those of very many groups would fill group 0, and stand with their groups.
    fn divide_descriptors(&mut self, nominal: u64) -> Option<()> {
        let per_block = u64::from(self.descriptors_per_block);
        let blocks = u64::from(self.groups).div_ceil(per_block);
        self.descriptor_blocks = u32::try_from(blocks).ok()?;
        self.reserved_descriptor_blocks = if self.has_resize_inode {
            self.reserved_descriptors(nominal.min(self.blocks), per_block)
        } else {
            0
        };
        let all = self.descriptor_blocks + self.reserved_descriptor_blocks;
        if all > self.blocks_per_group / 4 * 3 {
            self.has_meta_groups = true;
            self.has_resize_inode = false;
            self.reserved_descriptor_blocks = 0;
        }
        Some(())
    }

    /// As many as let the file system grow to 1024 times its size, or to 2^32 blocks, as in mke2fs.
    fn reserved_descriptors(&self, blocks: u64, descriptors_per_block: u64) -> u32 {
        let most_blocks = blocks.saturating_mul(1024).min(u64::from(u32::MAX));
        let most_groups = (most_blocks.saturating_sub(u64::from(self.first_data_block)))
            .div_ceil(u64::from(self.blocks_per_group));
        let blocks = most_groups
            .div_ceil(descriptors_per_block)
            .saturating_sub(u64::from(self.descriptor_blocks));
        u32::try_from(blocks).map_or(self.block_size / 4, |blocks| {
            blocks.min(self.block_size / 4)
        })
    }

    /// The number of inodes.
    pub(crate) fn inodes(&self) -> u32 {
        self.inodes_per_group.saturating_mul(self.groups)
    }

    /// Bytes of all blocks.
    pub(crate) fn bytes(&self) -> u64 {
        self.blocks * u64::from(self.block_size)
    }

    /// The first block of a group.
    pub(crate) fn group_start(&self, group: u32) -> u64 {
        u64::from(self.first_data_block) + u64::from(group) * u64::from(self.blocks_per_group)
    }

    /// The blocks of a group.
    pub(crate) fn group_blocks(&self, group: u32) -> u64 {
        (self.blocks - self.group_start(group)).min(u64::from(self.blocks_per_group))
    }

    /// The blocks that are metadata of the file system itself, without the journal.
    pub(crate) fn overhead(&self) -> u64 {
        u64::from(self.first_data_block)
            + self.all_heads()
            + u64::from(self.groups) * (2 + u64::from(self.inode_table_blocks))
    }

    /// The blocks that only root may use, of a partition of `partition_blocks`: as in mke2fs, first a share of those, then as
    /// much less as the file system is smaller.
    pub(crate) fn reserved_blocks(&self, reserved: Reserved, partition_blocks: u64) -> u64 {
        match reserved {
            Reserved::Share(millionths) => {
                let partition_blocks = u128::from(partition_blocks.max(self.blocks));
                let of_partition = partition_blocks * u128::from(millionths) / 1_000_000;
                let blocks = of_partition * u128::from(self.blocks) / partition_blocks;
                u64::try_from(blocks).expect("a share is no more than the whole")
            }
            // More than half is not valid.
            Reserved::Blocks(blocks) => blocks.min(self.blocks / 2),
        }
    }

    /// The number of the group of an inode, and its index there.
    pub(crate) fn inode_place(&self, inode: InodeNumber) -> (u32, u32) {
        let index = inode.0 - 1;
        (index / self.inodes_per_group, index % self.inodes_per_group)
    }
}

/// The block of the superblock.
fn first_data_block(options: &Options) -> u32 {
    u32::from(options.block_size == 1024)
}

/// The most blocks of a group that still makes groups enough for so many `inodes`. None if there are no blocks, or too many
/// inodes for them.
fn largest_group(options: &Options, blocks: u64, inodes: u64) -> Option<u32> {
    let usual = 8 * options.block_size;
    let blocks = blocks.checked_sub(u64::from(first_data_block(options)))?;
    let others = inodes.div_ceil(u64::from(usual)).saturating_sub(1);
    if others == 0 {
        return Some(usual);
    }
    let largest = blocks.checked_sub(1)? / others / 8 * 8;
    Some(u32::try_from(largest).unwrap_or(usual).min(usual))
}

/// The most blocks that there may be.
pub(crate) fn most_blocks(options: &Options) -> u64 {
    let most = MOST_GROUPS * u64::from(options.block_size) * 8;
    if options.descriptor_size() == crate::format::GroupDescriptor::NARROW_SIZE {
        most.min(u64::from(u32::MAX))
    } else {
        most
    }
}

/// The fewest blocks that any file system has.
pub(crate) fn fewest_blocks(options: &Options) -> u64 {
    options.blocks_for(Superblock::OFFSET + Superblock::SIZE as u64) + 4
}

fn wanted_inodes(options: &Options, nominal: u64) -> u64 {
    let size = nominal.saturating_mul(u64::from(options.block_size));
    let ratio = match options.inodes {
        InodeCount::Count(count) => return u64::from(count),
        InodeCount::Ratio(ratio) => ratio,
        InodeCount::Automatic => automatic_inode_ratio(size).max(u64::from(options.block_size)),
    };
    (size / ratio).clamp(u64::from(InodeNumber::FIRST.0) + 1, u64::from(u32::MAX))
}

fn journal_blocks(options: &Options, nominal: u64) -> u32 {
    match options.journal {
        Journal::None => 0,
        Journal::Automatic => automatic_journal(nominal),
        Journal::Always => automatic_journal(nominal).max(1024),
        Journal::Blocks(blocks) => blocks,
    }
}
