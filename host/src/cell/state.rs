//! What the host keeps for one cell.

use std::sync::Arc;

use wasmtime::component::ResourceTable;

use super::bindings::cellblock::format::progress::{Host, Level};
use super::limits::{Limiter, Limits};
use super::occupied::Occupied;
use super::partition::Partition;
use crate::tree::Tree;

/// A line that a guest logged. Control characters are escaped.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LogLine {
    /// `debug`, `info` or `warning`.
    pub level: &'static str,
    /// The text, at most [`LogLine::LIMIT`] characters of it.
    pub text: String,
}

impl LogLine {
    /// The longest text in characters, before escaping.
    pub const LIMIT: usize = 1000;
    /// The most lines that are kept of a cell.
    pub const LINES: usize = 1000;
}

/// The data of a cell's store.
pub(super) struct State {
    pub(super) table: ResourceTable,
    pub(super) tree: Arc<Tree>,
    /// The id of the node that `tree.next` gives next.
    pub(super) position: u32,
    pub(super) partition: Option<Arc<dyn Partition>>,
    /// What the guest wrote.
    pub(super) written: Occupied,
    /// What holds placed content.
    pub(super) placed: Occupied,
    pub(super) limiter: Limiter,
    pub(super) log: Vec<LogLine>,
    /// The first failure of the tree's source, which the guest only knows as `source`.
    pub(super) source_failure: Option<crate::source::SourceError>,
}

impl State {
    pub(super) fn new(
        tree: Arc<Tree>,
        partition: Option<Arc<dyn Partition>>,
        limits: Limits,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            table,
            tree,
            position: 0,
            partition,
            written: Occupied::default(),
            placed: Occupied::default(),
            limiter: Limiter::new(limits),
            log: Vec::new(),
            source_failure: None,
        }
    }
}

impl Host for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        if self.log.len() < LogLine::LINES {
            self.log.push(LogLine {
                level: match level {
                    Level::Debug => "debug",
                    Level::Info => "info",
                    Level::Warning => "warning",
                },
                text: message
                    .chars()
                    .take(LogLine::LIMIT)
                    .map(|character| match character {
                        control if control.is_control() => control.escape_default().to_string(),
                        plain => plain.to_string(),
                    })
                    .collect(),
            });
        }
        Ok(())
    }
}
