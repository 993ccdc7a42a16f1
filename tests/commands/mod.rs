//! WASI commands as formatters: what they get, what they do not get, and how they end.

mod component;
mod ends;
mod gets;
mod input;
mod spec;
mod suite;

use crate::support::bench::repository;

use crate::support::{Bench, Outcome};

/// The command `tests/commands/NAME.wat`, in the template of all of them.
fn module(name: &str) -> Vec<u8> {
    let text = |name: &str| {
        let file = format!("tests/commands/{name}.wat");
        std::fs::read_to_string(repository(file)).unwrap()
    };
    wat::parse_str(text("template").replacen("BODY", &text(name), 1)).unwrap()
}

/// The walls that each command runs within.
const WALLS: [&str; 2] = ["wasm", "process"];

/// Has the command `name` make a file system of its own, with further `options`.
fn mkfs(bench: &Bench, name: &str, options: &[&str]) -> Outcome {
    mkfs_with(bench, name, module(name), options)
}

/// The same with a command of these bytes.
fn mkfs_with(bench: &Bench, name: &str, command: Vec<u8>, options: &[&str]) -> Outcome {
    bench.write(&format!("{name}.wasm"), command);
    let line = line(name);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let output: &[&str] = match options.contains(&"-o") {
        true => &[],
        false => &["-o", "made.img"],
    };
    bench.run(&[&["mkfs", name, "-q"], &line[..], output, options].concat())
}

/// The options that bring the command `name`.
fn line(name: &str) -> [String; 4] {
    [
        "--guest".to_owned(),
        format!("{name}={name}.wasm"),
        "--guest-command".to_owned(),
        format!("{name}={name} {{partition}}"),
    ]
}

/// What the command `name` makes of 1 MiB, which is the same within each wall.
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
