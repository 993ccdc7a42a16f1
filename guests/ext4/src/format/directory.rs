//! Directories: blocks of entries, and the index over them.
//!
//! ```text
//!   linear                     indexed
//!   +-----------------+        +-----------------+   root: . .. information, hashes -> blocks
//!   | . .. entries    |        | root            |
//!   |            tail |        +-----------------+   node: an empty entry, hashes -> blocks
//!   +-----------------+        | nodes ...       |
//!   | entries    tail |        +-----------------+   leaf: as a linear block, names by hash
//!   +-----------------+        | leaves ...      |
//! ```

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What an entry says of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileType(pub(crate) u8);

impl FileType {
    pub(crate) const REGULAR: Self = Self(1);
    pub(crate) const DIRECTORY: Self = Self(2);
    pub(crate) const CHARACTER_DEVICE: Self = Self(3);
    pub(crate) const BLOCK_DEVICE: Self = Self(4);
    pub(crate) const FIFO: Self = Self(5);
    pub(crate) const SOCKET: Self = Self(6);
    pub(crate) const SYMLINK: Self = Self(7);
}

/// `struct ext4_dir_entry_2`, followed by the name.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct EntryHeader {
    /// The inode; 0 for no entry.
    pub(crate) inode: U32,
    /// Bytes to the next entry, a multiple of 4.
    pub(crate) length: U16,
    /// Bytes of the name.
    pub(crate) name_length: u8,
    /// [`FileType`].
    pub(crate) file_type: u8,
}

impl EntryHeader {
    /// Bytes.
    pub(crate) const SIZE: u32 = 8;
}

/// Bytes of an entry with a name of `name_length` bytes.
pub(crate) fn entry_length(name_length: u8) -> u32 {
    (EntryHeader::SIZE + u32::from(name_length)).next_multiple_of(4)
}

/// `struct ext4_dir_entry_tail`: the checksum of a block of entries, looking like an entry not in use.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct DirectoryTail {
    /// Zero.
    pub(crate) inode: U32,
    /// 12.
    pub(crate) length: U16,
    /// Zero.
    pub(crate) name_length: u8,
    /// [`DirectoryTail::FILE_TYPE`].
    pub(crate) file_type: u8,
    /// Of all bytes before the tail.
    pub(crate) checksum: U32,
}

impl DirectoryTail {
    pub(crate) const FILE_TYPE: u8 = 0xDE;
    /// Bytes.
    pub(crate) const SIZE: u32 = 12;
}

/// `struct dx_root_info`, after `.` and `..` in the root of an index.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct RootInformation {
    /// Zero.
    pub(crate) reserved: U32,
    /// As the superblock's.
    pub(crate) hash_version: u8,
    /// 8.
    pub(crate) length: u8,
    /// Levels of nodes between the root and the leaves.
    pub(crate) levels: u8,
    /// Zero.
    pub(crate) flags: u8,
}

/// `struct dx_entry`: a block, and the lowest hash in it. Bit 0 of the hash says that the block before it ends in
/// names of the same hash.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct IndexEntry {
    /// The lowest hash.
    pub(crate) hash: U32,
    /// The block in the directory.
    pub(crate) block: U32,
}

impl IndexEntry {
    /// Bytes.
    pub(crate) const SIZE: u32 = 8;
}

/// `struct dx_countlimit`, in place of the first entry's hash, which is 0.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct IndexCount {
    /// Entries that fit.
    pub(crate) limit: U16,
    /// Entries in use.
    pub(crate) count: U16,
}

/// `struct dx_tail`, after the last entry that fits.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct IndexTail {
    /// Zero.
    pub(crate) reserved: U32,
    /// See [`crate::checksum`].
    pub(crate) checksum: U32,
}

impl IndexTail {
    /// Bytes.
    pub(crate) const SIZE: u32 = 8;
}

const _: () = assert!(size_of::<EntryHeader>() == 8);
const _: () = assert!(size_of::<DirectoryTail>() == 12);
const _: () = assert!(size_of::<RootInformation>() == 8);
const _: () = assert!(size_of::<IndexTail>() == 8);
