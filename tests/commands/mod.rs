//! WASI commands as formatters: what they get, what they do not get, and how they end.

mod ends;
mod gets;
mod input;
mod spec;

use std::path::Path;

use crate::support::{Bench, Outcome};

/// The command `tests/commands/NAME.wat`, in the template of all of them.
fn module(name: &str) -> Vec<u8> {
    let text = |name: &str| {
        let file = format!("../tests/commands/{name}.wat");
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
    };
    wat::parse_str(text("template").replacen("BODY", &text(name), 1)).unwrap()
}

/// The walls that each command runs within.
const WALLS: [&str; 2] = ["wasm", "process"];

/// Has the command `name` make a file system of its own, with further `options`.
fn mkfs(bench: &Bench, name: &str, options: &[&str]) -> Outcome {
    bench.write(&format!("{name}.wasm"), module(name));
    let guest = format!("{name}={name}.wasm");
    let command = format!("{name}={name} {{partition}}");
    let arguments = [
        "mkfs",
        name,
        "-o",
        "made.img",
        "-q",
        "--guest",
        &guest,
        "--guest-command",
        &command,
    ];
    bench.run(&[&arguments[..], options].concat())
}

/// The first bytes of what the command `name` makes of 1 MiB, which are the same within each wall.
fn made(name: &str, options: &[&str]) -> Vec<u8> {
    let [wasm, process] = WALLS.map(|walls| {
        let bench = Bench::new();
        let options = [&["--size", "1MiB", "--walls", walls], options].concat();
        mkfs(&bench, name, &options).done();
        std::fs::read(bench.path("made.img")).unwrap()
    });
    assert!(wasm == process, "{name} differs");
    assert_eq!(wasm.len(), 1 << 20);
    wasm
}

/// What is said of the command `name`, which must fail in the same way within each wall and leave nothing behind.
fn failed(name: &str, options: &[&str]) -> String {
    let [wasm, process] = WALLS.map(|walls| {
        let bench = Bench::new();
        let options = [&["--size", "1MiB", "--walls", walls], options].concat();
        let outcome = mkfs(&bench, name, &options);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert_eq!(bench.names(), [format!("{name}.wasm")]);
        outcome.stderr
    });
    assert_eq!(wasm, process);
    wasm
}
