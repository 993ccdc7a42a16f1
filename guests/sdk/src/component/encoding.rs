//! The wasm surface of formatters that compress.

use std::marker::PhantomData;

use super::bindings::cellblock::format::{digests, encoding, placement};
use super::bindings::wasi::filesystem::types::Descriptor;
use super::{HostOutput, HostTree, begin, contract, kinds};
use crate::{
    Blocks, Digest, EncodeError, Encoder, EncodingFormatter, Filter, Method, NodeId, Piece,
    PieceId, PiecePlacement, ReadError, Settings, Span,
};

/// The exports of a formatter that compresses.
pub struct EncodingComponent<F>(PhantomData<F>);

impl<F: EncodingFormatter> contract::Guest for EncodingComponent<F> {
    fn describe() -> contract::Description {
        begin();
        F::describe().into()
    }

    fn measure(request: contract::Request) -> Result<u64, contract::FormatError> {
        begin();
        Ok(F::measure(
            &request.into(),
            &mut HostTree,
            &mut HostEncoder,
        )?)
    }

    fn format(
        partition: Descriptor,
        request: contract::Request,
    ) -> Result<contract::Summary, contract::FormatError> {
        begin();
        let mut output = HostOutput { partition };
        let request = request.into();
        let summary = F::format(&request, &mut HostTree, &mut HostEncoder, &mut output)?;
        Ok(summary.into())
    }
}

impl<F: EncodingFormatter> kinds::Guest for EncodingComponent<F> {
    fn describe_kinds() -> Vec<kinds::KindDescription> {
        let kinds = F::describe().kinds;
        kinds.iter().copied().map(Into::into).collect()
    }
}

/// The codecs and digests behind the contract.
struct HostEncoder;

impl Encoder for HostEncoder {
    fn encode(&mut self, settings: &Settings, blocks: &Blocks) -> Result<(), EncodeError> {
        let Blocks { counts, spans } = blocks;
        let blocks = encoding::Blocks {
            counts: counts.clone(),
            spans: spans.iter().copied().map(encoding::Span::from).collect(),
        };
        Ok(encoding::encode((*settings).into(), &blocks)?)
    }

    fn pieces(&mut self, limit: u32) -> Result<Vec<Piece>, EncodeError> {
        let pieces = encoding::pieces(limit)?;
        Ok(pieces
            .into_iter()
            .map(|encoding::Piece { consumed, produced }| Piece { consumed, produced })
            .collect())
    }

    fn bytes(&mut self, piece: PieceId) -> Result<Vec<u8>, EncodeError> {
        Ok(encoding::bytes(piece.0)?)
    }

    fn place(&mut self, batch: &[PiecePlacement]) -> Result<(), EncodeError> {
        let batch: Vec<encoding::PiecePlacement> = batch
            .iter()
            .copied()
            .map(encoding::PiecePlacement::from)
            .collect();
        Ok(encoding::place(&batch)?)
    }

    fn encode_bytes(
        &mut self,
        settings: &Settings,
        inputs: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, EncodeError> {
        let outputs = encoding::encode_bytes((*settings).into(), inputs)?;
        let kept = |output: Vec<u8>| (!output.is_empty()).then_some(output);
        Ok(outputs.into_iter().map(kept).collect())
    }

    fn digests(&mut self, files: &[NodeId]) -> Result<Vec<Digest>, ReadError> {
        /// The host takes no more than sixteen times this many.
        const AT_ONCE: usize = 1 << 16;
        let mut all = Vec::with_capacity(files.len());
        for files in files.chunks(AT_ONCE) {
            let files: Vec<u32> = files.iter().map(|file| file.0).collect();
            all.extend(digests::files(&files)?.into_iter().map(Digest::from));
        }
        Ok(all)
    }

    fn block_digests(&mut self, file: NodeId, size: u32) -> Result<Vec<Digest>, ReadError> {
        let digests = digests::blocks(file.0, size)?;
        Ok(digests.into_iter().map(Digest::from).collect())
    }
}

impl From<digests::Digest> for Digest {
    fn from(digest: digests::Digest) -> Self {
        let digests::Digest { a, b, c, d } = digest;
        Self([a, b, c, d])
    }
}

impl From<Span> for encoding::Span {
    fn from(span: Span) -> Self {
        let Span {
            file: NodeId(file),
            offset,
            length,
        } = span;
        Self {
            file,
            offset,
            length,
        }
    }
}

impl From<PiecePlacement> for encoding::PiecePlacement {
    fn from(asked: PiecePlacement) -> Self {
        let PiecePlacement {
            piece: PieceId(piece),
            partition_offset,
            leading,
            padding,
        } = asked;
        Self {
            piece,
            partition_offset,
            leading,
            padding,
        }
    }
}

impl From<Settings> for encoding::Settings {
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
                Method::Deflate => encoding::Method::Deflate,
                Method::Zlib => encoding::Method::Zlib,
                Method::Lz4 => encoding::Method::Lz4,
                Method::Zstd => encoding::Method::Zstd,
                Method::Xz => encoding::Method::Xz,
                Method::MicroLzma => encoding::Method::MicroLzma,
            },
            level,
            window,
            filter: match filter {
                Filter::None => encoding::Filter::None,
                Filter::X86 => encoding::Filter::X86,
                Filter::Arm64 => encoding::Filter::Arm64,
                Filter::Arm => encoding::Filter::Arm,
                Filter::ArmThumb => encoding::Filter::ArmThumb,
                Filter::PowerPc => encoding::Filter::Powerpc,
                Filter::Sparc => encoding::Filter::Sparc,
                Filter::Ia64 => encoding::Filter::Ia64,
                Filter::RiscV => encoding::Filter::Riscv,
            },
            limit,
            unit,
        }
    }
}

impl From<encoding::EncodeError> for EncodeError {
    fn from(error: encoding::EncodeError) -> Self {
        match error {
            encoding::EncodeError::Settings => Self::Settings,
            encoding::EncodeError::Block(index) => Self::Block(index),
            encoding::EncodeError::Exhausted => Self::Exhausted,
            encoding::EncodeError::Piece(index) => Self::Piece(index),
            encoding::EncodeError::Place(error) => Self::Place(error.into()),
            encoding::EncodeError::Failed => Self::Failed,
        }
    }
}

impl From<EncodeError> for encoding::EncodeError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Settings => Self::Settings,
            EncodeError::Block(index) => Self::Block(index),
            EncodeError::Exhausted => Self::Exhausted,
            EncodeError::Piece(index) => Self::Piece(index),
            EncodeError::Place(error) => Self::Place(placement::PlaceError::from(error)),
            EncodeError::Failed => Self::Failed,
        }
    }
}
