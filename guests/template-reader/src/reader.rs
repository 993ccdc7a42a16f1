//! What the reader tells of itself, and its two calls.

use std::borrow::Cow;

use cellblock_guest::reader::{
    FileExtent, Listing, Partition, Place, Reader, ReaderDescription, ReaderError, ReaderRequest,
    Teller, Volume,
};
use cellblock_guest::{Kind, Node, NodeId, Timestamp, Uuid};
use zerocopy::FromBytes as _;

use crate::format::{Record, Superblock};

/// Reads catalogs.
pub struct CatalogReader;

impl Reader for CatalogReader {
    fn describe() -> ReaderDescription {
        ReaderDescription {
            name: "catalog",
            version: env!("CARGO_PKG_VERSION"),
            summary: "a table of files, and their contents",
            kinds: &["catalog"],
        }
    }

    fn probe(partition: &dyn Partition) -> Result<Volume, ReaderError> {
        volume(&superblock(partition)?)
    }

    fn read(
        request: &ReaderRequest,
        partition: &dyn Partition,
        listing: &mut dyn Listing,
    ) -> Result<Volume, ReaderError> {
        let superblock = superblock(partition)?;
        let records = superblock.record_count.get() as usize;
        let bytes = records
            .checked_mul(size_of::<Record>())
            .ok_or_else(|| ReaderError::damaged("superblock", 0, "has too many records"))?;
        let start = size_of::<Superblock>() as u64;
        let table = partition.bytes(start, bytes)?;
        let names = partition.bytes(start + bytes as u64, superblock.name_bytes.get() as usize)?;
        let mut teller = Teller::new(listing);
        for (number, record) in table.chunks_exact(size_of::<Record>()).enumerate() {
            let damaged = |problem: &str| {
                let offset = start + (number * size_of::<Record>()) as u64;
                ReaderError::damaged(format!("record {number}"), offset, problem)
            };
            let record = Record::ref_from_bytes(record).map_err(|_| damaged("ends early"))?;
            let name = record.name_offset.get() as usize;
            let name = name
                .checked_add(record.name_length.get().into())
                .and_then(|end| names.get(name..end))
                .ok_or_else(|| damaged("has its name outside the names"))?;
            let size = record.content_length.get();
            let kind = match record.mode.get() & Record::TYPE {
                Record::DIRECTORY => Kind::Directory,
                Record::FILE => Kind::File {
                    size,
                    sparse: false,
                },
                _ => return Err(damaged("is neither a directory nor a file")),
            };
            let is_file = kind != Kind::Directory;
            let id = teller.node(Node {
                parent: NodeId(record.parent.get()),
                name: Cow::Borrowed(name),
                kind,
                mode: record.mode.get() & 0o7777,
                uid: record.uid.get(),
                gid: record.gid.get(),
                modified: Timestamp {
                    seconds: record.seconds.get(),
                    nanoseconds: record.nanoseconds.get(),
                },
                attributes: Cow::Borrowed(&[]),
            })?;
            if request.extents && is_file {
                teller.extent(FileExtent {
                    file: id,
                    offset: 0,
                    length: size,
                    place: Place::Plain(record.content_offset.get()),
                });
            }
        }
        teller.finish();
        volume(&superblock)
    }
}

fn superblock(partition: &dyn Partition) -> Result<Superblock, ReaderError> {
    if partition.size() < size_of::<Superblock>() as u64 {
        return Err(ReaderError::Unrecognised);
    }
    let bytes = partition.bytes(0, size_of::<Superblock>())?;
    let superblock = Superblock::read_from_bytes(&bytes).map_err(|_| ReaderError::Unrecognised)?;
    if superblock.magic == Superblock::MAGIC {
        Ok(superblock)
    } else {
        Err(ReaderError::Unrecognised)
    }
}

fn volume(superblock: &Superblock) -> Result<Volume, ReaderError> {
    let alignment = superblock.alignment.get();
    let block_size = u32::try_from(alignment)
        .map_err(|_| ReaderError::damaged("superblock", 24, "has too large an alignment"))?;
    let label = superblock.label.split(|byte| *byte == 0).next();
    Ok(Volume {
        kind: "catalog".to_owned(),
        label: label.unwrap_or_default().to_vec(),
        identifier: Uuid(superblock.uuid).to_string(),
        block_size,
        size: superblock.used_bytes.get(),
        free: 0,
        properties: vec![("records".to_owned(), superblock.record_count.to_string())],
    })
}
