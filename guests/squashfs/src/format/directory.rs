//! Listings of directories: runs of entries whose inodes are in one metadata block.

use zerocopy::little_endian::{I16, U16, U32};
use zerocopy::{Immutable, IntoBytes};

/// `struct squashfs_dir_header`, in front of the entries of a run.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct DirectoryHeader {
    /// The number of entries, less 1.
    pub(crate) count: U32,
    /// The metadata block of their inodes, from the start of the inode table. Bytes.
    pub(crate) block: U32,
    /// The number from which those of the inodes count.
    pub(crate) number: U32,
}

impl DirectoryHeader {
    /// The most entries of a run.
    pub(crate) const ENTRIES: u32 = 256;
}

/// `struct squashfs_dir_entry`, followed by the name.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct DirectoryEntry {
    /// Where the inode is in its metadata block. Bytes.
    pub(crate) offset: U16,
    /// The inode's number, less the header's.
    pub(crate) number: I16,
    /// [`super::InodeType`], of the basic form.
    pub(crate) kind: U16,
    /// The bytes of the name, less 1.
    pub(crate) length: U16,
}

/// `struct squashfs_dir_index`, followed by the name of the first entry of a run: one for each metadata block of a listing
/// but the first.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct DirectoryIndex {
    /// Where the run's header is in the listing. Bytes.
    pub(crate) position: U32,
    /// The metadata block that holds the header's first byte, from the start of the directory table. Bytes.
    pub(crate) block: U32,
    /// The bytes of the name, less 1.
    pub(crate) length: U32,
}

impl DirectoryIndex {
    /// The most of them that a directory can have.
    pub(crate) const LIMIT: usize = u16::MAX as usize;
}

const _: () = assert!(size_of::<DirectoryHeader>() == 12);
const _: () = assert!(size_of::<DirectoryEntry>() == 8);
const _: () = assert!(size_of::<DirectoryIndex>() == 12);
