//! The only room that writes the disk: partition files, placements, splice, publish.
//!
//! ```text
//!     Scratch ── unnamed file ──> PartitionFile <── Filling (writes and placements of a cell)
//!                                      │
//!                                    splice
//!                                      v
//!     Scratch ── unnamed file ──────> Image ── publish ──> the name, complete or not at all
//! ```
//!
//! An image that [exists](Existing) can be [asked](Superblock) what its partitions hold, and is changed one partition at a time: in a clone that takes its place, or in place.
//!
//! A disk in a file of a format of virtual machines is [read](VirtualDisk) like a plain one, and not changed.
//!
//! Until it is published nothing has a name: whatever ends the process, the kernel takes the files back. The largest
//! partition is filled right where it belongs in the image's own file, which holds nothing else while its cell runs, so
//! that most bytes are written once and never copied.

#![forbid(unsafe_code)]

mod copy;
mod disk;
mod document;
mod error;
mod existing;
mod extract;
mod filling;
mod folder;
pub mod formats;
mod obstacle;
mod partition;
mod publish;
mod rehearsal;
mod scratch;
mod sink;
mod structures;
mod superblock;
#[cfg(test)]
mod tests;
mod verity;

pub use copy::Copying;
use disk::Bytes;
pub use disk::{DiskFault, Snapshots, VirtualDisk};
pub use document::Document;
pub use error::{ImageError, leads_nowhere};
pub use existing::{Atomic, Change, Existing, Replacement};
pub use extract::{Altered, ExtractError, Extracted, Left, Taking, extract};
pub use filling::Filling;
pub use folder::Folder;
pub use formats::{Conversion, FormatError, OutputFormat};
pub use obstacle::Obstacle;
pub use partition::{PartitionBlocks, PartitionFile};
pub use publish::{Durability, Image, target};
pub use rehearsal::Rehearsal;
pub use scratch::Scratch;
pub use sink::{Sink, Stream};
pub use superblock::Superblock;
pub use verity::{BLOCK_SIZES, Behind, FEC_ROOTS, HashFunction, HashTree, MOST_SALT, Verity};
