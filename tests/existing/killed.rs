//! Killed at any moment: what is promised of the image, and nothing left beside it.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::replaced::on_xfs;
use super::{MEBIBYTE, assert_rest_is, noise, place};
use crate::killed::Random;
use crate::support::Bench;
use crate::support::bench::names;

/// How often each is killed.
const TIMES: u32 = 20;
/// The partition that is spliced, in MiB: enough that there is time to kill.
const LENGTH: usize = 24;

/// An image in a folder of its own, whose second partition and a file for it are full of noise.
fn prepare(bench: &Bench) {
    bench.create_folder("out");
    let spec = super::THREE
        .replace("10MiB", "40MiB")
        .replace("\"4MiB\"", "\"24MiB\"");
    bench.write("image.toml", spec);
    bench.build("image.toml", "out/disk.img");
    for (name, seed) in [("old", 1), ("new", 2)] {
        bench.write(name, noise(LENGTH * MEBIBYTE, seed));
    }
    splice(bench, "old", "never");
}

fn splice(bench: &Bench, file: &str, atomic: &str) {
    bench.done(&[
        "splice",
        "out/disk.img",
        "two",
        file,
        "-q",
        "--atomic",
        atomic,
    ]);
}

fn start(bench: &Bench, atomic: &str) -> Child {
    bench
        .cellblock()
        .args(["splice", "out/disk.img", "two", "new", "--atomic", atomic])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Splices often and kills each time at another moment; `check` looks at the image.
fn kill_often(bench: &Bench, atomic: &str, check: impl Fn(&Path)) {
    let image = bench.path("out/disk.img");
    let before = fs::read(&image).unwrap();
    let two = place(bench, &image, "two");
    let begun = Instant::now();
    assert!(start(bench, atomic).wait().unwrap().success());
    let whole = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let mut random = Random::new();
    for _ in 0..TIMES {
        splice(bench, "old", "never");
        let mut child = start(bench, atomic);
        thread::sleep(Duration::from_micros(random.below(whole)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_rest_is(&image, &before, two.clone());
        bench.done(&["show", "out/disk.img"]);
        check(&image);
    }
    // Whatever a kill has left, the next one goes through, and leaves nothing.
    splice(bench, "new", atomic);
    assert_eq!(names(&bench.path("out")), ["disk.img"]);
    bench.done(&["cut", "out/disk.img", "two", "-o", "cut"]);
    assert!(fs::read(bench.path("cut")).unwrap() == fs::read(bench.path("new")).unwrap());
}

/// Fails unless the second partition is the old one or the new one, whole.
fn assert_old_or_new(bench: &Bench, image: &Path) {
    let two = place(bench, image, "two");
    let found = &fs::read(image).unwrap()[two];
    let is = |name: &str| found == fs::read(bench.path(name)).unwrap();
    assert!(
        is("old") || is("new"),
        "neither the old partition nor the new one"
    );
}

#[test]
fn in_place_the_table_and_the_other_partitions_are_intact() {
    let bench = Bench::new();
    prepare(&bench);
    kill_often(&bench, "never", |_| {
        assert_eq!(names(&bench.path("out")), ["disk.img"]);
    });
}

#[test]
fn a_copy_is_the_old_image_or_the_new_one() {
    let bench = Bench::new();
    prepare(&bench);
    kill_often(&bench, "always", |image| assert_old_or_new(&bench, image));
}

#[test]
fn a_clone_is_the_old_image_or_the_new_one() {
    let Some((_mount, _outer, bench)) = on_xfs() else {
        return;
    };
    prepare(&bench);
    kill_often(&bench, "auto", |image| assert_old_or_new(&bench, image));
}

/// While a file system is made, nothing of it reaches the image.
#[test]
fn a_file_system_that_is_not_done_is_not_in_the_image() {
    let bench = Bench::with_case("demo");
    prepare(&bench);
    let image = bench.path("out/disk.img");
    let before = fs::read(&image).unwrap();
    let holder = fs::File::open(&image).unwrap();
    // With the lock held by somebody else, filling ends before the splice.
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut random = Random::new();
    for _ in 0..TIMES {
        let mut child = bench
            .cellblock()
            .args(["fill", "out/disk.img", "two", "--filesystem", "ext4", "-q"])
            .args(["--content", "demo/rootfs.tar"])
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_micros(random.below(150_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(fs::read(&image).unwrap() == before);
        assert_eq!(names(&bench.path("out")), ["disk.img"]);
    }
}
