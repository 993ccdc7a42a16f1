//! VHD, by Microsoft's Virtual Hard Disk Image Format Specification, 1.0. Numbers are big-endian.

use zerocopy::{BE, FromBytes, Immutable, IntoBytes, KnownLayout, U16, U32, U64, Unaligned};

/// The kinds of a disk.
pub(crate) const FIXED: u32 = 2;
pub(crate) const DYNAMIC: u32 = 3;
pub(crate) const DIFFERENCING: u32 = 4;

/// What a footer begins with.
pub(crate) const FOOTER: [u8; 8] = *b"conectix";
/// What the header of a dynamic disk begins with.
pub(crate) const HEADER: [u8; 8] = *b"cxsparse";
/// The place of a block that is not there.
pub(crate) const ABSENT: u32 = u32::MAX;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Footer {
    pub(crate) cookie: [u8; 8],
    pub(crate) features: U32<BE>,
    pub(crate) version: U32<BE>,
    /// Where the next structure is: the header of a dynamic disk.
    pub(crate) data: U64<BE>,
    /// Seconds since 2000.
    pub(crate) time: U32<BE>,
    pub(crate) creator: [u8; 4],
    pub(crate) creator_version: U32<BE>,
    pub(crate) creator_system: [u8; 4],
    pub(crate) original_size: U64<BE>,
    pub(crate) size: U64<BE>,
    pub(crate) cylinders: U16<BE>,
    pub(crate) heads: u8,
    pub(crate) track: u8,
    pub(crate) kind: U32<BE>,
    pub(crate) checksum: U32<BE>,
    pub(crate) identifier: [u8; 16],
    pub(crate) is_saved: u8,
    pub(crate) padding: [u8; 427],
}

const _: () = assert!(size_of::<Footer>() == 512);

/// The header of a dynamic disk.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) cookie: [u8; 8],
    pub(crate) next: U64<BE>,
    pub(crate) table: U64<BE>,
    pub(crate) version: U32<BE>,
    pub(crate) blocks: U32<BE>,
    /// The bytes of a block.
    pub(crate) block: U32<BE>,
    pub(crate) checksum: U32<BE>,
    pub(crate) parent_identifier: [u8; 16],
    pub(crate) parent_time: U32<BE>,
    pub(crate) reserved: U32<BE>,
    /// What the disk is called that this one differs from: UTF-16.
    pub(crate) parent: [u8; 512],
    /// Where else that disk may be.
    pub(crate) locators: [u8; 192],
    pub(crate) padding: [u8; 256],
}

const _: () = assert!(size_of::<Header>() == 1024);

/// The complement of the sum of all bytes, where those of the sum are zeros.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>()
}

/// Whether the sum of a structure, in which it is, is right.
pub(crate) fn is_summed(bytes: &[u8], sum: U32<BE>) -> bool {
    let own: u32 = sum.as_bytes().iter().map(|it| u32::from(*it)).sum();
    !(!checksum(bytes) - own) == sum.get()
}
