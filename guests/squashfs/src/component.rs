//! The wasm surface.

cellblock_guest::export_encoding!(crate::Squashfs);
