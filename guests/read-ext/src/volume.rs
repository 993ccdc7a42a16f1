//! The file system as a whole: its blocks, its group descriptors, and the budget of what is looked at.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use cellblock_guest::crc32c::crc32c;
use cellblock_guest::reader::{Partition, ReaderError};

use crate::field::{joined, u16, u32};
use crate::journal::Replayed;
use crate::shared::Shared;
use crate::superblock::{Incompatible, Superblock};

/// A block's number, from the beginning of the partition.
pub(crate) type Block = u64;

/// An open file system.
pub(crate) struct Ext<'a> {
    pub(crate) partition: &'a dyn Partition,
    pub(crate) superblock: Superblock,
    /// Where each group's inodes begin.
    tables: Vec<Option<Block>>,
    replayed: Replayed,
    /// At most `WINDOWS`, the one that was used last at the front.
    cache: RefCell<VecDeque<Cached>>,
    /// How many more blocks of metadata may be read.
    budget: Cell<u64>,
    /// What of attributes is read, and how often yet.
    pub(crate) shared: Shared,
}

/// Some blocks that were read, by the first of them.
struct Cached {
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Ext<'a> {
    /// The bytes that are read at once where small structures stand in a row.
    const WINDOW: u64 = 64 << 10;
    const WINDOWS: usize = 64;

    /// Opens it: its superblock and its group descriptors.
    pub(crate) fn open(partition: &'a dyn Partition) -> Result<Self, ReaderError> {
        let superblock = Superblock::read(partition)?;
        let mut ext = Self {
            partition,
            // Each block of metadata has one owner, but for those of attributes, which a file each may share.
            budget: Cell::new(superblock.blocks.saturating_add(superblock.inodes.into())),
            superblock,
            tables: Vec::new(),
            replayed: Replayed::default(),
            cache: RefCell::default(),
            shared: Shared::default(),
        };
        ext.tables = ext.read_tables()?;
        if ext.needs_replay() {
            ext.replayed = Replayed::of(&ext)?;
            ext.superblock = ext.superblock_after_replay()?;
            ext.tables = ext.read_tables()?;
        }
        Ok(ext)
    }

    /// Whether the last writes stand in the journal alone.
    pub(crate) fn needs_replay(&self) -> bool {
        self.superblock.incompatible.contains(Incompatible::RECOVER)
    }

    /// The blocks that the journal has newer ones of.
    pub(crate) fn replayed(&self) -> usize {
        self.replayed.len()
    }

    /// Where the newest bytes of a block stand, in bytes of the partition; none where they are bytes that the journal keeps
    /// in another form.
    pub(crate) fn place(&self, block: Block) -> Option<u64> {
        match self.replayed.get(block) {
            None => Some(block * u64::from(self.superblock.block_size)),
            Some(copy) => (!copy.is_escaped).then_some(copy.offset),
        }
    }

    /// Whether `block` is one of a run of `count` that the journal has a newer copy of.
    pub(crate) fn is_replayed(&self, block: Block, count: u64) -> bool {
        self.replayed.any(block, count)
    }

    /// The bytes of a block of `owner`.
    pub(crate) fn block(&self, block: Block, owner: &str) -> Result<Vec<u8>, ReaderError> {
        self.spend(1)?;
        self.blocks(block, 1, owner)
    }

    /// The bytes of `count` blocks in a row. What they are spent on is the caller's to say.
    pub(crate) fn blocks(
        &self,
        block: Block,
        count: u32,
        owner: &str,
    ) -> Result<Vec<u8>, ReaderError> {
        let end = block.checked_add(count.into());
        if block == 0 || end.is_none_or(|end| end > self.superblock.blocks) {
            let problem = format!(
                "points to block {block}, and the file system has {}",
                self.superblock.blocks
            );
            return Err(ReaderError::damaged(owner, None, problem));
        }
        let size = self.superblock.block_size as usize;
        let is_replayed = self.is_replayed(block, count.into());
        // Directories of one block often stand in a row: they are read with their neighbours.
        if count == 1 && !is_replayed {
            return self.cached(block * size as u64, size, owner);
        }
        let mut bytes = vec![0; size * count as usize];
        if !is_replayed {
            self.partition.read_at(block * size as u64, &mut bytes)?;
            return Ok(bytes);
        }
        for (number, bytes) in (block..).zip(bytes.chunks_mut(size)) {
            match self.replayed.get(number) {
                None => self.partition.read_at(number * size as u64, bytes)?,
                Some(copy) => copy.read(self.partition, bytes)?,
            }
        }
        Ok(bytes)
    }

    /// Counts blocks of metadata that are read.
    ///
    /// # Errors
    /// If there are more than the file system has: some are reached twice.
    pub(crate) fn spend(&self, blocks: u64) -> Result<(), ReaderError> {
        if self.shared.is_counting() {
            return self
                .shared
                .spend(blocks * u64::from(self.superblock.block_size));
        }
        let left = self.budget.get().checked_sub(blocks).ok_or_else(|| {
            let problem =
                "has more blocks of metadata than blocks: some are reached again and again";
            ReaderError::damaged("the file system", None, problem)
        })?;
        self.budget.set(left);
        Ok(())
    }

    /// The raw bytes of an inode, and where they stand in the partition.
    pub(crate) fn inode_bytes(&self, number: u32) -> Result<(Vec<u8>, u64), ReaderError> {
        let superblock = &self.superblock;
        let (group, index) = (
            (number - 1) / superblock.inodes_per_group,
            (number - 1) % superblock.inodes_per_group,
        );
        let table = self.tables[group as usize].ok_or_else(|| {
            let problem = "has its inodes outside the file system";
            ReaderError::damaged(format!("block group {group}"), None, problem)
        })?;
        let size = superblock.inode_size;
        let block_size = u64::from(superblock.block_size);
        let offset = u64::from(index) * u64::from(size);
        let block = table + offset / block_size;
        if block >= superblock.blocks {
            let problem = format!("stands in block {block} of {}", superblock.blocks);
            return Err(ReaderError::damaged(
                format!("inode {number}"),
                None,
                problem,
            ));
        }
        let start = block * block_size + offset % block_size;
        if self.is_replayed(block, 1) {
            let bytes = self.blocks(block, 1, "an inode table")?;
            let within = usize::try_from(offset % block_size).expect("a block is in memory");
            return Ok((bytes[within..][..size.into()].to_vec(), start));
        }
        Ok((self.cached(start, size.into(), "an inode table")?, start))
    }

    /// Bytes that stand within one window, with their neighbours.
    fn cached(&self, start: u64, length: usize, owner: &str) -> Result<Vec<u8>, ReaderError> {
        let window = start / Self::WINDOW * Self::WINDOW;
        let mut cache = self.cache.borrow_mut();
        // Groups lie at distances of powers of two, so that places which follow from the number would be the same for many.
        match cache.iter().position(|cached| cached.start == window) {
            Some(0) => {}
            Some(found) => {
                let used = cache.remove(found).expect("it was just found");
                cache.push_front(used);
            }
            None => {
                let length = Self::WINDOW.min(self.partition.size().saturating_sub(window));
                let length = usize::try_from(length).expect("a window is small");
                let bytes = self.partition.bytes(window, length)?;
                cache.truncate(Self::WINDOWS - 1);
                cache.push_front(Cached {
                    start: window,
                    bytes,
                });
            }
        }
        let bytes = &cache[0].bytes;
        let at = usize::try_from(start - window).expect("a window is small");
        bytes
            .get(at..at + length)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| ReaderError::damaged(owner, start, "ends behind the partition"))
    }

    /// The superblock as the journal has left it.
    fn superblock_after_replay(&self) -> Result<Superblock, ReaderError> {
        struct After<'a, 'b>(&'a Ext<'b>);
        impl Partition for After<'_, '_> {
            fn size(&self) -> u64 {
                self.0.partition.size()
            }
            fn read_at(
                &self,
                offset: u64,
                buffer: &mut [u8],
            ) -> Result<(), cellblock_guest::PartitionError> {
                let size = u64::from(self.0.superblock.block_size);
                let Some(copy) = self.0.replayed.get(offset / size) else {
                    return self.0.partition.read_at(offset, buffer);
                };
                let mut block = vec![0; self.0.superblock.block_size as usize];
                copy.read(self.0.partition, &mut block)?;
                let within = usize::try_from(offset % size).expect("a block is in memory");
                let bytes = block
                    .get(within..within + buffer.len())
                    .ok_or(cellblock_guest::PartitionError::OutOfRange)?;
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            fn decode(
                &self,
                blocks: &[cellblock_guest::reader::Encoded],
            ) -> Result<Vec<Vec<u8>>, cellblock_guest::reader::DecodeError> {
                self.0.partition.decode(blocks)
            }
        }
        let mut superblock = Superblock::read(&After(self))?;
        // Its journal's inode and geometry are those that found the journal.
        superblock.incompatible |= Incompatible::RECOVER;
        Ok(superblock)
    }

    fn groups(&self) -> u64 {
        let superblock = &self.superblock;
        (superblock.blocks - u64::from(superblock.first_block))
            .div_ceil(superblock.blocks_per_group.into())
    }

    /// Reads all group descriptors: where each group's inodes begin, if that is inside.
    fn read_tables(&self) -> Result<Vec<Option<Block>>, ReaderError> {
        let superblock = &self.superblock;
        // Groups without inodes are of no interest here, however many a small superblock claims.
        let wanted = superblock.inodes.div_ceil(superblock.inodes_per_group);
        if u64::from(wanted) > self.groups() {
            let problem = format!(
                "has {} inodes, and {} groups of {}",
                superblock.inodes,
                self.groups(),
                superblock.inodes_per_group
            );
            return Err(ReaderError::damaged("the superblock", None, problem));
        }
        let per_block = superblock.block_size / u32::from(superblock.descriptor_size);
        let mut tables = Vec::new();
        for first in (0..wanted).step_by(per_block as usize) {
            let block = self.descriptor_block(first / per_block);
            let bytes = self.block(block, "the group descriptors")?;
            for (group, bytes) in
                (first..wanted).zip(bytes.chunks(superblock.descriptor_size.into()))
            {
                self.check_descriptor(group, bytes)?;
                let high = if bytes.len() >= 64 {
                    u32(bytes, 0x28)
                } else {
                    0
                };
                let table = joined(u32(bytes, 0x8), high);
                tables.push((1..superblock.blocks).contains(&table).then_some(table));
            }
        }
        Ok(tables)
    }

    fn check_descriptor(&self, group: u32, bytes: &[u8]) -> Result<(), ReaderError> {
        const CHECKSUM: usize = 0x1E;
        let Some(seed) = self.superblock.seed else {
            return Ok(());
        };
        let mut zeroed = bytes.to_vec();
        zeroed[CHECKSUM..][..2].fill(0);
        let checksum = crc32c(crc32c(seed, &group.to_le_bytes()), &zeroed);
        if u32::from(u16(bytes, CHECKSUM)) == checksum & 0xFFFF {
            return Ok(());
        }
        let structure = format!("the descriptor of block group {group}");
        Err(ReaderError::damaged(
            structure,
            None,
            "has a wrong checksum",
        ))
    }

    /// The block of descriptors at this index: behind the superblock, or with `meta_bg` in the groups that they describe.
    fn descriptor_block(&self, index: u32) -> Block {
        let superblock = &self.superblock;
        let of_superblock = crate::superblock::OFFSET / u64::from(superblock.block_size);
        let is_spread = superblock.incompatible.contains(Incompatible::META_BG)
            && index >= superblock.first_meta_group;
        if !is_spread {
            return of_superblock + 1 + u64::from(index);
        }
        let per_block = superblock.block_size / u32::from(superblock.descriptor_size);
        let group = u64::from(index) * u64::from(per_block);
        let start =
            group * u64::from(superblock.blocks_per_group) + u64::from(superblock.first_block);
        let is_behind_boot_block =
            superblock.block_size == 1024 && index == 0 && superblock.first_block == 0;
        start + u64::from(superblock.has_copy(group)) + u64::from(is_behind_boot_block)
    }
}
