//! The host's codecs and digests over a tree in memory, on one thread.

use std::sync::{Arc, Mutex};

use cellblock_codec::{self as codec, Codec};

use super::MemoryTree;
use super::output::{FileOutput, Partition, locked};
use crate::{
    Blocks, Digest, EncodeError, Encoder, Filter, Kind, Method, NodeId, Piece, PieceId,
    PiecePlacement, ReadError, Settings, Span, Tree as _,
};

/// What may be asked for beside the content of the tree.
const BUDGET: u64 = 64 << 20;
/// How many times its content may be asked for.
const BUDGET_FACTOR: u64 = 4;
/// The most bytes of one input of [`Encoder::encode_bytes`].
const LARGEST_INPUT: usize = 1 << 20;
/// The most bytes of a piece that [`Encoder::bytes`] hands out.
const LARGEST_BYTES: usize = 64 << 10;

/// The most blocks of a file that have digests.
const MOST_BLOCKS: usize = 1 << 20;

/// An [`Encoder`] over a [`MemoryTree`]. It encodes when it is asked, with the host's codecs, and refuses what the host refuses.
pub struct MemoryEncoder {
    tree: MemoryTree,
    partition: Option<Arc<Mutex<Partition>>>,
    codec: Codec,
    pieces: Vec<Stored>,
    told: usize,
    left: u64,
}

struct Stored {
    told: Piece,
    /// Those of a piece that was kept, until it is placed.
    bytes: Option<Vec<u8>>,
}

impl MemoryEncoder {
    /// For [`EncodingFormatter::measure`](crate::EncodingFormatter::measure), where nothing is placed.
    #[must_use]
    pub fn new(tree: &MemoryTree) -> Self {
        let mut tree = tree.clone();
        let content = tree.totals(1).content;
        Self {
            tree,
            partition: None,
            codec: Codec::new(),
            pieces: Vec::new(),
            told: 0,
            left: content.saturating_mul(BUDGET_FACTOR).saturating_add(BUDGET),
        }
    }

    /// For [`EncodingFormatter::format`](crate::EncodingFormatter::format): pieces are placed in the partition of `output`.
    #[must_use]
    pub fn placing(tree: &MemoryTree, output: &FileOutput) -> Self {
        Self {
            partition: Some(output.partition()),
            ..Self::new(tree)
        }
    }

    fn spend(&mut self, bytes: u64) -> Result<(), EncodeError> {
        self.left = self.left.checked_sub(bytes).ok_or(EncodeError::Exhausted)?;
        Ok(())
    }

    /// The bytes of a block, or `None` if it cannot be.
    fn block(&mut self, spans: &[Span]) -> Option<Vec<u8>> {
        let mut block = Vec::new();
        for span in spans {
            let length = u32::try_from(span.length)
                .ok()
                .filter(|length| *length > 0)?;
            if block.len() as u64 + span.length > Blocks::LIMIT {
                return None;
            }
            span.offset.checked_add(span.length)?;
            block.extend(self.tree.read(span.file, span.offset, length).ok()?);
        }
        (!block.is_empty()).then_some(block)
    }

    /// A piece that was kept and not placed.
    fn kept(&self, piece: PieceId) -> Option<&Vec<u8>> {
        let index = usize::try_from(piece.0)
            .ok()
            .filter(|index| *index < self.told)?;
        self.pieces[index].bytes.as_ref()
    }
}

impl Encoder for MemoryEncoder {
    fn encode(&mut self, settings: &Settings, blocks: &Blocks) -> Result<(), EncodeError> {
        let settings = codec::Settings::from(*settings);
        settings.check().map_err(|_| EncodeError::Settings)?;
        let spans: u64 = blocks.counts.iter().copied().map(u64::from).sum();
        if spans != blocks.spans.len() as u64 {
            return Err(EncodeError::Block(index_of(blocks.len())));
        }
        let contents: Vec<Vec<u8>> = blocks
            .iter()
            .enumerate()
            .map(|(index, spans)| self.block(spans).ok_or(EncodeError::Block(index_of(index))))
            .collect::<Result<_, _>>()?;
        self.spend(contents.iter().map(|block| block.len() as u64).sum())?;
        for block in contents {
            let mut output = Vec::new();
            let pieces = self.codec.encode(&settings, &block, &mut output);
            let mut rest = output.as_slice();
            for piece in pieces.map_err(|_| EncodeError::Failed)? {
                let (bytes, behind) = rest.split_at(piece.produced as usize);
                rest = behind;
                self.pieces.push(Stored {
                    told: Piece {
                        consumed: piece.consumed,
                        produced: piece.produced,
                    },
                    bytes: (piece.produced > 0).then(|| bytes.to_vec()),
                });
            }
        }
        Ok(())
    }

    fn pieces(&mut self, limit: u32) -> Result<Vec<Piece>, EncodeError> {
        let next = self.pieces[self.told..].iter().take(limit as usize);
        let told: Vec<Piece> = next.map(|stored| stored.told).collect();
        self.told += told.len();
        Ok(told)
    }

    fn bytes(&mut self, piece: PieceId) -> Result<Vec<u8>, EncodeError> {
        self.kept(piece)
            .filter(|bytes| bytes.len() <= LARGEST_BYTES)
            .cloned()
            .ok_or(EncodeError::Piece(0))
    }

    fn place(&mut self, batch: &[PiecePlacement]) -> Result<(), EncodeError> {
        let partition = self.partition.clone().ok_or(EncodeError::Failed)?;
        let mut partition = locked(&partition);
        for (index, asked) in (0..).zip(batch) {
            let bytes = self.kept(asked.piece).ok_or(EncodeError::Piece(index))?;
            let length = u64::from(asked.leading) + bytes.len() as u64 + u64::from(asked.padding);
            partition
                .claim(index, asked.partition_offset, length)
                .map_err(EncodeError::Place)?;
            partition
                .fill(asked.partition_offset + u64::from(asked.leading), bytes)
                .map_err(EncodeError::Place)?;
            self.pieces[asked.piece.0 as usize].bytes = None;
        }
        Ok(())
    }

    fn encode_bytes(
        &mut self,
        settings: &Settings,
        inputs: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, EncodeError> {
        let settings = codec::Settings::from(*settings);
        if settings.check().is_err() || settings.limit != 0 {
            return Err(EncodeError::Settings);
        }
        let fits = |input: &Vec<u8>| (1..=LARGEST_INPUT).contains(&input.len());
        if let Some(index) = inputs.iter().position(|input| !fits(input)) {
            return Err(EncodeError::Block(index_of(index)));
        }
        self.spend(inputs.iter().map(|input| input.len() as u64).sum())?;
        let mut encode = |input: &Vec<u8>| {
            let mut output = Vec::new();
            self.codec
                .encode(&settings, input, &mut output)
                .map_err(|_| EncodeError::Failed)?;
            Ok((!output.is_empty()).then_some(output))
        };
        inputs.iter().map(&mut encode).collect()
    }

    fn digests(&mut self, files: &[NodeId]) -> Result<Vec<Digest>, ReadError> {
        let mut whole = |file: &NodeId| Ok(digest(&content(&mut self.tree, *file)?));
        files.iter().map(&mut whole).collect()
    }

    fn block_digests(&mut self, file: NodeId, size: u32) -> Result<Vec<Digest>, ReadError> {
        if !size.is_power_of_two() || !(4 << 10..=16 << 20).contains(&size) {
            return Err(ReadError::OutOfRange);
        }
        let content = content(&mut self.tree, file)?;
        if content.len().div_ceil(size as usize) > MOST_BLOCKS {
            return Err(ReadError::OutOfRange);
        }
        Ok(content.chunks(size as usize).map(digest).collect())
    }
}

fn content(tree: &mut MemoryTree, file: NodeId) -> Result<Vec<u8>, ReadError> {
    let Some(Kind::File { size, .. }) = tree.nodes().get(file.index()).map(|(node, _)| &node.kind)
    else {
        return Err(ReadError::NotAFile);
    };
    let (mut content, size) = (Vec::new(), *size);
    while (content.len() as u64) < size {
        let offset = content.len() as u64;
        let step = u32::try_from((size - offset).min(1 << 20)).expect("at most 1 MiB");
        content.extend(tree.read(file, offset, step)?);
    }
    Ok(content)
}

fn digest(bytes: &[u8]) -> Digest {
    let hash = blake3::hash(bytes);
    let mut words = hash.as_bytes().as_chunks::<8>().0.iter();
    Digest(std::array::from_fn(|_| {
        u64::from_be_bytes(*words.next().expect("four words of a hash"))
    }))
}

fn index_of(index: usize) -> u32 {
    u32::try_from(index).expect("fewer than 2^32 blocks")
}

impl From<Settings> for codec::Settings {
    fn from(settings: Settings) -> Self {
        let Settings {
            method,
            level,
            window,
            filter,
            limit,
            unit,
        } = settings;
        Self {
            method: match method {
                Method::Deflate => codec::Method::Deflate,
                Method::Zlib => codec::Method::Zlib,
                Method::Lz4 => codec::Method::Lz4,
                Method::Zstd => codec::Method::Zstd,
                Method::Xz => codec::Method::Xz,
                Method::MicroLzma => codec::Method::MicroLzma,
            },
            level,
            window,
            filter: match filter {
                Filter::None => codec::Filter::None,
                Filter::X86 => codec::Filter::X86,
                Filter::Arm64 => codec::Filter::Arm64,
                Filter::Arm => codec::Filter::Arm,
                Filter::ArmThumb => codec::Filter::ArmThumb,
                Filter::PowerPc => codec::Filter::PowerPc,
                Filter::Sparc => codec::Filter::Sparc,
                Filter::Ia64 => codec::Filter::Ia64,
                Filter::RiscV => codec::Filter::RiscV,
            },
            limit,
            unit,
        }
    }
}
