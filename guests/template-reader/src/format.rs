//! The bytes on disk.

use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// What stands at the beginning.
#[derive(Clone, Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Superblock {
    /// [`Superblock::MAGIC`].
    pub(crate) magic: [u8; 8],
    /// The records that follow.
    pub(crate) record_count: U32,
    /// The bytes of all names, which follow the records.
    pub(crate) name_bytes: U32,

    /// Where the last content ends, in bytes.
    pub(crate) used_bytes: U64,
    /// To what every content is aligned, in bytes.
    pub(crate) alignment: U64,

    /// The UUID, in the order in which it is written.
    pub(crate) uuid: [u8; 16],

    /// The label, padded with zeros.
    pub(crate) label: [u8; 16],
}

impl Superblock {
    pub(crate) const MAGIC: [u8; 8] = *b"CATALOG1";
}

/// A directory or a file.
#[derive(Clone, Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Record {
    /// The number of the directory's record; the root's is its own.
    pub(crate) parent: U32,
    /// The first byte of the name among the names.
    pub(crate) name_offset: U32,
    /// The bytes of the name; 0 for the root.
    pub(crate) name_length: U16,
    /// The permission bits, and above them [`Record::DIRECTORY`] or [`Record::FILE`].
    pub(crate) mode: U16,
    /// The owner.
    pub(crate) uid: U32,

    /// The group.
    pub(crate) gid: U32,
    /// When it was modified: nanoseconds after `seconds`.
    pub(crate) nanoseconds: U32,
    /// When it was modified: seconds since 1970.
    pub(crate) seconds: I64,

    /// Where the content begins in the partition, in bytes; 0 if it has none.
    pub(crate) content_offset: U64,
    /// The bytes of the content.
    pub(crate) content_length: U64,
}

impl Record {
    pub(crate) const DIRECTORY: u16 = 0o040_000;
    pub(crate) const FILE: u16 = 0o100_000;
    /// The bits of `mode` that say what it is.
    pub(crate) const TYPE: u16 = 0o170_000;
}

const _: () = assert!(size_of::<Superblock>() == 64);
const _: () = assert!(size_of::<Record>() == 48);
