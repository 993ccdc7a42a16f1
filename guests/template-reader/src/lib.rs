//! The catalog reader: the smallest complete one, to copy and to change. It reads what the formatter in `guests/template`
//! writes, whose documentation has the layout.
//!
//! The rooms, which every reader has:
//!
//! - `format.rs`: the bytes on disk, as structs;
//! - `reader.rs`: what the reader tells of itself, and the two calls;
//! - `component.rs`: the wasm surface, one line.
//!
//! Nobody has checked the bytes that a reader looks at. Each number of theirs is compared with what there can be before it is
//! used, arithmetic on them is checked, and no memory is taken that the partition does not have.

#![deny(unsafe_code)]

mod format;
mod reader;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

pub use reader::CatalogReader;
