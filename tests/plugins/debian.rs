//! Debian's mkfs programs, compared with themselves outside.

use std::fs;
use std::path::{Path, PathBuf};

use super::{built, plugin};
use crate::support::bench::{Outcome, assert_same_bytes};
use crate::support::judges::{Judge, judge_ext4, judge_fat};
use crate::support::{Bench, disk, judge, skipped, text};

/// When everything was made: 2023-11-14T22:13:20Z.
const TIME: i64 = 1_700_000_000;
const UUID: &str = "3c2f1d64-90ab-4c7e-8f12-5566778899aa";
/// Its last four bytes.
const SERIAL: &str = "778899aa";
const HASH_SEED: &str = "b7a1d0c2-4f3e-4d5c-9b8a-102030405060";
const MEBIBYTE: usize = 1 << 20;

/// A disk with one partition of 64 MiB that the plugin `name` makes, called with `arguments`.
fn spec(name: &str, arguments: &str) -> String {
    format!(
        r#"
        [disk]
        time = {TIME}

        [[partition]]
        name = "part"
        type = "linux-generic"
        size = "64MiB"
        filesystem = "made"
        label = "VOLUME"
        uuid = "{UUID}"

        [guests.made]
        file = "{name}.wasm"
        command = [{arguments}]
        "#
    )
}

/// What the program `name` of this machine makes of a file of 64 MiB, if it is of the version that the plugin is of.
fn native(bench: &Bench, name: &str, version: &str, arguments: &[&str]) -> Option<PathBuf> {
    let program = judge(name)?;
    if !tells_version(&program, version) {
        skipped(&format!("{name} {version}"), "another version is installed");
        return None;
    }
    let path = bench.path("native.img");
    fs::File::create(&path).unwrap().set_len(64 << 20).unwrap();
    let output = program
        .command()
        .args(arguments)
        .arg(&path)
        .env("E2FSPROGS_FAKE_TIME", TIME.to_string())
        // None, so that the defaults that are compiled in hold.
        .env("MKE2FS_CONFIG", "/nonexistent")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(path)
}

fn tells_version(program: &Judge, version: &str) -> bool {
    // mke2fs has `-V` for it; mkfs.fat tells it with its help.
    ["-V", "--help"].iter().any(|option| {
        let output = program.command().arg(option).output().unwrap();
        text(&output).split_whitespace().any(|word| word == version)
    })
}

#[test]
fn mkfs_fat_of_debian_makes_what_it_makes_outside() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "mkfs.fat") else {
        return;
    };
    let arguments = r#""mkfs.fat", ["-n", "{label}"], "-i", "{serial}", "{partition}""#;
    let image = built(&bench, &spec("mkfs.fat", arguments));
    judge_fat(&disk::cut_out(&bench, &image, "part"));

    // Outside, it asks a clock that cannot be set for the time of the label, unless it is told to take none.
    let arguments = arguments.replacen(',', ", \"--invariant\",", 1);
    let image = bench.build_text(&spec("mkfs.fat", &arguments));
    let part = disk::cut_out(&bench, &image, "part");
    let outside = ["--invariant", "-n", "VOLUME", "-i", SERIAL];
    if let Some(native) = native(&bench, "mkfs.fat", "4.2", &outside) {
        assert_same_bytes(&part, &native);
    }
}

#[test]
fn mke2fs_of_debian_makes_what_it_makes_outside() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "mke2fs") else {
        return;
    };
    let arguments = format!(
        r#""mke2fs", "-q", "-t", "ext4", ["-L", "{{label}}"], "-U", "{{uuid}}", "-E", "hash_seed={HASH_SEED}", "{{partition}}""#
    );
    let image = built(&bench, &spec("mke2fs", &arguments));
    let part = disk::cut_out(&bench, &image, "part");
    judge_ext4(&part);
    let settings = format!("nodiscard,hash_seed={HASH_SEED}");
    let outside = [
        "-q", "-F", "-t", "ext4", "-L", "VOLUME", "-U", UUID, "-E", &settings,
    ];
    if let Some(native) = native(&bench, "mke2fs", "1.47.0", &outside) {
        assert_same_but_for_the_count_of_writes(&part, &native);
    }
}

/// Outside, mke2fs has the kernel zero the journal, and does not count that as written; inside, it writes it.
fn assert_same_but_for_the_count_of_writes(one: &Path, other: &Path) {
    const SUPERBLOCK: usize = 1024;
    /// From one group's copy of the superblock to the next's, with blocks of 1024 bytes.
    const GROUP: usize = 8 * MEBIBYTE;
    /// s_kbytes_written and s_checksum.
    const MAY_DIFFER: [std::ops::Range<usize>; 2] = [0x178..0x180, 0x3fc..0x400];
    let (one, other) = (fs::read(one).unwrap(), fs::read(other).unwrap());
    assert_eq!(one.len(), other.len());
    let differing: Vec<usize> = (0..one.len())
        .filter(|at| one[*at] != other[*at])
        .filter(|at| {
            let within = at.checked_sub(SUPERBLOCK).map(|at| at % GROUP);
            !within.is_some_and(|within| MAY_DIFFER.iter().any(|field| field.contains(&within)))
        })
        .collect();
    assert!(differing.is_empty(), "{differing:x?}");
}

#[test]
fn content_for_a_program_that_takes_none_is_not_lost_in_silence() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "mkfs.fat") else {
        return;
    };
    bench.write("root/file", "content");
    let content = "filesystem = \"made\"\ncontent = [{ directory = \"root\", owner = \"0:0\" }]";
    let spec = spec(
        "mkfs.fat",
        r#""mkfs.fat", "-n", "{label}", "-i", "{serial}", "{partition}""#,
    );
    bench.write("image.toml", spec.replace("filesystem = \"made\"", content));
    let Outcome { code, stderr, .. } = bench.run(&["build", "image.toml", "-o", "disk.img", "-q"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("partition 'part'"), "{stderr}");
    assert!(stderr.contains("standard input"), "{stderr}");
    assert!(!bench.path("disk.img").exists());
}
