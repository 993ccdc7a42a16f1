//! The contract's `encoding` and `digests`: what a formatter has compressed and compared, without touching a byte of it.
//!
//! ```text
//!     guest ── encode(blocks) ──> queue ──> thread ── read ──> Worker ── pieces, bytes ──> spool file
//!           <── pieces: lengths ───────────────────────────────────────────┘                   │
//!           ── place(piece, offset) ───────────────────────────────> partition <── copies ─────┘
//! ```
//!
//! A [`Worker`] is all that touches what a codec makes of content: it may be a thread of this process, or a process of its own.
//! A [`Pool`] belongs to a cell, so that `format` finds what `measure` had encoded; a [`Session`] belongs to one call, numbers
//! its pieces, and bounds what it asks for.

mod failure;
mod hashing;
mod host;
mod pool;
mod session;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use cellblock_codec::{Encoded, Threads, Worker, WorkerError, Workers};

pub(crate) use failure::Failure;
pub(crate) use pool::Pool;
pub(crate) use session::Session;
