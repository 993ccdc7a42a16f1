use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// What a mode says of an inode's kind.
pub(crate) mod file_kind {
    pub(crate) const FIFO: u16 = 0o010_000;
    pub(crate) const CHARACTER_DEVICE: u16 = 0o020_000;
    pub(crate) const DIRECTORY: u16 = 0o040_000;
    pub(crate) const BLOCK_DEVICE: u16 = 0o060_000;
    pub(crate) const REGULAR: u16 = 0o100_000;
    pub(crate) const SYMLINK: u16 = 0o120_000;
    pub(crate) const SOCKET: u16 = 0o140_000;
}

/// What a directory says of an entry's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FileType {
    Regular = 1,
    Directory = 2,
    CharacterDevice = 3,
    BlockDevice = 4,
    Fifo = 5,
    Socket = 6,
    Symlink = 7,
}

/// Where an inode's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Layout {
    /// In blocks that follow one another.
    Plain = 0,
    /// In compressed clusters, which are found by an index of 8 bytes a block.
    CompressedFull = 1,
    /// The same as `Plain`, but for the last part, which stands behind the inode.
    Inline = 2,
    /// In compressed clusters, which are found by an index of 2 or 4 bytes a block.
    CompressedCompact = 3,
    /// In chunks of one size, of which some may be holes.
    Chunks = 4,
}

/// How an inode is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InodeFormat {
    /// Whether it is an [`ExtendedInode`].
    pub(crate) extended: bool,
    /// Where its content is.
    pub(crate) layout: Layout,
}

impl InodeFormat {
    pub(crate) fn bits(self) -> u16 {
        u16::from(self.extended) | (self.layout as u16) << 1
    }
}

/// What tells the size of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkFormat {
    /// The size of a chunk relative to that of a block, as a power of two.
    pub(crate) bits: u8,
}

impl ChunkFormat {
    /// The largest value of `bits`.
    pub(crate) const MOST_BITS: u8 = 31;

    pub(crate) fn bits(self) -> u32 {
        u32::from(self.bits)
    }
}

/// An inode of small numbers.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct CompactInode {
    /// [`InodeFormat`].
    pub(crate) format: U16,
    /// The bytes of attributes: 0 for none, and otherwise one more than the words behind the header.
    pub(crate) attribute_words: U16,
    /// Type and permissions.
    pub(crate) mode: U16,
    /// How many names it has.
    pub(crate) links: U16,
    /// Bytes.
    pub(crate) size: U32,
    /// With [`super::Incompatible::WIDE`], seconds after the superblock's epoch.
    pub(crate) seconds: U32,

    /// What the layout asks for: a block, a number of blocks, a [`ChunkFormat`] or a device.
    pub(crate) content: U32,
    /// A number for systems of 32 bits.
    pub(crate) number: U32,
    /// The owner.
    pub(crate) uid: U16,
    /// The group.
    pub(crate) gid: U16,
    /// Zero.
    pub(crate) reserved: U32,
}

/// An inode of any numbers.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct ExtendedInode {
    /// [`InodeFormat`].
    pub(crate) format: U16,
    /// As in [`CompactInode`].
    pub(crate) attribute_words: U16,
    /// Type and permissions.
    pub(crate) mode: U16,
    /// With [`super::Incompatible::WIDE`], the high bits of `content`.
    pub(crate) content_high: U16,
    /// Bytes.
    pub(crate) size: U64,

    /// As in [`CompactInode`].
    pub(crate) content: U32,
    /// A number for systems of 32 bits.
    pub(crate) number: U32,
    /// The owner.
    pub(crate) uid: U32,
    /// The group.
    pub(crate) gid: U32,

    /// When it was modified: seconds since 1970, in two's complement.
    pub(crate) seconds: U64,
    /// Nanoseconds after `seconds`.
    pub(crate) nanoseconds: U32,
    /// How many names it has.
    pub(crate) links: U32,

    /// Zero.
    pub(crate) reserved: [u8; 16],
}

/// A name in a directory's block; the names stand behind all of these.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct DirectoryEntry {
    /// The number of the inode.
    pub(crate) inode: U64,
    /// Where the name begins in the block. Bytes.
    pub(crate) name_offset: U16,
    /// [`FileType`].
    pub(crate) file_type: u8,
    /// Zero.
    pub(crate) reserved: u8,
}

const _: () = assert!(size_of::<CompactInode>() == 32);
const _: () = assert!(size_of::<ExtendedInode>() == 64);
const _: () = assert!(size_of::<DirectoryEntry>() == 12);
