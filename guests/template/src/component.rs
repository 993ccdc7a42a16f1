//! The wasm surface.

cellblock_guest::export!(crate::CatalogFormatter);
