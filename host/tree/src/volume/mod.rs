//! A file system that somebody else made, as a tree: what a reader tells of it, held against what a tree can be.
//!
//! ```text
//!     a reader's nodes, extents ──> [ VolumeBuilder ] ──> Tree, whose bytes stand in the partition
//! ```
//!
//! A reader looks at bytes that nobody has checked, and is believed nothing: every name, parent, link and extent is checked
//! here before it is kept. What a tree cannot be is a [`VolumeFault`], which names the path.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use crate::{Attribute, Kind, Timestamp};

mod builder;
mod fault;

pub use builder::{FinishedVolume, LeftOut, VolumeBuilder};
pub use fault::VolumeFault;

/// What a block of a partition is encoded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// Raw DEFLATE.
    Deflate,
    /// A zlib stream.
    Zlib,
    /// An LZ4 block without a frame.
    Lz4,
    /// LZO1X.
    Lzo,
    /// A Zstandard frame.
    Zstd,
    /// An .xz stream.
    Xz,
    /// An .lzma stream.
    Lzma,
    /// LZMA whose first byte is replaced.
    MicroLzma,
}

/// A block of a partition that is encoded. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EncodedBlock {
    /// What it is encoded with.
    pub coding: Coding,
    /// Where it begins in the partition.
    pub offset: u64,
    /// Its length.
    pub length: u32,
    /// Whether zeros before the encoded data are skipped.
    pub padded: bool,
    /// The most bytes that come out.
    pub decoded: u32,
}

/// The longest block, and the most that comes out of one, in bytes.
pub const BLOCK_LIMIT: u32 = 16 << 20;

impl EncodedBlock {
    /// Whether it can be a block of a partition of `size` bytes.
    #[must_use]
    pub fn fits(&self, size: u64) -> bool {
        let lengths = [self.length, self.decoded];
        let end = self.offset.checked_add(self.length.into());
        lengths
            .iter()
            .all(|length| (1..=BLOCK_LIMIT).contains(length))
            && end.is_some_and(|end| end <= size)
    }
}

/// The bytes that a file system stands in.
pub trait Blocks: fmt::Debug + Send + Sync {
    /// Their number.
    fn size(&self) -> u64;

    /// Fills `buffer` with those from `offset` on, which are all there.
    ///
    /// # Errors
    /// If they cannot be read.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The open file in which the byte `offset` and those behind it stand as they are, and where; none if there is no such
    /// file.
    fn position(&self, offset: u64) -> Option<(BorrowedFd<'_>, u64)>;

    /// Checks that nobody has written to them since they were opened.
    ///
    /// # Errors
    /// If somebody has.
    fn verify(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts decoders.
pub trait Decoders: fmt::Debug + Send + Sync {
    /// One thread's decoder.
    ///
    /// # Errors
    /// If there can be none here.
    fn start(&self) -> io::Result<Box<dyn Decoder>>;
}

/// A block to decode.
#[derive(Debug)]
pub struct Decoding<'a> {
    /// What is known of it.
    pub block: EncodedBlock,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The place for what comes out of it.
    pub content: &'a mut [u8],
    /// How many bytes came, once it is decoded.
    pub came: usize,
}

/// Decodes blocks, one after another.
pub trait Decoder: Send {
    /// Puts what comes out of a block at the beginning of its place, as far as that has room. Bytes behind it may be written over.
    ///
    /// # Errors
    /// In words, if the block is damaged.
    fn decode(&mut self, one: &mut Decoding<'_>) -> io::Result<()>;

    /// Decodes several blocks, as [`Decoder::decode`] does, which may take less time than one at a time. Together they are a few MiB at the
    /// most, or there is one of them.
    ///
    /// # Errors
    /// The first that is damaged, by its number, and what is wrong with it.
    fn decode_all(&mut self, blocks: &mut [Decoding<'_>]) -> Result<(), (usize, io::Error)> {
        for (number, one) in blocks.iter_mut().enumerate() {
            self.decode(one).map_err(|error| (number, error))?;
        }
        Ok(())
    }

    /// All that comes out of `bytes`, which are those of `block`: at most [`EncodedBlock::decoded`] bytes.
    ///
    /// # Errors
    /// As of [`Decoder::decode`].
    fn decoded(&mut self, block: &EncodedBlock, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = vec![0; block.decoded as usize];
        let mut one = Decoding {
            block: *block,
            bytes,
            content: &mut content,
            came: 0,
        };
        self.decode(&mut one)?;
        let came = one.came;
        content.truncate(came);
        Ok(content)
    }
}

/// A node as a reader tells it.
#[derive(Debug)]
pub struct ToldNode<'a> {
    /// The number of the directory that it is in.
    pub parent: u32,
    /// Its name.
    pub name: &'a [u8],
    /// What it is; a hard link has the number of the node that it is another name of.
    pub kind: Kind,
    /// The permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When its content was last modified.
    pub modified: Timestamp,
    /// Its extended attributes.
    pub attributes: Vec<Attribute>,
}

/// Where bytes of a file are, as a reader tells it.
#[derive(Clone, Debug)]
pub enum ToldPlace {
    /// In the partition as they are, from this byte on.
    Plain(u64),
    /// In what comes out of a block, behind so many bytes.
    Encoded(EncodedBlock, u32),
    /// These.
    Inline(Vec<u8>),
}
