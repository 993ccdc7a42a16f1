//! Builds disk images: a spec in, an image and its record out. Each partition's file system is formatted and populated in
//! a WebAssembly cell that can reach its partition, its tree and nothing else; the host lays out the table and splices.
//!
//! ```text
//!     spec ──> plan ──> table ────────────────────────────┐
//!               │                                         v
//!     source ──> tree ──> cell ──> partition file ──> image ──> published
//! ```
//!
//! [`build_image`] is the whole of it. The rooms below are reachable from here, so that an embedding program needs no
//! other crate.

#![forbid(unsafe_code)]

pub mod boot;
mod cache_folder;
pub mod catalogue;
mod disk;
pub mod error;
mod existing;
mod filesystem;
pub mod footprint;
mod future;
mod options;
mod output;
mod parallel;
pub mod plan;
mod preview;
pub mod progress;
mod record;
mod staging;
mod template;

pub use cellblock_cell as cell;
pub use cellblock_contract as contract;
pub use cellblock_image as image;
pub use cellblock_spec as spec;
pub use cellblock_table as table;
pub use cellblock_text as text;
pub use cellblock_tree as tree;

pub use cache_folder::cache_folder;
pub use catalogue::Catalog;
pub use disk::{Assembled, assemble_filesystem, assemble_image, build_image};
pub use error::{Error, PartitionError};
pub use existing::{
    Asked, Changed, DiskError, Taken, cut_partition, decode_table, fill_partition, splice_partition,
};
pub use filesystem::TimeSource;
pub use options::BuildOptions;
pub use output::Output;
pub use preview::{Preview, Space, preview_image};
pub use record::{FilesystemRecord, PartitionRecord, Record, Timings};
pub use template::{Fault, FaultReason, TemplateError};
