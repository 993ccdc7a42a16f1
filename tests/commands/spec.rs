//! Commands in a spec: `[guests.NAME]` with a `command`.

use super::{WALLS, module};
use crate::support::bench::assert_same_bytes;
use crate::support::{Bench, judge};
use crate::unprivileged::{as_nobody, folder_of_nobody};

const SPEC: &str = r#"
[[partition]]
name = "boot"
type = "linux-generic"
size = "2MiB"
filesystem = "tar"
label = "BOOT"
content = [{ text = "hello\n", to = "/greeting" }]

[disk]
time = 1700000000

[guests.tar]
file = "copy.wasm"
command = ["copy", ["-n", "{label}"], "{partition}"]
"#;

#[test]
fn a_partition_is_made_by_a_command() {
    for walls in WALLS {
        let bench = Bench::new();
        bench.write("copy.wasm", module("copy"));
        bench.write("image.toml", SPEC);
        bench.done(&[
            "build",
            "image.toml",
            "-o",
            "disk.img",
            "-q",
            "--walls",
            walls,
        ]);
        let partition = bench.cut(&bench.path("disk.img"), 1 << 20, 2 << 20, "boot.tar");
        let bytes = std::fs::read(partition).unwrap();
        assert_eq!(&bytes[..10], b"./\0\0\0\0\0\0\0\0");
        assert_eq!(&bytes[512..520], b"greeting");
        assert_eq!(&bytes[1024..1030], b"hello\n");
    }
}

/// What is said of a spec that differs in `from`, which is `to`.
fn refused(from: &str, to: &str) -> String {
    let bench = Bench::new();
    bench.write("copy.wasm", module("copy"));
    assert!(SPEC.contains(from));
    bench.write("image.toml", SPEC.replace(from, to));
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img", "-q"]);
    assert_ne!(outcome.code, Some(0));
    assert_eq!(bench.names(), ["copy.wasm", "image.toml"]);
    outcome.stderr
}

#[test]
fn a_placeholder_that_means_nothing_is_an_error_at_its_place() {
    let error = refused("{label}", "{lable}");
    assert!(error.contains("there is no placeholder {lable}"), "{error}");
    assert!(error.contains("image.toml:15:"), "{error}");
}

#[test]
fn what_the_command_line_has_no_place_for_is_an_error_at_its_place() {
    let label = refused("[\"-n\", \"{label}\"], ", "");
    let uuid = refused("label = \"BOOT\"", "label = \"BOOT\"\nuuid = \"ABCD-1234\"");
    let option = refused(
        "label = \"BOOT\"",
        "label = \"BOOT\"\noptions = { depth = 3 }",
    );
    for (error, what, placeholder, line) in [
        (label, "label", "{label}", 7),
        (uuid, "uuid", "{uuid}", 8),
        (option, "option depth", "{option:depth}", 8),
    ] {
        let title = format!(
            "partition 'boot': the {what} would be lost: the command line of this file system has no {placeholder}"
        );
        assert!(error.contains(&title), "{error}");
        assert!(error.contains(&format!("image.toml:{line}:")), "{error}");
    }
}

#[test]
fn a_size_that_nothing_measures_is_an_error_at_its_place() {
    let title =
        "partition 'boot': a command makes this file system, and cannot tell its smallest size";
    for (size, line) in [("", 6), ("size = \"minimum + 10%\"", 5)] {
        let error = refused("size = \"2MiB\"", size);
        assert!(error.contains(title), "{error}");
        assert!(error.contains(&format!("image.toml:{line}:")), "{error}");
    }
}

#[test]
fn options_become_arguments() {
    let bench = Bench::new();
    bench.write("copy.wasm", module("arguments"));
    let spec = SPEC
        .replace("label = \"BOOT\"", "options = { depth = 3 }")
        .replace("content =", "# content =")
        .replace(
            "[\"-n\", \"{label}\"]",
            "\"-d{option:depth}\", [\"-x\", \"{option:other}\"]",
        );
    bench.write("image.toml", spec);
    bench.done(&["build", "image.toml", "-o", "disk.img", "-q"]);
    let partition = bench.cut(&bench.path("disk.img"), 1 << 20, 2 << 20, "boot.img");
    let bytes = std::fs::read(partition).unwrap();
    assert!(bytes.starts_with(b"copy\0-d3\0/partition.img\0\0"));
}

#[test]
fn nobody_builds_with_commands_too() {
    let Some(setpriv) = judge("setpriv") else {
        return;
    };
    let bench = Bench::new();
    bench.write("copy.wasm", module("copy"));
    bench.write("image.toml", SPEC);
    bench.done(&["build", "image.toml", "-o", "disk.img", "-q"]);
    folder_of_nobody(&bench, "out");
    as_nobody(
        &bench,
        &setpriv,
        &["build", "image.toml", "-o", "out/disk.img", "-q"],
    );
    assert_same_bytes(&bench.path("out/disk.img"), &bench.path("disk.img"));
}

#[test]
fn a_command_line_is_printed_as_it_was_written() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let printed = bench.done(&["convert", "image.toml"]);
    let line = "tar = { file = \"copy.wasm\", command = [\"copy\", [\"-n\", \"{label}\"], \"{partition}\"] }";
    assert!(printed.contains(line), "{printed}");
}

#[test]
fn what_a_command_may_do_is_shown() {
    let bench = Bench::new();
    bench.write("copy.wasm", module("copy"));
    let shown = bench.done(&["guests", "copy.wasm"]);
    assert!(shown.starts_with("copy: a WASI command\n"), "{shown}");
    assert!(
        shown.contains("capabilities  wasi_snapshot_preview1#args_get\n"),
        "{shown}"
    );
    let json = bench.done(&["guests", "copy.wasm", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["command"], true);
}
