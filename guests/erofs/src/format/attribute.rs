use zerocopy::little_endian::{U16, U32};
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// What stands before an inode's attributes: behind it come the numbers of the shared ones, and then the others.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct AttributeHeader {
    /// A filter of names, which is not used: zero tells nothing.
    pub(crate) filter: U32,
    /// How many shared attributes there are.
    pub(crate) shared: u8,
    /// Zero.
    pub(crate) reserved: [u8; 7],
}

/// An attribute; its name and its value follow.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct AttributeEntry {
    /// The bytes of the name without its prefix.
    pub(crate) name_length: u8,
    /// What the prefix is: the number of a namespace, or with [`AttributeEntry::LONG`] that of a longer prefix.
    pub(crate) name_index: u8,
    /// The bytes of the value.
    pub(crate) value_length: U16,
}

impl AttributeEntry {
    /// Marks the number of a longer prefix.
    pub(crate) const LONG: u8 = 0x80;
    /// Attributes begin at multiples of so many bytes.
    pub(crate) const ALIGNMENT: usize = 4;
}

/// A longer prefix of names; what it has beyond its namespace follows.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct LongPrefix {
    /// The bytes that follow this field.
    pub(crate) length: U16,
    /// The number of the namespace.
    pub(crate) base: u8,
}

const _: () = assert!(size_of::<AttributeHeader>() == 12);
const _: () = assert!(size_of::<AttributeEntry>() == 4);
const _: () = assert!(size_of::<LongPrefix>() == 3);
