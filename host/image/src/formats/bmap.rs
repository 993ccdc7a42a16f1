//! bmap, beside a disk: which of its blocks have data, with their digests, so that `bmaptool copy` writes no others.
//!
//! What it leaves out are the holes of the disk. They read as zeros, and a device has to as well where it was written on before.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use cellblock_text::hexadecimal;
use sha2::{Digest as _, Sha256};

use super::{Disk, Format, Kind, Writer};
use crate::ImageError;

pub(super) static KIND: Kind = Kind {
    name: "bmap",
    also: &[],
    suffix: "bmap",
    suffixes: &["bmap"],
    about: "which blocks of the disk have data, for bmaptool; stands beside the disk",
    options: &[],
    is_beside: true,
    make: |_| Ok(Arc::new(Bmap)),
};

/// The bytes of a block.
const BLOCK: u64 = 4096;

#[derive(Debug)]
struct Bmap;

impl Format for Bmap {
    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let mut ranges = String::new();
        let mut mapped = 0;
        let mut done = 0;
        for blocks in blocks(&disk.extents()?) {
            mapped += blocks.end - blocks.start;
            let digest = digest(disk, blocks.start * BLOCK..blocks.end * BLOCK)?;
            let last = blocks.end - 1;
            let range = if blocks.start == last {
                last.to_string()
            } else {
                format!("{}-{last}", blocks.start)
            };
            // A string takes everything.
            let _ = writeln!(
                ranges,
                "        <Range chksum=\"{}\"> {range} </Range>",
                hexadecimal(&digest)
            );
            let end = (blocks.end * BLOCK).min(disk.size);
            (to.watch)(end - done);
            done = end;
        }
        (to.watch)(disk.size - done);
        // Its own digest is that of the text with zeros in the digest's place.
        let without = text(disk.size, mapped, &"0".repeat(64), &ranges);
        let digest = hexadecimal(&Sha256::digest(&without));
        to.append(text(disk.size, mapped, &digest, &ranges).as_bytes())
    }
}

/// The blocks that have data, in runs.
fn blocks(extents: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for extent in extents {
        let run = extent.start / BLOCK..extent.end.div_ceil(BLOCK);
        match runs.last_mut() {
            Some(last) if last.end >= run.start => last.end = run.end,
            _ => runs.push(run),
        }
    }
    runs
}

fn digest(disk: &Disk<'_>, range: Range<u64>) -> Result<[u8; 32], ImageError> {
    let range = range.start..range.end.min(disk.size);
    disk.bytes
        .digest(range, |offset, source| ImageError::Read { offset, source })
}

fn text(size: u64, mapped: u64, digest: &str, ranges: &str) -> String {
    format!(
        "<?xml version=\"1.0\" ?>\n\
         <bmap version=\"2.0\">\n    \
         <ImageSize> {size} </ImageSize>\n    \
         <BlockSize> {BLOCK} </BlockSize>\n    \
         <BlocksCount> {} </BlocksCount>\n    \
         <MappedBlocksCount> {mapped} </MappedBlocksCount>\n    \
         <ChecksumType> sha256 </ChecksumType>\n    \
         <BmapFileChecksum> {digest} </BmapFileChecksum>\n    \
         <BlockMap>\n{ranges}    \
         </BlockMap>\n\
         </bmap>\n",
        size.div_ceil(BLOCK)
    )
}
