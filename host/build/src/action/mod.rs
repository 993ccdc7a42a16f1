//! A partition as an action: all that it is made from as files in a folder, which this program alone makes it of anywhere.
//!
//! ```text
//!     action             the key, the request, the guest, limits, walls
//!     tree               nodes in order, and which pieces their content is of
//!     guest.wasm         the formatter, where the program does not carry it
//!     content/ab/abcd…   pieces of files, each named by its SHA-256 digest
//!        │
//!        └──> cell ──> made       the key, the size, the list of chunks, what was said, which walls stood there
//!                      chunks/…   the data of the partition, each chunk named by its SHA-256 digest
//! ```
//!
//! Neither side believes the other. Who performs an action computes the key of the fill from what it was given, and refuses
//! another one than the action names; each piece is held to its digest whenever it is read. Who asked takes nothing under another key, of
//! another size, or whose chunks have other digests. What it has to believe is that the worker ran what was sent.

mod contents;
mod described;
mod document;
mod error;
mod farm;
mod fuzzing;
mod perform;
mod program;
mod remote;
mod server;
mod taken;
mod tree;
mod workers;

pub use error::{ActionError, ActionFault};
pub use farm::{BlobName, Executed, Farm};
#[doc(hidden)]
pub use fuzzing::fuzz;
pub use perform::{PerformOptions, Performed, perform_action};
pub use server::Server;
pub use workers::{Remote, RemoteOptions};

/// The file with what is asked.
pub(crate) const ACTION: &str = "action";
/// The file with the tree.
pub(crate) const TREE: &str = "tree";
/// The file with a formatter that the program does not carry.
pub(crate) const GUEST: &str = "guest.wasm";
/// The folder of pieces.
pub(crate) const CONTENT: &str = "content";
/// The file with what came of it.
pub(crate) const MADE: &str = "made";
/// The folder of chunks.
pub(crate) const CHUNKS: &str = "chunks";

#[cfg(test)]
mod tests;
