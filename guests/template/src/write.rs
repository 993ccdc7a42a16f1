//! Emission of a layout.

use cellblock_guest::{Buffered, FormatError, Output, Placement, Tree, Uuid};
use zerocopy::IntoBytes as _;
use zerocopy::little_endian::{I64, U16, U32, U64};

use crate::format::{Record, Superblock};
use crate::layout::{Content, Item, Layout};

/// Asks for all contents. Done before anything is written, so that the host copies while the rest goes on.
pub(crate) fn place(
    layout: &Layout,
    tree: &mut dyn Tree,
    output: &mut dyn Output,
) -> Result<(), FormatError> {
    let mut output = Buffered::new(output);
    for content in layout.items.iter().filter_map(|item| item.content) {
        if !content.sparse {
            output.place(placement(&content, 0, content.length))?;
            continue;
        }
        // What is not placed stays a hole: the partition reads as zeros.
        for range in tree.ranges(content.source)? {
            output.place(placement(&content, range.offset, range.length))?;
        }
    }
    output.finish()
}

fn placement(content: &Content, offset: u64, length: u64) -> Placement {
    Placement {
        file: content.source,
        file_offset: offset,
        partition_offset: content.offset.saturating_add(offset),
        length,
        padding: 0,
    }
}

/// Writes superblock, records and names: neighbours, which [`Buffered`] joins into large writes.
pub(crate) fn write(
    layout: &Layout,
    uuid: Uuid,
    output: &mut dyn Output,
) -> Result<(), FormatError> {
    let mut output = Buffered::new(output);
    let superblock = Superblock {
        magic: Superblock::MAGIC,
        record_count: U32::new(count(layout.items.len())),
        name_bytes: U32::new(count(layout.names.len())),
        used_bytes: U64::new(layout.used_bytes),
        alignment: U64::new(layout.alignment),
        uuid: uuid.0,
        label: layout.label,
    };
    output.write(0, superblock.as_bytes())?;
    let mut offset = size_of::<Superblock>() as u64;
    for item in &layout.items {
        output.write(offset, record(item).as_bytes())?;
        offset += size_of::<Record>() as u64;
    }
    output.write(offset, &layout.names)?;
    output.finish()
}

fn record(item: &Item) -> Record {
    let (offset, length) = item
        .content
        .map_or((0, 0), |content| (content.offset, content.length));
    Record {
        parent: U32::new(item.parent),
        name_offset: U32::new(item.name_offset),
        name_length: U16::new(item.name_length),
        mode: U16::new(item.mode),
        uid: U32::new(item.uid),
        gid: U32::new(item.gid),
        nanoseconds: U32::new(item.nanoseconds),
        seconds: I64::new(item.seconds),
        content_offset: U64::new(offset),
        content_length: U64::new(length),
    }
}

/// `number`, which the layout keeps within 32 bits.
fn count(number: usize) -> u32 {
    u32::try_from(number).expect("the layout has checked it")
}
