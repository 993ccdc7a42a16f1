//! Commands of WASI 0.2: the same modules, made components by the adapter that compilers use.

use std::fs;

use wit_component::ComponentEncoder;

use super::{WALLS, made, mkfs_with, module};
use crate::support::{Bench, component};

/// The command `tests/commands/NAME.wat` as a component.
fn adapted(name: &str) -> Vec<u8> {
    let adapter = wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
    ComponentEncoder::default()
        .validate(true)
        .module(&module(name))
        .unwrap()
        .adapter("wasi_snapshot_preview1", adapter)
        .unwrap()
        .encode()
        .unwrap()
}

/// What the component makes of 1 MiB, which is the same within each wall.
fn component_made(name: &str, options: &[&str]) -> Vec<u8> {
    let [wasm, process] = WALLS.map(|walls| {
        let bench = Bench::new();
        let options = [&["--size", "1MiB", "--walls", walls], options].concat();
        mkfs_with(&bench, name, adapted(name), &options).done();
        fs::read(bench.path("made.img")).unwrap()
    });
    assert!(wasm == process, "{name} differs");
    wasm
}

#[test]
fn a_component_gets_what_a_module_gets() {
    assert!(component_made("arguments", &[]) == made("arguments", &[]));
    assert!(component_made("paths", &[]) == made("paths", &[]));
    assert!(component_made("silent", &[]) == made("silent", &[]));
    // The adapter tells of no half of a write, and allocates nothing ahead.
    let mut expected = made("resize", &[]);
    (expected[0], expected[1], expected[5]) = (51, 0, 58);
    assert!(component_made("resize", &[]) == expected);
}

#[test]
fn a_component_has_the_same_clock_and_randomness() {
    let options = ["--time", "1000"];
    let (component, module) = (
        component_made("environment", &options),
        made("environment", &options),
    );
    assert_eq!(component[..8], module[..8]);
    assert_eq!(component[24..96], module[24..96]);
    let number = |start: usize| u64::from_le_bytes(component[start..start + 8].try_into().unwrap());
    let waited = number(16) - number(8);
    assert!((5_000_000_000..5_000_100_000).contains(&waited), "{waited}");
}

#[test]
fn a_component_reads_the_tree_from_standard_input() {
    let bench = Bench::with_case("demo");
    let options = ["--size", "8MiB", "--content", "archive:demo/rootfs.tar"];
    super::mkfs(&bench, "copy", &options).done();
    let of_module = fs::read(bench.path("made.img")).unwrap();
    for walls in WALLS {
        let options = [&options[..], &["--walls", walls]].concat();
        mkfs_with(&bench, "copy", adapted("copy"), &options).done();
        assert!(fs::read(bench.path("made.img")).unwrap() == of_module);
    }
}

#[test]
fn a_component_that_ends_badly_is_told() {
    for (name, options, error) in [
        (
            "fail",
            &[][..],
            "error: the command 'fail' ended with exit code ",
        ),
        (
            "loop",
            &["--time-limit", "1"],
            "error: the guest 'loop' was stopped after 1 seconds",
        ),
        (
            "hog",
            &["--memory-limit", "16MiB"],
            "error: the guest 'hog' exceeded a limit: it asked for ",
        ),
        (
            "half",
            &["--content", "file:half.wasm", "--time", "0"],
            "error: the command 'half' ended without an error, but has not read its content",
        ),
    ] {
        for walls in WALLS {
            let bench = Bench::new();
            let options = [&["--size", "1MiB", "--walls", walls], options].concat();
            let outcome = mkfs_with(&bench, name, adapted(name), &options);
            assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
            assert!(outcome.stderr.starts_with(error), "{}", outcome.stderr);
            assert_eq!(bench.names(), [format!("{name}.wasm")]);
        }
    }
}

#[test]
fn small_writes_of_a_component_are_no_burden() {
    for walls in WALLS {
        let bench = Bench::new();
        let begun = std::time::Instant::now();
        let options = ["--size", "64MiB", "--walls", walls];
        mkfs_with(&bench, "fill", adapted("fill"), &options).done();
        eprintln!(
            "64 MiB in pieces of 4 KiB by a component within {walls}: {:?}",
            begun.elapsed()
        );
        let made = fs::read(bench.path("made.img")).unwrap();
        assert!(made.len() == 64 << 20 && made.iter().all(|byte| *byte == 0x55));
    }
}

#[test]
fn what_a_component_does_not_get_is_refused_by_name() {
    for walls in WALLS {
        let bench = Bench::new();
        component::component(&bench, "sockets");
        let bytes = fs::read(bench.path("sockets.wasm")).unwrap();
        let outcome = mkfs_with(
            &bench,
            "sockets",
            bytes,
            &["--size", "1MiB", "--walls", walls],
        );
        assert_eq!(outcome.code, Some(2));
        let error = "error: the command 'sockets' imports wasi:sockets/instance-network@0.2.12#instance-network, \
                     which it does not get: ";
        assert!(outcome.stderr.starts_with(error), "{}", outcome.stderr);
    }
}

#[test]
fn a_formatter_is_no_command_and_a_command_no_formatter() {
    let bench = Bench::new();
    let bytes = fs::read(component::formatter(&bench, "endless-loop")).unwrap();
    let outcome = mkfs_with(&bench, "endless-loop", bytes, &["--size", "1MiB"]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains("wasi:cli/run"),
        "{}",
        outcome.stderr
    );
    bench.write("silent.wasm", adapted("silent"));
    let outcome = bench.run(&[
        "mkfs",
        "silent",
        "-o",
        "made.img",
        "--size",
        "1MiB",
        "--guest",
        "silent=silent.wasm",
    ]);
    let hint = "error: the guest 'silent' is a WASI command and no component of the contract; say how it is called";
    assert!(outcome.stderr.starts_with(hint), "{}", outcome.stderr);
    let shown = bench.done(&["guests", "silent.wasm"]);
    assert!(shown.starts_with("silent: a WASI command\n"), "{shown}");
}

/// A component that imports and exports the interfaces of `version`, and ends with the result 0 or 1.
fn of_version(version: &str, result: u32) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component
          (import "wasi:cli/environment@{version}" (instance (export "get-arguments" (func (result (list string))))))
          (core module $module (func (export "run") (result i32) (i32.const {result})))
          (core instance $instance (instantiate $module))
          (func $run (result (result)) (canon lift (core func $instance "run")))
          (instance $exports (export "run" (func $run)))
          (export "wasi:cli/run@{version}" (instance $exports)))"#
    ))
    .unwrap()
}

#[test]
fn every_version_of_0_2_runs() {
    for version in ["0.2.0", "0.2.3", "0.2.12"] {
        let bench = Bench::new();
        mkfs_with(&bench, "older", of_version(version, 0), &["--size", "1MiB"]).done();
        let outcome = mkfs_with(&bench, "older", of_version(version, 1), &["--size", "1MiB"]);
        let error = "error: the command 'older' ended with exit code 1\n";
        assert_eq!(outcome.stderr, error);
    }
    let bench = Bench::new();
    let outcome = mkfs_with(&bench, "newer", of_version("0.3.0", 0), &["--size", "1MiB"]);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.stderr.contains("0.3.0"), "{}", outcome.stderr);
}
