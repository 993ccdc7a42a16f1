//! Cells: one guest instance with its partition, its tree and its limits. The only room that knows wasmtime.
//!
//! ```text
//!     Runtime ── load ──> Guest ── with a tree ──> Cell ── measure, format
//!                                                   │
//!                 tree (shown) ────────> [ guest ] ────────> partition (one bounded file)
//!                                                   └──────> placements (the host copies)
//! ```
//!
//! A cell's import list is checked against the contract before anything of it runs, and what is linked resolves no path.
//! Each call gets an instance of its own that is dropped with its store. `wall/` is the second wall around it: a process
//! that can do nothing but ask. `wasi/` has guests that are WASI commands, and not components of the contract.

// Where it is needed, it is expected with a reason: compiled code is taken over, and the kernel is asked what no crate asks it.
#![deny(unsafe_code)]

mod bindings;
mod cache;
mod call;
mod codecs;
mod denied;
mod encode;
mod engine;
mod error;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guest;
mod imports;
mod io;
mod ledger;
mod legible;
mod limiter;
mod local;
mod occupied;
mod partition;
mod placement;
mod reading;
mod refusal;
mod resources;
mod runtime;
mod signals;
mod state;
mod translate;
mod tree;
mod version;
mod wall;
mod walls;
mod wasi;

pub use cache::Kept;
pub use codecs::{CodecWall, Codecs};
pub use error::CellError;
pub use guest::{Cell, Guest, Measured, Outcome};
pub use reading::ReadVolume;
pub use refusal::Refusal;
pub use runtime::{LARGEST_COMPONENT, Runtime, RuntimeOptions};
pub use signals::outlive_file_limits;
pub use wall::{Attempt, CallTried, Stage, run_if_cell};
pub use walls::{CodecPlace, GuestPlace, Wall, Walls};
pub use wasi::StartError;
