//! Content that was hashed before is not read for a key, unless that is asked for.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use cellblock_judges::{Ability, judge, lacks};

use super::{Bench, sha256};
use crate::support::bench::{cache, program, repository};
use crate::support::trace;

/// Whether the project is on a file system that is not overlaid, and no subvolume: what is on others is always hashed.
fn is_on_a_disk() -> bool {
    let device = fs::metadata(repository("wit")).unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut own = mounts
        .lines()
        .filter(|line| line.contains(&format!(" {major}:{minor} ")));
    own.any(|line| !line.contains(" - overlay "))
}

/// How often files of the content are opened by a build, and the image's digest.
fn opened(bench: &Bench, arguments: &[&str]) -> Option<(usize, String)> {
    let strace = judge("strace")?;
    let probe = strace.command().args(["-o", "/dev/null", "true"]).output();
    if !probe.is_ok_and(|it| it.status.success()) {
        lacks(Ability::Trace, "strace traces nothing");
        return None;
    }
    let log = bench.path("trace");
    let mut command = Command::new(strace.program());
    command.args(["-f", "-y", "-e", "trace=openat,openat2", "-o"]);
    command.arg(&log).arg(program());
    command.args(["mkfs", "ext4", "-o", "out.img", "--time", "0", "-q"]);
    // Nobody has written to this folder for a while.
    command
        .args(["--cache", "cache", "--content"])
        .arg(repository("wit"));
    command.args(arguments).current_dir(bench.folder());
    command.env("XDG_CACHE_HOME", cache());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let calls = trace::calls(&fs::read_to_string(&log).unwrap());
    let files = calls.iter().filter(|call| call.contains("cellblock.wit"));
    Some((files.count(), sha256(&bench.path("out.img"))))
}

#[test]
fn unchanged_files_are_not_read_for_a_key() {
    let bench = Bench::new();
    if !is_on_a_disk() {
        lacks(Ability::Disk, "the project is on an overlay or a subvolume");
        return;
    }
    let Some((_, first)) = opened(&bench, &[]) else {
        return;
    };
    assert_eq!(opened(&bench, &[]).unwrap(), (0, first.clone()));
    let (paranoid, same) = opened(&bench, &["--cache-paranoid"]).unwrap();
    assert_eq!((paranoid > 0, same), (true, first));
}
