//! The services of a cell behind the wall: each is a question to the host, and nothing is decided here.

use std::fmt::Display;

use super::channel::Channel;
use super::columns;
use super::lists::{self, Listed};
use super::message::{self, Asked, FromCell, Question};
use crate::bindings::cellblock::format::placement::{self, PlaceError, Placement};
use crate::bindings::cellblock::format::progress::{self, Level};
use crate::bindings::cellblock::format::tree::{self, NodeId, Nodes, Range, ReadError, Totals};
use crate::bindings::encoding::cellblock::format::digests::{self, Digest};
use crate::bindings::encoding::cellblock::format::encoding::{
    self, Blocks, EncodeError, Piece, PiecePlacement, Settings,
};
use crate::legible::cut;
use crate::state::{Answer, Services};

/// What the host answers of encoding.
type Encoded<T> = wasmtime::Result<Result<T, EncodeError>>;

/// The host, as a cell sees it.
pub(super) struct Remote {
    pub(super) channel: Channel,
    /// The size in bytes of the partition, in a call that has one.
    pub(super) partition_size: Option<u64>,
}

impl Remote {
    fn tell(&mut self, told: impl Into<Asked>, bytes: &[u8]) -> wasmtime::Result<()> {
        self.channel
            .send(&FromCell::Asked(told.into()), bytes)
            .map_err(lost)
    }

    fn ask<Q: Question>(
        &mut self,
        question: Q,
        bytes: &[u8],
    ) -> wasmtime::Result<(Q::Answer, Vec<u8>)> {
        self.tell(question, bytes)?;
        self.channel.receive().map_err(lost)
    }
}

/// Nobody hears of this error: the host is gone, or ends this process.
fn lost(error: impl Display) -> wasmtime::Error {
    wasmtime::Error::msg(error.to_string())
}

impl tree::Host for Remote {
    fn next(&mut self, limit: u32) -> wasmtime::Result<Nodes> {
        let (head, columns) = self.ask(message::Next { limit }, &[])?;
        columns::from_bytes(head, &columns).ok_or_else(|| lost("nodes that are none"))
    }

    fn rewind(&mut self) -> wasmtime::Result<()> {
        self.tell(message::Rewind {}, &[])
    }

    fn sum(&mut self, unit: u32) -> wasmtime::Result<Totals> {
        Ok(self.ask(message::Sum { unit }, &[])?.0)
    }

    fn ranges(&mut self, file: NodeId) -> wasmtime::Result<Result<Vec<Range>, ReadError>> {
        Ok(self.ask(message::Ranges { file }, &[])?.0)
    }

    fn read(
        &mut self,
        file: NodeId,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, ReadError>> {
        let question = message::Read {
            file,
            offset,
            length,
        };
        let (answer, bytes) = self.ask(question, &[])?;
        Ok(answer.map(|()| bytes))
    }
}

impl placement::Host for Remote {
    fn place(&mut self, batch: Vec<Placement>) -> wasmtime::Result<Result<(), PlaceError>> {
        Ok(self.ask(message::Place {}, &message::to_bytes(&batch))?.0)
    }
}

impl encoding::Host for Remote {
    fn encode(&mut self, settings: Settings, blocks: Blocks) -> Encoded<()> {
        let (counts, bytes) = lists::blocks_to_bytes(&blocks);
        Ok(self.ask(message::Encode { settings, counts }, &bytes)?.0)
    }

    fn pieces(&mut self, limit: u32) -> Encoded<Vec<Piece>> {
        let (answer, bytes) = self.ask(message::Pieces { limit }, &[])?;
        listed(answer, &bytes)
    }

    fn bytes(&mut self, piece: u32) -> Encoded<Vec<u8>> {
        let (answer, bytes) = self.ask(message::PieceBytes { piece }, &[])?;
        Ok(answer.map(|()| bytes))
    }

    fn place(&mut self, batch: Vec<PiecePlacement>) -> Encoded<()> {
        Ok(self
            .ask(message::PlacePieces {}, &lists::to_bytes(&batch))?
            .0)
    }

    fn encode_bytes(&mut self, settings: Settings, inputs: Vec<Vec<u8>>) -> Encoded<Vec<Vec<u8>>> {
        let length = |input: &Vec<u8>| u32::try_from(input.len()).map_err(lost);
        let lengths = inputs.iter().map(length).collect::<Result<_, _>>()?;
        let question = message::EncodeBytes { settings, lengths };
        let (answer, bytes) = self.ask(question, &inputs.concat())?;
        match answer {
            Ok(lengths) => lists::cut(&lengths, &bytes)
                .map(Ok)
                .ok_or_else(|| lost("outputs that are none")),
            Err(error) => Ok(Err(error)),
        }
    }
}

impl digests::Host for Remote {
    fn files(&mut self, files: Vec<u32>) -> wasmtime::Result<Result<Vec<Digest>, ReadError>> {
        let (answer, bytes) = self.ask(message::DigestFiles {}, &lists::to_bytes(&files))?;
        listed(answer, &bytes)
    }

    fn blocks(&mut self, file: u32, size: u32) -> wasmtime::Result<Result<Vec<Digest>, ReadError>> {
        let (answer, bytes) = self.ask(message::DigestBlocks { file, size }, &[])?;
        listed(answer, &bytes)
    }
}

/// An answer with the list that follows it.
fn listed<T: Listed<N>, E, const N: usize>(
    answer: Result<(), E>,
    bytes: &[u8],
) -> wasmtime::Result<Result<Vec<T>, E>> {
    match answer {
        Ok(()) => lists::from_bytes(bytes)
            .map(Ok)
            .ok_or_else(|| lost("a list that is none")),
        Err(error) => Ok(Err(error)),
    }
}

impl progress::Host for Remote {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let message = cut(&message);
        self.tell(message::Log { level, message }, &[])
    }
}

impl Services for Remote {
    fn partition_size(&self) -> Option<u64> {
        self.partition_size
    }

    fn read_partition(&mut self, length: u64, offset: u64) -> Answer<(Vec<u8>, bool)> {
        let question = message::ReadPartition { length, offset };
        let (answer, bytes) = self.ask(question, &[])?;
        Ok(answer.map(|end| (bytes, end)))
    }

    fn write_partition(&mut self, bytes: Vec<u8>, offset: u64) -> Answer<u64> {
        Ok(self.ask(message::WritePartition { offset }, &bytes)?.0)
    }
}
