//! What tables are made of: metadata blocks, and what refers into them.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes};

/// The offset of a table that is not there.
pub(crate) const ABSENT: u64 = u64::MAX;

/// The bytes of a full metadata block before it is compressed.
pub(crate) const METADATA_BYTES: usize = 8192;

/// In the two bytes before a metadata block, which hold its length: it is not compressed.
pub(crate) const STORED_METADATA: u16 = 1 << 15;

/// In the length of a block of a file or of fragments: it is not compressed.
pub(crate) const STORED_BLOCK: u32 = 1 << 24;

/// Where something is in a table: the offset of its metadata block from the start of the table in the upper 48 bits, and its
/// own in the uncompressed block in the lower 16. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(transparent)]
pub(crate) struct Reference(U64);

impl Reference {
    /// A place `offset` bytes into the metadata block at `block`.
    pub(crate) fn new(block: u64, offset: u16) -> Self {
        Self((block << 16 | u64::from(offset)).into())
    }

    /// The offset of the metadata block from the start of the table. Bytes.
    pub(crate) fn block(self) -> u64 {
        self.0.get() >> 16
    }

    /// The offset in the uncompressed metadata block. Bytes.
    pub(crate) fn offset(self) -> u16 {
        let [low, high, ..] = self.0.to_bytes();
        u16::from_le_bytes([low, high])
    }
}

/// `struct squashfs_fragment_entry`: a fragment block.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct FragmentEntry {
    /// Its offset.
    pub(crate) start: U64,
    /// Its bytes, with [`STORED_BLOCK`].
    pub(crate) length: U32,
    /// Zero.
    pub(crate) unused: U32,
}

/// The namespace of an extended attribute, which its name is stored without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttributeSpace(pub(crate) u16);

impl AttributeSpace {
    /// `user.`
    pub(crate) const USER: Self = Self(0);
    /// `trusted.`
    pub(crate) const TRUSTED: Self = Self(1);
    /// `security.`
    pub(crate) const SECURITY: Self = Self(2);
    /// Added where the value stands elsewhere, and a [`Reference`] in its place.
    pub(crate) const ELSEWHERE: u16 = 1 << 8;
}

/// `struct squashfs_xattr_entry`, followed by the name, the length of the value in four bytes, and the value.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct AttributeEntry {
    /// [`AttributeSpace`].
    pub(crate) space: U16,
    /// The bytes of the name without its namespace.
    pub(crate) length: U16,
}

/// `struct squashfs_xattr_id`: the attributes that an inode has.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct AttributeSet {
    /// Where the first of them is.
    pub(crate) first: Reference,
    /// How many there are.
    pub(crate) count: U32,
    /// What they take, with the lengths. Bytes.
    pub(crate) size: U32,
}

/// `struct squashfs_xattr_id_table`, followed by the offsets of the metadata blocks of [`AttributeSet`]s.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct AttributeTable {
    /// The offset of the attributes.
    pub(crate) start: U64,
    /// The number of sets.
    pub(crate) sets: U32,
    /// Zero.
    pub(crate) unused: U32,
}

const _: () = assert!(size_of::<Reference>() == 8);
const _: () = assert!(size_of::<FragmentEntry>() == 16);
const _: () = assert!(size_of::<AttributeEntry>() == 4);
const _: () = assert!(size_of::<AttributeSet>() == 16);
const _: () = assert!(size_of::<AttributeTable>() == 16);
