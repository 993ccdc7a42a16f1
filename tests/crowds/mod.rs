//! Images with millions of entries, from strangers: each is listed, or refused with what it would take, within the memory
//! that is promised (64 MiB and 1 KiB a node; 3 GiB at most).

mod squashfs;

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use crate::support::watch::watch;
use crate::support::{Bench, judge};
use squashfs::Squashfs;

const MIB: u64 = 1 << 20;

/// Runs a command on an image: how it ends, what it says, and the lines of its output. It takes no more than `limit`, and
/// what its nodes may take.
fn endure(bench: &Bench, arguments: &[&str], nodes: u64, limit: u64) -> (i32, String, usize) {
    // What a compiler takes is no matter of content.
    bench.done(&["guests"]);
    let file = |name: &str| File::create(bench.path(name)).unwrap();
    let begun = Instant::now();
    let child = bench
        .cellblock()
        .args(arguments)
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap();
    let watched = watch(child, Duration::from_secs(limit));
    let (memory, time) = (watched.memory / MIB, begun.elapsed().as_secs_f64());
    eprintln!("{arguments:?}: {time:.1} s, {memory} MiB");
    let most = 64 * MIB + nodes * 1024;
    // The reader's own memory, and what the program is.
    let beside = 256 * MIB;
    assert!(watched.memory <= most + beside, "{memory} MiB");
    let ended = watched.ended.unwrap();
    let said = std::fs::read_to_string(bench.path("stderr")).unwrap();
    let lines = BufReader::new(File::open(bench.path("stdout")).unwrap()).lines();
    (ended.code().unwrap(), said, lines.count())
}

/// What makes the images is right: a program that knows nothing of it lists the same.
#[test]
fn a_crowd_is_what_others_read() {
    let bench = Bench::new();
    let crowd = Squashfs {
        folders: 7,
        devices: 1500,
    };
    crowd.write(&bench.path("crowd.squashfs"));
    let ours = bench.done(&["ls", "-R", "crowd.squashfs"]);
    assert!(ours.ends_with("\nf0006/1499\n"), "{ours:.2000}");
    assert_eq!(ours.lines().count(), 7 + 7 * 1500);
    let Some(unsquashfs) = judge("unsquashfs") else {
        return;
    };
    let theirs = unsquashfs.content_with(&["-ls"], &bench.path("crowd.squashfs"));
    let theirs: Vec<&str> = theirs
        .lines()
        .filter_map(|line| line.strip_prefix("squashfs-root/"))
        .collect();
    assert_eq!(ours.lines().collect::<Vec<_>>(), theirs);
}

#[test]
#[ignore = "takes gigabytes of memory"]
fn ten_million_entries_are_listed() {
    let bench = Bench::new();
    let crowd = Squashfs {
        folders: 1000,
        devices: 10_000,
    };
    crowd.write(&bench.path("crowd.squashfs"));
    let (code, said, lines) = endure(&bench, &["ls", "-R", "crowd.squashfs"], crowd.nodes(), 300);
    assert_eq!((code, &*said), (0, ""));
    assert_eq!(lines, 10_001_000);
}

#[test]
#[ignore = "takes gigabytes of memory"]
fn more_entries_than_there_is_memory_for_are_refused() {
    let bench = Bench::new();
    let crowd = Squashfs {
        folders: 2000,
        devices: 10_000,
    };
    crowd.write(&bench.path("crowd.squashfs"));
    // Of 3 GiB, whatever the image says.
    let (code, said, lines) = endure(&bench, &["ls", "-R", "crowd.squashfs"], 3 << 20, 300);
    assert_eq!((code, lines), (1, 0), "{said}");
    let limit = "bytes of memory, and the limit is 1073741824";
    assert!(said.contains(limit), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
