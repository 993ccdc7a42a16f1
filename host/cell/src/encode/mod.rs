//! The contract's `encoding` and `digests`: what a formatter has compressed and compared, without touching a byte of it.
//!
//! ```text
//!     guest ── encode(blocks) ──> queue ──> thread ── read ──> Worker ── pieces, bytes ──> spool file
//!           <── pieces: lengths ───────────────────────────────────────────┘                   │
//!           ── place(piece, offset) ───────────────────────────────> partition <── copies ─────┘
//! ```
//!
//! A [`Worker`] is all that touches what a codec makes of content: it may be a thread of this process, or a process of its own.

#[allow(dead_code, reason = "the pool that uses them comes next")]
mod workers;

#[allow(unused_imports, reason = "the pool that uses them comes next")]
pub(crate) use workers::{Encoded, Threads, Worker, WorkerError, Workers};
