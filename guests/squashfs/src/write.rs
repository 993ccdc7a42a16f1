//! A whole file system, measured or made by the same steps.

use cellblock_guest::{
    Encoder, FormatError, NodeId, Output, Property, Request, Shortage, Summary, Tree,
};
use zerocopy::IntoBytes as _;

use crate::census::Census;
use crate::contents::Contents;
use crate::data;
use crate::format::{ABSENT, AttributeTable, STORED_METADATA, Superblock, SuperblockFlags};
use crate::image::Image;
use crate::inodes::{self, Inodes};
use crate::metadata::{Packer, Table};
use crate::options::Options;

/// The smallest size for a tree.
///
/// # Errors
/// [`FormatError`] if there is none.
pub(crate) fn measure(
    request: &Request,
    tree: &mut dyn Tree,
    encoder: &mut dyn Encoder,
) -> Result<u64, FormatError> {
    let options = Options::new(request)?;
    let made = make(&options, tree, encoder, &mut Image::nowhere())?;
    Ok(made.needed)
}

/// Makes a file system.
///
/// # Errors
/// [`FormatError`] if it does not fit, cannot be, or the host fails.
pub(crate) fn format(
    request: &Request,
    tree: &mut dyn Tree,
    encoder: &mut dyn Encoder,
    output: &mut dyn Output,
) -> Result<Summary, FormatError> {
    let options = Options::new(request)?;
    let mut image = Image::new(output, request.size);
    let made = make(&options, tree, encoder, &mut image)?;
    if made.needed > request.size {
        return Err(FormatError::TooSmall(Shortage {
            needed: made.needed,
            available: request.size,
        }));
    }
    Ok(made.summary)
}

struct Made {
    needed: u64,
    summary: Summary,
}

/// Puts the parts of the file system one behind the other.
struct Writer<'a, 'b> {
    image: &'a mut Image<'b>,
    end: u64,
}

impl Writer<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        self.image.write(self.end, bytes)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Writes the offsets of metadata blocks that begin with `start`, behind them.
    fn index(&mut self, table: &Table, start: u64) -> Result<(), FormatError> {
        for block in table.starts() {
            self.write(&(start + block).to_le_bytes())?;
        }
        Ok(())
    }

    /// Writes a table and its index, and tells where the index is.
    fn indexed(&mut self, mut table: Table) -> Result<u64, FormatError> {
        let start = self.end;
        self.write(&table.take())?;
        let index = self.end;
        self.index(&table, start)?;
        Ok(index)
    }
}

fn make(
    options: &Options,
    tree: &mut dyn Tree,
    encoder: &mut dyn Encoder,
    image: &mut Image<'_>,
) -> Result<Made, FormatError> {
    let census = Census::take(options, tree)?;
    let inode_count = census.inodes()?;
    let mut contents = Contents::plan(options, &census, tree, encoder)?;
    let mut writer = Writer {
        image,
        end: Superblock::BYTES,
    };
    let mut flags = options.flags();
    if let Some(bytes) = options.codec.options() {
        flags |= SuperblockFlags::COMPRESSOR_OPTIONS;
        let length = u16::try_from(bytes.len()).expect("they are a few bytes");
        writer.write(&(length | STORED_METADATA).to_le_bytes())?;
        writer.write(&bytes)?;
    }
    writer.end = data::store(options, &mut contents, encoder, writer.image, writer.end)?;

    let mut packer = Packer::new(encoder, options.codec.metadata());
    let inode_table = writer.end;
    let mut inodes = Inodes::make(
        options,
        &census,
        &contents,
        &mut packer,
        writer.image,
        inode_table,
    )?;
    writer.end = inodes.end();
    let directory_table = writer.end;
    writer.write(&inodes.listings().take())?;
    let fragments = inodes::fragments(options, &contents, &mut packer)?;
    let fragment_table = writer.indexed(fragments)?;
    let export_table = if options.exportable {
        writer.indexed(inodes.export(&mut packer)?)?
    } else {
        ABSENT
    };
    let owners = inodes::owners(options, &census, &mut packer)?;
    let owner_table = writer.indexed(owners)?;
    let attribute_table = attributes(options, &census, &mut packer, &mut writer)?;

    let bytes_used = writer.end;
    let fragment_count = u32::try_from(contents.fragments.len());
    let owner_count = u16::try_from(census.owners.numbers().len());
    let superblock = Superblock {
        magic: Superblock::MAGIC.into(),
        inodes: inode_count.into(),
        time: options.time.into(),
        block_size: options.block_size.into(),
        fragments: fragment_count.expect("there are fewer than files").into(),
        compressor: options.codec.compressor().0.into(),
        block_log: u16::try_from(options.block_size.ilog2())
            .expect("it is at most 20")
            .into(),
        flags: flags.bits().into(),
        owners: owner_count.expect("more were refused").into(),
        major: 4.into(),
        minor: 0.into(),
        root: inodes.reference(NodeId::ROOT),
        bytes_used: bytes_used.into(),
        owner_table: owner_table.into(),
        attribute_table: attribute_table.into(),
        inode_table: inode_table.into(),
        directory_table: directory_table.into(),
        fragment_table: fragment_table.into(),
        export_table: export_table.into(),
    };
    writer.image.write(0, superblock.as_bytes())?;
    writer.image.flush(packer.encoder)?;
    Ok(Made {
        needed: bytes_used.next_multiple_of(options.unit),
        summary: Summary {
            used: bytes_used,
            properties: vec![
                property("compression", options.codec.name()),
                property("block size", options.block_size.to_string()),
                property("inodes", inode_count.to_string()),
                property("fragments", contents.fragments.len().to_string()),
            ],
        },
    })
}

/// Writes the attributes, their sets and what leads to these, and tells where that is.
fn attributes(
    options: &Options,
    census: &Census,
    packer: &mut Packer<'_>,
    writer: &mut Writer<'_, '_>,
) -> Result<u64, FormatError> {
    if census.attributes.count() == 0 {
        return Ok(ABSENT);
    }
    let (mut values, mut sets) = census.attributes.tables(options, packer)?;
    let start = writer.end;
    writer.write(&values.take())?;
    let sets_start = writer.end;
    writer.write(&sets.take())?;
    let table = writer.end;
    let count = u32::try_from(census.attributes.count()).expect("there are fewer than nodes");
    let header = AttributeTable {
        start: start.into(),
        sets: count.into(),
        unused: 0.into(),
    };
    writer.write(header.as_bytes())?;
    writer.index(&sets, sets_start)?;
    Ok(table)
}

fn property(name: &'static str, value: String) -> Property {
    Property { name, value }
}
