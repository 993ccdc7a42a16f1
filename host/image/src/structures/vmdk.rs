//! VMDK in one file, by VMware's Virtual Disk Format 5.0.

use zerocopy::{FromBytes, Immutable, IntoBytes, LE, U16, U32, U64, Unaligned};

/// What the file begins with.
pub(crate) const MAGIC: [u8; 4] = *b"KDMV";
/// Bytes of a sector, in which all is counted.
pub(crate) const SECTOR: u64 = 512;

/// The header; of a stream also the footer. Numbers are little-endian, places and lengths in sectors.
#[derive(FromBytes, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 4],
    pub(crate) version: U32<LE>,
    pub(crate) flags: U32<LE>,
    pub(crate) capacity: U64<LE>,
    pub(crate) grain: U64<LE>,
    pub(crate) descriptor: U64<LE>,
    pub(crate) descriptor_length: U64<LE>,
    pub(crate) table_entries: U32<LE>,
    pub(crate) redundant_directory: U64<LE>,
    pub(crate) directory: U64<LE>,
    /// What stands before the grains.
    pub(crate) overhead: U64<LE>,
    pub(crate) is_unclean: u8,
    /// Ends of lines, so that a transfer as text is found out.
    pub(crate) line_ends: [u8; 4],
    pub(crate) compression: U16<LE>,
    pub(crate) padding: [u8; 433],
}

const _: () = assert!(size_of::<Header>() == 512);

/// The place of the directory in a header that leaves it to the footer.
pub(crate) const AT_END: u64 = u64::MAX;

/// Bits of the flags.
pub(crate) mod flags {
    /// The header has ends of lines.
    pub(crate) const HAS_LINE_ENDS: u32 = 1;
    /// There is a second directory.
    pub(crate) const HAS_REDUNDANT: u32 = 1 << 1;
    /// Tables may say of a grain that it is zeros.
    pub(crate) const HAS_ZERO_GRAINS: u32 = 1 << 2;
    /// Grains are compressed.
    pub(crate) const IS_COMPRESSED: u32 = 1 << 16;
    /// Everything has a marker.
    pub(crate) const HAS_MARKERS: u32 = 1 << 17;
}

/// The compression that there is.
pub(crate) const DEFLATE: u16 = 1;
