//! Counts what a cell uses of its limits.

use cellblock_contract::Limits;
use wasmtime::ResourceLimiter;

/// A limit that a guest met in a call of the host: the words for the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Exceeded(pub(super) String);

/// Counts what a cell uses.
pub(super) struct Limiter {
    limits: Limits,
    memory: u64,
    table_elements: usize,
    /// Set when a limit was met: the words for the user.
    pub(super) met: Option<String>,
}

impl Limiter {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            memory: 0,
            table_elements: 0,
            met: None,
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.checked_sub(current).expect("memories only grow");
        let total = self.memory + more as u64;
        if total > self.limits.memory {
            self.met = Some(format!(
                "it asked for {total} bytes of memory, and the limit is {}",
                self.limits.memory
            ));
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.checked_sub(current).expect("tables only grow");
        let total = self.table_elements + more;
        if total > self.limits.table_elements {
            self.met = Some(format!(
                "it asked for {total} table elements, and the limit is {}",
                self.limits.table_elements
            ));
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }
}
