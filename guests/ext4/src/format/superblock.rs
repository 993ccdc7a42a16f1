//! The superblock: 1024 bytes at byte 1024, and at the start of each group that has a backup.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `s_magic`.
pub(crate) const MAGIC: u16 = 0xEF53;
/// `s_state`: unmounted, without errors.
pub(crate) const STATE_CLEAN: u16 = 1;
/// `s_errors`: go on after an error.
pub(crate) const ERRORS_CONTINUE: u16 = 1;
/// `s_rev_level`: with inode sizes and features.
pub(crate) const REVISION_DYNAMIC: u32 = 1;
/// `s_max_mnt_count`: no check after a number of mounts.
pub(crate) const NO_MOUNT_LIMIT: u16 = u16::MAX;
/// `s_default_mount_opts`: `user_xattr` and `acl`.
pub(crate) const DEFAULT_MOUNT_OPTIONS: u32 = 0x4 | 0x8;
/// `s_def_hash_version`.
pub(crate) const HASH_HALF_MD4: u8 = 1;
/// `s_flags`: names are hashed as signed characters.
pub(crate) const SIGNED_HASH: u32 = 1;
/// `s_checksum_type`.
pub(crate) const CHECKSUM_TYPE_CRC32C: u8 = 1;
/// `s_jnl_backup_type`: the block map and size of the journal's inode.
pub(crate) const BACKUP_OF_JOURNAL_INODE: u8 = 1;

/// `struct ext4_super_block`. Times are seconds since 1970, in 40 bits. Fields of features that are never on are zero.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Superblock {
    /// Number of inodes.
    pub(crate) inodes: U32,
    /// Number of blocks, low half.
    pub(crate) blocks_low: U32,
    /// Blocks that only root may use, low half.
    pub(crate) reserved_blocks_low: U32,
    /// Blocks without content or metadata, low half.
    pub(crate) free_blocks_low: U32,

    /// Inodes not in use.
    pub(crate) free_inodes: U32,
    /// The block of the superblock: 1 where blocks are 1 KiB, else 0.
    pub(crate) first_data_block: U32,
    /// The size of a block is 1024 << this.
    pub(crate) log_block_size: U32,
    /// The same, without bigalloc.
    pub(crate) log_cluster_size: U32,

    /// Blocks of a group.
    pub(crate) blocks_per_group: U32,
    /// The same, without bigalloc.
    pub(crate) clusters_per_group: U32,
    /// Inodes of a group, a multiple of 8.
    pub(crate) inodes_per_group: U32,
    /// The last mount; 0 for never.
    pub(crate) mount_time: U32,

    /// The last write.
    pub(crate) write_time: U32,
    /// Mounts since the last check.
    pub(crate) mount_count: U16,
    /// Mounts before a check.
    pub(crate) maximum_mount_count: U16,
    /// [`MAGIC`].
    pub(crate) magic: U16,
    /// [`STATE_CLEAN`].
    pub(crate) state: U16,
    /// [`ERRORS_CONTINUE`].
    pub(crate) errors: U16,
    /// 0.
    pub(crate) minor_revision: U16,

    /// The last check.
    pub(crate) check_time: U32,
    /// Seconds between checks; 0 for none.
    pub(crate) check_interval: U32,
    /// 0 for Linux.
    pub(crate) creator_os: U32,
    /// [`REVISION_DYNAMIC`].
    pub(crate) revision: U32,

    /// Whose the reserved blocks are: root.
    pub(crate) reserved_uid: U16,
    /// Whose the reserved blocks are: root.
    pub(crate) reserved_gid: U16,
    /// The first inode that is not reserved: 11.
    pub(crate) first_inode: U32,
    /// Bytes of an inode.
    pub(crate) inode_size: U16,
    /// The group that this superblock stands in.
    pub(crate) group: U16,
    /// [`super::Compatible`].
    pub(crate) compatible: U32,

    /// [`super::Incompatible`].
    pub(crate) incompatible: U32,
    /// [`super::ReadOnlyCompatible`].
    pub(crate) read_only_compatible: U32,
    /// The first half of the identifier.
    pub(crate) uuid: [u8; 16],
    /// The label, filled with zeros.
    pub(crate) label: [u8; 16],
    /// Where it was mounted last.
    pub(crate) last_mounted: [u8; 64],
    /// Of compression, which never was.
    pub(crate) algorithm_usage: U32,
    /// Blocks to allocate ahead.
    pub(crate) preallocate_blocks: u8,
    /// Blocks to allocate ahead for directories.
    pub(crate) preallocate_directory_blocks: u8,
    /// Blocks kept after the group descriptors, for more of them.
    pub(crate) reserved_descriptor_blocks: U16,
    /// The external journal's identifier.
    pub(crate) journal_uuid: [u8; 16],
    /// The journal's inode: 8.
    pub(crate) journal_inode: U32,
    /// The external journal's device.
    pub(crate) journal_device: U32,
    /// Deleted inodes still in use.
    pub(crate) last_orphan: U32,
    /// The hash seed of directories.
    pub(crate) hash_seed: [u8; 16],
    /// [`HASH_HALF_MD4`].
    pub(crate) hash_version: u8,
    /// [`BACKUP_OF_JOURNAL_INODE`].
    pub(crate) journal_backup_type: u8,
    /// Bytes of a group descriptor; 0 for 32.
    pub(crate) descriptor_size: U16,
    /// [`DEFAULT_MOUNT_OPTIONS`].
    pub(crate) default_mount_options: U32,
    /// Before which meta group descriptors stand with the superblocks all the same: 0.
    pub(crate) first_meta_group: U32,
    /// When it was made.
    pub(crate) made_time: U32,
    /// The journal inode's block map.
    pub(crate) journal_map: [u8; 60],
    /// The journal's size in bytes, high half.
    pub(crate) journal_size_high: U32,
    /// The journal's size in bytes, low half.
    pub(crate) journal_size_low: U32,

    /// Number of blocks, high half.
    pub(crate) blocks_high: U32,
    /// Reserved blocks, high half.
    pub(crate) reserved_blocks_high: U32,
    /// Free blocks, high half.
    pub(crate) free_blocks_high: U32,
    /// Bytes past 128 that every inode has.
    pub(crate) minimum_extra_size: U16,
    /// Bytes past 128 that new inodes should have.
    pub(crate) wanted_extra_size: U16,

    /// [`SIGNED_HASH`].
    pub(crate) flags: U32,
    /// Of RAID.
    pub(crate) raid_stride: U16,
    /// Of multiple mount protection.
    pub(crate) mmp_interval: U16,
    /// Of multiple mount protection.
    pub(crate) mmp_block: U64,

    /// Of RAID.
    pub(crate) raid_stripe_width: U32,
    /// A flexible group has 1 << this groups.
    pub(crate) log_groups_per_flex: u8,
    /// [`CHECKSUM_TYPE_CRC32C`].
    pub(crate) checksum_type: u8,
    /// Of encryption.
    pub(crate) encryption_level: u8,
    /// Zero.
    pub(crate) padding: u8,
    /// KiB written to it ever.
    pub(crate) kibibytes_written: U64,

    /// Of snapshots and of the log of errors.
    pub(crate) snapshots_and_errors: [u8; 0x80],
    /// Mount options as text.
    pub(crate) mount_options: [u8; 64],

    /// Of quota.
    pub(crate) user_quota_inode: U32,
    /// Of quota.
    pub(crate) group_quota_inode: U32,
    /// Blocks that are metadata of the file system itself.
    pub(crate) overhead_blocks: U32,
    /// The groups with a backup, with `TWO_BACKUPS`; 0 for none.
    pub(crate) backup_groups: [U32; 2],
    /// Of encryption.
    pub(crate) encryption: [u8; 20],
    /// The inode of lost+found, if it has another number than usual.
    pub(crate) lost_and_found_inode: U32,
    /// Of quota.
    pub(crate) project_quota_inode: U32,
    /// The checksums' seed, with `CHECKSUM_SEED`.
    pub(crate) checksum_seed: U32,
    /// Bits 32 to 39 of the time.
    pub(crate) write_time_high: u8,
    /// Bits 32 to 39 of the time.
    pub(crate) mount_time_high: u8,
    /// Bits 32 to 39 of the time.
    pub(crate) made_time_high: u8,
    /// Bits 32 to 39 of the time.
    pub(crate) check_time_high: u8,
    /// Of the log of errors and of case folding.
    pub(crate) errors_and_encoding: [u8; 8],
    /// The inode of the orphan file.
    pub(crate) orphan_file_inode: U32,
    /// Zero.
    pub(crate) reserved: [U32; 94],
    /// Of all bytes before it.
    pub(crate) checksum: U32,
}

impl Superblock {
    /// Bytes.
    pub(crate) const SIZE: usize = size_of::<Self>();
    /// Where the first one stands. Bytes.
    pub(crate) const OFFSET: u64 = 1024;
}

const _: () = assert!(Superblock::SIZE == 1024);
const _: () = assert!(core::mem::offset_of!(Superblock, journal_map) == 0x10C);
const _: () = assert!(core::mem::offset_of!(Superblock, blocks_high) == 0x150);
const _: () = assert!(core::mem::offset_of!(Superblock, overhead_blocks) == 0x248);
const _: () = assert!(core::mem::offset_of!(Superblock, lost_and_found_inode) == 0x268);
const _: () = assert!(core::mem::offset_of!(Superblock, orphan_file_inode) == 0x280);
