//! Codecs: native code that takes archives apart, in processes behind the second wall.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::content::archive::{feed, make_fifo};
use crate::support::bench::{Outcome, program, sha256};
use crate::support::{Ability, Bench, judge, lacks};

/// An archive with a file that compresses, and one that does not.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(900_000)
    .collect();
    for (name, bytes) in [("text", b"some text, ".repeat(400_000)), ("noise", noise)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The archive in each compression: the end of its name, and its bytes.
fn compressed(archive: &[u8]) -> [(&'static str, Vec<u8>); 5] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(archive).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(archive).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 0);
    xz.write_all(archive).unwrap();
    let mut zst = zstd::Encoder::new(Vec::new(), 1).unwrap();
    zst.include_checksum(true).unwrap();
    zst.write_all(archive).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(archive).unwrap();
    [
        ("gz", gzip.finish().unwrap()),
        ("bz2", bzip2.finish().unwrap()),
        ("zst", zst.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
        ("lz4", lz4.finish().unwrap()),
    ]
}

fn mkfs(content: &str) -> [&str; 12] {
    [
        "mkfs",
        "ext4",
        "-o",
        "root.img",
        "--size",
        "16MiB",
        "--seed",
        "00000000000000000000000000000001",
        "--content",
        content,
        "--json",
        "-",
    ]
}

fn file_system(record: &str) -> serde_json::Value {
    let record: serde_json::Value = serde_json::from_str(record).unwrap();
    record["partitions"][0]["filesystem"].clone()
}

#[test]
fn archives_come_apart_in_processes_as_they_do_in_threads() {
    let bench = Bench::new();
    let plain = archive();
    fs::write(bench.path("root.tar"), &plain).unwrap();
    let record = bench.done(&mkfs("root.tar"));
    assert!(file_system(&record).get("codecs").is_none(), "{record}");
    let expected = sha256(&bench.path("root.img"));
    for (ending, bytes) in compressed(&plain) {
        let name = format!("root.tar.{ending}");
        fs::write(bench.path(&name), bytes).unwrap();
        for (walls, codecs) in [("process", "process"), ("wasm", "thread")] {
            let arguments = [&mkfs(&name)[..], &["--walls", walls]].concat();
            let record = bench.done(&arguments);
            assert_eq!(file_system(&record)["codecs"], codecs, "{record}");
            assert_eq!(sha256(&bench.path("root.img")), expected, "{name}, {walls}");
        }
    }
}

#[test]
fn damage_is_told_in_the_same_words_by_processes_and_threads() {
    let bench = Bench::new();
    for (ending, mut bytes) in compressed(&archive()) {
        let name = format!("root.tar.{ending}");
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].fill(0xff);
        for (damaged, is_cut) in [(&bytes[..], false), (&bytes[..middle], true)] {
            fs::write(bench.path(&name), damaged).unwrap();
            let [process, thread] = ["process", "wasm"].map(|walls| {
                let arguments = [&mkfs(&name)[..], &["--walls", walls]].concat();
                let outcome = bench.run(&arguments);
                (outcome.code, outcome.stderr)
            });
            assert_eq!(process, thread);
            // LZ4 has no checksum here: what it gives may be wrong and no error.
            if is_cut || ending != "lz4" {
                assert_eq!(process.0, Some(1), "{}", process.1);
                assert!(process.1.contains(&name), "{}", process.1);
            }
        }
    }
}

/// The processes that a build has started.
fn started(build: &Child) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{}/task", build.id())).unwrap();
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|children| {
            let numbers = children.split_whitespace().map(|number| number.parse());
            numbers.flatten().collect::<Vec<i32>>()
        })
        .filter_map(Pid::from_raw)
        .collect()
}

#[test]
fn a_process_that_is_killed_while_it_decompresses_is_an_error_of_its_partition() {
    let bench = Bench::new();
    make_fifo(&bench.path("root.tar.zst"));
    let [_, _, (_, bytes), ..] = compressed(&archive());
    let mut build = bench.cellblock();
    build
        .args(mkfs("archive:root.tar.zst"))
        .args(["--walls", "process"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let build = build.spawn().unwrap();
    let mut fifo = feed(&bench.path("root.tar.zst")).expect("nobody opens the fifo");
    let (first, second) = bytes.split_at(bytes.len() / 2);
    fifo.write_all(first).unwrap();
    // One for the formatter, and one that waits for the rest of the archive.
    let begun = Instant::now();
    let processes = loop {
        let processes = started(&build);
        if processes.len() > 1 {
            break processes;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no process");
        thread::sleep(Duration::from_millis(10));
    };
    for process in processes {
        kill_process(process, Signal::KILL).unwrap();
    }
    // The build may be gone before all is written.
    let _ = fifo.write_all(second);
    drop(fifo);
    let output = build.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let words = "the process that decompresses it has ended (signal: 9 (SIGKILL))";
    assert!(
        error.contains("root.tar.zst") && error.contains(words),
        "{error}"
    );
    assert_eq!(bench.names(), ["root.tar.zst"]);
}

#[test]
fn codecs_run_in_threads_where_the_kernel_allows_no_process_and_the_record_says_why() {
    let bench = Bench::new();
    let Some(strace) = judge("strace") else {
        return;
    };
    let [(_, bytes), ..] = compressed(&archive());
    fs::write(bench.path("root.tar.gz"), bytes).unwrap();
    let without_seccomp = |options: &[&str]| {
        let mut command = strace.command();
        command
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=seccomp"])
            .args(["-e", "inject=seccomp:error=ENOSYS"])
            .arg(program())
            .args(mkfs("root.tar.gz"))
            .args(options)
            .current_dir(bench.folder());
        Outcome::of(&mut command)
    };
    let made = without_seccomp(&[]);
    if made.stderr.contains("ptrace") {
        lacks(Ability::Trace, "strace may not trace here");
        return;
    }
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let file_system = file_system(&made.stdout);
    assert_eq!(file_system["codecs"], "thread");
    let why = file_system["no-codec-process"].as_str().unwrap();
    assert!(why.starts_with("seccomp"), "{why}");
    let refused = without_seccomp(&["--walls", "process"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
}
