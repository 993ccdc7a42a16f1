//! Content that the host compresses and compares, for formatters that store it so.

use crate::{FormatError, NodeId, PlaceError, ReadError};

/// A method of compression, and the form of what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Raw DEFLATE (RFC 1951). Levels 1 to 12.
    Deflate,
    /// A zlib stream (RFC 1950). Levels 1 to 9.
    Zlib,
    /// An LZ4 block, without a frame or a length. Level 0 is the fast one, 1 to 12 are LZ4 HC's.
    Lz4,
    /// One Zstandard frame with its content size, without a checksum (RFC 8878). Levels 1 to 22.
    Zstd,
    /// An .xz stream of one block, checked by CRC-32. Levels are liblzma's presets, 0 to 9, and 100 more for extreme.
    Xz,
    /// MicroLZMA: LZMA without its first byte, which holds the properties instead. Levels as for [`Method::Xz`].
    MicroLzma,
}

/// What [`Method::Xz`] does to machine code before it compresses, so that addresses repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Nothing.
    #[default]
    None,
    /// For x86 and x86-64.
    X86,
    /// For 64-bit ARM.
    Arm64,
    /// For 32-bit ARM.
    Arm,
    /// For Thumb.
    ArmThumb,
    /// For big-endian PowerPC.
    PowerPc,
    /// For SPARC.
    Sparc,
    /// For IA-64.
    Ia64,
    /// For 64-bit and 32-bit RISC-V.
    RiscV,
}

/// How to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The method.
    pub method: Method,
    /// The level; each method says which it has.
    pub level: u32,
    /// The bytes of the dictionary or window; 0 for what the level brings. [`Method::Deflate`] and [`Method::Zlib`] have one,
    /// of 32 KiB; [`Method::Zstd`] has powers of two from 1 KiB, [`Method::Xz`] and [`Method::MicroLzma`] any number from
    /// 4 KiB, to 16 MiB; [`Method::Lz4`] has none.
    pub window: u32,
    /// A filter; of [`Method::Xz`] alone.
    pub filter: Filter,
    /// The most bytes of a piece, from 512 to 16 MiB; 0 for one piece a block, however long. Not of [`Method::Zlib`] and
    /// [`Method::Xz`].
    pub limit: u32,
    /// In what the file system allots room, in bytes. A piece that takes as many units as its content would is not kept:
    /// the formatter places the content itself. 0 counts as 1. With a limit, a unit is from 512 bytes to that, and content
    /// that does not compress goes into such pieces of one unit.
    pub unit: u32,
}

/// A range of a file. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: NodeId,
    /// The first byte in the file; holes count as zeros.
    pub offset: u64,
    /// The number of bytes, never 0.
    pub length: u64,
}

/// Blocks to encode: each is a list of ranges of files, taken as one run of at most 16 MiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// How many spans each block has, never 0.
    pub counts: Vec<u32>,
    /// The spans of all blocks, one block behind the other.
    pub spans: Vec<Span>,
}

impl Blocks {
    /// The most bytes of a block.
    pub const LIMIT: u64 = 16 << 20;

    /// Adds a block of one or more spans.
    ///
    /// # Panics
    /// If there are more than 2^32 spans.
    pub fn push(&mut self, spans: &[Span]) {
        self.counts
            .push(u32::try_from(spans.len()).expect("fewer than 2^32 spans"));
        self.spans.extend_from_slice(spans);
    }

    /// The blocks, each with its spans.
    pub fn iter(&self) -> impl Iterator<Item = &[Span]> {
        let mut rest = self.spans.as_slice();
        self.counts.iter().map(move |count| {
            let (block, behind) = rest.split_at(*count as usize);
            rest = behind;
            block
        })
    }

    /// The number of blocks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}

/// The position of a piece among all pieces of this call of `measure` or `format`, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceId(pub u32);

/// What came of some bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// How many bytes of the block it holds, behind those of the piece before.
    pub consumed: u32,
    /// Its length in bytes; 0 if it was not kept, since its content does not compress.
    pub produced: u32,
}

/// A request that a piece stand at an offset of the partition. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PiecePlacement {
    /// The piece, which was kept. It can be placed once.
    pub piece: PieceId,
    /// The first byte in the partition.
    pub partition_offset: u64,
    /// The zero bytes before it, at `partition_offset`.
    pub leading: u32,
    /// The zero bytes behind it.
    pub padding: u32,
}

/// 256 bits that no two contents share by chance or by intent. It holds for this build alone, and belongs into no image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u64; 4]);

/// Why encoding failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The settings cannot be: a level, window, filter, limit or unit that the method does not have.
    Settings,
    /// The block at this index of the batch is empty, too long, names no regular file or reaches past the end of one.
    Block(u32),
    /// More was asked for than a tree of this size can need: four times its content and 64 MiB in one call, or a million spans
    /// or pieces beyond what its nodes and small blocks of its content come to.
    Exhausted,
    /// The piece at this index of the batch is none, was not kept, or was placed before.
    Piece(u32),
    /// The placement at this index of the batch is refused.
    Place(PlaceError),
    /// The source, the codec or the disk failed; the host knows the details.
    Failed,
}

impl From<EncodeError> for FormatError {
    /// The contract's `format-error` has no case for encoding: the host knows what failed, and the rest are mistakes of the
    /// formatter.
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Place(error) => error.into(),
            EncodeError::Settings
            | EncodeError::Block(_)
            | EncodeError::Exhausted
            | EncodeError::Piece(_)
            | EncodeError::Failed => ReadError::Source.into(),
        }
    }
}

/// The host's codecs and digests, over the tree of a call. Blocks are encoded on all threads, and nothing of that order shows.
///
/// ```text
///     encode(blocks) ──> pieces(): how long each became ──> layout ──> place(pieces)
/// ```
pub trait Encoder {
    /// Asks for blocks to be encoded, and does not wait for that.
    ///
    /// # Errors
    /// [`EncodeError`] if the settings or a block cannot be.
    fn encode(&mut self, settings: &Settings, blocks: &Blocks) -> Result<(), EncodeError>;

    /// The next pieces in order, at most `limit`: waits until at least one is there; empty if no block is left.
    ///
    /// # Errors
    /// [`EncodeError::Failed`] if the source or the codec fails.
    fn pieces(&mut self, limit: u32) -> Result<Vec<Piece>, EncodeError>;

    /// The bytes of a piece that was kept and not placed, of at most 64 KiB.
    ///
    /// # Errors
    /// [`EncodeError::Piece`] if it is none.
    fn bytes(&mut self, piece: PieceId) -> Result<Vec<u8>, EncodeError>;

    /// Places pieces; in [`crate::EncodingFormatter::format`] only.
    ///
    /// # Errors
    /// [`EncodeError`] if a piece or a place is refused.
    fn place(&mut self, batch: &[PiecePlacement]) -> Result<(), EncodeError>;

    /// Encodes bytes of the formatter's own, each input at most 1 MiB; `None` stands for one that was not kept.
    ///
    /// # Errors
    /// [`EncodeError`] if the settings cannot be.
    fn encode_bytes(
        &mut self,
        settings: &Settings,
        inputs: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, EncodeError>;

    /// The digests of whole files, holes as zeros, in the order of `files`.
    ///
    /// # Errors
    /// [`ReadError`] if one is no regular file, or its source fails.
    fn digests(&mut self, files: &[NodeId]) -> Result<Vec<Digest>, ReadError>;

    /// The digests of a file's blocks of `size` bytes each, a power of two from 4 KiB to 16 MiB; the last may be shorter. There
    /// are none for a file of more than 1,048,576 such blocks.
    ///
    /// # Errors
    /// [`ReadError`] if it is no regular file, or its source fails.
    fn block_digests(&mut self, file: NodeId, size: u32) -> Result<Vec<Digest>, ReadError>;
}
