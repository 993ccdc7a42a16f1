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
        "wasi:cli/terminal-input.terminal-input": crate::resources::Terminal,
        "wasi:cli/terminal-output.terminal-output": crate::resources::Terminal,
        "wasi:clocks/wall-clock": crate::bindings::wasi::clocks::wall_clock,
        "wasi:filesystem/types": crate::bindings::wasi::filesystem::types,
        "wasi:io/error.error": crate::resources::Failure,
        "wasi:io/poll.pollable": crate::resources::Pollable,
        "wasi:io/streams.input-stream": crate::resources::Input,
        "wasi:io/streams.output-stream": crate::resources::Output,
    },
});
