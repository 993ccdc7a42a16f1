//! The bytes of a GPT (UEFI 2.10, 5.3.2 and 5.3.3), all little-endian.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first eight bytes of a header.
pub(super) const SIGNATURE: [u8; 8] = *b"EFI PART";

/// Revision 1.0, the only one there is: major in the high half.
pub(super) const REVISION: u32 = 0x0001_0000;

/// The length of [`Header`], in bytes, as a header states it.
pub(super) const HEADER_BYTES: u32 = 92;

/// The length of [`Entry`], in bytes, as a header states it. Larger ones are 2^n times as large.
pub(super) const ENTRY_BYTES: u32 = 128;

/// The longest name, in UTF-16 units; a shorter one ends in zero.
pub const MAX_NAME_UNITS: usize = 36;

/// A header. The primary lies in sector 1, the backup in the disk's last.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    /// [`SIGNATURE`].
    pub(super) signature: [u8; 8],
    /// [`REVISION`].
    pub(super) revision: U32,
    /// The length of the header, in bytes: 92 up to a sector.
    pub(super) header_bytes: U32,

    /// CRC32 of the header's `header_bytes`, with this field zero.
    pub(super) checksum: U32,
    /// Zero.
    pub(super) reserved: U32,
    /// The sector of this header.
    pub(super) my_lba: U64,

    /// The sector of the other header.
    pub(super) alternate_lba: U64,
    /// The first sector that partitions may use.
    pub(super) first_usable: U64,

    /// The last sector that partitions may use.
    pub(super) last_usable: U64,
    /// The disk's GUID, its first three fields little-endian.
    pub(super) disk_id: [u8; 16],

    /// The first sector of this header's entries.
    pub(super) entries_lba: U64,
    /// The number of entries, used or not.
    pub(super) entry_count: U32,
    /// The size of an entry, in bytes.
    pub(super) entry_bytes: U32,

    /// CRC32 of all entries.
    pub(super) entries_checksum: U32,
}

const _: () = assert!(size_of::<Header>() == HEADER_BYTES as usize);

/// An entry. It is unused when its type is zero.
#[derive(Debug, Clone, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Entry {
    /// The partition's type GUID, its first three fields little-endian.
    pub(super) kind: [u8; 16],

    /// The partition's own GUID, likewise.
    pub(super) id: [u8; 16],

    /// The first sector.
    pub(super) first: U64,
    /// The last sector.
    pub(super) last: U64,

    /// The attribute bits.
    pub(super) attributes: U64,
    /// UTF-16, ended by zero when it is shorter than the field.
    pub(super) name: [U16; MAX_NAME_UNITS],
}

const _: () = assert!(size_of::<Entry>() == ENTRY_BYTES as usize);
