//! Inodes. Each is a header and a body, in an extended form where the basic one has no room.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

/// No fragment, or no attributes.
pub(crate) const NOTHING: u32 = u32::MAX;

/// What an inode is, as directories say it. The extended form has the number 7 more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InodeType(u16);

impl InodeType {
    /// A directory.
    pub(crate) const DIRECTORY: Self = Self(1);
    /// A regular file.
    pub(crate) const FILE: Self = Self(2);
    /// A symbolic link.
    pub(crate) const SYMLINK: Self = Self(3);
    /// A block device.
    pub(crate) const BLOCK_DEVICE: Self = Self(4);
    /// A character device.
    pub(crate) const CHARACTER_DEVICE: Self = Self(5);
    /// A named pipe.
    pub(crate) const FIFO: Self = Self(6);
    /// A UNIX socket.
    pub(crate) const SOCKET: Self = Self(7);

    /// The number of the basic form, which is also that in directories.
    pub(crate) fn basic(self) -> U16 {
        self.0.into()
    }

    /// The number of the extended form.
    pub(crate) fn extended(self) -> U16 {
        (self.0 + 7).into()
    }
}

/// `struct squashfs_base_inode`: what every inode begins with.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct InodeHeader {
    /// [`InodeType`].
    pub(crate) kind: U16,
    /// The permission bits: the low 12 bits.
    pub(crate) mode: U16,
    /// The owner, as an index into the table of owners.
    pub(crate) user: U16,
    /// The group, likewise.
    pub(crate) group: U16,
    /// When it was modified, in seconds since 1970.
    pub(crate) modified: U32,
    /// The inode's number, from 1.
    pub(crate) number: U32,
}

/// The rest of `struct squashfs_dir_inode`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct BasicDirectory {
    /// The metadata block in which the listing begins, from the start of the directory table. Bytes.
    pub(crate) block: U32,
    /// 2, and one for each directory in it.
    pub(crate) links: U32,
    /// The bytes of the listing, and 3.
    pub(crate) size: U16,
    /// Where the listing begins in the metadata block. Bytes.
    pub(crate) offset: U16,
    /// The number of the inode of the directory above; one more than all inodes for the root.
    pub(crate) parent: U32,
}

/// The rest of `struct squashfs_ldir_inode`, followed by [`super::DirectoryIndex`].
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ExtendedDirectory {
    /// As in [`BasicDirectory`].
    pub(crate) links: U32,
    /// As in [`BasicDirectory`].
    pub(crate) size: U32,
    /// As in [`BasicDirectory`].
    pub(crate) block: U32,
    /// As in [`BasicDirectory`].
    pub(crate) parent: U32,
    /// The number of index entries.
    pub(crate) index_entries: U16,
    /// As in [`BasicDirectory`].
    pub(crate) offset: U16,
    /// The set of attributes, or [`NOTHING`].
    pub(crate) attributes: U32,
}

/// The rest of `struct squashfs_reg_inode`, followed by the lengths of the blocks.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct BasicFile {
    /// The offset of the first block.
    pub(crate) start: U32,
    /// The fragment block with the file's end, or [`NOTHING`].
    pub(crate) fragment: U32,
    /// Where the end is in the fragment block. Bytes.
    pub(crate) fragment_offset: U32,
    /// The length in bytes.
    pub(crate) size: U32,
}

/// The rest of `struct squashfs_lreg_inode`, followed by the lengths of the blocks.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ExtendedFile {
    /// As in [`BasicFile`].
    pub(crate) start: U64,
    /// As in [`BasicFile`].
    pub(crate) size: U64,
    /// The bytes of the file that are in blocks of holes.
    pub(crate) sparse: U64,
    /// The number of names.
    pub(crate) links: U32,
    /// As in [`BasicFile`].
    pub(crate) fragment: U32,
    /// As in [`BasicFile`].
    pub(crate) fragment_offset: U32,
    /// The set of attributes, or [`NOTHING`].
    pub(crate) attributes: U32,
}

/// The rest of `struct squashfs_symlink_inode`, followed by the target, and in the extended form by the set of attributes.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct BasicSymlink {
    /// The number of names.
    pub(crate) links: U32,
    /// The bytes of the target.
    pub(crate) size: U32,
}

/// The rest of `struct squashfs_dev_inode`; the extended form has the set of attributes behind it.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct BasicNumbered {
    /// The number of names.
    pub(crate) links: U32,
    /// The device: the minor number's low 8 bits, 12 bits of the major number, the minor number's high 12 bits.
    pub(crate) device: U32,
}

/// The rest of `struct squashfs_ipc_inode`; the extended form has the set of attributes behind it.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct BasicLinks {
    /// The number of names.
    pub(crate) links: U32,
}

const _: () = assert!(size_of::<InodeHeader>() == 16);
const _: () = assert!(size_of::<BasicDirectory>() == 16);
const _: () = assert!(size_of::<ExtendedDirectory>() == 24);
const _: () = assert!(size_of::<BasicFile>() == 16);
const _: () = assert!(size_of::<ExtendedFile>() == 40);
const _: () = assert!(size_of::<BasicSymlink>() == 8);
const _: () = assert!(size_of::<BasicNumbered>() == 8);
const _: () = assert!(size_of::<BasicLinks>() == 4);
