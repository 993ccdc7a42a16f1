//! What a cell may use at the most.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The limits of a cell. Ordinary images never reach the defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Linear memory of all of a cell's memories together, in bytes.
    pub memory: u64,
    /// From a call's start to its end, on the wall.
    pub time: Duration,
    /// Elements of all of a cell's tables together.
    pub table_elements: usize,
    /// Core instances, tables and memories, each.
    pub instances: usize,
    /// Resource handles that the host gives out.
    pub handles: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            time: Duration::from_secs(3600),
            table_elements: 100_000,
            instances: 100,
            handles: 1000,
        }
    }
}
