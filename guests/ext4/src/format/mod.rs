//! The bytes on disk. Everything is little-endian but the journal, which is big-endian.

mod directory;
mod extent;
mod features;
mod group;
mod inode;
mod journal;
mod orphan;
mod superblock;

pub(crate) use directory::{
    DirectoryTail, EntryHeader, FileType, IndexCount, IndexEntry, IndexTail, RootInformation,
    entry_length,
};
pub(crate) use extent::{Extent, ExtentHeader, ExtentIndex, MAXIMUM_EXTENT_BLOCKS};
pub(crate) use features::{Compatible, Incompatible, ReadOnlyCompatible};
pub(crate) use group::{GroupDescriptor, GroupFlags};
pub(crate) use inode::{
    AttributeBlockHeader, AttributeEntry, INLINE_ATTRIBUTES_MAGIC, INLINE_MAP_SPACE, Inode,
    InodeFlags, InodeNumber, file_kind,
};
pub(crate) use journal::JournalSuperblock;
pub(crate) use orphan::OrphanTail;
pub(crate) use superblock::{
    BACKUP_OF_JOURNAL_INODE, CHECKSUM_TYPE_CRC32C, DEFAULT_MOUNT_OPTIONS, ERRORS_CONTINUE,
    HASH_HALF_MD4, MAGIC, NO_MOUNT_LIMIT, REVISION_DYNAMIC, SIGNED_HASH, STATE_CLEAN, Superblock,
};
