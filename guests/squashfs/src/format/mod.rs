//! The bytes on disk, as fs/squashfs/squashfs_fs.h of the kernel has them. Little-endian.

mod directory;
mod inode;
mod superblock;
mod table;

pub(crate) use directory::{DirectoryEntry, DirectoryHeader, DirectoryIndex};
pub(crate) use inode::{
    BasicDirectory, BasicFile, BasicLinks, BasicNumbered, BasicSymlink, ExtendedDirectory,
    ExtendedFile, InodeHeader, InodeType, NOTHING,
};
pub(crate) use superblock::{
    Compressor, GzipOptions, Lz4Options, MachineCode, Superblock, SuperblockFlags, XzOptions,
    ZstdOptions,
};
pub(crate) use table::{
    ABSENT, AttributeEntry, AttributeSet, AttributeSpace, AttributeTable, FragmentEntry,
    METADATA_BYTES, Reference, STORED_BLOCK, STORED_METADATA,
};
