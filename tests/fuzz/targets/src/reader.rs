//! A file system of any bytes, through a reader, into the host's tree.

use std::cell::RefCell;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use cellblock_codec::Unpacker;
use cellblock_guest::reader::{
    Codec, FileExtent, Listing, Partition as _, Place, Reader, ReaderRequest,
};
use cellblock_guest::{Batch, Kind as ToldKind, Node};
use cellblock_readers_judged::{BytesPartition, outcome};
use cellblock_tree::volume::{
    Blocks, Coding, Decoder, Decoders, Decoding, EncodedBlock, ToldNode, ToldPlace, VolumeBuilder,
    VolumeFault,
};
use cellblock_tree::{Attribute, Kind, NodeId, Timestamp};

use crate::archive::check_with;

/// The most sectors of an image: 40 MiB, of which FAT32 asks for 33.
const SECTORS: u32 = 80 << 10;
const SECTOR: usize = 512;
/// The most content that is read of an image, in bytes.
const CONTENT: u64 = 1 << 20;

/// Reads the image, tells the host what is in it, and reads what there is of content.
///
/// # Panics
/// If the reader does, or takes more steps than an image of this size can ask for, or the host does.
pub(crate) fn read<R: Reader>(data: &[u8]) {
    let image = image(data);
    if outcome::<R>(&image).is_err() {
        return;
    }
    let mut taken = Taken {
        builder: VolumeBuilder::new(image.len() as u64),
        fault: None,
    };
    let unpacker = RefCell::default();
    let partition = BytesPartition::new(&image, &unpacker);
    let told = R::read(&ReaderRequest { extents: true }, &partition, &mut taken);
    assert!(told.is_ok(), "it was read a moment ago: {told:?}");
    assert!(partition.size() == image.len() as u64);
    if let Some(fault) = taken.fault {
        assert!(!fault.to_string().is_empty());
        return;
    }
    let blocks = Arc::new(Image(image));
    let name = PathBuf::from("image");
    let Ok(finished) = taken.builder.finish(name, blocks, Arc::new(Codecs)) else {
        return;
    };
    let size = |node: cellblock_tree::Node<'_>| match node.kind {
        Kind::File { size, .. } => *size,
        _ => 0,
    };
    let content: u64 = finished.tree.nodes().map(size).fold(0, u64::saturating_add);
    if content <= CONTENT {
        check_with(&finished.tree, |error| {
            assert!(!error.to_string().is_empty())
        });
    }
}

/// The image that the bytes say: its size in sectors, and then pieces of it, each behind the number of its first sector and its
/// length in bytes. What no piece covers is zeros.
pub fn image(data: &[u8]) -> Vec<u8> {
    let (size, mut rest) = number(data).unwrap_or((0, &[]));
    let size = usize::try_from(size % (SECTORS + 1)).expect("32 bits are a length here");
    let mut image = vec![0; size * SECTOR];
    while let Some((sector, after)) = number(rest)
        && let Some((length, after)) = after.split_first_chunk()
    {
        let piece = &after[..usize::from(u16::from_le_bytes(*length)).min(after.len())];
        let sector = usize::try_from(sector).expect("32 bits are a length here");
        let start = (sector * SECTOR).min(image.len());
        let fits = piece.len().min(image.len() - start);
        image[start..start + fits].copy_from_slice(&piece[..fits]);
        rest = &after[piece.len()..];
    }
    image
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*number), rest))
}

/// What the host takes in.
struct Taken {
    builder: VolumeBuilder,
    fault: Option<VolumeFault>,
}

impl Taken {
    fn node(&mut self, node: &Node<'_>) -> Result<(), VolumeFault> {
        let kind = match &node.kind {
            ToldKind::Directory => Kind::Directory,
            ToldKind::File { size, sparse } => Kind::File {
                size: *size,
                sparse: *sparse,
            },
            ToldKind::Symlink(target) => Kind::Symlink((&**target).into()),
            ToldKind::HardLink(first) => Kind::HardLink(NodeId(first.0)),
            ToldKind::CharacterDevice(device) => Kind::CharacterDevice {
                major: device.major,
                minor: device.minor,
            },
            ToldKind::BlockDevice(device) => Kind::BlockDevice {
                major: device.major,
                minor: device.minor,
            },
            ToldKind::Fifo => Kind::Fifo,
            ToldKind::Socket => Kind::Socket,
        };
        let attributes = node.attributes.iter().map(|it| Attribute {
            name: it.name.clone(),
            value: it.value.clone(),
        });
        self.builder.node(ToldNode {
            parent: node.parent.0,
            name: &node.name,
            kind,
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            modified: Timestamp {
                seconds: node.modified.seconds,
                nanoseconds: node.modified.nanoseconds,
            },
            attributes: attributes.collect(),
        })
    }

    fn extent(&mut self, extent: FileExtent) -> Result<(), VolumeFault> {
        let place = match extent.place {
            Place::Plain(offset) => ToldPlace::Plain(offset),
            Place::Inline(bytes) => ToldPlace::Inline(bytes),
            Place::Encoded { block, skip } => {
                let block = EncodedBlock {
                    coding: coding(block.codec),
                    offset: block.offset,
                    length: block.length,
                    padded: block.padded,
                    decoded: block.decoded,
                };
                ToldPlace::Encoded(block, skip)
            }
        };
        let FileExtent {
            file,
            offset,
            length,
            ..
        } = extent;
        self.builder.extent(file.0, offset, length, place)
    }
}

impl Listing for Taken {
    fn nodes(&mut self, batch: Batch) {
        for node in batch.nodes() {
            if self.fault.is_none() {
                self.fault = self.node(&node).err();
            }
        }
    }

    fn extents(&mut self, batch: Vec<FileExtent>) {
        for extent in batch {
            if self.fault.is_none() {
                self.fault = self.extent(extent).err();
            }
        }
    }

    fn warn(&mut self, message: &str) {
        assert!(!message.is_empty());
    }
}

fn coding(codec: Codec) -> Coding {
    match codec {
        Codec::Deflate => Coding::Deflate,
        Codec::Zlib => Coding::Zlib,
        Codec::Lz4 => Coding::Lz4,
        Codec::Lzo => Coding::Lzo,
        Codec::Zstd => Coding::Zstd,
        Codec::Xz => Coding::Xz,
        Codec::Lzma => Coding::Lzma,
        Codec::MicroLzma => Coding::MicroLzma,
    }
}

/// The image, as the host has it.
#[derive(Debug)]
struct Image(Vec<u8>);

impl Blocks for Image {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).expect("the tree holds extents to the size");
        buffer.copy_from_slice(&self.0[start..start + buffer.len()]);
        Ok(())
    }

    fn position(&self, _: u64) -> Option<(BorrowedFd<'_>, u64)> {
        None
    }
}

/// The codecs, here.
#[derive(Debug)]
struct Codecs;

impl Decoders for Codecs {
    fn start(&self) -> io::Result<Box<dyn Decoder>> {
        Ok(Box::new(Own(Unpacker::default())))
    }
}

struct Own(Unpacker);

impl Decoder for Own {
    fn decode(&mut self, one: &mut Decoding<'_>) -> io::Result<()> {
        use cellblock_codec::Form;
        let form = match one.block.coding {
            Coding::Deflate => Form::Deflate,
            Coding::Zlib => Form::Zlib,
            Coding::Lz4 => Form::Lz4,
            Coding::Lzo => Form::Lzo,
            Coding::Zstd => Form::Zstd,
            Coding::Xz => Form::Xz,
            Coding::Lzma => Form::Lzma,
            Coding::MicroLzma => Form::MicroLzma,
        };
        let found = (self.0).unpack_into(form, one.bytes, one.block.padded, one.content);
        one.came = found.map_err(io::Error::other)?;
        Ok(())
    }
}
