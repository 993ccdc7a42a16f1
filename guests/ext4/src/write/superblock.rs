//! The superblock.

use zerocopy::{FromZeros as _, IntoBytes as _};

use super::Writer;
use super::inodes::Tally;
use crate::census::LARGE_FILE;
use crate::checksum::{START, crc32c};
use crate::extents::{high, low};
use crate::format::{
    BACKUP_OF_JOURNAL_INODE, CHECKSUM_TYPE_CRC32C, Compatible, DEFAULT_MOUNT_OPTIONS,
    ERRORS_CONTINUE, HASH_HALF_MD4, Incompatible, Inode, InodeNumber, MAGIC, NO_MOUNT_LIMIT,
    REVISION_DYNAMIC, ReadOnlyCompatible, SIGNED_HASH, STATE_CLEAN, Superblock,
};
use crate::geometry::Backups;
use crate::options::Features;

impl Writer<'_> {
    /// The superblock of group 0, without its checksum.
    pub(super) fn superblock(
        &self,
        free_blocks: u64,
        free_inodes: u32,
        tally: &Tally,
    ) -> Superblock {
        let mut superblock = Superblock::new_zeroed();
        self.fill_sizes(&mut superblock, free_blocks, free_inodes);
        self.fill_identity(&mut superblock);
        self.fill_times(&mut superblock);
        self.fill_features(&mut superblock);
        if self.layout.geometry.journal_blocks > 0 {
            let size = self.offset(u64::from(self.layout.geometry.journal_blocks));
            superblock.journal_inode = InodeNumber::JOURNAL.0.into();
            superblock.journal_backup_type = BACKUP_OF_JOURNAL_INODE;
            superblock.journal_map = tally.journal_map;
            superblock.journal_size_low = low(size).into();
            superblock.journal_size_high = high(size).into();
        }
        superblock
    }

    /// Puts the checksum into a superblock that is complete otherwise.
    pub(super) fn add_checksum(&self, superblock: &mut Superblock) {
        if self.options.has_metadata_checksums() {
            let covered = std::mem::offset_of!(Superblock, checksum);
            superblock.checksum = crc32c(START, &superblock.as_bytes()[..covered]).into();
        }
    }

    fn fill_sizes(&self, superblock: &mut Superblock, free_blocks: u64, free_inodes: u32) {
        let geometry = &self.layout.geometry;
        let reserved =
            geometry.reserved_blocks(self.options.reserved, self.layout.partition_blocks);
        let log_block_size = (geometry.block_size / 1024).trailing_zeros();
        superblock.inodes = geometry.inodes().into();
        superblock.blocks_low = low(geometry.blocks).into();
        superblock.blocks_high = high(geometry.blocks).into();
        superblock.reserved_blocks_low = low(reserved).into();
        superblock.reserved_blocks_high = high(reserved).into();
        superblock.free_blocks_low = low(free_blocks).into();
        superblock.free_blocks_high = high(free_blocks).into();
        superblock.free_inodes = free_inodes.into();
        superblock.first_data_block = geometry.first_data_block.into();
        superblock.log_block_size = log_block_size.into();
        superblock.log_cluster_size = log_block_size.into();
        superblock.blocks_per_group = geometry.blocks_per_group.into();
        superblock.clusters_per_group = geometry.blocks_per_group.into();
        superblock.inodes_per_group = geometry.inodes_per_group.into();
        superblock.first_inode = InodeNumber::FIRST.0.into();
        superblock.inode_size = self.options.inode_size.into();
        let kept = u16::try_from(geometry.reserved_descriptor_blocks)
            .expect("a block has at most 1024 numbers of blocks");
        superblock.reserved_descriptor_blocks = kept.into();
        let overhead = geometry.overhead() + u64::from(geometry.journal_blocks);
        // 0 has the kernel count them itself, as it must where the field has no room.
        superblock.overhead_blocks = u32::try_from(overhead).unwrap_or(0).into();
        let inodes = u64::from(self.last_inode().0) * u64::from(self.options.inode_size);
        let content = self.offset(geometry.blocks - free_blocks - overhead);
        superblock.kibibytes_written = ((content + inodes) / 1024).into();
        if self.options.inode_size > Inode::BASE_SIZE {
            superblock.minimum_extra_size = Inode::EXTRA_SIZE.into();
            superblock.wanted_extra_size = Inode::EXTRA_SIZE.into();
        }
    }

    fn fill_identity(&self, superblock: &mut Superblock) {
        superblock.magic = MAGIC.into();
        superblock.state = STATE_CLEAN.into();
        superblock.errors = ERRORS_CONTINUE.into();
        superblock.revision = REVISION_DYNAMIC.into();
        superblock.maximum_mount_count = NO_MOUNT_LIMIT.into();
        superblock.uuid = self.options.uuid;
        superblock.label = self.options.label;
        superblock.last_mounted = self.options.last_mounted;
        superblock.hash_seed = self.options.hash_seed;
        superblock.hash_version = HASH_HALF_MD4;
        superblock.default_mount_options = DEFAULT_MOUNT_OPTIONS.into();
        superblock.flags = SIGNED_HASH.into();
    }

    /// Of times, 40 bits are kept.
    fn fill_times(&self, superblock: &mut Superblock) {
        let time = self.options.time.seconds.cast_unsigned();
        let above = high(time).to_le_bytes()[0];
        superblock.made_time = low(time).into();
        superblock.made_time_high = above;
        superblock.write_time = low(time).into();
        superblock.write_time_high = above;
        superblock.check_time = low(time).into();
        superblock.check_time_high = above;
    }

    fn fill_features(&self, superblock: &mut Superblock) {
        let geometry = &self.layout.geometry;
        let Features {
            mut compatible,
            mut incompatible,
            mut read_only,
        } = self.options.features;
        compatible.set(Compatible::JOURNAL, geometry.journal_blocks > 0);
        compatible.set(Compatible::ORPHAN_FILE, geometry.orphan_blocks > 0);
        if geometry.orphan_blocks > 0 {
            superblock.orphan_file_inode = self.last_inode().0.into();
        }
        compatible.set(Compatible::RESIZE_INODE, geometry.has_resize_inode);
        incompatible.set(Incompatible::META_GROUPS, geometry.has_meta_groups);
        if let Backups::Two(groups) = geometry.backups {
            superblock.backup_groups = groups.map(Into::into);
        }
        if self.census.has_large_directory {
            incompatible |= Incompatible::LARGE_DIRECTORIES;
        }
        let has_large_map = geometry.has_resize_inode && self.resize_size() >= LARGE_FILE;
        if self.census.has_large_file || has_large_map {
            read_only |= ReadOnlyCompatible::LARGE_FILES;
        }
        superblock.compatible = compatible.bits().into();
        superblock.incompatible = incompatible.bits().into();
        superblock.read_only_compatible = read_only.bits().into();
        if incompatible.contains(Incompatible::WIDE) {
            superblock.descriptor_size = self.options.descriptor_size().into();
        }
        if incompatible.contains(Incompatible::FLEXIBLE_GROUPS) {
            superblock.log_groups_per_flex = self.options.log_groups_per_flex();
        }
        if read_only.contains(ReadOnlyCompatible::METADATA_CHECKSUMS) {
            superblock.checksum_type = CHECKSUM_TYPE_CRC32C;
        }
        if let Some(seed) = self
            .seed
            .filter(|_| incompatible.contains(Incompatible::CHECKSUM_SEED))
        {
            superblock.checksum_seed = seed.into();
        }
    }
}
