//! The services of a cell behind the wall: each is a question to the host, and nothing is decided here.

use std::fmt::Display;

use super::channel::Channel;
use super::columns;
use super::message::{self, Asked, FromCell, Question};
use crate::bindings::cellblock::format::placement::{self, PlaceError, Placement};
use crate::bindings::cellblock::format::progress::{self, Level};
use crate::bindings::cellblock::format::tree::{self, NodeId, Nodes, Range, ReadError, Totals};
use crate::legible::cut;
use crate::state::{Answer, Services};

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
