//! Inodes and their extended attributes.

use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The number of an inode, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InodeNumber(pub(crate) u32);

impl InodeNumber {
    /// The list of bad blocks, always empty.
    pub(crate) const BAD_BLOCKS: Self = Self(1);
    /// The root directory.
    pub(crate) const ROOT: Self = Self(2);
    /// Keeps the blocks for more group descriptors.
    pub(crate) const RESIZE: Self = Self(7);
    /// The journal.
    pub(crate) const JOURNAL: Self = Self(8);
    /// The first that is not reserved; `lost+found`.
    pub(crate) const FIRST: Self = Self(11);
}

/// The high 4 bits of a mode: what a file is.
pub(crate) mod file_kind {
    /// A named pipe.
    pub(crate) const FIFO: u16 = 0x1000;
    /// A character device.
    pub(crate) const CHARACTER_DEVICE: u16 = 0x2000;
    /// A directory.
    pub(crate) const DIRECTORY: u16 = 0x4000;
    /// A block device.
    pub(crate) const BLOCK_DEVICE: u16 = 0x6000;
    /// A regular file.
    pub(crate) const REGULAR: u16 = 0x8000;
    /// A symbolic link.
    pub(crate) const SYMLINK: u16 = 0xA000;
    /// A UNIX socket.
    pub(crate) const SOCKET: u16 = 0xC000;
}

bitflags! {
    /// What is special about an inode.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct InodeFlags: u32 {
        /// A directory with hashed index.
        const INDEXED = 0x1000;
        /// Mapped by extents.
        const EXTENTS = 0x8_0000;
        /// The content stands in the map and in an attribute.
        const INLINE_CONTENT = 0x1000_0000;
    }
}

/// `struct ext4_inode` up to the creation time. Times before 1970 are negative; the two low bits of a time's `extra`
/// word are bits 32 and 33 of the seconds, less the sign, and the others are nanoseconds.
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Inode {
    /// [`file_kind`] and permission bits.
    pub(crate) mode: U16,
    /// The owner, low half.
    pub(crate) uid_low: U16,
    /// The size in bytes, low half.
    pub(crate) size_low: U32,
    /// Last read.
    pub(crate) read_time: U32,
    /// Last change of the inode.
    pub(crate) change_time: U32,

    /// Last change of the content.
    pub(crate) write_time: U32,
    /// When it was deleted.
    pub(crate) deletion_time: U32,
    /// The group, low half.
    pub(crate) gid_low: U16,
    /// The number of names.
    pub(crate) links: U16,
    /// Sectors of 512 bytes that it takes, low half.
    pub(crate) sectors_low: U32,

    /// [`InodeFlags`].
    pub(crate) flags: U32,
    /// Counts changes.
    pub(crate) version_low: U32,
    /// The extent tree's root or the first of the lists of blocks, short content, or a device number.
    pub(crate) map: [u8; 60],
    /// Tells users of one number apart.
    pub(crate) generation: U32,
    /// The block of attributes, low half.
    pub(crate) attribute_block_low: U32,
    /// The size in bytes, high half.
    pub(crate) size_high: U32,

    /// Of fragments, which never were.
    pub(crate) fragment: U32,
    /// Sectors, high half.
    pub(crate) sectors_high: U16,
    /// The block of attributes, high half.
    pub(crate) attribute_block_high: U16,
    /// The owner, high half.
    pub(crate) uid_high: U16,
    /// The group, high half.
    pub(crate) gid_high: U16,
    /// Low half.
    pub(crate) checksum_low: U16,
    /// Zero.
    pub(crate) reserved: U16,

    /// Bytes of the fields from here on that are in use: 32.
    pub(crate) extra_size: U16,
    /// High half.
    pub(crate) checksum_high: U16,
    /// See above.
    pub(crate) change_time_extra: U32,
    /// See above.
    pub(crate) write_time_extra: U32,
    /// See above.
    pub(crate) read_time_extra: U32,

    /// When the inode was made.
    pub(crate) creation_time: U32,
    /// See above.
    pub(crate) creation_time_extra: U32,
    /// High half.
    pub(crate) version_high: U32,
    /// Of quota.
    pub(crate) project: U32,
}

impl Inode {
    /// Bytes of the fields that every inode has.
    pub(crate) const BASE_SIZE: u16 = 128;
    /// Bytes of the fields that larger inodes have as well.
    pub(crate) const EXTRA_SIZE: u16 = 32;
}

const _: () = assert!(size_of::<Inode>() == 160);
const _: () = assert!(core::mem::offset_of!(Inode, map) == 0x28);
const _: () = assert!(core::mem::offset_of!(Inode, checksum_low) == 0x7C);
const _: () = assert!(core::mem::offset_of!(Inode, checksum_high) == 0x82);

/// Bytes of content that an inode's map holds.
pub(crate) const INLINE_MAP_SPACE: u32 = 60;

/// Precedes attributes inside an inode; the offsets of their values count from after it.
pub(crate) const INLINE_ATTRIBUTES_MAGIC: u32 = 0xEA02_0000;

/// `struct ext4_xattr_entry`, followed by the name's suffix and zeros up to a multiple of 4.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct AttributeEntry {
    /// Bytes of the name's suffix.
    pub(crate) name_length: u8,
    /// The name's prefix.
    pub(crate) name_index: u8,
    /// Where the value stands.
    pub(crate) value_offset: U16,
    /// The inode of a large value; 0 for none.
    pub(crate) value_inode: U32,
    /// Bytes of the value.
    pub(crate) value_size: U32,
    /// Of name and value; zero inside an inode.
    pub(crate) hash: U32,
}

const _: () = assert!(size_of::<AttributeEntry>() == 16);

/// `struct ext4_xattr_header`, at the start of an attribute block, from which the offsets of values count.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct AttributeBlockHeader {
    /// [`INLINE_ATTRIBUTES_MAGIC`] too.
    pub(crate) magic: U32,
    /// Inodes that share the block.
    pub(crate) references: U32,
    /// 1.
    pub(crate) blocks: U32,
    /// Of all entries.
    pub(crate) hash: U32,

    /// Of the whole block.
    pub(crate) checksum: U32,
    /// Zero.
    pub(crate) reserved: [U32; 3],
}

impl AttributeBlockHeader {
    /// The most inodes that may share a block.
    pub(crate) const MAXIMUM_REFERENCES: u32 = 1024;
}

const _: () = assert!(size_of::<AttributeBlockHeader>() == 32);
