//! The catalog formatter: the smallest complete one, to copy and to change.
//!
//! ```text
//!  0           64                                          aligned
//!  +-----------+--------------+--------------+-------------+------------+-----+------------+
//!  | superblock| records,     | names, one   | zeros       | content of | ... | content of |
//!  | 64 bytes  | 48 bytes each| after another|             | a file     |     | a file     |
//!  +-----------+--------------+--------------+-------------+------------+-----+------------+
//! ```
//!
//! Everything is little-endian. The records are in the tree's order: a directory stands before what is in it, and record 0 is
//! the root. A record knows its directory by that one's number, its name by where it stands among the names, and its content by where it stands in the partition.
//! Every content begins at a multiple of the option `alignment`.
//!
//! The rooms, which every formatter has:
//!
//! - `format.rs`: the bytes on disk, as structs;
//! - `layout.rs`: what goes where. It is computed once from request and tree, and both `measure` and `format` use it,
//!   so that they cannot disagree;
//! - `write.rs`: emission of a layout;
//! - `formatter.rs`: what the formatter tells of itself, and the two calls;
//! - `component.rs`: the wasm surface, one line.

#![deny(unsafe_code)]

mod format;
mod formatter;
mod layout;
mod write;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

pub use formatter::CatalogFormatter;
