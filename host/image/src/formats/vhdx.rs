//! VHDX: blocks behind a table, in regions of whole mebibytes.
//!
//! ```text
//!     identifier, two headers, two tables of regions | log, empty | metadata | table of blocks | blocks, where the disk has them
//! ```
//!
//! By Microsoft's [MS-VHDX]. A block that is not there is said to be zeros. Nothing is in the log, so that there is nothing to replay.

use std::sync::Arc;

use zerocopy::{Immutable, IntoBytes, LE, U16, U32, U64, Unaligned};

use super::options::Options;
use super::units::arrange;
use super::{Disk, Format, FormatError, Kind, Writer};
use crate::ImageError;

pub(super) static KIND: Kind = Kind {
    name: "vhdx",
    also: &[],
    suffix: "vhdx",
    suffixes: &["vhdx"],
    about: "Microsoft's VHDX, dynamic",
    options: &[(
        "block_size",
        "1MiB to 256MiB; if nothing is said, the least with which a disk has at most 2^20 of them",
    )],
    is_beside: false,
    make: |options| Ok(Arc::new(Vhdx::of(options)?)),
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const SECTOR: u32 = 512;
/// The most bytes of a disk: 64 TiB.
const MOST_BYTES: u64 = 64 << 40;
/// The blocks that a disk has at most, if nothing is said of their size.
const USUAL_BLOCKS: u64 = 1 << 20;
/// Sectors that a block of bits tells of, where a disk has a parent: entries for these stand between the others.
const SECTORS_OF_BITMAP: u64 = 1 << 23;

/// Where what is in each file is, in bytes.
const HEADERS: [u64; 2] = [64 * KIB, 128 * KIB];
const REGION_TABLES: [u64; 2] = [192 * KIB, 256 * KIB];
const LOG: u64 = MIB;
const METADATA: u64 = 2 * MIB;
const BLOCK_TABLE: u64 = 3 * MIB;
/// The bytes of a header, and of a table of regions: what their checksums are of.
const HEADER_LENGTH: usize = 4 << 10;
const REGION_TABLE_LENGTH: usize = 64 << 10;
/// Where items of metadata begin, from the beginning of their region on.
const FIRST_ITEM: u32 = 64 << 10;

/// States of a block.
const ZEROS: u64 = 2;
const PRESENT: u64 = 6;

/// Identifiers, as they are stored.
const OF_BLOCK_TABLE: Guid = guid(0x2dc2_7766, 0xf623, 0x4200, 0x9d64_115e_9bfd_4a08);
const OF_METADATA: Guid = guid(0x8b7c_a206, 0x4790, 0x4b9a, 0xb8fe_575f_050f_886e);
const FILE_PARAMETERS: Guid = guid(0xcaa1_6737, 0xfa36, 0x4d43, 0xb3b6_33f0_aa44_e76b);
const DISK_SIZE: Guid = guid(0x2fa5_4224, 0xcd1b, 0x4876, 0xb211_5dbe_d83b_f4b8);
const DISK_IDENTIFIER: Guid = guid(0xbeca_12ab, 0xb2e6, 0x4523, 0x93ef_c309_e000_c746);
const LOGICAL_SECTOR: Guid = guid(0x8141_bf1d, 0xa96f, 0x4709, 0xba47_f233_a8fa_ab5f);
const PHYSICAL_SECTOR: Guid = guid(0xcda3_48c7, 0x445d, 0x4471, 0x9cc9_e988_5251_c556);

/// Flags of an item of metadata.
const IS_OF_DISK: u32 = 1 << 1;
const IS_REQUIRED: u32 = 1 << 2;

type Guid = [u8; 16];

/// The first three parts are little-endian, the rest is not.
const fn guid(first: u32, second: u16, third: u16, rest: u64) -> Guid {
    let (a, b, c, d) = (
        first.to_le_bytes(),
        second.to_le_bytes(),
        third.to_le_bytes(),
        rest.to_be_bytes(),
    );
    [
        a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6],
        d[7],
    ]
}

/// Numbers are little-endian. Its checksum is of 4 KiB, the rest of which is zeros.
#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    signature: [u8; 4],
    checksum: U32<LE>,
    /// The one with the larger number counts.
    sequence: U64<LE>,
    file_write: Guid,
    data_write: Guid,
    /// Of entries in the log that are to be replayed: none.
    log: Guid,
    log_version: U16<LE>,
    version: U16<LE>,
    log_length: U32<LE>,
    log_offset: U64<LE>,
}

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Region {
    guid: Guid,
    offset: U64<LE>,
    length: U32<LE>,
    is_required: U32<LE>,
}

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Item {
    guid: Guid,
    /// From the beginning of the region on.
    offset: U32<LE>,
    length: U32<LE>,
    flags: U32<LE>,
    reserved: U32<LE>,
}

const _: () = assert!(size_of::<Header>() == 80);
const _: () = assert!(size_of::<Region>() == 32);
const _: () = assert!(size_of::<Item>() == 32);

#[derive(Debug)]
struct Vhdx {
    /// The bytes of a block, if that was said.
    block: Option<u32>,
}

impl Vhdx {
    fn of(options: &Options<'_>) -> Result<Self, FormatError> {
        let block = match options.text("block_size") {
            None => None,
            Some(_) => Some(options.power("block_size", 1 << 20, 1 << 20..=256 << 20)?),
        };
        Ok(Self { block })
    }

    fn block(&self, size: u64) -> u64 {
        let usual = || size.div_ceil(USUAL_BLOCKS).next_power_of_two().max(MIB);
        self.block.map_or_else(usual, u64::from)
    }
}

impl Format for Vhdx {
    fn takes_file(&self) -> bool {
        true
    }

    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let advice = "give it a size in whole sectors of 512 bytes";
        disk.in_units(KIND.name, SECTOR.into(), advice)?;
        disk.at_most(KIND.name, MOST_BYTES)?;
        let block = self.block(disk.size);
        // What identifies the disk is read before anything is written over it.
        let headers = [header(disk, 1)?, header(disk, 2)?];
        let metadata = metadata(disk, block)?;
        let mut table = Table::new(disk.size, block);
        let head = (BLOCK_TABLE + table.region()).div_ceil(block);
        let arrangement = arrange(disk, to, block, |_| head)?;
        for (number, place) in arrangement.places() {
            table.enter(number, place * block);
        }
        to.at(BLOCK_TABLE, &table.bytes())?;
        let creator = "cellblock".encode_utf16().flat_map(u16::to_le_bytes);
        to.at(0, b"vhdxfile")?;
        to.at(8, &creator.collect::<Vec<u8>>())?;
        for (place, header) in HEADERS.into_iter().zip(&headers) {
            to.at(place, header)?;
        }
        for place in REGION_TABLES {
            to.at(place, &region_table(table.region()))?;
        }
        to.at(METADATA, &metadata.table)?;
        to.at(METADATA + u64::from(FIRST_ITEM), &metadata.values)
    }
}

/// The table of where blocks are.
struct Table {
    /// How many blocks there are between two entries for bits.
    ratio: u64,
    entries: Vec<u64>,
}

impl Table {
    fn new(size: u64, block: u64) -> Self {
        let ratio = SECTORS_OF_BITMAP * u64::from(SECTOR) / block;
        let blocks = size.div_ceil(block);
        let count = blocks + blocks.saturating_sub(1) / ratio;
        let mut entries = vec![ZEROS; narrow(count)];
        // Between the others, entries for bits that there are none of.
        for bits in (ratio..count).step_by(narrow(ratio) + 1) {
            entries[narrow(bits)] = 0;
        }
        Self { ratio, entries }
    }

    /// The bytes of its region.
    fn region(&self) -> u64 {
        let bytes = self.entries.len() as u64 * 8;
        bytes.next_multiple_of(MIB).max(MIB)
    }

    /// Block `number` is at this offset of the file.
    fn enter(&mut self, number: u64, place: u64) {
        self.entries[narrow(number + number / self.ratio)] = place | PRESENT;
    }

    fn bytes(&self) -> Vec<u8> {
        self.entries
            .iter()
            .flat_map(|it| it.to_le_bytes())
            .collect()
    }
}

fn narrow(count: u64) -> usize {
    usize::try_from(count).expect("the size was checked")
}

/// An identifier of the disk: a UUID of version 8, made by a rule of one's own (RFC 9562).
fn identifier(disk: &Disk<'_>, purpose: &str) -> Result<Guid, ImageError> {
    let mut guid = disk.identifier(purpose)?;
    guid[7] = guid[7] & 0x0f | 0x80;
    guid[8] = guid[8] & 0x3f | 0x80;
    Ok(guid)
}

fn header(disk: &Disk<'_>, sequence: u64) -> Result<Vec<u8>, ImageError> {
    let header = Header {
        signature: *b"head",
        checksum: 0.into(),
        sequence: sequence.into(),
        file_write: identifier(disk, "vhdx file")?,
        data_write: identifier(disk, "vhdx data")?,
        log: [0; 16],
        log_version: 0.into(),
        version: 1.into(),
        log_length: 0x10_0000.into(),
        log_offset: LOG.into(),
    };
    Ok(summed(header.as_bytes(), HEADER_LENGTH))
}

fn region_table(of_blocks: u64) -> Vec<u8> {
    let region = |guid, offset: u64, length: u64| Region {
        guid,
        offset: offset.into(),
        length: u32::try_from(length).expect("the size was checked").into(),
        is_required: 1.into(),
    };
    let regions = [
        region(OF_BLOCK_TABLE, BLOCK_TABLE, of_blocks),
        region(OF_METADATA, METADATA, MIB),
    ];
    let mut bytes = b"regi\0\0\0\0".to_vec();
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(regions.as_bytes());
    summed(&bytes, REGION_TABLE_LENGTH)
}

/// The region of the metadata: its table, and what that leads to.
struct Metadata {
    table: Vec<u8>,
    values: Vec<u8>,
}

fn metadata(disk: &Disk<'_>, block: u64) -> Result<Metadata, ImageError> {
    let block = u32::try_from(block).expect("at most 256 MiB, or 64 by the size");
    // Its flags say that it has no parent, and that blocks come as they are needed.
    let parameters = [block.to_le_bytes(), [0; 4]].concat();
    let own = identifier(disk, "vhdx disk")?;
    let items: [(Guid, u32, Vec<u8>); 5] = [
        (FILE_PARAMETERS, IS_REQUIRED, parameters),
        (
            DISK_SIZE,
            IS_REQUIRED | IS_OF_DISK,
            disk.size.to_le_bytes().to_vec(),
        ),
        (DISK_IDENTIFIER, IS_REQUIRED | IS_OF_DISK, own.to_vec()),
        (
            LOGICAL_SECTOR,
            IS_REQUIRED | IS_OF_DISK,
            SECTOR.to_le_bytes().to_vec(),
        ),
        (
            PHYSICAL_SECTOR,
            IS_REQUIRED | IS_OF_DISK,
            SECTOR.to_le_bytes().to_vec(),
        ),
    ];
    let mut table = b"metadata\0\0".to_vec();
    table.extend(5_u16.to_le_bytes());
    table.extend([0; 20]);
    let mut values = Vec::new();
    for (guid, flags, value) in items {
        let count = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a few bytes");
        let item = Item {
            guid,
            offset: (FIRST_ITEM + count(&values)).into(),
            length: count(&value).into(),
            flags: flags.into(),
            reserved: 0.into(),
        };
        table.extend(item.as_bytes());
        values.extend(value);
    }
    Ok(Metadata { table, values })
}

/// A structure, zeros up to its length, and its checksum behind the signature.
fn summed(structure: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = structure.to_vec();
    bytes.resize(length, 0);
    let checksum = crc32c(&bytes);
    bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// CRC-32C, as iSCSI has it (RFC 3720, appendix B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    /// The polynomial, its bits reversed.
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |mut sum: u32, byte: &u8| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            sum = sum >> 1 ^ carry;
        }
        sum
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    #[test]
    fn the_checksum_is_that_of_its_description() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }
}
