//! The superblock, and the options of a compressor behind it.

use bitflags::bitflags;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

use super::Reference;

bitflags! {
    /// What the superblock says of the whole.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct SuperblockFlags: u16 {
        /// Inodes are not compressed.
        const PLAIN_INODES = 1;
        /// Blocks of files are not compressed.
        const PLAIN_DATA = 1 << 1;
        /// Fragment blocks are not compressed.
        const PLAIN_FRAGMENTS = 1 << 3;
        /// There are no fragments.
        const NO_FRAGMENTS = 1 << 4;
        /// The ends of large files are in fragments too.
        const ALWAYS_FRAGMENTS = 1 << 5;
        /// What is equal is stored once.
        const DUPLICATES_REMOVED = 1 << 6;
        /// There is a table of inodes by number, for NFS.
        const EXPORTABLE = 1 << 7;
        /// Extended attributes are not compressed.
        const PLAIN_ATTRIBUTES = 1 << 8;
        /// There are no extended attributes.
        const NO_ATTRIBUTES = 1 << 9;
        /// The compressor's options follow the superblock.
        const COMPRESSOR_OPTIONS = 1 << 10;
        /// Owners are not compressed.
        const PLAIN_OWNERS = 1 << 11;
    }
}

/// The number of a compressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compressor(pub(crate) u16);

impl Compressor {
    /// zlib.
    pub(crate) const GZIP: Self = Self(1);
    /// xz.
    pub(crate) const XZ: Self = Self(4);
    /// LZ4.
    pub(crate) const LZ4: Self = Self(5);
    /// Zstandard.
    pub(crate) const ZSTD: Self = Self(6);
}

/// `struct squashfs_super_block`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Superblock {
    /// [`Superblock::MAGIC`].
    pub(crate) magic: U32,
    /// The number of inodes.
    pub(crate) inodes: U32,
    /// When it was made, in seconds since 1970.
    pub(crate) time: U32,
    /// The bytes of a block of a file: a power of two from 4 KiB to 1 MiB.
    pub(crate) block_size: U32,

    /// The number of fragment blocks.
    pub(crate) fragments: U32,
    /// [`Compressor`].
    pub(crate) compressor: U16,
    /// The logarithm of `block_size`.
    pub(crate) block_log: U16,
    /// [`SuperblockFlags`].
    pub(crate) flags: U16,
    /// The number of owners, users and groups in one table.
    pub(crate) owners: U16,
    /// 4.
    pub(crate) major: U16,
    /// 0.
    pub(crate) minor: U16,

    /// The root's inode.
    pub(crate) root: Reference,
    /// The bytes of the file system, without what fills its last 4 KiB.
    pub(crate) bytes_used: U64,

    /// The offset of the index of the table of owners.
    pub(crate) owner_table: U64,
    /// The offset of [`super::AttributeTable`], or [`super::ABSENT`].
    pub(crate) attribute_table: U64,

    /// The offset of the first inode.
    pub(crate) inode_table: U64,
    /// The offset of the first directory, where the inodes end.
    pub(crate) directory_table: U64,

    /// The offset of the index of the table of fragments.
    pub(crate) fragment_table: U64,
    /// The offset of the index of the table of inodes by number, or [`super::ABSENT`].
    pub(crate) export_table: U64,
}

impl Superblock {
    /// `hsqs`.
    pub(crate) const MAGIC: u32 = 0x7371_7368;
    /// Its length in bytes, in which the file system's first offset is.
    pub(crate) const BYTES: u64 = 96;
}

const _: () = assert!(size_of::<Superblock>() as u64 == Superblock::BYTES);
const _: () = assert!(core::mem::offset_of!(Superblock, root) == 0x20);
const _: () = assert!(core::mem::offset_of!(Superblock, export_table) == 0x58);

/// The options of [`Compressor::GZIP`].
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct GzipOptions {
    /// 1 to 9.
    pub(crate) level: U32,
    /// The logarithm of the window: 8 to 15.
    pub(crate) window: U16,
    /// zlib's strategies to try; 0 for the default alone.
    pub(crate) strategies: U16,
}

/// The options of [`Compressor::LZ4`].
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Lz4Options {
    /// 1: blocks without a frame.
    pub(crate) version: U32,
    /// 1 for LZ4 HC.
    pub(crate) flags: U32,
}

impl Lz4Options {
    /// The only version.
    pub(crate) const VERSION: u32 = 1;
    /// Compressed by LZ4 HC.
    pub(crate) const HIGH_COMPRESSION: u32 = 1;
}

/// The options of [`Compressor::ZSTD`].
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ZstdOptions {
    /// 1 to 22.
    pub(crate) level: U32,
}

/// The options of [`Compressor::XZ`].
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct XzOptions {
    /// The most bytes of a dictionary.
    pub(crate) dictionary: U32,
    /// [`MachineCode`].
    pub(crate) filters: U32,
}

bitflags! {
    /// The filters for machine code that blocks were compressed with.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct MachineCode: u32 {
        /// x86 and x86-64.
        const X86 = 1;
        /// Big-endian PowerPC.
        const POWERPC = 1 << 1;
        /// IA-64.
        const IA64 = 1 << 2;
        /// 32-bit ARM.
        const ARM = 1 << 3;
        /// Thumb.
        const ARM_THUMB = 1 << 4;
        /// SPARC.
        const SPARC = 1 << 5;
        /// 64-bit ARM.
        const ARM64 = 1 << 6;
        /// RISC-V.
        const RISCV = 1 << 7;
    }
}

const _: () = assert!(size_of::<GzipOptions>() == 8);
const _: () = assert!(size_of::<Lz4Options>() == 8);
const _: () = assert!(size_of::<ZstdOptions>() == 4);
const _: () = assert!(size_of::<XzOptions>() == 8);
