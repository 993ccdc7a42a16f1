//! VHD: the plain disk with a footer behind it (fixed), or blocks of 2 MiB behind a table (dynamic).
//!
//! ```text
//!     fixed:    the disk | footer
//!     dynamic:  footer | header | table of blocks | sector bitmap, block | ... | footer
//! ```
//!
//! The disk's own file becomes either. In a dynamic one no block can stay where the disk has it, and all move within the file: that writes to
//! memory that the file has already, which takes half as long as to write as much to another file.

use std::fs::File;
use std::sync::Arc;

use zerocopy::IntoBytes as _;

use super::options::Options;
use super::{Disk, Format, FormatError, Kind, Writer, plain, raw};
use crate::copy::{self, Part};
use crate::structures::vhd::{ABSENT, DYNAMIC, FIXED, FOOTER, Footer, HEADER, Header, checksum};
use crate::{Bytes, ImageError};

pub(super) static KIND: Kind = Kind {
    name: "vhd",
    also: &["vpc"],
    suffix: "vhd",
    suffixes: &["vhd", "vpc"],
    about: "Microsoft's VHD",
    options: &[(
        "subformat",
        "fixed (as Azure takes it: whole mebibytes) or dynamic; the first if nothing is said",
    )],
    is_beside: false,
    make: |options| Ok(Arc::new(Vhd::of(options)?)),
};

/// The most bytes of a disk: 2040 GiB.
const MOST_BYTES: u64 = 2040 << 30;
const SECTOR: u64 = 512;
const MIB: u64 = 1 << 20;
/// The bytes of a block.
const BLOCK: u64 = 2 << 20;
/// Where the table of a dynamic disk begins.
const TABLE: u64 = 512 + 1024;
/// The first second that a VHD counts, 2000-01-01 00:00:00 UTC, in seconds since 1970.
const FIRST_SECOND: i64 = 946_684_800;

#[derive(Clone, Copy, Debug)]
enum Vhd {
    Fixed,
    Dynamic,
}

impl Vhd {
    fn of(options: &Options<'_>) -> Result<Self, FormatError> {
        let subformats = [("fixed", Self::Fixed), ("dynamic", Self::Dynamic)];
        options.choice("subformat", &subformats)
    }

    fn footer(self, disk: &Disk<'_>) -> Result<Footer, ImageError> {
        disk.at_most(KIND.name, MOST_BYTES)?;
        match self {
            Self::Fixed => disk.in_units(
                KIND.name,
                MIB,
                "Azure takes whole mebibytes: give the disk such a size ([disk] size), or say subformat=dynamic",
            )?,
            Self::Dynamic => disk.in_units(
                KIND.name,
                SECTOR,
                "give it a size in whole sectors of 512 bytes",
            )?,
        };
        let seconds = disk.time.unwrap_or(FIRST_SECOND) - FIRST_SECOND;
        let (cylinders, heads, track) = geometry(disk.size / SECTOR);
        let mut footer = Footer {
            cookie: FOOTER,
            // Reserved, and always set.
            features: 2.into(),
            version: 0x1_0000.into(),
            data: match self {
                Self::Fixed => u64::MAX,
                Self::Dynamic => SECTOR,
            }
            .into(),
            // What is before the year 2000 or after 2136 is the nearest that can be said.
            time: u32::try_from(seconds.max(0)).unwrap_or(u32::MAX).into(),
            // Of a creator by this name readers take the size below, and not that of the geometry, which is smaller.
            creator: *b"win ",
            creator_version: 0xa_0000.into(),
            creator_system: *b"Wi2k",
            original_size: disk.size.into(),
            size: disk.size.into(),
            cylinders: cylinders.into(),
            heads,
            track,
            kind: match self {
                Self::Fixed => FIXED,
                Self::Dynamic => DYNAMIC,
            }
            .into(),
            checksum: 0.into(),
            identifier: disk.identifier("vhd")?,
            is_saved: 0,
            padding: [0; 427],
        };
        // A UUID of version 8: made by a rule of one's own (RFC 9562).
        footer.identifier[6] = footer.identifier[6] & 0x0f | 0x80;
        footer.identifier[8] = footer.identifier[8] & 0x3f | 0x80;
        footer.checksum = checksum(footer.as_bytes()).into();
        Ok(footer)
    }
}

/// Cylinders, heads and sectors of a track, by the rule of the format's specification.
fn geometry(sectors: u64) -> (u16, u8, u8) {
    /// The largest disk that has a geometry.
    const MOST: u64 = 65_535 * 16 * 255;
    let sectors = sectors.min(MOST);
    let (track, heads, tracks);
    if sectors >= 65_535 * 16 * 63 {
        (track, heads) = (255, 16);
        tracks = sectors / 255;
    } else {
        let of_17 = sectors / 17;
        let wanted = of_17.div_ceil(1024).max(4);
        if of_17 < wanted * 1024 && wanted <= 16 {
            (track, heads, tracks) = (17, wanted, of_17);
        } else if sectors / 31 < 16 * 1024 {
            (track, heads) = (31, 16);
            tracks = sectors / 31;
        } else {
            (track, heads) = (63, 16);
            tracks = sectors / 63;
        }
    }
    let cylinders = u16::try_from(tracks / heads).expect("no disk is counted beyond the largest");
    let heads = u8::try_from(heads).expect("at most 16");
    (cylinders, heads, track)
}

impl Format for Vhd {
    fn takes_file(&self) -> bool {
        true
    }

    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let footer = self.footer(disk)?;
        match self {
            Self::Fixed => {
                raw::copy_disk(disk, to)?;
                to.at(disk.size, footer.as_bytes())
            }
            Self::Dynamic => write_dynamic(disk, &footer, to),
        }
    }
}

fn write_dynamic(disk: &Disk<'_>, footer: &Footer, to: &mut Writer<'_>) -> Result<(), ImageError> {
    /// A bit for each sector of a block, and all of them are there.
    const BITMAP: [u8; 512] = [0xff; 512];
    let blocks = u32::try_from(disk.size.div_ceil(BLOCK)).expect("the size was checked");
    let mut header = Header {
        cookie: HEADER,
        next: u64::MAX.into(),
        table: TABLE.into(),
        version: 0x1_0000.into(),
        blocks: blocks.into(),
        block: 0x20_0000.into(),
        checksum: 0.into(),
        parent_identifier: [0; 16],
        parent_time: 0.into(),
        reserved: 0.into(),
        parent: [0; 512],
        locators: [0; 192],
        padding: [0; 256],
    };
    header.checksum = checksum(header.as_bytes()).into();
    let table_bytes = (u64::from(blocks) * 4).next_multiple_of(SECTOR);
    let entries = usize::try_from(table_bytes / 4).expect("at most 4 MiB");
    let mut table = vec![ABSENT; entries];
    let first = TABLE + table_bytes;
    let mut count = 0;
    // Each block stands behind those that were entered before it, and behind its bitmap. Returns where.
    let mut enter = |index: u64| {
        let place = first + count * (SECTOR + BLOCK);
        count += 1;
        let index = usize::try_from(index).expect("the size was checked");
        table[index] = u32::try_from(place / SECTOR).expect("the size was checked");
        place + SECTOR
    };
    match disk.bytes {
        Bytes::File(file) => {
            let mut parts = Vec::new();
            let looked = plain::stored(disk, file, copy::UNWATCHED, BLOCK, |index| {
                let from = index * BLOCK..((index + 1) * BLOCK).min(disk.size);
                let to = to.start + enter(index);
                parts.push(Part { from, to });
            });
            looked?;
            write_blocks(disk, file, parts, to)?;
        }
        Bytes::Disk(_) => plain::blocks(disk, to.watch, BLOCK, |index, block| {
            to.block(enter(index), block)
        })?,
    }
    to.at(0, footer.as_bytes())?;
    to.at(SECTOR, header.as_bytes())?;
    let bytes: Vec<u8> = table.iter().flat_map(|entry| entry.to_be_bytes()).collect();
    to.at(TABLE, &bytes)?;
    for index in 0..count {
        to.at(first + index * (SECTOR + BLOCK), &BITMAP)?;
    }
    let end = first + count * (SECTOR + BLOCK);
    to.set_length(end)?;
    to.at(end, footer.as_bytes())
}

/// Copies blocks of a disk in a file to where they belong, or moves them there if the file is the disk's. All else of the file is zeros, or
/// written over.
fn write_blocks(
    disk: &Disk<'_>,
    file: &File,
    parts: Vec<Part>,
    to: &Writer<'_>,
) -> Result<(), ImageError> {
    let bytes: u64 = parts.iter().map(Part::length).sum();
    (to.watch)(disk.size - bytes);
    if !to.has_disk {
        return to.parts(file, parts, disk.copying(to.watch));
    }
    let moved = copy::shift(file, &parts, disk.copying(to.watch));
    moved.map_err(|source| to.failed(0, bytes, source))?;
    match parts.last() {
        // The last block may end with the disk, and is whole in the file.
        Some(last) => to.erase(last.to + last.length()..last.to + BLOCK),
        None => Ok(()),
    }
}
