//! What a file system uses. A kernel refuses features that it does not know, by their class.

use bitflags::bitflags;

bitflags! {
    /// Features that a kernel may ignore.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Compatible: u32 {
        /// There is a journal.
        const JOURNAL = 0x4;
        /// Inodes have extended attributes.
        const ATTRIBUTES = 0x8;
        /// Blocks are reserved for the group descriptors of a larger file system.
        const RESIZE_INODE = 0x10;
        /// Large directories are hashed.
        const DIRECTORY_INDEX = 0x20;
        /// Only two groups have backups of the superblock, which it names.
        const TWO_BACKUPS = 0x200;
        /// Inodes keep their numbers and the file system its UUID, on which encryption may rely.
        const STABLE_INODES = 0x800;
        /// A file has the numbers of deleted inodes that are still in use.
        const ORPHAN_FILE = 0x1000;
    }

    /// Features that a kernel must know.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Incompatible: u32 {
        /// Directory entries have the type of their file.
        const FILE_TYPE = 0x2;
        /// Each block of group descriptors stands in the groups that it describes.
        const META_GROUPS = 0x10;
        /// Files are mapped by extents.
        const EXTENTS = 0x40;
        /// Block numbers have 64 bits.
        const WIDE = 0x80;
        /// The bitmaps and inode tables of neighbouring groups stand together.
        const FLEXIBLE_GROUPS = 0x200;
        /// The checksums' seed stands in the superblock, so that the UUID may change.
        const CHECKSUM_SEED = 0x2000;
        /// Directories may be larger than 2 GiB and have a third level of index.
        const LARGE_DIRECTORIES = 0x4000;
        /// Short content stands in inodes.
        const INLINE_CONTENT = 0x8000;
    }

    /// Features that a kernel must know to write.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct ReadOnlyCompatible: u32 {
        /// Only some groups have backups of the superblock.
        const SPARSE_BACKUPS = 0x1;
        /// Files may be larger than 2 GiB.
        const LARGE_FILES = 0x2;
        /// Files may be larger than 2 TiB.
        const HUGE_FILES = 0x8;
        /// Group descriptors have a CRC-16.
        const GROUP_CHECKSUMS = 0x10;
        /// Directories may have any number of subdirectories.
        const MANY_SUBDIRECTORIES = 0x20;
        /// Inodes are larger than 128 bytes and have nanoseconds.
        const EXTRA_INODE_SIZE = 0x40;
        /// All metadata has a CRC-32C.
        const METADATA_CHECKSUMS = 0x400;
    }
}
