//! Swap space: a header at 1 KiB, and its mark at the end of the first page (`include/linux/swap.h`), in the byte order of
//! the machine that made it.

use std::io;

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Superblock, Volume, text, uuid};

/// Where the header lies, in bytes.
const OFFSET: u64 = 1024;
const MARK: [u8; 10] = *b"SWAPSPACE2";
/// The sizes that a page may have, in bytes.
const PAGES: [u64; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
const VERSION: u32 = 1;

/// The header.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    version: U32,
    /// The number of the last page.
    last_page: U32,
    bad_pages: U32,
    uuid: [u8; 16],
    label: [u8; 16],
}

pub(super) fn find(volume: &Volume<'_>) -> io::Result<Option<Superblock>> {
    for page in PAGES {
        let mark = volume.read(page - MARK.len() as u64)?;
        if mark != Some(MARK) {
            continue;
        }
        let Some(header) = volume.read::<Header>(OFFSET)? else {
            continue;
        };
        let last_page = match header.version.get() {
            VERSION => header.last_page.get(),
            version if version.swap_bytes() == VERSION => header.last_page.get().swap_bytes(),
            _ => continue,
        };
        return Ok(Some(Superblock {
            version: Some(VERSION.to_string()),
            label: text(&header.label),
            uuid: uuid(header.uuid),
            size: Some((u64::from(last_page) + 1) * page),
            ..Superblock::named("swap")
        }));
    }
    Ok(None)
}
