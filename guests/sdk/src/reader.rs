//! The other way: from a partition to a tree. A reader implements [`Reader`] over the traits [`Partition`] and [`Listing`];
//! `cargo test` runs it natively against the doubles in [`memory`](crate::memory).
//!
//! ```text
//!     partition (read, never written)  ----->  [ a Reader ]  ----->  listing: nodes, and where the bytes of files are
//!         decode: the host's codecs                |
//!                                               Volume
//! ```
//!
//! Content passes through no reader: it says where in the partition the bytes of a file are, and whether they are encoded
//! there. A reader looks at what nobody has checked: it panics on nothing, and bounds each loop by what it has seen.

use crate::{Batch, Node, NodeId, PartitionError};

/// What a reader is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderDescription {
    /// The name.
    pub name: &'static str,
    /// The version.
    pub version: &'static str,
    /// What it reads, in a sentence.
    pub summary: &'static str,
    /// The kinds that it reads, as [`Volume::kind`] names them.
    pub kinds: &'static [&'static str],
}

/// What is wanted of a reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReaderRequest {
    /// Whether extents are: without them, a reader need not look where content is.
    pub extents: bool,
}

/// What a file system says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// What it is, as `ext4`.
    pub kind: String,
    /// The label as it is stored, without its padding; empty for none.
    pub label: Vec<u8>,
    /// What tells it from others, as it is usually written: a UUID, or a serial number as `1A2B-3C4D`; empty for none.
    pub identifier: String,
    /// The bytes of what it allots room in.
    pub block_size: u32,
    /// The bytes that it takes of the partition.
    pub size: u64,
    /// The bytes of it that are free.
    pub free: u64,
    /// What else is worth telling, as name and value, in a fixed order.
    pub properties: Vec<(String, String)>,
}

/// What bytes of the partition are encoded with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Raw DEFLATE (RFC 1951).
    Deflate,
    /// A zlib stream (RFC 1950).
    Zlib,
    /// An LZ4 block, without a frame or a length.
    Lz4,
    /// LZO1X.
    Lzo,
    /// A Zstandard frame (RFC 8878).
    Zstd,
    /// An .xz stream, with whatever filter it names.
    Xz,
    /// An .lzma stream: LZMA behind a header of 13 bytes.
    Lzma,
    /// MicroLZMA: LZMA without a header, whose first byte holds the properties instead.
    MicroLzma,
}

/// Encoded bytes of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Encoded {
    /// What they are encoded with.
    pub codec: Codec,
    /// The first byte in the partition.
    pub offset: u64,
    /// Their number, at most 16 MiB. What stands behind the end of the encoded data is not looked at.
    pub length: u32,
    /// Whether zero bytes may stand before the encoded data, which are skipped.
    pub padded: bool,
    /// The most bytes that come out, up to 16 MiB: what would come behind them is not decoded.
    pub decoded: u32,
}

/// Where bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the partition as they are, from this byte on.
    Plain(u64),
    /// In a block that is encoded, `skip` bytes behind the beginning of what comes out. Extents that name the same block share
    /// it: it is decoded once.
    Encoded {
        /// The block.
        block: Encoded,
        /// How many bytes of what comes out stand before those of the file.
        skip: u32,
    },
    /// The bytes themselves, as many as the extent is long: what a format keeps inside its metadata.
    Inline(Vec<u8>),
}

/// Bytes of a file in a row. What no extent of a file covers is a hole, and reads as zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileExtent {
    /// The file, which was told.
    pub file: NodeId,
    /// The first byte in the file.
    pub offset: u64,
    /// The number of bytes, never 0.
    pub length: u64,
    /// Where they are.
    pub place: Place,
}

/// Why nothing was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The block at this index is damaged, or not encoded with that.
    Damaged(u32),
    /// The block at this index reaches past the end of the partition, or its lengths are 0 or beyond what they may be.
    Outside(u32),
    /// More was asked for than the host decodes for a reader.
    Exhausted,
    /// The partition or the codec failed; the host knows the details.
    Failed,
}

/// Why a file system is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderError {
    /// It is of no kind that this reader reads.
    Unrecognised,
    /// It needs something that this reader does not have, named as its tools name it.
    Unsupported(String),
    /// It is damaged.
    Damaged {
        /// The structure, as `inode 12` or `block group 3`.
        structure: String,
        /// Where it is in the partition, if that is known.
        offset: Option<u64>,
        /// What is wrong with it, in words that go on from its name: `points to block 99, behind the last one`.
        problem: String,
    },
    /// The partition could not be read.
    Partition(PartitionError),
    /// Something of it could not be decoded.
    Decoding(DecodeError),
}

impl ReaderError {
    /// The error that `structure`, at the byte `offset` of the partition, has this `problem`.
    #[must_use]
    pub fn damaged(
        structure: impl Into<String>,
        offset: impl Into<Option<u64>>,
        problem: impl Into<String>,
    ) -> Self {
        Self::Damaged {
            structure: structure.into(),
            offset: offset.into(),
            problem: problem.into(),
        }
    }
}

impl From<PartitionError> for ReaderError {
    fn from(error: PartitionError) -> Self {
        Self::Partition(error)
    }
}

impl From<DecodeError> for ReaderError {
    fn from(error: DecodeError) -> Self {
        Self::Decoding(error)
    }
}

/// A partition that is read.
pub trait Partition {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`PartitionError`] if they are not all inside the partition, or the host fails.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), PartitionError>;

    /// What blocks of it hold, decoded by the host: each at most [`Encoded::decoded`] bytes.
    ///
    /// # Errors
    /// [`DecodeError`] for the first block that cannot be decoded.
    fn decode(&self, blocks: &[Encoded]) -> Result<Vec<Vec<u8>>, DecodeError>;

    /// The `length` bytes from `offset` on. Memory is taken only if the partition has them.
    ///
    /// # Errors
    /// As [`Partition::read_at`].
    fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>, PartitionError> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Err(PartitionError::OutOfRange);
        }
        let mut buffer = vec![0; length];
        self.read_at(offset, &mut buffer)?;
        Ok(buffer)
    }
}

/// Where a reader tells what it finds. [`Teller`] gathers it into batches.
pub trait Listing {
    /// Tells nodes, parents before children, otherwise in any order: siblings need not be sorted. They are numbered as they
    /// are told, the root first.
    fn nodes(&mut self, batch: Batch);

    /// Tells extents of files, of each file in one run and by ascending offset.
    fn extents(&mut self, batch: Vec<FileExtent>);

    /// Logs a warning for the user.
    fn warn(&mut self, message: &str);
}

/// A reader of file systems.
pub trait Reader {
    /// Tells what this reader is.
    fn describe() -> ReaderDescription;

    /// What the file system says of itself.
    ///
    /// # Errors
    /// [`ReaderError::Unrecognised`] if it is of no kind that this reader reads; others if it is, and cannot be read.
    fn probe(partition: &dyn Partition) -> Result<Volume, ReaderError>;

    /// Reads the file system: tells all of its nodes, and their extents if they are wanted.
    ///
    /// # Errors
    /// [`ReaderError`], which names the structure.
    fn read(
        request: &ReaderRequest,
        partition: &dyn Partition,
        listing: &mut dyn Listing,
    ) -> Result<Volume, ReaderError>;
}

/// Numbers nodes as they are told, and gathers them and extents into large calls of a [`Listing`]. Call [`Teller::finish`].
pub struct Teller<'a> {
    listing: &'a mut dyn Listing,
    next: u32,
    batch: Batch,
    extents: Vec<FileExtent>,
    /// The bytes of the inline ones among them.
    inline: usize,
    /// The bytes of the attributes in the batch.
    attributes: usize,
}

impl<'a> Teller<'a> {
    const NODES: usize = 4096;
    /// The host takes 16 MiB in one call, so that a node with more than this may still come alone.
    const ATTRIBUTES: usize = 1 << 20;
    const EXTENTS: usize = 4096;
    const INLINE: usize = 1 << 20;

    /// Tells what comes to `listing`.
    pub fn new(listing: &'a mut dyn Listing) -> Self {
        Self {
            listing,
            next: 0,
            batch: Batch::default(),
            extents: Vec::new(),
            inline: 0,
            attributes: 0,
        }
    }

    /// Tells a node: its id. The first is the root.
    ///
    /// # Errors
    /// [`ReaderError::Unsupported`] if there are more nodes than have numbers.
    pub fn node(&mut self, node: Node<'_>) -> Result<NodeId, ReaderError> {
        let id = self.next;
        self.next = id
            .checked_add(1)
            .ok_or_else(|| ReaderError::Unsupported("more than 2^32 nodes".to_owned()))?;
        let attributes = node.attributes.iter();
        let attributes: usize = attributes.map(|it| it.name.len() + it.value.len()).sum();
        if self.attributes + attributes > Self::ATTRIBUTES {
            self.flush_nodes();
        }
        self.attributes += attributes;
        self.batch.push(node);
        if self.batch.len() == Self::NODES {
            self.flush_nodes();
        }
        Ok(NodeId(id))
    }

    /// Tells an extent of a file that was told; one without bytes is left out.
    pub fn extent(&mut self, extent: FileExtent) {
        if extent.length == 0 {
            return;
        }
        if let Place::Inline(bytes) = &extent.place {
            self.inline += bytes.len();
        }
        if let Some(last) = self.extents.last_mut()
            && last.file == extent.file
            && last.offset.checked_add(last.length) == Some(extent.offset)
            && let (Place::Plain(before), Place::Plain(after)) = (&last.place, &extent.place)
            && before.checked_add(last.length) == Some(*after)
            && let Some(length) = last.length.checked_add(extent.length)
        {
            last.length = length;
            return;
        }
        self.extents.push(extent);
        if self.extents.len() == Self::EXTENTS || self.inline >= Self::INLINE {
            self.flush();
        }
    }

    /// Logs a warning for the user.
    pub fn warn(&mut self, message: &str) {
        self.listing.warn(message);
    }

    /// Hands everything over.
    pub fn finish(mut self) {
        self.flush();
    }

    fn flush_nodes(&mut self) {
        if !self.batch.is_empty() {
            self.listing.nodes(std::mem::take(&mut self.batch));
            self.attributes = 0;
        }
    }

    /// Nodes before their extents.
    fn flush(&mut self) {
        self.flush_nodes();
        if !self.extents.is_empty() {
            self.listing.extents(std::mem::take(&mut self.extents));
            self.inline = 0;
        }
    }
}
