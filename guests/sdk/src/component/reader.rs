//! The wasm surface of readers: their bindings, which are not those of formatters, and the translation.

use std::marker::PhantomData;

use crate::batch::Type;
use crate::reader::{
    Codec, DecodeError, Encoded, FileExtent, Listing, Partition, Place, Reader, ReaderDescription,
    ReaderError, ReaderRequest, Volume,
};
use crate::{Attribute, Batch, NodeId, PartitionError};

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "reader-guest",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_reader_bindings",
        default_bindings_module: "cellblock_guest::component::reader::bindings",
    });
}

use bindings::cellblock::format::{decoding, listing, progress, tree};
use bindings::exports::cellblock::format::reader as contract;
use bindings::wasi::filesystem::types::{Descriptor, ErrorCode};

/// Hands a [`Reader`](crate::reader::Reader) to the host: the one line of a guest's `component.rs`.
#[macro_export]
macro_rules! export_reader {
    ($reader:ty) => {
        type ExportedReader = $crate::component::reader::ReaderComponent<$reader>;
        $crate::component::reader::bindings::export_reader_bindings!(ExportedReader with_types_in $crate::component::reader::bindings);
    };
}

/// The exports of a reader.
pub struct ReaderComponent<R>(PhantomData<R>);

impl<R: Reader> contract::Guest for ReaderComponent<R> {
    fn describe() -> contract::Description {
        begin();
        let ReaderDescription {
            name,
            version,
            summary,
            kinds,
        } = R::describe();
        contract::Description {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            kinds: kinds.iter().copied().map(str::to_owned).collect(),
        }
    }

    fn probe(partition: Descriptor) -> Result<contract::Volume, contract::ReaderError> {
        begin();
        let partition = HostPartition::new(partition)?;
        Ok(R::probe(&partition)?.into())
    }

    fn read(
        partition: Descriptor,
        request: contract::Request,
    ) -> Result<contract::Volume, contract::ReaderError> {
        begin();
        let partition = HostPartition::new(partition)?;
        let contract::Request { extents } = request;
        let request = ReaderRequest { extents };
        Ok(R::read(&request, &partition, &mut HostListing)?.into())
    }
}

/// What every call of a reader begins with.
fn begin() {
    super::panics::tell_by(warn);
}

fn warn(message: &str) {
    progress::log(progress::Level::Warning, message);
}

/// The partition behind the contract.
struct HostPartition {
    descriptor: Descriptor,
    size: u64,
}

impl HostPartition {
    fn new(descriptor: Descriptor) -> Result<Self, contract::ReaderError> {
        let size = descriptor
            .stat()
            .map_err(contract::ReaderError::Partition)?
            .size;
        Ok(Self { descriptor, size })
    }
}

impl Partition for HostPartition {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), PartitionError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let start = offset
                .checked_add(filled as u64)
                .ok_or(PartitionError::OutOfRange)?;
            let (bytes, _) = self
                .descriptor
                .read(rest.len() as u64, start)
                .map_err(PartitionError::from)?;
            if bytes.is_empty() || bytes.len() > rest.len() {
                return Err(PartitionError::OutOfRange);
            }
            rest[..bytes.len()].copy_from_slice(&bytes);
            filled += bytes.len();
        }
        Ok(())
    }

    fn decode(&self, blocks: &[Encoded]) -> Result<Vec<Vec<u8>>, DecodeError> {
        let blocks: Vec<listing::Encoded> = blocks.iter().copied().map(Into::into).collect();
        Ok(decoding::decode(&blocks)?)
    }
}

/// The listing behind the contract.
struct HostListing;

impl Listing for HostListing {
    fn nodes(&mut self, batch: Batch) {
        listing::tell_nodes(&batch.into());
    }

    fn extents(&mut self, batch: Vec<FileExtent>) {
        let mut inline = Vec::new();
        let items = batch.into_iter().map(|extent| {
            let FileExtent {
                file: NodeId(file),
                offset,
                length,
                place,
            } = extent;
            let place = match place {
                Place::Plain(offset) => listing::Place::Plain(offset),
                Place::Encoded { block, skip } => listing::Place::Encoded(listing::Part {
                    block: block.into(),
                    skip,
                }),
                Place::Inline(bytes) => {
                    inline.extend(bytes);
                    listing::Place::Inline
                }
            };
            listing::Extent {
                file,
                offset,
                length,
                place,
            }
        });
        let items = items.collect();
        listing::tell_extents(&listing::Extents { items, inline });
    }

    fn warn(&mut self, message: &str) {
        warn(message);
    }
}

impl From<Encoded> for listing::Encoded {
    fn from(encoded: Encoded) -> Self {
        let Encoded {
            codec,
            offset,
            length,
            padded,
            decoded,
        } = encoded;
        Self {
            codec: match codec {
                Codec::Deflate => listing::Codec::Deflate,
                Codec::Zlib => listing::Codec::Zlib,
                Codec::Lz4 => listing::Codec::Lz4,
                Codec::Lzo => listing::Codec::Lzo,
                Codec::Zstd => listing::Codec::Zstd,
                Codec::Xz => listing::Codec::Xz,
                Codec::Lzma => listing::Codec::Lzma,
                Codec::MicroLzma => listing::Codec::MicroLzma,
            },
            offset,
            length,
            padded,
            decoded,
        }
    }
}

impl From<Batch> for tree::Nodes {
    fn from(batch: Batch) -> Self {
        let Batch {
            parents,
            types,
            values,
            modes,
            uids,
            gids,
            seconds,
            nanoseconds,
            name_lengths,
            names,
            targets,
            attributed,
            attributes,
        } = batch;
        let attribute = |(node, Attribute { name, value })| tree::Attribute { node, name, value };
        Self {
            parents,
            kinds: types.into_iter().map(Into::into).collect(),
            values,
            modes,
            uids,
            gids,
            seconds,
            nanoseconds,
            name_lengths,
            names,
            targets,
            attributes: attributed
                .into_iter()
                .zip(attributes)
                .map(attribute)
                .collect(),
        }
    }
}

impl From<Type> for tree::Kind {
    fn from(of: Type) -> Self {
        match of {
            Type::Directory => Self::Directory,
            Type::File => Self::File,
            Type::SparseFile => Self::SparseFile,
            Type::Symlink => Self::Symlink,
            Type::HardLink => Self::HardLink,
            Type::CharacterDevice => Self::CharacterDevice,
            Type::BlockDevice => Self::BlockDevice,
            Type::Fifo => Self::Fifo,
            Type::Socket => Self::Socket,
        }
    }
}

impl From<Volume> for contract::Volume {
    fn from(volume: Volume) -> Self {
        let Volume {
            kind,
            label,
            identifier,
            block_size,
            size,
            free,
            properties,
        } = volume;
        let property = |(name, value)| contract::Property { name, value };
        Self {
            kind,
            label,
            identifier,
            block_size,
            size,
            free,
            properties: properties.into_iter().map(property).collect(),
        }
    }
}

impl From<decoding::DecodeError> for DecodeError {
    fn from(error: decoding::DecodeError) -> Self {
        match error {
            decoding::DecodeError::Damaged(index) => Self::Damaged(index),
            decoding::DecodeError::Outside(index) => Self::Outside(index),
            decoding::DecodeError::Exhausted => Self::Exhausted,
            decoding::DecodeError::Failed => Self::Failed,
        }
    }
}

impl From<DecodeError> for decoding::DecodeError {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Damaged(index) => Self::Damaged(index),
            DecodeError::Outside(index) => Self::Outside(index),
            DecodeError::Exhausted => Self::Exhausted,
            DecodeError::Failed => Self::Failed,
        }
    }
}

impl From<ErrorCode> for PartitionError {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Invalid | ErrorCode::Overflow => Self::OutOfRange,
            _ => Self::Failed,
        }
    }
}

impl From<PartitionError> for ErrorCode {
    fn from(error: PartitionError) -> Self {
        match error {
            PartitionError::OutOfRange => Self::Invalid,
            PartitionError::Placed => Self::Busy,
            PartitionError::Failed => Self::Io,
        }
    }
}

impl From<ReaderError> for contract::ReaderError {
    fn from(error: ReaderError) -> Self {
        match error {
            ReaderError::Unrecognised => Self::Unrecognised,
            ReaderError::Unsupported(what) => Self::Unsupported(what),
            ReaderError::Damaged {
                structure,
                offset,
                problem,
            } => Self::Damaged(contract::Fault {
                structure,
                offset,
                problem,
            }),
            ReaderError::Partition(error) => Self::Partition(error.into()),
            ReaderError::Decoding(error) => Self::Decoding(error.into()),
        }
    }
}
