//! The wasm surface.

cellblock_guest::export_reader!(crate::Fat);
