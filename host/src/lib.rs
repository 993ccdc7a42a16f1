//! Cellblock builds disk images. Each partition's file system is formatted and populated in a WebAssembly cell that
//! can reach its partition, its tree and nothing else; the host lays out the table and splices.
//!
//! ```text
//!     spec ──> plan ──> table ────────────────────────────┐
//!               │                                         v
//!     source ──> tree ──> cell ──> partition file ──> image ──> published
//! ```
//!
//! [`builder::build_image`] is the whole of it.

pub mod arguments;
pub mod boot;
pub mod builder;
pub mod cell;
pub mod command;
pub mod error;
pub mod guests;
pub mod image;
pub mod parallel;
pub mod plan;
pub mod report;
pub mod source;
pub mod spec;
pub mod table;
pub mod tree;
