//! The host's side of `wit/`, generated.

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
        "wasi:filesystem/types.descriptor": super::partition::Descriptor,
        "wasi:io/error": super::io::error,
        "wasi:io/streams": super::io::streams,
    },
});
