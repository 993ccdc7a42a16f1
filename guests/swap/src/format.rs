//! The bytes on disk.

use zerocopy::little_endian::U32;
use zerocopy::{Immutable, IntoBytes, Unaligned};

/// Where [`Header`] stands in the first page, in bytes.
pub(crate) const HEADER_OFFSET: u64 = 1024;
/// The last bytes of the first page.
pub(crate) const SIGNATURE: [u8; 10] = *b"SWAPSPACE2";
/// The bytes of a label.
pub(crate) const LABEL_BYTES: usize = 16;

/// What a swap space tells of itself; the list of bad pages that follows is empty.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    /// [`Header::VERSION`].
    pub(crate) version: U32,
    /// The number of the last page; the first page, which holds this, is number 0.
    pub(crate) last_page: U32,
    /// The entries of the list of bad pages: 0.
    pub(crate) bad_page_count: U32,
    /// The UUID, in the order in which it is written.
    pub(crate) uuid: [u8; 16],
    /// The label, padded with zeros; the kernel does not care, `blkid` and `swapon -L` do.
    pub(crate) label: [u8; LABEL_BYTES],
}

impl Header {
    pub(crate) const VERSION: u32 = 1;
}

const _: () = assert!(size_of::<Header>() == 44);
