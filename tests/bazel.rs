//! The rule for Bazel: an image from a spec, archives and files, in Bazel's own sandbox.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::bench::{copy_program, repository, set_time, sha256};
use crate::support::{Bench, judge};

/// A workspace with the rule, the program and the case, whose files have this time.
fn workspace(time: i64) -> Bench {
    let bench = Bench::with_case("bazel");
    let rule = fs::read_to_string(repository("docs/bazel/cellblock.bzl")).unwrap();
    bench.write("bazel/tools/cellblock.bzl", rule);
    copy_program(&bench.path("bazel/tools/cellblock"));
    set_time(&bench.path("bazel/motd"), time, 0);
    bench
}

/// Builds the image there: its digest.
fn built(bench: &Bench, bazel: &mut Command) -> String {
    let output = bazel
        .args(["--batch", "--output_user_root"])
        .arg(bench.path("root"))
        .args(["build", "//:disk"])
        .current_dir(bench.path("bazel"))
        .env("HOME", bench.folder())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    sha256(&bench.path("bazel/bazel-bin/disk.qcow2"))
}

#[test]
#[ignore = "takes 20 s; a step of CI"]
fn the_rule_for_bazel_makes_what_a_build_makes() {
    let Some(bazel) = judge("bazel") else {
        return;
    };
    let bench = workspace(1_700_000_000);
    let digest = built(&bench, &mut bazel.command());
    let record = fs::read(bench.path("bazel/bazel-bin/disk.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["partitions"][0]["name"], "root");

    let archive = bench.path("bazel/bazel-bin/rootfs.tar");
    let archive = format!("root=archive:{}", archive.display());
    let arguments = [
        "build",
        "bazel/image.toml",
        "-o",
        "own.qcow2",
        "--content",
        &archive,
        "--content",
        "root=file:bazel/motd,to=/etc/motd,owner=0:0,mode=0644",
    ];
    bench.done(&arguments);
    assert_eq!(sha256(&bench.path("own.qcow2")), digest);

    // Elsewhere, from a checkout of another day.
    let other = workspace(1_600_000_000);
    assert_eq!(built(&other, &mut bazel.command()), digest);
    other.write("bazel/motd", "changed\n");
    assert_ne!(built(&other, &mut bazel.command()), digest);
}
