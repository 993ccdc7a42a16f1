//! ext2, ext3 and ext4: the superblock at 1 KiB (`fs/ext4/ext4.h` of Linux), little-endian.

use std::io;

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Superblock, Volume, text, uuid};

/// Where it lies, in bytes.
const OFFSET: u64 = 1024;
const MAGIC: u16 = 0xef53;
/// The largest exponent of a block: 64 KiB.
const MOST_BLOCK_EXPONENT: u32 = 6;

/// Compatible: it has a journal.
const HAS_JOURNAL: u32 = 0x4;
/// Incompatible: it is the journal of another file system.
const JOURNAL_DEVICE: u32 = 0x8;
/// Incompatible: its journal is to be replayed.
const RECOVER: u32 = 0x4;
/// Incompatible: counts have high halves.
const WIDE: u32 = 0x80;
/// Incompatible features that ext2 knows: file types in directories, descriptors of meta groups.
const INCOMPATIBLE_OF_EXT2: u32 = 0x2 | 0x10;
/// Read-only compatible features that ext2 and ext3 know: sparse superblocks, large files, hashed directories.
const READ_ONLY_OF_EXT3: u32 = 0x1 | 0x2 | 0x4;

/// The superblock, as far as it is read.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    inodes: U32,
    blocks: U32,
    reserved_blocks: U32,
    free_blocks: U32,

    free_inodes: U32,
    first_data_block: U32,
    /// 0 for blocks of 1 KiB.
    block_exponent: U32,
    cluster_exponent: U32,

    group_sizes: [U32; 3],
    mount_time: U32,

    write_time: U32,
    mount_counts: [U16; 2],
    magic: U16,
    state: U16,
    errors: U16,
    minor_revision: U16,

    check_times: [U32; 2],
    creator: U32,
    revision: U32,

    reserved_owner: [U16; 2],
    first_inode: U32,
    inode_bytes: U16,
    group: U16,
    compatible: U32,

    incompatible: U32,
    read_only_compatible: U32,
    uuid_begin: [u8; 8],

    uuid_end: [u8; 8],
    label_begin: [u8; 8],

    label_end: [u8; 8],
    /// Where it was mounted, preallocation, the journal, hashes, options, and the backup of the journal's inode.
    between: [u8; 200],
    blocks_high: U32,
    reserved_blocks_high: U32,

    free_blocks_high: U32,
}

const _: () = assert!(size_of::<Layout>() == 0x15c);

pub(super) fn find(volume: &Volume<'_>) -> io::Result<Option<Superblock>> {
    let superblock: Option<Layout> = volume.read(OFFSET)?;
    Ok(superblock.and_then(|superblock| superblock.told()))
}

impl Layout {
    fn told(&self) -> Option<Superblock> {
        let exponent = self.block_exponent.get();
        if self.magic.get() != MAGIC || exponent > MOST_BLOCK_EXPONENT {
            return None;
        }
        let wide = |low: U32, high: U32| {
            let is_wide = self.incompatible.get() & WIDE != 0;
            let high = if is_wide { high.get() } else { 0 };
            u64::from(high) << 32 | u64::from(low.get())
        };
        let block_bytes = 1024_u64 << exponent;
        let in_bytes = |blocks: u64| blocks.checked_mul(block_bytes);
        let free = wide(self.free_blocks, self.free_blocks_high);
        let mut label = [0; 16];
        label[..8].copy_from_slice(&self.label_begin);
        label[8..].copy_from_slice(&self.label_end);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.uuid_begin);
        id[8..].copy_from_slice(&self.uuid_end);
        let told = Superblock {
            version: Some(format!("{}.{}", self.revision, self.minor_revision)),
            label: text(&label),
            uuid: uuid(id),
            ..Superblock::named(self.kind())
        };
        Some(told.sized(
            in_bytes(wide(self.blocks, self.blocks_high)),
            in_bytes(free),
        ))
    }

    /// The oldest of the three that knows all of its features.
    fn kind(&self) -> &'static str {
        let (incompatible, read_only) = (self.incompatible.get(), self.read_only_compatible.get());
        let has_journal = self.compatible.get() & HAS_JOURNAL != 0;
        let known = if has_journal {
            INCOMPATIBLE_OF_EXT2 | RECOVER
        } else {
            INCOMPATIBLE_OF_EXT2
        };
        if incompatible & JOURNAL_DEVICE != 0 {
            "jbd"
        } else if incompatible & !known != 0 || read_only & !READ_ONLY_OF_EXT3 != 0 {
            "ext4"
        } else if has_journal {
            "ext3"
        } else {
            "ext2"
        }
    }
}
