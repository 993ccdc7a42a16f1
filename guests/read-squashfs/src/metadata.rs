//! Metadata blocks: 8 KiB of a table each, behind a header of two bytes that says how long it is and whether it is encoded.

use std::ops::Range;

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::{Codec, DecodeError, Encoded, Partition, ReaderError};

use crate::superblock::Superblock;

/// The most bytes that a block of metadata has, decoded.
pub(crate) const BLOCK: u32 = 8192;
/// The bit of a header that says that the block stands as it is.
const PLAIN: u16 = 0x8000;
/// The blocks that are decoded in one call.
const AT_ONCE: usize = 1024;
/// The most bytes of a table, decoded: more do not fit into a cell.
const TABLE_LIMIT: usize = 1 << 30;

/// Where the bytes of a structure begin: the block that they begin in, in bytes from the beginning of its table, and how far
/// into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reference {
    pub(crate) block: u64,
    pub(crate) offset: u16,
}

impl From<u64> for Reference {
    /// As it is stored: the lowest 16 bits are the offset.
    fn from(stored: u64) -> Self {
        Self {
            block: stored >> 16,
            offset: u16::try_from(stored & 0xFFFF).expect("it has 16 bits"),
        }
    }
}

/// A block in the partition.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Where it stands behind its header.
    offset: u64,
    length: u16,
    is_plain: bool,
}

impl Block {
    fn end(self) -> u64 {
        self.offset + u64::from(self.length)
    }
}

/// A table of metadata, decoded as a whole.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    name: &'static str,
    bytes: Vec<u8>,
    /// Where each block begins in the table, and where what came out of it begins in `bytes`.
    starts: Vec<(u64, usize)>,
}

impl Metadata {
    /// The table that stands in `range`.
    pub(crate) fn read(
        partition: &dyn Partition,
        superblock: &Superblock,
        name: &'static str,
        range: Range<u64>,
    ) -> Result<Self, ReaderError> {
        let mut table = Self {
            name,
            ..Self::default()
        };
        let mut headers = Headers::new(partition, name, range.end);
        let mut at = range.start;
        while at < range.end {
            let mut blocks = Vec::new();
            while at < range.end && blocks.len() < AT_ONCE {
                let block = headers.at(at)?;
                blocks.push((at - range.start, block));
                at = block.end();
            }
            table.append(partition, superblock.codec, &blocks)?;
        }
        Ok(table)
    }

    /// A table of `count` entries of `size` bytes, whose blocks are listed at `index`.
    pub(crate) fn listed(
        partition: &dyn Partition,
        superblock: &Superblock,
        name: &'static str,
        index: u64,
        (count, size): (u32, u32),
    ) -> Result<Self, ReaderError> {
        let mut table = Self {
            name,
            ..Self::default()
        };
        let length = u64::from(count) * u64::from(size);
        let places = places(partition, superblock, name, index, length)?;
        let mut headers = Headers::new(partition, name, superblock.size);
        let mut end = 0;
        for places in places.chunks(AT_ONCE) {
            let mut blocks = Vec::new();
            for place in places {
                if *place < end {
                    let problem = "has blocks that overlap, or do not ascend";
                    return Err(ReaderError::damaged(name, *place, problem));
                }
                let block = headers.at(*place)?;
                end = block.end();
                blocks.push((*place, block));
            }
            table.append(partition, superblock.codec, &blocks)?;
        }
        if (table.bytes.len() as u64) < length {
            let problem = format!("has {} bytes of {length}", table.bytes.len());
            return Err(ReaderError::damaged(name, index, problem));
        }
        Ok(table)
    }

    fn append(
        &mut self,
        partition: &dyn Partition,
        codec: Codec,
        blocks: &[(u64, Block)],
    ) -> Result<(), ReaderError> {
        let encoded = blocks.iter().map(|(_, block)| *block);
        let encoded: Vec<Encoded> = encoded
            .filter(|block| !block.is_plain)
            .map(|block| Encoded {
                codec,
                offset: block.offset,
                length: block.length.into(),
                padded: false,
                decoded: BLOCK,
            })
            .collect();
        let decoded = match encoded.is_empty() {
            true => Vec::new(),
            false => partition.decode(&encoded).map_err(|error| match error {
                DecodeError::Damaged(index) => {
                    let offset = encoded.get(index as usize).map(|block| block.offset);
                    ReaderError::damaged(self.name, offset, "has a block that cannot be decoded")
                }
                other => other.into(),
            })?,
        };
        let mut decoded = decoded.into_iter();
        for (start, block) in blocks {
            let bytes = match block.is_plain {
                true => partition.bytes(block.offset, block.length.into())?,
                false => decoded.next().unwrap_or_default(),
            };
            self.starts.push((*start, self.bytes.len()));
            self.bytes.extend_from_slice(&bytes);
        }
        if self.bytes.len() > TABLE_LIMIT {
            let what = format!("more than {TABLE_LIMIT} bytes of {}", self.name);
            return Err(ReaderError::Unsupported(what));
        }
        Ok(())
    }

    /// Its bytes, decoded.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What stands from a reference of `owner` on.
    pub(crate) fn at(
        &self,
        reference: Reference,
        owner: impl Fn() -> String,
    ) -> Result<Fields<'_>, ReaderError> {
        let found = self
            .starts
            .binary_search_by_key(&reference.block, |(start, _)| *start);
        let position = found.ok().and_then(|index| {
            let position = self.starts[index].1 + usize::from(reference.offset);
            let end = self
                .starts
                .get(index + 1)
                .map_or(self.bytes.len(), |it| it.1);
            (position < end).then_some(position)
        });
        position
            .map(|position| Fields(&self.bytes[position..]))
            .ok_or_else(|| {
                let problem = format!(
                    "points to byte {} of the block at {} of {}, which is not there",
                    reference.offset, reference.block, self.name
                );
                ReaderError::damaged(owner(), None, problem)
            })
    }

    /// The entry at `index` of a table whose entries have `size` bytes.
    pub(crate) fn entry(&self, index: u32, size: usize) -> Option<Fields<'_>> {
        let start = (index as usize).checked_mul(size)?;
        let entry = self.bytes.get(start..start.checked_add(size)?)?;
        Some(Fields(entry))
    }
}

/// Where the blocks of a table of `length` bytes stand.
fn places(
    partition: &dyn Partition,
    superblock: &Superblock,
    name: &'static str,
    index: u64,
    length: u64,
) -> Result<Vec<u64>, ReaderError> {
    let bytes = length.div_ceil(BLOCK.into()) * 8;
    let end = index.checked_add(bytes);
    if end.is_none_or(|end| end > superblock.size) {
        let problem = format!("takes {length} bytes, and its index does not fit");
        return Err(ReaderError::damaged(name, index, problem));
    }
    let bytes = usize::try_from(bytes)
        .map_err(|_| ReaderError::Unsupported(format!("{length} bytes of {name}")))?;
    let bytes = partition.bytes(index, bytes)?;
    let (places, _) = bytes.as_chunks();
    Ok(places
        .iter()
        .map(|place| u64::from_le_bytes(*place))
        .collect())
}

/// Where the first block of a table stands whose blocks are listed at `index`.
pub(crate) fn first_block(
    partition: &dyn Partition,
    superblock: &Superblock,
    name: &'static str,
    index: u64,
) -> Result<u64, ReaderError> {
    Ok(places(partition, superblock, name, index, 1)?[0])
}

/// Reads headers of blocks, many at a time.
struct Headers<'a> {
    partition: &'a dyn Partition,
    name: &'static str,
    end: u64,
    start: u64,
    window: Vec<u8>,
}

impl<'a> Headers<'a> {
    const WINDOW: u64 = 64 << 10;

    fn new(partition: &'a dyn Partition, name: &'static str, end: u64) -> Self {
        Self {
            partition,
            name,
            end,
            start: 0,
            window: Vec::new(),
        }
    }

    /// The block whose header stands at `at`; it ends where blocks may, or before.
    fn at(&mut self, at: u64) -> Result<Block, ReaderError> {
        let damaged = |problem: &str| ReaderError::damaged(self.name, at, problem);
        let offset = at
            .checked_add(2)
            .filter(|offset| *offset <= self.end)
            .ok_or_else(|| damaged("has a block that begins behind its end"))?;
        let window_end = self.start + self.window.len() as u64;
        if at < self.start || offset > window_end {
            let length = Self::WINDOW.min(self.end - at);
            let length = usize::try_from(length).expect("a window is small");
            self.window = self.partition.bytes(at, length)?;
            self.start = at;
        }
        let within = usize::try_from(at - self.start).expect("a window is small");
        let header = u16::from_le_bytes([self.window[within], self.window[within + 1]]);
        let block = Block {
            offset,
            length: header & !PLAIN,
            is_plain: header & PLAIN != 0,
        };
        let length = u32::from(block.length);
        if length == 0 || length > BLOCK {
            return Err(damaged(&format!("has a block of {length} bytes")));
        }
        if block.end() > self.end {
            return Err(damaged("has a block that ends behind it"));
        }
        Ok(block)
    }
}
