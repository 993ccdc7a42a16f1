//! The host's side of `wit/`, generated: the world that every formatter fits, and what one may give besides.

#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used
)]

wasmtime::component::bindgen!({
    path: "contract",
    world: "guest",
    imports: { default: trappable },
    additional_derives: [serde::Serialize, serde::Deserialize],
    with: {
        "wasi:filesystem/types.descriptor": super::resources::Opened,
        "wasi:filesystem/types.directory-entry-stream": super::resources::Listing,
        "wasi:io/error": super::io::error,
        "wasi:io/streams": super::io::streams,
    },
});

/// The optional export: its own bindings, as the engine wants all exports of a world to be there.
pub mod described {
    wasmtime::component::bindgen!({
        path: "contract",
        world: "self-described",
    });
}

/// What only guests that compress import.
pub mod encoding {
    wasmtime::component::bindgen!({
        path: "contract",
        world: "encoder",
        imports: { default: trappable },
        additional_derives: [serde::Serialize, serde::Deserialize],
        with: {
            "cellblock:format/tree": super::cellblock::format::tree,
            "cellblock:format/placement": super::cellblock::format::placement,
        },
    });
}

/// What readers import and export.
pub mod reading {
    wasmtime::component::bindgen!({
        path: "contract",
        world: "reader-guest",
        imports: { default: trappable },
        additional_derives: [serde::Serialize, serde::Deserialize],
        with: {
            "cellblock:format/tree": super::cellblock::format::tree,
            "cellblock:format/progress": super::cellblock::format::progress,
            "wasi:filesystem/types": super::wasi::filesystem::types,
            "wasi:clocks/wall-clock": super::wasi::clocks::wall_clock,
            "wasi:io/error": super::super::io::error,
            "wasi:io/streams": super::super::io::streams,
        },
    });
}
