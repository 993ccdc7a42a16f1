//! The contract's `encoding` and `digests` themselves: bindings in, bindings out.

use wasmtime::Trap;

use cellblock_codec::{Filter, Method, Settings};
use cellblock_contract::PiecePlacement;
use cellblock_text::exact;
use cellblock_tree::NodeId;

use super::hashing::Hash;
use super::session::{Refused, Unhashed};
use super::task::Span;
use crate::bindings::cellblock::format::tree::ReadError;
use crate::bindings::encoding::cellblock::format::digests::{self, Digest};
use crate::bindings::encoding::cellblock::format::encoding::{self as wire, EncodeError};
use crate::denied;
use crate::local::{HANDED_ON, Local};

/// The most pieces in one answer.
const MOST_PIECES: u32 = 1 << 20;

/// An answer to a guest; the outer error ends the cell.
type Answer<T> = wasmtime::Result<Result<T, EncodeError>>;

impl wire::Host for Local {
    fn encode(&mut self, settings: wire::Settings, blocks: wire::Blocks) -> Answer<()> {
        let spans: Vec<Span> = blocks.spans.into_iter().map(Span::from).collect();
        let (counts, deadline) = (blocks.counts, self.deadline);
        let asked = match &mut self.session {
            Some(session) => session.encode(settings.into(), &counts, &spans, deadline),
            None => Err(Refused::Failed),
        };
        answer(asked)
    }

    fn pieces(&mut self, limit: u32) -> Answer<Vec<wire::Piece>> {
        let deadline = self.deadline;
        let told = match &mut self.session {
            Some(session) => session.pieces(limit.min(MOST_PIECES), deadline),
            None => Err(Refused::Failed),
        };
        let piece = |(consumed, produced)| wire::Piece { consumed, produced };
        answer(told.map(|told| told.into_iter().map(piece).collect()))
    }

    fn bytes(&mut self, piece: u32) -> Answer<Vec<u8>> {
        answer(match &mut self.session {
            Some(session) => session.bytes(piece),
            None => Err(Refused::Failed),
        })
    }

    fn place(&mut self, batch: Vec<wire::PiecePlacement>) -> Answer<()> {
        let (Some(partition), Some(_)) = (self.partition.clone(), &self.session) else {
            return Ok(Err(EncodeError::Failed));
        };
        let mut checked = Vec::with_capacity(batch.len());
        for (index, asked) in (0..).zip(&batch) {
            match self.check_piece(asked, index, partition.size()) {
                Ok(placement) => checked.push(placement),
                Err(error) => {
                    self.give_pieces_back(&batch, &checked);
                    return Ok(Err(error));
                }
            }
        }
        self.ledger.check_scattering()?;
        for part in checked.chunks(HANDED_ON) {
            self.check_deadline()?;
            let session = self.session.as_ref().expect("it was there above");
            if session.place(&*partition, part.to_vec()).is_err() {
                return Ok(Err(EncodeError::Failed));
            }
        }
        Ok(Ok(()))
    }

    fn encode_bytes(
        &mut self,
        settings: wire::Settings,
        inputs: Vec<Vec<u8>>,
    ) -> Answer<Vec<Vec<u8>>> {
        let deadline = self.deadline;
        answer(match &mut self.session {
            Some(session) => session.encode_bytes(settings.into(), inputs, deadline),
            None => Err(Refused::Failed),
        })
    }
}

impl digests::Host for Local {
    fn files(&mut self, files: Vec<u32>) -> wasmtime::Result<Result<Vec<Digest>, ReadError>> {
        let deadline = self.deadline;
        hashed(match &mut self.session {
            Some(session) => session.digests(&files, deadline),
            None => Err(Unhashed::Failed),
        })
    }

    fn blocks(&mut self, file: u32, size: u32) -> wasmtime::Result<Result<Vec<Digest>, ReadError>> {
        let deadline = self.deadline;
        hashed(match &mut self.session {
            Some(session) => session.block_digests(file, size, deadline),
            None => Err(Unhashed::Failed),
        })
    }
}

impl Local {
    /// Takes a piece and its place.
    fn check_piece(
        &mut self,
        asked: &wire::PiecePlacement,
        index: u32,
        partition_size: u64,
    ) -> Result<PiecePlacement, EncodeError> {
        let wire::PiecePlacement {
            piece,
            partition_offset,
            leading,
            padding,
        } = *asked;
        let session = self.session.as_mut().ok_or(EncodeError::Failed)?;
        let told = session.take(index, piece).map_err(refusal)?;
        let length = told.length;
        let all = u64::from(leading) + u64::from(length) + u64::from(padding);
        if let Err(refused) = self
            .ledger
            .claim(index, partition_offset, all, partition_size)
        {
            if let Some(session) = &mut self.session {
                session.give_back(piece);
            }
            let what = format!("piece {piece}, which takes {} in all", exact(all));
            let what = denied::range(&what, &refused, partition_size);
            self.denied.placement(&refused, what);
            return Err(EncodeError::Place(refused.error()));
        }
        Ok(PiecePlacement {
            spool_offset: told.at,
            length,
            partition_offset,
            leading,
            padding,
            content: told.content,
        })
    }

    fn give_pieces_back(&mut self, batch: &[wire::PiecePlacement], checked: &[PiecePlacement]) {
        for (asked, refused) in batch.iter().zip(checked) {
            self.ledger
                .placed
                .remove(refused.partition_offset, refused.end());
            if let Some(session) = &mut self.session {
                session.give_back(asked.piece);
            }
        }
    }
}

fn answer<T>(result: Result<T, Refused>) -> Answer<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Refused::Late) => Err(Trap::Interrupt.into()),
        Err(refused) => Ok(Err(refusal(refused))),
    }
}

fn refusal(refused: Refused) -> EncodeError {
    match refused {
        Refused::Settings => EncodeError::Settings,
        Refused::Block(index) => EncodeError::Block(index),
        Refused::Exhausted => EncodeError::Exhausted,
        Refused::Piece(index) => EncodeError::Piece(index),
        Refused::Failed | Refused::Late => EncodeError::Failed,
    }
}

fn hashed(result: Result<Vec<Hash>, Unhashed>) -> wasmtime::Result<Result<Vec<Digest>, ReadError>> {
    match result {
        Ok(digests) => Ok(Ok(digests.iter().map(digest).collect())),
        Err(Unhashed::NotAFile) => Ok(Err(ReadError::NotAFile)),
        Err(Unhashed::OutOfRange) => Ok(Err(ReadError::OutOfRange)),
        Err(Unhashed::Failed) => Ok(Err(ReadError::Source)),
        Err(Unhashed::Late) => Err(Trap::Interrupt.into()),
    }
}

fn digest(hash: &Hash) -> Digest {
    let [a, b, c, d] = [0, 8, 16, 24].map(|start| {
        let mut word = [0; 8];
        word.copy_from_slice(&hash[start..start + 8]);
        u64::from_be_bytes(word)
    });
    Digest { a, b, c, d }
}

impl From<wire::Span> for Span {
    fn from(span: wire::Span) -> Self {
        let wire::Span {
            file,
            offset,
            length,
        } = span;
        Self {
            file: NodeId(file),
            offset,
            length,
        }
    }
}

impl From<wire::Settings> for Settings {
    fn from(settings: wire::Settings) -> Self {
        let wire::Settings {
            method,
            level,
            window,
            filter,
            limit,
            unit,
        } = settings;
        Self {
            method: match method {
                wire::Method::Deflate => Method::Deflate,
                wire::Method::Zlib => Method::Zlib,
                wire::Method::Lz4 => Method::Lz4,
                wire::Method::Zstd => Method::Zstd,
                wire::Method::Xz => Method::Xz,
                wire::Method::MicroLzma => Method::MicroLzma,
            },
            level,
            window,
            filter: match filter {
                wire::Filter::None => Filter::None,
                wire::Filter::X86 => Filter::X86,
                wire::Filter::Arm64 => Filter::Arm64,
                wire::Filter::Arm => Filter::Arm,
                wire::Filter::ArmThumb => Filter::ArmThumb,
                wire::Filter::Powerpc => Filter::PowerPc,
                wire::Filter::Sparc => Filter::Sparc,
                wire::Filter::Ia64 => Filter::Ia64,
                wire::Filter::Riscv => Filter::RiscV,
            },
            limit,
            unit,
        }
    }
}
