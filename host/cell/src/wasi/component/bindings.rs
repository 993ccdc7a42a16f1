//! The host's side of `wit/command.wit`, generated.

#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used
)]

wasmtime::component::bindgen!({
    path: ["../../wit", "wit"],
    world: "cellblock:command/command",
    imports: { default: trappable },
    with: {
        "wasi:cli/terminal-input.terminal-input": super::resources::Terminal,
        "wasi:cli/terminal-output.terminal-output": super::resources::Terminal,
        "wasi:filesystem/types.descriptor": super::resources::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": super::resources::Listing,
        "wasi:io/error.error": super::resources::Failure,
        "wasi:io/poll.pollable": super::resources::Pollable,
        "wasi:io/streams.input-stream": super::resources::Input,
        "wasi:io/streams.output-stream": super::resources::Output,
    },
});
