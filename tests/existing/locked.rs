//! Two at once: the second waits, and sees what the first has made.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

use rustix::fs::{FlockOperation, flock};

use super::{MEBIBYTE, lived_in, noise};
use crate::support::Bench;

fn bench() -> Bench {
    let bench = Bench::new();
    lived_in(&bench);
    bench.write("new", noise(4 * MEBIBYTE, 5));
    bench
}

/// Starts a command that meets a lock, and waits until it says so.
fn start_waiting(
    bench: &Bench,
    arguments: &[&str],
) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = bench
        .cellblock()
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting: disk.img is locked by somebody else\n");
    (child, said)
}

fn ends_well((mut child, mut said): (Child, BufReader<std::process::ChildStderr>)) {
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
}

#[test]
fn a_change_waits_for_whoever_reads_or_changes() {
    let bench = bench();
    let image = bench.path("disk.img");
    let before = fs::read(&image).unwrap();
    for lock in [FlockOperation::LockShared, FlockOperation::LockExclusive] {
        let holder = File::open(&image).unwrap();
        flock(&holder, lock).unwrap();
        let child = start_waiting(
            &bench,
            &["splice", "disk.img", "two", "new", "--atomic", "never"],
        );
        assert!(
            fs::read(&image).unwrap() == before,
            "changed in spite of the lock"
        );
        drop(holder);
        ends_well(child);
        fs::write(&image, &before).unwrap();
    }
}

#[test]
fn what_is_read_waits_only_for_whoever_changes() {
    let bench = bench();
    let image = bench.path("disk.img");
    let holder = File::open(&image).unwrap();
    flock(&holder, FlockOperation::LockShared).unwrap();
    bench.done(&["cut", "disk.img", "two", "-o", "out"]);
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let child = start_waiting(&bench, &["cut", "disk.img", "two", "-o", "out"]);
    drop(holder);
    ends_well(child);
}

#[test]
fn an_image_that_was_replaced_meanwhile_is_the_one_that_is_changed() {
    let bench = bench();
    let image = bench.path("disk.img");
    let holder = File::open(&image).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let child = start_waiting(
        &bench,
        &["splice", "disk.img", "two", "new", "--atomic", "never"],
    );
    let mut other = fs::read(&image).unwrap();
    other[MEBIBYTE] = 0;
    bench.write("other.img", &other);
    fs::rename(bench.path("other.img"), &image).unwrap();
    drop(holder);
    ends_well(child);
    let after = fs::read(&image).unwrap();
    assert_eq!(after[MEBIBYTE], 0, "the replaced image was brought back");
    assert!(after[2 * MEBIBYTE..6 * MEBIBYTE] == noise(4 * MEBIBYTE, 5));
}

#[test]
fn many_at_once_lose_nothing() {
    let bench = bench();
    for (name, length, seed) in [("a", 1, 21), ("b", 4, 22), ("c", 2, 23)] {
        bench.write(name, noise(length * MEBIBYTE, seed));
    }
    for atomic in ["never", "always"] {
        let children: Vec<Child> = [("one", "a"), ("two", "b"), ("three", "c")]
            .into_iter()
            .map(|(partition, file)| {
                bench
                    .cellblock()
                    .args([
                        "splice", "disk.img", partition, file, "-q", "--atomic", atomic,
                    ])
                    .spawn()
                    .unwrap()
            })
            .collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let bytes = fs::read(bench.path("disk.img")).unwrap();
        let expected = [
            noise(MEBIBYTE, 21),
            noise(4 * MEBIBYTE, 22),
            noise(2 * MEBIBYTE, 23),
        ];
        assert!(bytes[MEBIBYTE..8 * MEBIBYTE] == expected.concat());
        lived_in(&bench);
    }
}

/// A table that changes while a file system is made: the partition may be elsewhere now.
#[test]
fn a_table_that_changes_meanwhile_is_left_alone() {
    let bench = bench();
    let image = bench.path("disk.img");
    let holder = File::open(&image).unwrap();
    flock(&holder, FlockOperation::LockExclusive).unwrap();
    let fill = ["fill", "disk.img", "two", "--filesystem", "swap"];
    let (mut child, mut said) = start_waiting(&bench, &fill);
    let other = super::THREE.replace("\"4MiB\"", "\"3MiB\"");
    bench.write("other.toml", other);
    bench.build("other.toml", "other.img");
    let other = fs::read(bench.path("other.img")).unwrap();
    fs::write(&image, &other).unwrap();
    drop(holder);
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(
        rest,
        "error: disk.img: its partition table has changed while the content of partition 2 'two' was made: begin again\n"
    );
    assert!(fs::read(&image).unwrap() == other);
}
