//! VHD: the plain disk with a footer behind it (fixed), or blocks found through a table (dynamic).
//!
//! By Microsoft's Virtual Hard Disk Image Format Specification, 1.0.

use std::io;

use zerocopy::IntoBytes as _;

use super::{DiskFault, Layout, Mapping, Piece, Stored, called, each_once};
use crate::structures::vhd::{
    ABSENT, DIFFERENCING, DYNAMIC, FIXED, FOOTER, Footer, HEADER, Header, is_summed,
};
use cellblock_text::PathBytes;

const SECTOR: u64 = 512;

/// Programs by which a disk has the size that its footer says: Hyper-V, QEMU where it was told so, Disk2vhd, `XenConvert`, `XenServer`, Azure,
/// `VirtualBox`. To Virtual PC and to all others that QEMU knows it has the size of its geometry, which is smaller as a rule (QEMU,
/// block/vpc.c, of which this list is; `VirtualBox` reads its own disks so, and QEMU does not).
const BY_SIZE: [&[u8]; 7] = [
    b"win ", b"qem2", b"d2v ", b"CTXS", b"tap\0", b"wa\0\0", b"vbox",
];
/// The sectors of the largest geometry, which stands for disks that are larger than any geometry.
const LARGEST_GEOMETRY: u64 = 65_535 * 16 * 255;

/// The bytes of a disk.
fn size(footer: &Footer) -> u64 {
    let sectors =
        u64::from(footer.cylinders.get()) * u64::from(footer.heads) * u64::from(footer.track);
    let by_size = BY_SIZE.contains(&&footer.creator[..]);
    if by_size || matches!(sectors, 0 | LARGEST_GEOMETRY) {
        // What is not a whole sector no machine sees.
        footer.size.get() / SECTOR * SECTOR
    } else {
        sectors * SECTOR
    }
}

#[derive(Debug)]
pub(super) struct Vhd {
    size: u64,
    blocks: Option<Blocks>,
}

#[derive(Debug)]
struct Blocks {
    /// The bytes of one.
    length: u64,
    /// The bytes before it: a bit for each of its sectors. What was never written is zeros.
    bitmap: u64,
    /// Where each is, in sectors.
    table: Vec<u32>,
}

impl Vhd {
    /// A fixed disk, if there is a footer behind all of it.
    pub(super) fn fixed(stored: &Stored) -> io::Result<Option<Self>> {
        let Some(end) = stored.length.checked_sub(SECTOR) else {
            return Ok(None);
        };
        let footer: Footer = stored.get("its footer", end)?;
        let is_one = footer.cookie == FOOTER
            && footer.kind.get() == FIXED
            && footer.size.get() == end
            && is_summed(footer.as_bytes(), footer.checksum);
        Ok(is_one.then(|| Self {
            // Where the footer is, there is no disk.
            size: size(&footer).min(end),
            blocks: None,
        }))
    }

    /// A dynamic disk, which begins with a copy of the footer.
    pub(super) fn dynamic(stored: &Stored) -> io::Result<Self> {
        let footer: Footer = stored.get("the copy of its footer", 0)?;
        if !is_summed(footer.as_bytes(), footer.checksum) {
            let what = "its footer";
            return Err(DiskFault::Checksum { what }.into());
        }
        let kind = footer.kind.get();
        if !matches!(kind, DYNAMIC | DIFFERENCING) {
            let fault = DiskFault::Number {
                what: "the type of the disk",
                value: kind.into(),
                expected: "3 (dynamic) for what begins with a footer".to_owned(),
            };
            return Err(fault.into());
        }
        let header: Header = stored.get("its header", footer.data.get())?;
        if header.cookie != HEADER || !is_summed(header.as_bytes(), header.checksum) {
            let what = "its header";
            return Err(DiskFault::Checksum { what }.into());
        }
        if kind == DIFFERENCING {
            let base = utf16(&header.parent);
            return Err(DiskFault::Base { base }.into());
        }
        let (size, length) = (size(&footer), u64::from(header.block.get()));
        if !length.is_power_of_two() || length < SECTOR {
            let fault = DiskFault::Number {
                what: "the bytes of a block",
                value: length,
                expected: "a power of two from 512 on".to_owned(),
            };
            return Err(fault.into());
        }
        let wanted = size.div_ceil(length);
        if u64::from(header.blocks.get()) < wanted {
            let fault = DiskFault::Number {
                what: "the number of blocks of its table",
                value: header.blocks.get().into(),
                expected: format!("{wanted} for a disk of its size"),
            };
            return Err(fault.into());
        }
        let table = stored.table("its table of blocks", header.table.get(), wanted)?;
        let table: Vec<u32> = table.into_iter().map(u32::from_be_bytes).collect();
        let there = table.iter().filter(|it| **it != ABSENT);
        each_once("a block", there.map(|it| u64::from(*it) * SECTOR))?;
        Ok(Self {
            size,
            blocks: Some(Blocks {
                length,
                bitmap: (length / SECTOR).div_ceil(8).next_multiple_of(SECTOR),
                table,
            }),
        })
    }
}

/// What UTF-16 says, up to its first zero.
fn utf16(bytes: &[u8]) -> PathBytes {
    let (units, _) = bytes.as_chunks::<2>();
    let units = units.iter().map(|it| u16::from_be_bytes(*it));
    let text: String = char::decode_utf16(units.take_while(|it| *it != 0))
        .map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    called(text.as_bytes())
}

impl Layout for Vhd {
    fn size(&self) -> u64 {
        self.size
    }

    fn piece(&self, _: &Stored, at: u64) -> io::Result<Piece> {
        let Some(blocks) = &self.blocks else {
            return Ok(Piece {
                range: 0..self.size,
                mapping: Mapping::Plain(0),
            });
        };
        let index = at / blocks.length;
        let sector = blocks.table[usize::try_from(index).expect("the table is in memory")];
        let start = index * blocks.length;
        Ok(Piece {
            range: start..start.saturating_add(blocks.length),
            mapping: match sector {
                ABSENT => Mapping::Zeros,
                sector => Mapping::Plain(u64::from(sector) * SECTOR + blocks.bitmap),
            },
        })
    }
}
