//! One .xz stream of many blocks, each of a part of the disk, as `xz -T0` makes it.
//!
//! ```text
//!     header | block | block | ... | index: the lengths of each block | footer
//! ```
//!
//! The codec makes a stream of one block of each part; its block is taken out, and an index of all is written.

use std::sync::Arc;

use cellblock_codec::{Method, Settings};

use super::blocks::{Hand, Packed, encode_once, parts_in_order};
use super::{Disk, Format, Kind, Writer, stored};
use crate::ImageError;

pub(super) static KIND: Kind = Kind {
    name: "raw.xz",
    also: &["xz"],
    suffix: "img.xz",
    suffixes: &["xz"],
    about: "xz, in one stream of many blocks",
    options: &[("compression_level", "0 to 9; 6 if nothing is said")],
    is_beside: false,
    make: |options| {
        Ok(Arc::new(Xz {
            level: options.number("compression_level", 6, 0..=9)?,
        }))
    },
};

/// The bytes of the disk in a block.
const PART: u64 = 16 << 20;
/// The bytes of a stream's header and of its footer.
const ENDS: usize = 12;
const HEAD_MAGIC: [u8; 6] = *b"\xfd7zXZ\0";
const FOOT_MAGIC: [u8; 2] = *b"YZ";
/// Blocks are checked by CRC-32.
const FLAGS: [u8; 2] = [0, 1];

#[derive(Debug)]
struct Xz {
    level: u32,
}

/// A block, and what the index says of it.
struct Block {
    /// With the zeros behind it.
    bytes: Vec<u8>,
    /// Its length without them.
    unpadded: u64,
    length: u64,
}

impl Format for Xz {
    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let settings = Settings::new(Method::Xz, self.level);
        let watch = to.watch;
        let mut stream = Stream {
            to,
            index: Vec::new(),
            count: 0,
            zeros: None,
        };
        let mut head = HEAD_MAGIC.to_vec();
        head.extend(FLAGS);
        head.extend(crc32fast::hash(&FLAGS).to_le_bytes());
        stream.to.append(&head)?;
        let work = |hand: &mut Hand<'_>, offset: u64| {
            let length = length_at(disk, offset);
            let mut sum = 0;
            let mut look = |bytes: &[u8]| sum = crc32fast::hash(bytes);
            match hand.encoded(offset, length, &settings, &mut look)? {
                Packed::Zeros => Ok(None),
                Packed::Kept(made) => taken_out(&made, length).map(Some),
                Packed::Plain(bytes) => Ok(Some(plain(&bytes, sum))),
            }
        };
        parts_in_order(disk, watch, PART, work, |index, made| match made {
            Some(block) => stream.put(&block),
            None => stream.hole(disk, &settings, index),
        })?;
        stream.finish()
    }
}

fn length_at(disk: &Disk<'_>, offset: u64) -> usize {
    usize::try_from((disk.size - offset).min(PART)).expect("a block has at most 16 MiB")
}

/// The block of a stream that has just one.
fn taken_out(stream: &[u8], length: usize) -> Result<Block, ImageError> {
    let block = block_of(stream);
    let (bytes, unpadded) = block.ok_or_else(|| ImageError::Compress {
        reason: "the codec worker answers with what is no .xz stream".to_owned(),
    })?;
    Ok(Block {
        bytes: bytes.to_vec(),
        unpadded,
        length: length as u64,
    })
}

/// The block with its padding, and its length without.
fn block_of(stream: &[u8]) -> Option<(&[u8], u64)> {
    let foot = stream.len().checked_sub(ENDS)?;
    // The index has four times as many bytes as it says, and four.
    let words = stream[foot..].get(4..8)?.try_into().ok()?;
    let index = (u64::from(u32::from_le_bytes(words)) + 1) * 4;
    let begin = foot.checked_sub(usize::try_from(index).ok()?)?;
    let block = stream.get(ENDS..begin)?;
    // Its indicator and the number of records, one.
    let records = stream[begin..foot].strip_prefix(&[0, 1])?;
    let unpadded = number(records)?;
    let is_it = unpadded.next_multiple_of(4) == block.len() as u64;
    is_it.then_some((block, unpadded))
}

/// A number in seven bits a byte, the lowest first.
fn number(bytes: &[u8]) -> Option<u64> {
    /// Those of 9 bytes are the longest.
    const MOST: usize = 9;
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(MOST) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_number(number: u64, bytes: &mut Vec<u8>) {
    let mut left = number;
    loop {
        let low = left.to_le_bytes()[0] & 0x7f;
        left >>= 7;
        if left == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// A block of bytes as they are.
fn plain(bytes: &[u8], sum: u32) -> Block {
    /// 12 bytes; one filter, LZMA2, whose properties have a byte: a dictionary of 64 KiB.
    const HEAD: [u8; 8] = [2, 0, 0x21, 1, 8, 0, 0, 0];
    let mut block = HEAD.to_vec();
    block.extend(crc32fast::hash(&HEAD).to_le_bytes());
    block.extend(stored::lzma2(bytes));
    // What is padded is what stands before the checksum.
    let before = block.len() as u64;
    block.resize(block.len().next_multiple_of(4), 0);
    block.extend(sum.to_le_bytes());
    Block {
        bytes: block,
        unpadded: before + 4,
        length: bytes.len() as u64,
    }
}

struct Stream<'s, 'w> {
    to: &'s mut Writer<'w>,
    /// The records of the index.
    index: Vec<u8>,
    count: u64,
    /// A block of zeros.
    zeros: Option<Block>,
}

impl Stream<'_, '_> {
    fn put(&mut self, block: &Block) -> Result<(), ImageError> {
        put_number(block.unpadded, &mut self.index);
        put_number(block.length, &mut self.index);
        self.count += 1;
        self.to.append(&block.bytes)
    }

    fn hole(&mut self, disk: &Disk<'_>, settings: &Settings, index: u64) -> Result<(), ImageError> {
        let length = length_at(disk, index * PART);
        let block = match self.zeros.take() {
            Some(block) if block.length == length as u64 => block,
            _ => {
                let bytes = vec![0; length];
                match encode_once(disk.codecs, settings, &bytes)? {
                    Some(made) => taken_out(&made, length)?,
                    None => plain(&bytes, crc32fast::hash(&bytes)),
                }
            }
        };
        self.put(&block)?;
        self.zeros = Some(block);
        Ok(())
    }

    fn finish(self) -> Result<(), ImageError> {
        let mut index = vec![0];
        put_number(self.count, &mut index);
        index.extend(self.index);
        index.resize(index.len().next_multiple_of(4), 0);
        index.extend(crc32fast::hash(&index).to_le_bytes());
        let words = u32::try_from(index.len() / 4 - 1).expect("an index is smaller than 16 GiB");
        let mut foot = words.to_le_bytes().to_vec();
        foot.extend(FLAGS);
        self.to.append(&index)?;
        self.to.append(&crc32fast::hash(&foot).to_le_bytes())?;
        foot.extend(FOOT_MAGIC);
        self.to.append(&foot)
    }
}
