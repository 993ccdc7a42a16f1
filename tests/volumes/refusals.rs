//! What imagecraft and snapd refuse is refused, with the line, and nothing is written.

use std::fs;
use std::path::{Path, PathBuf};

use super::imagecraft::project;
use crate::support::Bench;
use crate::support::bench::case;

/// The cases of `tests/cases/refused/KIND`: each a file of that kind, beside it what is said of it.
fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = case("refused").join(kind);
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().unwrap() == "yaml")
        .collect();
    cases.sort();
    cases
}

/// Fails unless a build of the case, beside a `file` of 7 bytes, says what stands beside it.
fn assert_refused(case: &Path, kind: &str) {
    let bench = Bench::new();
    let name = format!("{kind}.yaml");
    bench.write(&name, fs::read(case).unwrap());
    bench.write("file", "a file\n");
    bench.write("disk.img", "an image from before");
    let names = bench.names();
    // What is wrong with a gadget has nothing to do with the root file system that it gets.
    let more: &[&str] = match kind {
        "gadget" => &["--without-root"],
        _ => &[],
    };
    let build = ["build", &name, "-q", "-o", "disk.img"];
    let outcome = bench.run(&[&build, more].concat());
    let expected = fs::read_to_string(case.with_extension("txt")).unwrap();
    let called = case.display();
    assert_eq!(outcome.stderr, expected, "{called}");
    assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""), "{called}");
    assert_eq!(bench.names(), names, "{called}: something was left");
    let before = fs::read_to_string(bench.path("disk.img")).unwrap();
    assert_eq!(before, "an image from before", "{called}");
}

#[test]
fn what_imagecraft_refuses_is_refused() {
    let cases = cases("imagecraft");
    assert!(cases.len() > 40, "{}", cases.len());
    for case in cases {
        assert_refused(&case, "imagecraft");
    }
}

#[test]
fn what_snapd_refuses_is_refused() {
    let cases = cases("gadget");
    assert!(cases.len() > 35, "{}", cases.len());
    for case in cases {
        assert_refused(&case, "gadget");
    }
}

#[test]
fn content_for_nothing_is_refused() {
    let root = "{name: rootfs, role: system-data, type: '83', filesystem: ext4, size: 4M}";
    let bench = Bench::new();
    bench.write("imagecraft.yaml", project("mbr", &[root], "rootfs"));
    bench.create_folder("primed/other");
    bench.create_folder("root");
    for (options, message) in [
        (
            ["--content", "root=root"],
            "--content root: no partition has that name; the partitions are rootfs",
        ),
        (
            ["--content", "rootfs=absent"],
            "--content absent: No such file or directory (os error 2)",
        ),
        (
            ["--prime", "absent"],
            "--prime absent: No such file or directory (os error 2)",
        ),
        (
            ["--prime", "primed"],
            "--prime: nothing is there for partition 'rootfs': make one of the directories primed/rootfs or \
             primed/partitions/volume/pc/rootfs/prime or primed/prime, or say --content rootfs=SOURCE",
        ),
        (
            ["--volume", "disk"],
            "--volume disk: there is none of that name; the volumes are pc",
        ),
    ] {
        for command in ["build", "convert"] {
            let outcome = bench.run(&[&[command, "imagecraft.yaml"][..], &options].concat());
            assert_eq!(outcome.stderr, format!("error: {message}\n"));
            assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""));
        }
    }
    bench.write(
        "empty.toml",
        "[[partition]]\nname = \"p\"\ntype = \"linux\"\nsize = 512\n",
    );
    let outcome = bench.run(&["build", "empty.toml", "--content", "p=root"]);
    assert_eq!(
        outcome.stderr,
        "error: --content p: partition 'p' has no file system that this could be for\n"
    );
    assert_eq!(
        bench.names(),
        ["empty.toml", "imagecraft.yaml", "primed", "root"]
    );
}

#[test]
fn several_volumes_need_a_directory() {
    let bench = Bench::new();
    let structure = "    structure: [{name: p, type: bare, size: 1M, filesystem: none}]\n";
    bench.write(
        "gadget.yaml",
        format!(
            "volumes:\n  one:\n    bootloader: grub\n    schema: mbr\n{structure}  two:\n    schema: mbr\n{structure}"
        ),
    );
    let outcome = bench.run(&["build", "gadget.yaml", "--without-root", "-o", "disk.img"]);
    assert_eq!(
        outcome.stderr,
        "error: --output disk.img: there are 2 volumes, each with an image of its own: name a directory that exists, \
         or one volume with --volume\n"
    );
    let outcome = bench.run(&["convert", "gadget.yaml", "--without-root"]);
    assert_eq!(
        outcome.stderr,
        "error: there are 2 volumes, and one is printed at a time: name it with --volume: one, two\n"
    );
    assert_eq!(outcome.code, Some(2));
    assert_eq!(bench.names(), ["gadget.yaml"]);
}

#[test]
fn a_gadget_without_a_root_file_system_says_so() {
    let bench = Bench::new();
    bench.write(
        "gadget.yaml",
        "volumes:\n  pc:\n    bootloader: grub\n    schema: mbr\n",
    );
    bench.write("root/etc/hostname", "w");
    let outcome = bench.run(&["build", "gadget.yaml", "-o", "disk.img"]);
    assert_eq!(
        outcome.stderr,
        "error: no structure has the role system-data, so that the root file system 'writable' is appended, and nothing \
         says what is in it: add --content writable=SOURCE, or leave it out with --without-root\n"
    );
    assert_eq!(outcome.code, Some(2));
    let outcome = bench.run(&["build", "gadget.yaml", "--without-root", "-o", "disk.img"]);
    assert!(
        outcome.stderr.contains("there is no structure"),
        "{}",
        outcome.stderr
    );
}
