//! How commands end that do not end well.

use super::{WALLS, failed, mkfs, mkfs_with, module};
use crate::refusals::output::small_disk;
use crate::support::Bench;
use crate::support::bench::names;

#[test]
fn an_exit_code_is_told_with_the_last_lines() {
    assert_eq!(
        failed("fail", &[]),
        "error: the command 'fail' ended with exit code 3; it says:\n    | first\n    | \\u{1b}[2Jred\n    | put\n"
    );
}

#[test]
fn a_trap_is_told_with_the_last_lines() {
    let error = failed("trap", &[]);
    assert!(
        error.starts_with("error: the command 'trap' failed: "),
        "{error}"
    );
    assert!(error.contains("unreachable"), "{error}");
    assert!(error.ends_with("; it says:\n    | it is over\n"), "{error}");
}

/// A module whose start function, which runs while it is instantiated, ends with this code.
fn ending_at_start(code: u32) -> Vec<u8> {
    let module = format!(
        "(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
          (memory (export \"memory\") 1)
          (func $start (call $exit (i32.const {code})))
          (func (export \"_start\") unreachable)
          (start $start))"
    );
    wat::parse_str(module).unwrap()
}

#[test]
fn an_exit_in_a_start_function_is_an_exit() {
    for walls in WALLS {
        let bench = Bench::new();
        let options = ["--size", "1MiB", "--walls", walls];
        mkfs_with(&bench, "at-start", ending_at_start(0), &options).done();
        let outcome = mkfs_with(&bench, "at-start", ending_at_start(3), &options);
        assert_eq!(
            outcome.stderr,
            "error: the command 'at-start' ended with exit code 3\n"
        );
    }
}

#[test]
fn content_that_is_not_read_is_an_error() {
    for name in ["silent", "half"] {
        let error = failed(
            name,
            &[
                "--content",
                "file:/etc/hostname,to=/hostname",
                "--time",
                "0",
            ],
        );
        let start = format!(
            "error: the command '{name}' ended without an error, but has not read its content, the tar archive on its \
             standard input, to the end: what is left would be lost"
        );
        assert!(error.starts_with(&start), "{error}");
    }
}

#[test]
fn without_content_nothing_need_be_read() {
    assert!(super::made("silent", &[]).iter().all(|byte| *byte == 0));
}

#[test]
fn an_endless_loop_is_stopped() {
    let error = failed("loop", &["--time-limit", "1"]);
    assert!(
        error.contains("the guest 'loop' was stopped after 1 seconds"),
        "{error}"
    );
}

#[test]
fn memory_has_a_limit() {
    let error = failed("hog", &["--memory-limit", "16MiB"]);
    assert!(
        error.contains("bytes of memory, and the limit is 16777216"),
        "{error}"
    );
}

#[test]
fn a_full_disk_is_the_reason_that_is_told() {
    for walls in WALLS {
        let bench = Bench::new();
        let Some(_disk) = small_disk(&bench) else {
            return;
        };
        let options = ["--size", "64MiB", "--walls", walls, "-o", "small/made.img"];
        let outcome = mkfs(&bench, "fill", &options);
        assert_eq!(outcome.code, Some(1));
        assert!(
            outcome.stderr.contains("the disk is full: "),
            "{}",
            outcome.stderr
        );
        assert!(names(&bench.path("small")).is_empty());
    }
}

#[test]
fn descriptors_have_a_limit() {
    let error = failed("open", &["--handle-limit", "50"]);
    assert_eq!(error, "error: the command 'open' ended with exit code 33\n");
}

#[test]
fn what_it_says_is_bounded() {
    for walls in WALLS {
        let bench = Bench::new();
        bench.write("flood.wasm", module("flood"));
        let outcome = bench.run(&[
            "mkfs",
            "flood",
            "-o",
            "made.img",
            "--size",
            "1MiB",
            "--walls",
            walls,
            "--guest",
            "flood=flood.wasm",
            "--guest-command",
            "flood=flood",
        ]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let lines = outcome.stderr.lines().count();
        assert!((900..=1001).contains(&lines), "{lines}");
        let cut = "warning: flood: its formatter logged 999000 lines more than the 1000 that are kept of a log\n";
        assert!(outcome.stderr.contains(cut));
        assert!(outcome.stderr.len() < 100_000);
    }
}

/// A command that imports one function more.
fn importing(interface: &str, name: &str) -> Vec<u8> {
    wat::parse_str(format!(
        "(module (import \"{interface}\" \"{name}\" (func)) (memory (export \"memory\") 1) (func (export \"_start\")))"
    ))
    .unwrap()
}

#[test]
fn what_it_does_not_get_is_refused_by_name() {
    for (interface, name) in [
        ("wasi_snapshot_preview1", "sock_accept"),
        ("wasi", "thread-spawn"),
        ("env", "run_program"),
        ("wasi_unstable", "fd_write"),
    ] {
        for walls in WALLS {
            let bench = Bench::new();
            bench.write("greedy.wasm", importing(interface, name));
            let outcome = bench.run(&[
                "mkfs",
                "greedy",
                "-o",
                "made.img",
                "--size",
                "1MiB",
                "--walls",
                walls,
                "--guest",
                "greedy=greedy.wasm",
                "--guest-command",
                "greedy=greedy",
            ]);
            assert_eq!(
                outcome.stderr,
                format!(
                    "error: the command 'greedy' imports {interface}#{name}, which it does not get: a command has \
                     its arguments, its partition, standard streams, clocks and random numbers\n"
                )
            );
            assert_eq!(bench.names(), ["greedy.wasm"]);
        }
    }
}

#[test]
fn what_is_no_command_is_refused() {
    let no_start = "(module (memory (export \"memory\") 1))";
    let no_memory = "(module (func (export \"_start\")))";
    for (text, what) in [
        (no_start, "no function '_start'"),
        (no_memory, "no memory 'memory'"),
    ] {
        let bench = Bench::new();
        bench.write("none.wasm", wat::parse_str(text).unwrap());
        let outcome = bench.run(&[
            "mkfs",
            "none",
            "-o",
            "made.img",
            "--size",
            "1MiB",
            "--guest",
            "none=none.wasm",
            "--guest-command",
            "none=none",
        ]);
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.stderr.contains(what), "{}", outcome.stderr);
    }
}

#[test]
fn a_command_without_its_command_line_is_told_so() {
    let bench = Bench::new();
    bench.write("silent.wasm", module("silent"));
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
    assert_eq!(outcome.code, Some(2));
    let hint = "--guest-command silent='mkfs {partition}'";
    assert!(outcome.stderr.contains(hint), "{}", outcome.stderr);
}

#[test]
fn a_command_measures_nothing() {
    let bench = Bench::new();
    let outcome = mkfs(&bench, "silent", &[]);
    assert_eq!(outcome.code, Some(1));
    let error = "error: the command 'silent' cannot tell the smallest size; give one";
    assert!(outcome.stderr.starts_with(error), "{}", outcome.stderr);
}
