//! Metadata blocks: tables are cut into pieces of 8 KiB, each compressed by itself behind its length.

use std::mem::take;

use cellblock_guest::{Encoder, FormatError, Settings};

use crate::format::{METADATA_BYTES, Reference, STORED_METADATA};

/// Makes metadata blocks.
pub(crate) struct Packer<'a> {
    /// The host's codecs.
    pub(crate) encoder: &'a mut dyn Encoder,
    settings: Settings,
}

impl<'a> Packer<'a> {
    /// Compresses with `settings`, where that is wanted.
    pub(crate) fn new(encoder: &'a mut dyn Encoder, settings: Settings) -> Self {
        Self { encoder, settings }
    }

    /// Gives `take_block` what becomes of each of `inputs`: its header and its bytes.
    fn pack(
        &mut self,
        is_plain: bool,
        inputs: Vec<Vec<u8>>,
        mut take_block: impl FnMut(u16, &[u8]),
    ) -> Result<(), FormatError> {
        let shorter = if is_plain {
            vec![None; inputs.len()]
        } else {
            self.encoder.encode_bytes(&self.settings, &inputs)?
        };
        for (input, shorter) in inputs.iter().zip(shorter) {
            let (bytes, flag) = match &shorter {
                Some(bytes) => (bytes, 0),
                None => (input, STORED_METADATA),
            };
            let length = u16::try_from(bytes.len()).expect("a block has at most 8 KiB");
            take_block(length | flag, bytes);
        }
        Ok(())
    }
}

/// How many metadata blocks are encoded at once, so that all threads have some.
const BATCH: usize = 128;

/// A place in a table, in uncompressed bytes from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) u64);

impl Position {
    /// Which metadata block it is in.
    pub(crate) fn block(self) -> u64 {
        self.0 / METADATA_BYTES as u64
    }

    /// Where it is in there.
    fn offset(self) -> u16 {
        u16::try_from(self.0 % METADATA_BYTES as u64).expect("a block has 8 KiB")
    }
}

/// A table that grows: bytes go in at the end, and metadata blocks come out.
///
/// ```text
///     pending: what is no block yet ──settle──> encoded: blocks that nobody has taken ──take──> the image
/// ```
#[derive(Default)]
pub(crate) struct Table {
    is_plain: bool,
    pending: Vec<u8>,
    /// Where `pending` begins.
    settled: u64,
    encoded: Vec<u8>,
    /// Where each block begins in the image, from the start of the table, and where the next one will.
    starts: Vec<u64>,
}

impl Table {
    /// An empty one, whose blocks are not compressed if it `is_plain`.
    pub(crate) fn new(is_plain: bool) -> Self {
        Self {
            is_plain,
            starts: vec![0],
            ..Self::default()
        }
    }

    /// Where the next byte goes.
    pub(crate) fn position(&self) -> Position {
        Position(self.settled + self.pending.len() as u64)
    }

    /// Adds bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Puts `bytes` where others were pushed at `position`, since when nothing was settled.
    pub(crate) fn replace(&mut self, position: Position, bytes: &[u8]) {
        let start = usize::try_from(position.0 - self.settled).expect("it is in memory");
        self.pending[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Whether there is enough for all threads.
    pub(crate) fn is_ripe(&self) -> bool {
        self.pending.len() >= BATCH * METADATA_BYTES
    }

    /// Encodes the blocks that are full. Then everything pushed so far has its [`Reference`].
    ///
    /// # Errors
    /// [`FormatError`] if the host fails.
    pub(crate) fn settle(&mut self, packer: &mut Packer<'_>) -> Result<(), FormatError> {
        let full = self.pending.len() / METADATA_BYTES * METADATA_BYTES;
        self.encode(packer, full)
    }

    /// Encodes the last block too. Nothing may follow.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails.
    pub(crate) fn finish(&mut self, packer: &mut Packer<'_>) -> Result<(), FormatError> {
        self.encode(packer, self.pending.len())
    }

    fn encode(&mut self, packer: &mut Packer<'_>, bytes: usize) -> Result<(), FormatError> {
        let rest = self.pending.split_off(bytes);
        let full = std::mem::replace(&mut self.pending, rest);
        self.settled += full.len() as u64;
        for batch in full.chunks(BATCH * METADATA_BYTES) {
            let inputs = batch.chunks(METADATA_BYTES).map(<[u8]>::to_vec).collect();
            packer.pack(self.is_plain, inputs, |header, block| {
                self.encoded.extend_from_slice(&header.to_le_bytes());
                self.encoded.extend_from_slice(block);
                let last = *self.starts.last().expect("the first begins at 0");
                let length = size_of_val(&header) + block.len();
                self.starts.push(last + length as u64);
            })?;
        }
        Ok(())
    }

    /// The blocks that came out since the last call.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        take(&mut self.encoded)
    }

    /// Where each block begins, from the start of the table.
    pub(crate) fn starts(&self) -> &[u64] {
        let blocks = self.starts.len() - 1;
        &self.starts[..blocks]
    }

    /// Where what was pushed at `position` is in the image.
    ///
    /// # Panics
    /// If blocks before it are not encoded.
    pub(crate) fn reference(&self, position: Position) -> Reference {
        let block = usize::try_from(position.block()).expect("as many blocks are in memory");
        Reference::new(self.starts[block], position.offset())
    }
}
