//! Readers: what they tell becomes a tree, and what they have decoded is decoded by the codecs of the host.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use cellblock_codec::{Form, Unpacker};
use cellblock_contract::{
    Log, Partition, PiecePlacement, Placement, ReaderDescription, ReaderError, Run, Volume,
};
use cellblock_tree::volume::{
    Blocks, Coding, Decoder, Decoders, Decoding, EncodedBlock, FinishedVolume, ToldNode, ToldPlace,
    VolumeBuilder, VolumeFault,
};
use cellblock_tree::{Attribute, Kind, NodeId, Timestamp, Tree};

use super::bindings::cellblock::format::tree::{Kind as ToldKind, Nodes};
use super::bindings::reading::cellblock::format::decoding::{self, DecodeError};
use super::bindings::reading::cellblock::format::listing::{
    self, Codec, Encoded, Extents, Part, Place,
};
use super::limiter::Exceeded;
use super::local::Local;

/// The most bytes of attributes that one call tells.
const ATTRIBUTES: usize = 16 << 20;
/// The most bytes that one call decodes.
const CALL: u64 = 64 << 20;
/// The most bytes that are decoded for one reader.
const IN_ALL: u64 = 8 << 30;

/// What a reader told of a file system.
#[derive(Debug)]
pub struct ReadVolume {
    /// What the file system says of itself.
    pub volume: Volume,
    /// What is in it.
    pub tree: Tree,
    /// What the reader logged.
    pub log: Log,
}

/// What a reader has told so far.
pub(super) struct Taking {
    builder: VolumeBuilder,
    /// Whether extents were asked for.
    extents: bool,
    /// Whether anything is to be told.
    tells: bool,
    blocks: Arc<dyn Blocks>,
    decoders: Arc<dyn Decoders>,
    decoder: Option<Box<dyn Decoder>>,
    /// The bytes that were decoded.
    decoded: u64,
    /// What it told that cannot be.
    pub(super) fault: Option<VolumeFault>,
}

impl Taking {
    pub(super) fn new(
        blocks: &Arc<dyn Blocks>,
        decoders: Arc<dyn Decoders>,
        tells: bool,
        extents: bool,
    ) -> Self {
        Self {
            builder: VolumeBuilder::new(blocks.size()),
            extents,
            tells,
            blocks: Arc::clone(blocks),
            decoders,
            decoder: None,
            decoded: 0,
            fault: None,
        }
    }

    /// The tree of what was told.
    pub(super) fn finish(self, name: PathBuf) -> Result<FinishedVolume, VolumeFault> {
        self.builder.finish(name, self.blocks, self.decoders)
    }

    /// Takes in nodes, a few columns.
    fn nodes(&mut self, nodes: Nodes) -> Result<(), VolumeFault> {
        let count = nodes.kinds.len();
        let lengths = [
            nodes.parents.len(),
            nodes.values.len(),
            nodes.modes.len(),
            nodes.uids.len(),
            nodes.gids.len(),
            nodes.seconds.len(),
            nodes.nanoseconds.len(),
            nodes.name_lengths.len(),
        ];
        if lengths.iter().any(|length| *length != count) {
            return Err(VolumeFault::Columns);
        }
        let (mut names, mut targets) = (&*nodes.names, &*nodes.targets);
        let mut attributes = nodes.attributes.into_iter().peekable();
        for at in 0..count {
            let name = take(&mut names, nodes.name_lengths[at].into())?;
            let kind = kind(nodes.kinds[at], nodes.values[at], &mut targets)?;
            let mut own = Vec::new();
            while let Some(one) = attributes.next_if(|one| one.node as usize == at) {
                own.push(Attribute {
                    name: one.name,
                    value: one.value,
                });
            }
            self.builder.node(ToldNode {
                parent: nodes.parents[at],
                name,
                kind,
                mode: nodes.modes[at],
                uid: nodes.uids[at],
                gid: nodes.gids[at],
                modified: Timestamp {
                    seconds: nodes.seconds[at],
                    nanoseconds: nodes.nanoseconds[at],
                },
                attributes: own,
            })?;
        }
        if names.is_empty() && targets.is_empty() && attributes.next().is_none() {
            Ok(())
        } else {
            Err(VolumeFault::Columns)
        }
    }

    fn extents(&mut self, told: Extents) -> Result<(), VolumeFault> {
        let mut inline = &*told.inline;
        for extent in told.items {
            let place = match extent.place {
                Place::Plain(offset) => ToldPlace::Plain(offset),
                Place::Encoded(Part { block, skip }) => ToldPlace::Encoded(block.into(), skip),
                Place::Inline => ToldPlace::Inline(take(&mut inline, extent.length)?.to_vec()),
            };
            self.builder
                .extent(extent.file, extent.offset, extent.length, place)?;
        }
        if inline.is_empty() {
            Ok(())
        } else {
            Err(VolumeFault::Columns)
        }
    }

    fn decode(&mut self, asked: &[EncodedBlock]) -> Result<Vec<Vec<u8>>, DecodeError> {
        let size = self.blocks.size();
        for (index, block) in (0..).zip(asked) {
            if !block.fits(size) {
                return Err(DecodeError::Outside(index));
            }
        }
        let most = |of: fn(&EncodedBlock) -> u32| asked.iter().map(|it| u64::from(of(it))).sum();
        let bytes: u64 = most(|block| block.decoded);
        self.decoded = self.decoded.saturating_add(bytes);
        let read: u64 = most(|block| block.length);
        if bytes > CALL || read > CALL || self.decoded > IN_ALL {
            return Err(DecodeError::Exhausted);
        }
        let mut decoded = Vec::with_capacity(asked.len());
        for (index, block) in (0..).zip(asked) {
            let mut bytes = vec![0; block.length as usize];
            let read = self.blocks.read(block.offset, &mut bytes);
            read.map_err(|_| DecodeError::Failed)?;
            let decoder = match &mut self.decoder {
                Some(decoder) => decoder,
                none => none.insert(self.decoders.start().map_err(|_| DecodeError::Failed)?),
            };
            match decoder.decoded(block, &bytes) {
                Ok(found) => decoded.push(found),
                Err(_) => {
                    self.decoder = None;
                    return Err(DecodeError::Damaged(index));
                }
            }
        }
        Ok(decoded)
    }
}

/// The first bytes of what is left of a column.
fn take<'b>(rest: &mut &'b [u8], length: u64) -> Result<&'b [u8], VolumeFault> {
    let length = usize::try_from(length).map_err(|_| VolumeFault::Columns)?;
    let (first, after) = rest.split_at_checked(length).ok_or(VolumeFault::Columns)?;
    *rest = after;
    Ok(first)
}

fn kind(told: ToldKind, value: u64, targets: &mut &[u8]) -> Result<Kind, VolumeFault> {
    let half = |half: u64| u32::try_from(half).expect("it is one half of 64 bits");
    let (major, minor) = (half(value >> 32), half(value & u64::from(u32::MAX)));
    Ok(match told {
        ToldKind::Directory => Kind::Directory,
        ToldKind::File | ToldKind::SparseFile => Kind::File {
            size: value,
            sparse: false,
        },
        ToldKind::Symlink => Kind::Symlink(take(targets, value)?.into()),
        // A number that no node has is as wrong as a larger one.
        ToldKind::HardLink => Kind::HardLink(NodeId(u32::try_from(value).unwrap_or(u32::MAX))),
        ToldKind::CharacterDevice => Kind::CharacterDevice { major, minor },
        ToldKind::BlockDevice => Kind::BlockDevice { major, minor },
        ToldKind::Fifo => Kind::Fifo,
        ToldKind::Socket => Kind::Socket,
    })
}

impl From<Encoded> for EncodedBlock {
    fn from(encoded: Encoded) -> Self {
        let Encoded {
            codec,
            offset,
            length,
            padded,
            decoded,
        } = encoded;
        Self {
            coding: match codec {
                Codec::Deflate => Coding::Deflate,
                Codec::Zlib => Coding::Zlib,
                Codec::Lz4 => Coding::Lz4,
                Codec::Lzo => Coding::Lzo,
                Codec::Zstd => Coding::Zstd,
                Codec::Xz => Coding::Xz,
                Codec::Lzma => Coding::Lzma,
                Codec::MicroLzma => Coding::MicroLzma,
            },
            offset,
            length,
            padded,
            decoded,
        }
    }
}

/// What the codecs call it.
pub(super) fn form(coding: Coding) -> Form {
    match coding {
        Coding::Deflate => Form::Deflate,
        Coding::Zlib => Form::Zlib,
        Coding::Lz4 => Form::Lz4,
        Coding::Lzo => Form::Lzo,
        Coding::Zstd => Form::Zstd,
        Coding::Xz => Form::Xz,
        Coding::Lzma => Form::Lzma,
        Coding::MicroLzma => Form::MicroLzma,
    }
}

impl Local {
    /// A batch was told whose columns do not fit together.
    pub(super) fn told_torn(&mut self) -> wasmtime::Result<()> {
        self.taken(Err(VolumeFault::Columns))
    }

    /// What a reader told that cannot be ends its cell; the fault is kept.
    fn taken(&mut self, taken: Result<(), VolumeFault>) -> wasmtime::Result<()> {
        let Err(fault) = taken else {
            return self.check_deadline();
        };
        let what = fault.to_string();
        if let Some(taking) = &mut self.taking {
            taking.fault.get_or_insert(fault);
        }
        Err(Exceeded(what).into())
    }
}

/// Bounds what a call tells beside numbers, on whichever side of the second wall it is looked at first.
pub(super) fn check_batch(batch: &Nodes) -> Result<(), Exceeded> {
    let attributes = batch.attributes.iter();
    let bytes: usize = attributes.map(|it| it.name.len() + it.value.len()).sum();
    match bytes <= ATTRIBUTES {
        true => Ok(()),
        false => Err(Exceeded(format!(
            "it told {bytes} bytes of attributes in one call, and {ATTRIBUTES} are allowed"
        ))),
    }
}

impl listing::Host for Local {
    fn tell_nodes(&mut self, batch: Nodes) -> wasmtime::Result<()> {
        check_batch(&batch)?;
        let taken = match &mut self.taking {
            Some(taking) if taking.tells => taking.nodes(batch),
            _ => Ok(()),
        };
        self.taken(taken)
    }

    fn tell_extents(&mut self, batch: Extents) -> wasmtime::Result<()> {
        let taken = match &mut self.taking {
            Some(taking) if taking.tells && taking.extents => taking.extents(batch),
            _ => Ok(()),
        };
        self.taken(taken)
    }
}

impl decoding::Host for Local {
    fn decode(
        &mut self,
        blocks: Vec<Encoded>,
    ) -> wasmtime::Result<Result<Vec<Vec<u8>>, DecodeError>> {
        self.check_deadline()?;
        let blocks: Vec<EncodedBlock> = blocks.into_iter().map(Into::into).collect();
        Ok(match &mut self.taking {
            Some(taking) => taking.decode(&blocks),
            None => Err(DecodeError::Failed),
        })
    }
}

/// A codec in the thread that uses it.
#[derive(Default)]
pub(super) struct DecoderHere(Unpacker);

impl Decoder for DecoderHere {
    fn decode(&mut self, one: &mut Decoding<'_>) -> io::Result<()> {
        let form = form(one.block.coding);
        let found = (self.0).unpack_into(form, one.bytes, one.block.padded, one.content);
        one.came = found.map_err(io::Error::other)?;
        Ok(())
    }
}

/// The partition of a reader, which nothing writes to.
pub(super) struct ReadOnly(pub(super) Arc<dyn Blocks>);

impl fmt::Debug for ReadOnly {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Partition for ReadOnly {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, buffer)
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn place(&self, _: Vec<Placement>) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn compose(&self, _: Run) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn place_pieces(&self, _: &Arc<File>, _: Vec<PiecePlacement>) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What a call of a reader returned, fit to be shown.
pub(super) fn description(told: ReaderDescription) -> ReaderDescription {
    super::legible::reader_with(told, super::legible::legible)
}

/// A file system, or why it is not read, fit to be shown.
pub(super) fn volume(told: Result<Volume, ReaderError>) -> Result<Volume, ReaderError> {
    told.map(|told| super::legible::volume_with(told, super::legible::legible))
        .map_err(|told| super::legible::reader_error_with(told, super::legible::legible))
}
