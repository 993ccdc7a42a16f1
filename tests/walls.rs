//! The second wall: a process for each formatter, which can do nothing but ask.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::determinism::DEMO;
use crate::support::bench::{Outcome, program, sha256};
use crate::support::{Ability, Bench, component, judge, lacks};

/// A disk whose one formatter never returns.
const ENDLESS: &str = r#"
[[partition]]
name = "victim"
type = "linux-generic"
size = "1MiB"
filesystem = "hostile"
"#;

#[test]
fn what_is_behind_the_wall_cannot_get_out() {
    let told = Bench::new().done(&["walls"]);
    for attempt in [
        "open a file",
        "make a file",
        "make a network socket",
        "make a local socket",
        "signal its host",
        "take a descriptor of its host",
        "start a thread",
        "start a program",
        "become another program",
        "take back a limit",
        "write compiled code",
    ] {
        let line = told.lines().find(|line| line.starts_with(attempt));
        let refused =
            line.is_some_and(|line| line.ends_with("Operation not permitted (os error 1)"));
        assert!(refused, "{attempt}: {told}");
    }
}

#[test]
fn images_are_the_same_within_each_wall() {
    for walls in ["wasm", "process"] {
        let bench = Bench::with_case("demo");
        let record = bench.done(&[
            "build",
            "demo/image.toml",
            "-o",
            "demo.img",
            "--json",
            "-",
            "--walls",
            walls,
        ]);
        assert_eq!(sha256(&bench.path("demo.img")), DEMO);
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let partitions = record["partitions"].as_array().unwrap();
        let stood: Vec<_> = partitions
            .iter()
            .filter_map(|partition| partition.get("filesystem"))
            .map(|filesystem| filesystem["wall"].as_str().unwrap())
            .collect();
        assert_eq!(stood, [walls; 3]);
    }
}

/// Starts to build with the formatter that never returns, until its process is there: the build, and that process.
#[expect(clippy::zombie_processes, reason = "the caller waits for it")]
fn endless(bench: &Bench) -> (Child, Pid) {
    component::formatter(bench, "endless-loop");
    bench.write("image.toml", ENDLESS);
    let mut build = bench.cellblock();
    build
        .args(["build", "image.toml", "-o", "disk.img", "-q"])
        .args(["--guest", "hostile=endless-loop.wasm", "--walls", "process"])
        .stderr(Stdio::piped());
    let mut build = build.spawn().unwrap();
    let begun = Instant::now();
    loop {
        if let Some(cell) = cell_of(&build).filter(|cell| is_running(*cell)) {
            return (build, cell);
        }
        if begun.elapsed() > Duration::from_secs(60) {
            build.kill().unwrap();
            build.wait().unwrap();
            panic!("no process of a cell");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The process that a build has started.
fn cell_of(build: &Child) -> Option<Pid> {
    let threads = fs::read_dir(format!("/proc/{}/task", build.id())).ok()?;
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|children| {
            let numbers = children
                .split_whitespace()
                .map(|number| number.parse().ok());
            numbers.collect::<Vec<Option<i32>>>()
        })
        .flatten()
        .find_map(Pid::from_raw)
}

/// Whether a process has computed for a while: it calls its guest.
fn is_running(process: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    let ticks = status.ok().and_then(|status| {
        let (_, fields) = status.rsplit_once(") ")?;
        fields.split(' ').nth(11)?.parse::<u32>().ok()
    });
    ticks.is_some_and(|ticks| ticks > 50)
}

#[test]
fn a_process_that_is_killed_is_an_error_of_its_partition() {
    let bench = Bench::new();
    bench.write("disk.img", "an image from before");
    let (build, cell) = endless(&bench);
    kill_process(cell, Signal::KILL).unwrap();
    let output = build.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let start =
        "error: partition 'victim': the guest 'hostile' has lost its process (signal: 9 (SIGKILL))";
    assert!(error.starts_with(start), "{error}");
    assert_eq!(
        fs::read_to_string(bench.path("disk.img")).unwrap(),
        "an image from before"
    );
    assert_eq!(
        bench.names(),
        ["disk.img", "endless-loop.wasm", "image.toml"]
    );
}

#[test]
fn no_process_outlives_the_build() {
    let bench = Bench::new();
    let (mut build, cell) = endless(&bench);
    build.kill().unwrap();
    build.wait().unwrap();
    let process = format!("/proc/{}/exe", cell.as_raw_nonzero());
    let begun = Instant::now();
    // Of a process that has ended, and that nobody has waited for yet, the program is gone.
    while fs::read_link(&process).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it goes on");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Builds the demo where a system call fails as if the kernel did not have it.
fn without(bench: &Bench, call: &str, options: &[&str]) -> Option<Outcome> {
    let strace = judge("strace")?;
    let mut command = strace.command();
    command
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={call}"),
        ])
        .args(["-e", &format!("inject={call}:error=ENOSYS")])
        .arg(program())
        .args(["mkfs", "swap", "-o", "swap.img", "--size", "1MiB"])
        .args(options)
        .current_dir(bench.folder());
    let outcome = Outcome::of(&mut command);
    if outcome.stderr.contains("ptrace") {
        lacks(Ability::Trace, "strace may not trace here");
        return None;
    }
    Some(outcome)
}

#[test]
fn a_kernel_that_lacks_something_is_told_of() {
    for (call, name) in [
        ("landlock_create_ruleset", "Landlock"),
        ("seccomp", "seccomp"),
    ] {
        let bench = Bench::new();
        let Some(refused) = without(&bench, call, &["--walls", "process"]) else {
            return;
        };
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        let start = "error: a cell cannot be locked up in a process here: ";
        assert!(refused.stderr.starts_with(start), "{}", refused.stderr);
        assert!(
            refused.stderr.contains(&format!("does not allow {name}")),
            "{}",
            refused.stderr
        );
        assert!(!Path::new(&bench.path("swap.img")).exists());

        let record = without(&bench, call, &["--json", "-"]).unwrap().done();
        let record: serde_json::Value = serde_json::from_str(&record).unwrap();
        let filesystem = &record["partitions"][0]["filesystem"];
        assert_eq!(filesystem["wall"], "wasm");
        assert!(
            filesystem["no-process"].as_str().unwrap().starts_with(name),
            "{record}"
        );
    }
}
