//! The wasm surface.

cellblock_guest::export!(crate::Ext4);
