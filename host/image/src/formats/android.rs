//! Android's sparse format, as `fastboot` and `simg2img` read it: chunks of blocks as they are, and of one word again and again.
//!
//! Holes are filled with zeros, and are not left as they are: a device keeps nothing that was on it before.

use std::sync::Arc;

use zerocopy::{Immutable, IntoBytes, LE, U16, U32, Unaligned};

use super::plain::{self, Block};
use super::{Disk, Format, Kind, Writer};
use crate::ImageError;

pub(super) static KIND: Kind = Kind {
    name: "simg",
    also: &["android-sparse"],
    suffix: "simg",
    suffixes: &["simg"],
    about: "Android's sparse format",
    options: &[(
        "block_size",
        "the bytes of a block, 512 to 64KiB; 4KiB if nothing is said",
    )],
    is_beside: false,
    make: |options| {
        Ok(Arc::new(Sparse {
            block: options.power("block_size", 4096, 512..=64 << 10)?,
        }))
    },
};

/// The bytes of the disk that are looked at together: a chunk of them is one of data or of zeros.
const PIECE: u64 = 64 << 10;
/// The most bytes of a chunk of data.
const MOST_BYTES: u64 = 64 << 20;

#[derive(Debug)]
struct Sparse {
    block: u32,
}

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    magic: U32<LE>,
    major: U16<LE>,
    minor: U16<LE>,
    header_bytes: U16<LE>,
    chunk_header_bytes: U16<LE>,
    block: U32<LE>,
    blocks: U32<LE>,
    chunks: U32<LE>,
    /// 0: none.
    checksum: U32<LE>,
}

const _: () = assert!(size_of::<Header>() == 28);

#[derive(IntoBytes, Immutable, Unaligned)]
#[repr(C)]
struct Chunk {
    kind: U16<LE>,
    reserved: U16<LE>,
    /// Its blocks on the disk.
    blocks: U32<LE>,
    /// Its bytes here, with this header.
    bytes: U32<LE>,
}

const CHUNK: u32 = 12;
const _: () = assert!(size_of::<Chunk>() == CHUNK as usize);

/// Blocks as they are.
const RAW: u16 = 0xcac1;
/// A word again and again.
const FILL: u16 = 0xcac2;

impl Format for Sparse {
    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let block = u64::from(self.block);
        let blocks = disk.in_units(
            KIND.name,
            block,
            "give the disk such a size, or say block_size=512",
        )?;
        disk.at_most(KIND.name, u64::from(u32::MAX) * block)?;
        let blocks = u32::try_from(blocks).expect("the size was checked");
        to.position = size_of::<Header>() as u64;
        let watch = to.watch;
        let mut chunks = Chunks {
            to,
            block,
            count: 0,
            end: 0,
            raw: None,
        };
        plain::blocks(disk, watch, PIECE, |index, block| {
            chunks.data(index * PIECE, block)
        })?;
        chunks.zeros_to(disk.size)?;
        chunks.close()?;
        let header = Header {
            magic: 0xed26_ff3a.into(),
            major: 1.into(),
            minor: 0.into(),
            header_bytes: 28.into(),
            chunk_header_bytes: 12.into(),
            block: self.block.into(),
            blocks: blocks.into(),
            chunks: chunks.count.into(),
            checksum: 0.into(),
        };
        to.at(0, header.as_bytes())
    }
}

struct Chunks<'s, 'w> {
    to: &'s mut Writer<'w>,
    block: u64,
    count: u32,
    /// Where the last chunk ends on the disk.
    end: u64,
    /// Where the header of the chunk of data is that is being written, and its bytes so far.
    raw: Option<(u64, u64)>,
}

impl Chunks<'_, '_> {
    fn data(&mut self, offset: u64, block: Block<'_>) -> Result<(), ImageError> {
        self.zeros_to(offset)?;
        let length = block.length();
        if self
            .raw
            .is_some_and(|(_, so_far)| so_far + length > MOST_BYTES)
        {
            self.close()?;
        }
        let (place, so_far) = match self.raw {
            Some(raw) => raw,
            None => {
                let place = self.to.position;
                self.to.position += u64::from(CHUNK);
                (place, 0)
            }
        };
        self.to.append_block(block, length)?;
        self.raw = Some((place, so_far + length));
        self.end += length;
        Ok(())
    }

    /// Zeros from the end of the last chunk.
    fn zeros_to(&mut self, offset: u64) -> Result<(), ImageError> {
        if self.end == offset {
            return Ok(());
        }
        self.close()?;
        let chunk = self.header(FILL, offset - self.end, 4);
        self.to.append(chunk.as_bytes())?;
        self.to.append(&[0; 4])?;
        self.end = offset;
        self.count += 1;
        Ok(())
    }

    /// Ends the chunk of data.
    fn close(&mut self) -> Result<(), ImageError> {
        let Some((place, length)) = self.raw.take() else {
            return Ok(());
        };
        let chunk = self.header(RAW, length, length);
        self.to.at(place, chunk.as_bytes())?;
        self.count += 1;
        Ok(())
    }

    fn header(&self, kind: u16, on_disk: u64, here: u64) -> Chunk {
        let narrow = |count| u32::try_from(count).expect("the size was checked");
        Chunk {
            kind: kind.into(),
            reserved: 0.into(),
            blocks: narrow(on_disk / self.block).into(),
            bytes: (CHUNK + narrow(here)).into(),
        }
    }
}
