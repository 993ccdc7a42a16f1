//! What every guest builds on: the tree that a formatter is shown, the output that it fills, and the contract; and the other
//! way, in [`reader`], the partition that is read.
//!
//! A formatter implements [`Formatter`] in plain Rust, over the traits [`Tree`] and [`Output`]: `cargo test` runs it
//! natively, against the doubles in [`memory`]. In its cell, `component.rs` hands it to the host with `export!`.
//!
//! ```text
//!            tree (nodes in order, bytes of files)
//!                           |
//!     request -----> [ a Formatter ] -----> output: writes of metadata, placements of content
//!                           |
//!                        summary
//! ```

#![deny(unsafe_code)]

mod batch;
pub mod crc32c;
mod encoding;
mod error;
pub mod fields;
mod formatter;
pub mod htree;
mod output;
pub mod reader;
mod tree;
pub mod unix;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
#[doc(hidden)]
pub mod component;
#[cfg(not(target_arch = "wasm32"))]
pub mod memory;

pub use batch::Batch;
pub use encoding::{
    Blocks, Digest, EncodeError, Encoder, Filter, Method, Piece, PieceId, PiecePlacement, Settings,
    Span,
};
pub use error::{
    FormatError, LabelProblem, NodeError, NodeProblem, PartitionError, PlaceError, ReadError,
    SettingError, SettingProblem, Shortage,
};
pub use formatter::{
    Description, EncodingFormatter, Formatter, Identifier, KindDescription, Losses,
    OptionDescription, Property, Request, Summary, Uuid,
};
pub use output::{Buffered, Output, Placement};
pub use tree::{Attribute, Device, Kind, Node, NodeId, Range, Timestamp, Totals, Tree, each_node};
