use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// Where the superblock begins. Bytes.
pub(crate) const SUPERBLOCK_OFFSET: u64 = 1024;

bitflags! {
    /// Features that older kernels may ignore.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Compatible: u32 {
        /// The superblock has a checksum.
        const CHECKSUM = 1;
        /// Extended inodes tell when content was modified, and not when the inode changed.
        const MODIFICATION_TIMES = 1 << 1;
        /// Prefixes of names stand beside the superblock even where there is a packed inode.
        const PLAIN_PREFIXES = 1 << 4;
    }
}

bitflags! {
    /// Features without which a kernel must not mount.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Incompatible: u32 {
        /// Compressed clusters end with their blocks, behind zeros.
        const LEADING_ZEROS = 1;
        /// The superblock is followed by what each algorithm is set to; compressed clusters may have several blocks.
        const CONFIGURATIONS = 1 << 1;
        /// Some files are made of chunks.
        const CHUNKS = 1 << 2;
        /// Compressed tails stand behind their inodes.
        const INLINE_CLUSTERS = 1 << 4;
        /// Tails of files stand together in the packed inode; or several files share compressed clusters.
        const FRAGMENTS = 1 << 5;
        /// Attributes have names with longer prefixes.
        const LONG_PREFIXES = 1 << 6;
        /// Block numbers have 48 bits, and compact inodes times.
        const WIDE = 1 << 7;
    }
}

/// The superblock.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Superblock {
    /// [`Superblock::MAGIC`].
    pub(crate) magic: U32,
    /// CRC-32C of the superblock's block from here on, with this field zero.
    pub(crate) checksum: U32,
    /// [`Compatible`].
    pub(crate) compatible: U32,
    /// The size of a block, as a power of two.
    pub(crate) block_bits: u8,
    /// Extensions of the superblock, in units of 16 bytes.
    pub(crate) extensions: u8,
    /// The number of the root's inode; with [`Incompatible::WIDE`], the high bits of the number of blocks.
    pub(crate) root_or_blocks_high: U16,

    /// How many inodes there are.
    pub(crate) inodes: U64,
    /// The time of compact inodes: seconds since 1970. With [`Incompatible::WIDE`], from where they count.
    pub(crate) epoch_seconds: U64,

    /// The time of compact inodes: nanoseconds after `epoch_seconds`.
    pub(crate) epoch_nanoseconds: U32,
    /// The number of blocks.
    pub(crate) blocks: U32,
    /// The block from which inodes are numbered.
    pub(crate) metadata_block: U32,
    /// The block from which shared attributes are numbered.
    pub(crate) attribute_block: U32,

    /// The UUID, in the order in which it is written.
    pub(crate) uuid: [u8; 16],

    /// The label, padded with zeros.
    pub(crate) label: [u8; Superblock::LABEL_BYTES],

    /// [`Incompatible`].
    pub(crate) incompatible: U32,
    /// A bit for each algorithm with a configuration; without configurations, how far back LZ4 refers.
    pub(crate) algorithms_or_distance: U16,
    /// Devices besides this one.
    pub(crate) devices: U16,
    /// Where these are listed.
    pub(crate) device_table: U16,
    /// The size of a directory's block, relative to that of a block.
    pub(crate) directory_block_bits: u8,
    /// How many longer prefixes of attribute names there are.
    pub(crate) prefixes: u8,
    /// Where these stand, in units of 4 bytes.
    pub(crate) prefixes_start: U32,

    /// The number of the packed inode, 0 for none.
    pub(crate) packed_inode: U64,
    /// Of filters of attribute names, which are not used.
    pub(crate) attribute_filter: u8,
    /// Of shared page caches, which are not used.
    pub(crate) shared_prefix: u8,
    /// Zero.
    pub(crate) reserved: [u8; 2],
    /// With [`Incompatible::WIDE`], seconds after `epoch_seconds` at which the file system was made.
    pub(crate) build_time: U32,

    /// With [`Incompatible::WIDE`], the number of the root's inode.
    pub(crate) root_wide: U64,
    /// Zero.
    pub(crate) reserved_end: U64,
}

impl Superblock {
    pub(crate) const MAGIC: u32 = 0xE0F5_E1E2;
    /// The bytes of a label, of which the last is zero.
    pub(crate) const LABEL_BYTES: usize = 16;
}

const _: () = assert!(size_of::<Superblock>() == 128);
