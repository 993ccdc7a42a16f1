//! Bitmaps and group descriptors.

use cellblock_guest::{FormatError, Summary};
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::inodes::Tally;
use super::{Writer, properties};
use crate::checksum::{crc16, crc32c};
use crate::extents::{high, low};
use crate::format::{GroupDescriptor, GroupFlags, Superblock};
use crate::space::Run;

impl Writer<'_> {
    /// Writes bitmaps, group descriptors and superblocks.
    pub(super) fn write_groups(&mut self, tally: Tally) -> Result<Summary, FormatError> {
        let geometry = &self.layout.geometry;
        let mut sweep = Sweep {
            fixed: &self.layout.space.fixed,
            free_blocks: 0,
            inodes_left: self.last_inode().0,
            bitmap: Bitmap::new(self.options.block_size),
        };
        // All descriptors, if they stand together; a block of them at a time otherwise.
        let mut table = Vec::new();
        for first in (0..geometry.groups).step_by(geometry.descriptors_per_block as usize) {
            let end = geometry
                .groups
                .min(first.saturating_add(geometry.descriptors_per_block));
            let mut descriptors: Vec<GroupDescriptor> = (first..end)
                .map(|group| self.descriptor(group, &tally))
                .collect();
            self.write_block_bitmaps(first, &mut descriptors, &mut sweep)?;
            self.write_inode_bitmaps(first, &mut descriptors, &mut sweep)?;
            self.add_descriptor_bytes(first, &mut descriptors, &mut table);
            if geometry.has_meta_groups {
                self.write_meta_group(first..end, &table)?;
                table.clear();
            }
        }
        let free_inodes = geometry.inodes() - self.last_inode().0;
        let superblock = self.superblock(sweep.free_blocks, free_inodes, &tally);
        self.write_superblocks(superblock, &table)?;
        let used = geometry.blocks - sweep.free_blocks;
        Ok(Summary {
            used: self.offset(used),
            properties: properties(self.options, self.layout),
        })
    }

    fn descriptor(&self, group: u32, tally: &Tally) -> GroupDescriptor {
        let tables = self.layout.space.tables[group as usize];
        let directories = tally.directories[group as usize];
        let mut descriptor = GroupDescriptor::new_zeroed();
        descriptor.block_bitmap_low = low(tables.block_bitmap).into();
        descriptor.block_bitmap_high = high(tables.block_bitmap).into();
        descriptor.inode_bitmap_low = low(tables.inode_bitmap).into();
        descriptor.inode_bitmap_high = high(tables.inode_bitmap).into();
        descriptor.inode_table_low = low(tables.inode_table).into();
        descriptor.inode_table_high = high(tables.inode_table).into();
        (descriptor.directories_low, descriptor.directories_high) = halves(directories);
        if self.options.has_group_flags() {
            descriptor.flags = GroupFlags::TABLE_ZEROED.bits().into();
        }
        descriptor
    }

    /// Writes the block bitmaps of the groups from `first` on, and counts their free blocks.
    fn write_block_bitmaps(
        &mut self,
        first: u32,
        descriptors: &mut [GroupDescriptor],
        sweep: &mut Sweep<'_>,
    ) -> Result<(), FormatError> {
        let geometry = &self.layout.geometry;
        let bitmap = &mut sweep.bitmap;
        let content = self.content_before();
        for (group, descriptor) in (first..).zip(descriptors) {
            let blocks = Run {
                start: geometry.group_start(group),
                count: geometry.group_blocks(group),
            };
            bitmap.clear();
            let mut used = bitmap.fill_blocks(blocks, content);
            while let Some((run, rest)) = sweep.fixed.split_first() {
                used += bitmap.fill_blocks(blocks, run.after(content.end()));
                if run.end() > blocks.end() {
                    break;
                }
                sweep.fixed = rest;
            }
            let free = blocks.count - used;
            sweep.free_blocks += free;
            (descriptor.free_blocks_low, descriptor.free_blocks_high) = halves(low(free));
            let is_last = group + 1 == geometry.groups;
            let is_empty = used == geometry.head_blocks(group);
            if self.options.has_group_flags() && is_empty && !is_last {
                add_flag(descriptor, GroupFlags::BLOCKS_UNINITIALISED);
                continue;
            }
            bitmap.fill_from(blocks.count);
            if let Some(seed) = self.seed {
                let checksum = bitmap.checksum(seed, u64::from(geometry.blocks_per_group));
                descriptor.block_bitmap_checksum_low = checksum.0;
                descriptor.block_bitmap_checksum_high = checksum.1;
            }
            let place = self.offset(self.layout.space.tables[group as usize].block_bitmap);
            self.output.write(place, &bitmap.bytes)?;
        }
        Ok(())
    }

    /// The blocks up to the end of the content, of which none is free.
    fn content_before(&self) -> Run {
        Run {
            start: 0,
            count: self.after_content.end.position(),
        }
    }

    /// Writes the inode bitmaps of the groups from `first` on.
    fn write_inode_bitmaps(
        &mut self,
        first: u32,
        descriptors: &mut [GroupDescriptor],
        sweep: &mut Sweep<'_>,
    ) -> Result<(), FormatError> {
        let each = self.layout.geometry.inodes_per_group;
        let bitmap = &mut sweep.bitmap;
        for (group, descriptor) in (first..).zip(descriptors) {
            let used = sweep.inodes_left.min(each);
            sweep.inodes_left -= used;
            let free = halves(each - used);
            (descriptor.free_inodes_low, descriptor.free_inodes_high) = free;
            if self.options.has_group_flags() {
                (descriptor.unused_inodes_low, descriptor.unused_inodes_high) = free;
                if used == 0 {
                    add_flag(descriptor, GroupFlags::INODES_UNINITIALISED);
                    continue;
                }
            }
            bitmap.clear();
            bitmap.fill(0, u64::from(used));
            bitmap.fill_from(u64::from(each));
            if let Some(seed) = self.seed {
                let checksum = bitmap.checksum(seed, u64::from(each));
                descriptor.inode_bitmap_checksum_low = checksum.0;
                descriptor.inode_bitmap_checksum_high = checksum.1;
            }
            let place = self.offset(self.layout.space.tables[group as usize].inode_bitmap);
            self.output.write(place, &bitmap.bytes)?;
        }
        Ok(())
    }

    /// Adds the bytes of descriptors from that of the group `first` on, with their checksums.
    fn add_descriptor_bytes(
        &self,
        first: u32,
        descriptors: &mut [GroupDescriptor],
        bytes: &mut Vec<u8>,
    ) {
        let size = usize::from(self.options.descriptor_size());
        for (group, descriptor) in (first..).zip(descriptors) {
            descriptor.checksum = self.descriptor_checksum(group, descriptor, size).into();
            bytes.extend_from_slice(&descriptor.as_bytes()[..size]);
        }
    }

    fn descriptor_checksum(&self, group: u32, descriptor: &GroupDescriptor, size: usize) -> u16 {
        let bytes = &descriptor.as_bytes()[..size];
        let number = group.to_le_bytes();
        if let Some(seed) = self.seed {
            let [a, b, ..] = crc32c(crc32c(seed, &number), bytes).to_le_bytes();
            return u16::from_le_bytes([a, b]);
        }
        if !self.options.has_group_flags() {
            return 0;
        }
        let checksum = std::mem::offset_of!(GroupDescriptor, checksum);
        let start = crc16(crc16(u16::MAX, &self.options.uuid), &number);
        let before = crc16(start, &bytes[..checksum]);
        crc16(before, &bytes[checksum + 2..])
    }

    /// Writes the descriptors of a meta group to those of its groups that have them.
    fn write_meta_group(
        &mut self,
        groups: std::ops::Range<u32>,
        descriptors: &[u8],
    ) -> Result<(), FormatError> {
        let geometry = &self.layout.geometry;
        for group in groups.filter(|group| geometry.has_descriptor_block(*group)) {
            let superblock = u64::from(geometry.has_superblock(group));
            let place = self.offset(geometry.group_start(group) + superblock);
            self.output.write(place, descriptors)?;
        }
        Ok(())
    }

    /// Writes the superblock and its backups, each with the `descriptors` that stand with it.
    fn write_superblocks(
        &mut self,
        mut superblock: Superblock,
        descriptors: &[u8],
    ) -> Result<(), FormatError> {
        let geometry = &self.layout.geometry;
        for group in std::iter::once(0).chain(geometry.backup_groups()) {
            let start = self.offset(geometry.group_start(group));
            let place = if group == 0 {
                Superblock::OFFSET
            } else {
                start
            };
            superblock.group = halves(group).0;
            self.add_checksum(&mut superblock);
            self.output.write(place, superblock.as_bytes())?;
            let block_size = u64::from(self.options.block_size);
            self.output.write(start + block_size, descriptors)?;
        }
        Ok(())
    }
}

/// What is known between one group and the next.
struct Sweep<'a> {
    /// The file system's own metadata from the current group on.
    fixed: &'a [Run],
    free_blocks: u64,
    /// Inodes in use from the current group on.
    inodes_left: u32,
    bitmap: Bitmap,
}

fn add_flag(descriptor: &mut GroupDescriptor, flag: GroupFlags) {
    descriptor.flags = (descriptor.flags.get() | flag.bits()).into();
}

fn halves(value: u32) -> (zerocopy::little_endian::U16, zerocopy::little_endian::U16) {
    let [a, b, c, d] = value.to_le_bytes();
    (
        u16::from_le_bytes([a, b]).into(),
        u16::from_le_bytes([c, d]).into(),
    )
}

/// A block of bits, the lowest of a byte first.
struct Bitmap {
    bytes: Vec<u8>,
}

impl Bitmap {
    fn new(block_size: u32) -> Self {
        Self {
            bytes: vec![0; block_size as usize],
        }
    }

    fn clear(&mut self) {
        self.bytes.fill(0);
    }

    /// Sets the bits from `start` up to `end`.
    fn fill(&mut self, start: u64, end: u64) {
        let position = |bit: u64| usize::try_from(bit / 8).expect("it is in a block");
        let (first, last) = (position(start), position(end));
        let from_start = u8::MAX << (start % 8);
        let to_end = !(u8::MAX << (end % 8));
        if first == last {
            if let Some(byte) = self.bytes.get_mut(first) {
                *byte |= from_start & to_end;
            }
            return;
        }
        self.bytes[first] |= from_start;
        self.bytes[first + 1..last].fill(u8::MAX);
        if let Some(byte) = self.bytes.get_mut(last) {
            *byte |= to_end;
        }
    }

    /// Sets the bits from `start` to the end of the block.
    fn fill_from(&mut self, start: u64) {
        self.fill(start, self.bytes.len() as u64 * 8);
    }

    /// Sets the bits of those blocks of a group that are in `run`, and tells their number.
    fn fill_blocks(&mut self, group: Run, run: Run) -> u64 {
        let start = run.start.max(group.start);
        let end = run.end().min(group.end());
        if start >= end {
            return 0;
        }
        self.fill(start - group.start, end - group.start);
        end - start
    }

    /// The checksum of the first `bits`, in halves.
    fn checksum(
        &self,
        seed: u32,
        bits: u64,
    ) -> (zerocopy::little_endian::U16, zerocopy::little_endian::U16) {
        let length = usize::try_from(bits / 8).expect("they are in a block");
        halves(crc32c(
            seed,
            self.bytes.get(..length).unwrap_or(&self.bytes),
        ))
    }
}
