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
        let mut descriptors: Vec<GroupDescriptor> = Vec::with_capacity(geometry.groups as usize);
        for group in 0..geometry.groups {
            descriptors.push(self.descriptor(group, &tally));
        }
        let free_blocks = self.write_block_bitmaps(&mut descriptors)?;
        let free_inodes = self.write_inode_bitmaps(&mut descriptors)?;
        let descriptors = self.descriptor_bytes(&mut descriptors);
        let superblock = self.superblock(free_blocks, free_inodes, &tally);
        self.write_superblocks(superblock, &descriptors)?;
        let used = geometry.blocks - free_blocks;
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

    /// Writes the block bitmaps, and tells the number of free blocks.
    fn write_block_bitmaps(
        &mut self,
        descriptors: &mut [GroupDescriptor],
    ) -> Result<u64, FormatError> {
        let geometry = &self.layout.geometry;
        let mut fixed = self.layout.space.fixed.as_slice();
        let mut bitmap = Bitmap::new(self.options.block_size);
        let mut all_free = 0;
        let content = self.content_before();
        for (group, descriptor) in (0..).zip(descriptors) {
            let blocks = Run {
                start: geometry.group_start(group),
                count: geometry.group_blocks(group),
            };
            bitmap.clear();
            let mut used = bitmap.fill_blocks(blocks, content);
            while let Some((run, rest)) = fixed.split_first() {
                used += bitmap.fill_blocks(blocks, run.after(content.end()));
                if run.end() > blocks.end() {
                    break;
                }
                fixed = rest;
            }
            let free = blocks.count - used;
            all_free += free;
            (descriptor.free_blocks_low, descriptor.free_blocks_high) = halves(low(free));
            let own = if geometry.has_superblock(group) {
                geometry.superblock_blocks()
            } else {
                0
            };
            let is_last = group + 1 == geometry.groups;
            if self.options.has_group_flags() && used == own && !is_last {
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
        Ok(all_free)
    }

    /// The blocks up to the end of the content, of which none is free.
    fn content_before(&self) -> Run {
        Run {
            start: 0,
            count: self.places.end.position(),
        }
    }

    /// Writes the inode bitmaps, and tells the number of free inodes.
    fn write_inode_bitmaps(
        &mut self,
        descriptors: &mut [GroupDescriptor],
    ) -> Result<u32, FormatError> {
        let geometry = &self.layout.geometry;
        let each = geometry.inodes_per_group;
        let mut left = self.census.last_inode().0;
        let mut bitmap = Bitmap::new(self.options.block_size);
        for (group, descriptor) in (0_u32..).zip(descriptors) {
            let used = left.min(each);
            left -= used;
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
        Ok(geometry.inodes() - self.census.last_inode().0)
    }

    /// The bytes of all descriptors, with their checksums.
    fn descriptor_bytes(&self, descriptors: &mut [GroupDescriptor]) -> Vec<u8> {
        let size = usize::from(self.options.descriptor_size());
        let blocks = self.layout.geometry.descriptor_blocks as usize;
        let mut bytes = Vec::with_capacity(blocks * self.options.block_size as usize);
        for (group, descriptor) in (0..).zip(descriptors) {
            descriptor.checksum = self.descriptor_checksum(group, descriptor, size).into();
            bytes.extend_from_slice(&descriptor.as_bytes()[..size]);
        }
        bytes
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

    /// Writes the superblock and the descriptors, and their backups.
    fn write_superblocks(
        &mut self,
        mut superblock: Superblock,
        descriptors: &[u8],
    ) -> Result<(), FormatError> {
        let geometry = &self.layout.geometry;
        for group in (0..geometry.groups).filter(|group| geometry.has_superblock(*group)) {
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
        let position = |bit: u64| usize::try_from(bit / 8).unwrap_or(usize::MAX);
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
        let length = usize::try_from(bits / 8).unwrap_or(usize::MAX);
        halves(crc32c(
            seed,
            self.bytes.get(..length).unwrap_or(&self.bytes),
        ))
    }
}
