//! The services of a cell behind the wall: each is a question to the host.
//!
//! A question that waits for its answer takes two switches of process. So the cell does not wait where it knows the answer: what
//! it writes and places is checked here by the same rules as in the host, and only told to it if they allow it. The host
//! checks it again. And the host says the next nodes before they are asked for.

use std::fmt::Display;

use super::channel::{Channel, ChannelError, Heard};
use super::columns::{self, Head};
use super::lists::{self, Listed};
use super::message::{self, Asked, FromCell, Question};
use crate::bindings::cellblock::format::placement::{self, PlaceError, Placement};
use crate::bindings::cellblock::format::progress::{self, Level};
use crate::bindings::cellblock::format::tree::{
    self, Kind, NodeId, Nodes, Range, ReadError, Totals,
};
use crate::bindings::encoding::cellblock::format::digests::{self, Digest};
use crate::bindings::encoding::cellblock::format::encoding::{
    self, Blocks, EncodeError, Piece, PiecePlacement, Settings,
};
use crate::bindings::reading::cellblock::format::decoding::{self, DecodeError};
use crate::bindings::reading::cellblock::format::listing::{self, Encoded, Extents};
use crate::ledger::Ledger;
use crate::legible::cut;
use crate::reading::check_batch;
use crate::state::{Answer, Services};
use crate::tree::BATCH_NODES;

/// What the host answers of encoding.
type Encoding<T> = wasmtime::Result<Result<T, EncodeError>>;

/// The host, as a cell sees it.
pub(super) struct Remote {
    channel: Channel,
    /// The size in bytes of the partition, in a call that has one.
    partition_size: Option<u64>,
    /// What of the partition is taken.
    ledger: Ledger,
    /// The sizes of files in bytes, of each node that was shown; none of what is no file.
    files: Vec<Option<u64>>,
    /// The lengths of the pieces that were told, in bytes.
    pieces: Vec<u32>,
    /// The id of the node that comes next.
    position: usize,
    /// The number of the stream of nodes.
    pass: u32,
    /// Nodes that were said before they were asked for.
    ahead: Option<(Head, Vec<u8>)>,
}

impl Remote {
    /// The services for one call.
    pub(super) fn new(mut channel: Channel, partition_size: Option<u64>) -> Self {
        Self {
            partition_size,
            ledger: Ledger::default(),
            files: Vec::new(),
            pieces: Vec::new(),
            position: 0,
            pass: channel.begin_pass(),
            ahead: None,
            channel,
        }
    }

    /// The channel, once the call has ended.
    pub(super) fn into_channel(self) -> Channel {
        self.channel
    }

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
        loop {
            match self.channel.receive_any().map_err(lost)? {
                Heard::Ahead(head, bytes) => self.ahead = Some((head, bytes)),
                Heard::Message(answer, bytes) => return Ok((answer, bytes)),
            }
        }
    }

    /// The nodes that follow: those that were said ahead, if they are what is asked for, or the answer.
    fn next_nodes(&mut self, limit: u32) -> Result<(Head, Vec<u8>), ChannelError> {
        loop {
            if let Some((head, bytes)) = self.ahead.take()
                && (head.pass, head.limit) == (self.pass, limit)
            {
                return Ok((head, bytes));
            }
            match self.channel.receive_any()? {
                Heard::Ahead(head, bytes) => self.ahead = Some((head, bytes)),
                Heard::Message(head, bytes) => return Ok((head, bytes)),
            }
        }
    }

    /// Remembers the sizes of the files among the nodes at the position.
    fn note(&mut self, nodes: &Nodes) {
        for (kind, value) in nodes.kinds.iter().zip(&nodes.values) {
            if self.position == self.files.len() {
                let is_file = matches!(kind, Kind::File | Kind::SparseFile);
                self.files.push(is_file.then_some(*value));
            }
            self.position += 1;
        }
    }
}

/// Nobody hears of this error: the host is gone, or ends this process.
fn lost(error: impl Display) -> wasmtime::Error {
    wasmtime::Error::msg(error.to_string())
}

impl tree::Host for Remote {
    fn next(&mut self, limit: u32) -> wasmtime::Result<Nodes> {
        let limit = limit.min(BATCH_NODES);
        self.tell(message::Next { limit }, &[])?;
        let (head, columns) = self.next_nodes(limit).map_err(lost)?;
        let nodes =
            columns::from_bytes(head, &columns).ok_or_else(|| lost("nodes that are none"))?;
        self.note(&nodes);
        Ok(nodes)
    }

    fn rewind(&mut self) -> wasmtime::Result<()> {
        self.pass = self.channel.begin_pass();
        self.position = 0;
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
        let bytes = message::to_bytes(&batch);
        let files = &self.files;
        let size_of = |file| *files.get(usize::try_from(file).ok()?)?;
        if let Some(size) = self.partition_size
            && self.ledger.place(&batch, size, size_of).is_ok()
        {
            self.tell(message::Placed {}, &bytes)?;
            return Ok(Ok(()));
        }
        // It is refused, and the host says so; or it is of a file that was not shown yet.
        let (placed, _) = self.ask(message::Place {}, &bytes)?;
        if placed.is_ok() {
            self.ledger.take(&batch);
        }
        Ok(placed)
    }

    fn compose(
        &mut self,
        offset: u64,
        own: Vec<u8>,
        batch: Vec<Placement>,
    ) -> wasmtime::Result<Result<(), PlaceError>> {
        let count = u32::try_from(batch.len()).map_err(lost)?;
        let mut bytes = message::to_bytes(&batch);
        bytes.extend_from_slice(&own);
        let files = &self.files;
        let size_of = |file| *files.get(usize::try_from(file).ok()?)?;
        if let Some(size) = self.partition_size
            && self
                .ledger
                .compose(offset, own.len(), &batch, size, size_of)
                .is_ok()
        {
            self.tell(message::Composed { offset, count }, &bytes)?;
            return Ok(Ok(()));
        }
        let (composed, _) = self.ask(message::Compose { offset, count }, &bytes)?;
        if composed.is_ok() {
            self.ledger.take_run(offset, own.len(), &batch);
        }
        Ok(composed)
    }
}

impl encoding::Host for Remote {
    fn encode(&mut self, settings: Settings, blocks: Blocks) -> Encoding<()> {
        let (counts, bytes) = lists::blocks_to_bytes(&blocks);
        Ok(self.ask(message::Encode { settings, counts }, &bytes)?.0)
    }

    fn pieces(&mut self, limit: u32) -> Encoding<Vec<Piece>> {
        let (answer, bytes) = self.ask(message::Pieces { limit }, &[])?;
        let told: Result<Vec<Piece>, EncodeError> = listed(answer, &bytes)?;
        let lengths = told.iter().flatten().map(|piece| piece.produced);
        self.pieces.extend(lengths);
        Ok(told)
    }

    fn bytes(&mut self, piece: u32) -> Encoding<Vec<u8>> {
        let (answer, bytes) = self.ask(message::PieceBytes { piece }, &[])?;
        Ok(answer.map(|()| bytes))
    }

    fn place(&mut self, batch: Vec<PiecePlacement>) -> Encoding<()> {
        let (placed, _) = self.ask(message::PlacePieces {}, &lists::to_bytes(&batch))?;
        if placed.is_ok() {
            for one in &batch {
                let length = usize::try_from(one.piece)
                    .ok()
                    .and_then(|piece| self.pieces.get(piece))
                    .ok_or_else(|| lost("a piece that was not told"))?;
                let all = u64::from(one.leading) + u64::from(*length) + u64::from(one.padding);
                let start = one.partition_offset;
                self.ledger.placed.insert(start, start + all);
            }
        }
        Ok(placed)
    }

    fn encode_bytes(&mut self, settings: Settings, inputs: Vec<Vec<u8>>) -> Encoding<Vec<Vec<u8>>> {
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

impl listing::Host for Remote {
    fn tell_nodes(&mut self, batch: Nodes) -> wasmtime::Result<()> {
        check_batch(&batch)?;
        let (head, columns) = columns::to_bytes(0, 0, batch);
        self.tell(message::TellNodes { head }, &columns)
    }

    fn tell_extents(&mut self, batch: Extents) -> wasmtime::Result<()> {
        let (count, bytes) = lists::extents_to_bytes(&batch);
        self.tell(message::TellExtents { count }, &bytes)
    }
}

impl decoding::Host for Remote {
    fn decode(
        &mut self,
        blocks: Vec<Encoded>,
    ) -> wasmtime::Result<Result<Vec<Vec<u8>>, DecodeError>> {
        let (answer, bytes) = self.ask(message::Decode {}, &lists::to_bytes(&blocks))?;
        match answer {
            Ok(lengths) => lists::cut(&lengths, &bytes)
                .map(Ok)
                .ok_or_else(|| lost("blocks that are none")),
            Err(error) => Ok(Err(error)),
        }
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

    fn write_partition(&mut self, bytes: &[u8], offset: u64) -> Answer<u64> {
        if let Some(size) = self.partition_size
            && let Ok(end) = self.ledger.end_of_write(offset, bytes.len(), size)
        {
            self.ledger.written.cover(offset, end);
            self.tell(message::Written { offset }, bytes)?;
            return Ok(Ok(bytes.len() as u64));
        }
        Ok(self.ask(message::WritePartition { offset }, bytes)?.0)
    }
}
