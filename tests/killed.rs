//! Killed at any moment, the program leaves no part of an image, and nothing else.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bench::{names, sha256};
use crate::support::{Ability, Bench, judge, lacks};

/// How often it is killed, with an image from before and without.
const TIMES: u32 = 20;
/// What stands in the image from before.
const OLD: &str = "an image from before";

/// Uniform numbers, the same on every run (Marsaglia, Xorshift RNGs, 2003).
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The demo, with enough content that there is time to kill.
fn bench() -> Bench {
    let bench = Bench::with_case("demo");
    let noise: Vec<u8> = (0_u32..12 << 20)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    bench.write("demo/overlay/noise", noise);
    bench.create_folder("out");
    bench
}

fn start(bench: &Bench) -> Child {
    bench
        .cellblock()
        .args([
            "build",
            "demo/image.toml",
            "-o",
            "out/disk.img",
            "--no-cache",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_is_killed_leaves_no_part_of_an_image() {
    let bench = bench();
    let folder = bench.path("out");
    let image = folder.join("disk.img");
    let begun = Instant::now();
    assert!(start(&bench).wait().unwrap().success());
    let whole = u64::try_from(begun.elapsed().as_micros()).unwrap();
    let complete = sha256(&image);

    let mut random = Random::new();
    for turn in 0..2 * TIMES {
        let existing = turn % 2 == 1;
        fs::remove_file(&image).unwrap_or_default();
        if existing {
            fs::write(&image, OLD).unwrap();
        }
        let mut child = start(&bench);
        thread::sleep(Duration::from_micros(random.below(whole)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_old_or_complete(&folder, existing, &complete);
    }
}

/// Fails unless the folder is as it was, or has the complete image.
fn assert_old_or_complete(folder: &Path, existing: bool, complete: &str) {
    let image = folder.join("disk.img");
    let names = names(folder);
    if names.is_empty() {
        assert!(!existing, "the image from before is gone");
        return;
    }
    assert_eq!(names, ["disk.img"]);
    let is_old = existing && fs::read(&image).unwrap() == OLD.as_bytes();
    assert!(is_old || sha256(&image) == complete, "a part of an image");
}

/// `link(2)` does not replace: for an instant before the rename, the complete image has a second name.
#[test]
fn killed_between_link_and_rename_the_next_build_cleans_up() {
    let bench = bench();
    let Some(strace) = judge("strace") else {
        return;
    };
    let folder = bench.path("out");
    let image = folder.join("disk.img");
    fs::write(&image, OLD).unwrap();
    let mut command = strace.command();
    command
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=rename,renameat,renameat2",
        ])
        .args([
            "-e",
            "inject=rename,renameat,renameat2:error=EIO:signal=KILL",
        ])
        .arg(crate::support::bench::program())
        .args([
            "build",
            "demo/image.toml",
            "-o",
            "out/disk.img",
            "--no-cache",
            "-q",
        ])
        .current_dir(bench.folder());
    let output = command.output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("ptrace") {
        lacks(Ability::Trace, "strace may not trace here");
        return;
    }
    assert_eq!(fs::read_to_string(&image).unwrap(), OLD);
    let left = names(&folder);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].starts_with(".cellblock."), "{left:?}");
    assert_eq!(left[1], "disk.img");
    assert!(start(&bench).wait().unwrap().success());
    assert_eq!(names(&folder), ["disk.img"]);
}
