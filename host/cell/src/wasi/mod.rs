//! Commands: guests that are no component of the contract, but a WASI command as any language's compiler makes one.
//!
//! ```text
//!     arguments ──────────> ┌─────────┐ <─────> /partition.img, the one file there is
//!     the tree as a tar ──> │ command │
//!        (standard input)   └─────────┘ ──────> standard output and error: the log
//!              a frozen wall clock; randomness, from the seed
//! ```
//!
//! The file, its paths, the clocks and the streams are served once, by [`Process`] behind [`Files`](crate::files::Files).
//! `preview1` and `component` are shells over it, which know the forms of their interface and decide nothing; what they share with
//! formatters is in `files`. ARCHITECTURE.md says what the other way would cost: one shell, and an adapter around each module.
//!
//! A command runs as other guests do: with the same limits, behind the same walls, answered by the same services. The tar
//! is written here out of the tree that a component is shown, and the file is the same bounded partition.

mod archive;
mod clock;
pub(super) mod component;
mod file;
mod output;
pub(super) mod preview1;
pub(super) mod process;
mod start;

use serde::{Deserialize, Serialize};

use cellblock_contract::Request;

pub(super) use process::Process;
pub use start::StartError;
pub(super) use start::invocation;

/// How a command is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Invocation {
    pub(super) arguments: Vec<String>,
    pub(super) request: Request,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exit {
    pub(super) how: End,
    /// Whether it has read the tree to its end.
    pub(super) has_read_all: bool,
    /// The last lines that it wrote to standard error.
    pub(super) last_words: Vec<String>,
}

/// What ended a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    /// It ended by itself, with this exit code.
    Code(u32),
    /// It trapped: why.
    Trap(String),
}

/// A command's own wish to end.
#[derive(Debug, thiserror::Error)]
#[error("it ended with exit code {0}")]
pub(super) struct Exited(pub(super) u32);
