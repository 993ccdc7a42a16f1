//! What serves a cell: its tree, its partition, and what the guest made of them so far.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::Trap;

use cellblock_contract::{FormatError, Level as LogLevel, Log, Partition, ReadError};

use super::CellError;
use super::bindings::cellblock::format::progress::{Host, Level};
use super::denied::Denied;
use super::encode::Session;
use super::ledger::Ledger;
use super::legible::legible;
use super::reading::Taking;
use super::state::{Answer, Services};
use cellblock_tree::Tree;
use cellblock_tree::source::SourceError;

/// The most placements that are handed on at once; between two such parts the guest's time is looked at.
pub(super) const HANDED_ON: usize = 4096;

/// The services of this process, which holds the tree and the partition.
pub(super) struct Local {
    pub(super) tree: Arc<Tree>,
    /// The id of the node that `tree.next` gives next.
    pub(super) position: u32,
    pub(super) partition: Option<Arc<dyn Partition>>,
    /// What of the partition is taken.
    pub(super) ledger: Ledger,
    /// When the time of its call is over; none if that is beyond what the clock counts.
    pub(super) deadline: Option<Instant>,
    pub(super) log: Log,
    /// The first failure of the tree's source, which the guest only knows as `source`.
    pub(super) source_failure: Option<SourceError>,
    /// What it asked for and did not get.
    pub(super) denied: Denied,
    /// What it had encoded, if it is a guest that may.
    pub(super) session: Option<Session>,
    /// What it told of a file system, if it is a reader.
    pub(super) taking: Option<Taking>,
}

impl Local {
    pub(super) fn new(tree: Arc<Tree>, partition: Option<Arc<dyn Partition>>) -> Self {
        Self {
            tree,
            position: 0,
            partition,
            ledger: Ledger::default(),
            deadline: None,
            log: Log::default(),
            source_failure: None,
            denied: Denied::default(),
            session: None,
            taking: None,
        }
    }

    /// What failed on the host's side, which the guest does not know.
    pub(super) fn take_failure(&mut self) -> Option<CellError> {
        if let Some(failure) = self.source_failure.take() {
            return Some(Box::new(failure).into());
        }
        let session = self.session.as_mut()?;
        session.failure.take().map(CellError::from)
    }

    /// What was wrong with what the guest asked for, if this is the answer that it got.
    pub(super) fn denied(&self, error: &FormatError) -> Option<String> {
        match error {
            FormatError::Tree(ReadError::Source) => self.session.as_ref()?.denied.clone(),
            error => self.denied.of(error),
        }
    }

    /// Stops a guest whose time is over; for calls in which the host works for long.
    pub(super) fn check_deadline(&self) -> wasmtime::Result<()> {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Trap::Interrupt.into()),
            _ => Ok(()),
        }
    }
}

impl Services for Local {
    fn partition_size(&self) -> Option<u64> {
        self.partition.as_ref().map(|partition| partition.size())
    }

    fn read_partition(&mut self, length: u64, offset: u64) -> Answer<(Vec<u8>, bool)> {
        Ok(self.read_within(length, offset))
    }

    fn write_partition(&mut self, bytes: &[u8], offset: u64) -> Answer<u64> {
        self.ledger.check_scattering()?;
        Ok(self.write_within(bytes, offset))
    }
}

impl Host for Local {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warning => LogLevel::Warning,
        };
        self.log.push(level, legible(&message));
        Ok(())
    }
}
