//! The bytes on disk: structs of little-endian fields, each as long as the kernel's.

mod attribute;
mod compression;
mod inode;
mod superblock;

pub(crate) use attribute::{AttributeEntry, AttributeHeader, LongPrefix};
pub(crate) use compression::{
    Advice, Algorithm, Cluster, DeflateConfiguration, FullIndex, Lz4Configuration,
    LzmaConfiguration, MapHeader, ZstdConfiguration,
};
pub(crate) use inode::{
    ChunkFormat, CompactInode, DirectoryEntry, ExtendedInode, FileType, InodeFormat, Layout,
    file_kind,
};
pub(crate) use superblock::{Compatible, Incompatible, SUPERBLOCK_OFFSET, Superblock};

/// Inodes are numbered by where they stand, in steps of so many bytes.
pub(crate) const SLOT: u64 = 32;

/// The block that stands for a hole.
pub(crate) const HOLE: u32 = u32::MAX;
