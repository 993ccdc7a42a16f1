//! Cells: one guest instance with its partition, its tree and its limits. The only room that knows wasmtime.
//!
//! ```text
//!     Runtime ── load ──> Guest ── describe, measure, format ──> a cell for each call
//!                                                                  │
//!                 tree (shown) ────────> [ guest ] ────────> partition (one bounded file)
//!                                                   └──────> placements (the host copies)
//! ```
//!
//! A cell's import list is checked against the contract before anything of it is compiled into the process, and what is
//! linked resolves no path. Each call gets an instance of its own that is dropped with its store.

mod bindings;
mod contract;
mod error;
mod imports;
mod limits;
mod occupied;
mod partition;
mod placement;
mod refusal;
mod runtime;
mod state;
mod tree;

pub use bindings::exports::cellblock::format::formatter::{
    Description, Losses, OptionDescription, Property, Request, Setting, Summary,
};
pub use contract::{identifier, timestamp};
pub use error::CellError;
pub use limits::Limits;
pub use partition::Partition;
pub use placement::Placement;
pub use refusal::Refusal;
pub use runtime::{Guest, Outcome, Runtime, RuntimeOptions};
pub use state::LogLine;
