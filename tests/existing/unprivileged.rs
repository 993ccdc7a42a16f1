//! An ordinary user changes a disk of his own, with no right. Without a device or a search path: `crate::unprivileged`.

use std::fs;
use std::process::Command;

use crate::support::bench::{assert_same_bytes, names};
use crate::support::judges::judge_ext4;
use crate::support::{Bench, disk, is_root, judge, text};
use crate::unprivileged::{bench, without_rights};

/// Runs a command of the program behind `wrapper`, in an empty environment.
fn run(bench: &Bench, wrapper: &[&str], command: &str) {
    let mut words = wrapper.iter().copied().chain(command.split_whitespace());
    let output = Command::new(words.next().unwrap())
        .args(words)
        .env_clear()
        .current_dir(bench.folder())
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {}", text(&output));
}

/// Has all three commands work on the demo, each behind `wrapper`.
fn change(bench: &Bench, wrapper: &[&str]) {
    run(
        bench,
        wrapper,
        "./cellblock build demo/image.toml -o out/disk.img -q",
    );
    run(
        bench,
        wrapper,
        "./cellblock build demo/image.toml -o out/old.img -q",
    );
    run(
        bench,
        wrapper,
        "./cellblock cut out/disk.img root -o out/root -q",
    );
    run(
        bench,
        wrapper,
        "./cellblock fill out/disk.img root --filesystem ext4 --content demo/rootfs.tar --label new -q",
    );
    judge_ext4(&disk::cut_out(bench, &bench.path("out/disk.img"), "root"));
    run(
        bench,
        wrapper,
        "./cellblock splice out/disk.img root out/root -q --atomic always",
    );
    assert_same_bytes(&bench.path("out/disk.img"), &bench.path("out/old.img"));
    assert_eq!(names(&bench.path("out")), ["disk.img", "old.img", "root"]);
}

#[test]
fn nobody_changes_a_disk() {
    let bench = bench();
    let Some(setpriv) = judge("setpriv") else {
        return;
    };
    let wrapper = [
        &[setpriv.program().to_str().unwrap()][..],
        &without_rights(),
    ]
    .concat();
    change(&bench, &wrapper);
    if is_root() {
        use std::os::unix::fs::MetadataExt as _;
        let owner = fs::metadata(bench.path("out/disk.img")).unwrap().uid();
        assert_eq!(owner, 65534);
    }
}
