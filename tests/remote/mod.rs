//! Partitions that workers of a farm make (`--remote`): BuildGrid's servers, which we did not write, and a worker of ours.

use std::fs;

use serde_json::Value;

use crate::support::bench::{repository, sha256};
use crate::support::{Bench, Grid, judge};

const SPEC: &str = r#"
[disk]
seed = "00000000-0000-0000-0000-000000000001"
time = "2024-03-01T12:00:00Z"

[[partition]]
name = "root"
type = "linux"
size = "16MiB"
filesystem = "ext4"
content = [{ directory = "root" }]

[[partition]]
name = "boot"
type = "linux"
size = "40MiB"
filesystem = "vfat"
content = [{ directory = "root" }]
drop = ["symlinks", "owners", "permissions"]

[[partition]]
name = "usr"
type = "linux"
size = "minimum"
filesystem = "erofs"
options = { compression = "lz4" }
content = [{ directory = "root" }]

[[partition]]
name = "srv"
type = "linux"
size = "16MiB"
filesystem = "squashfs"
options = { compression = "zstd" }
content = [{ directory = "root" }]
"#;

/// What the worker is called: `WORKER` of `farm.py`.
const WORKER: &str = "worker-of-the-tests";

/// A farm whose worker fails in these ways, one after another; none where a program that it needs is missing.
fn start(bench: &Bench, failures: &[&str]) -> Option<Grid> {
    judge("initdb")?;
    judge("postgres")?;
    let failures = failures.iter().flat_map(|failure| ["--fail", failure]);
    Grid::start(&bench.path("farm"), &failures.collect::<Vec<_>>())
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.write("root/etc/motd", "hello\n");
    bench.write("root/etc/empty", "");
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0] & 0x3f
    })
    .take((2 << 20) + 12_345)
    .collect();
    bench.write("root/noise", &noise);
    let sparse = fs::File::create(bench.path("root/sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"in the middle", 1 << 20).unwrap();
    std::os::unix::fs::symlink("motd", bench.path("root/etc/link")).unwrap();
    bench
}

/// What `cellblock build` makes of the same spec.
fn image_of_the_program(bench: &Bench) -> String {
    let arguments = [
        "build",
        "image.toml",
        "-o",
        "here.img",
        "--json",
        "record.json",
    ];
    bench.done(&arguments);
    sha256(&bench.path("here.img"))
}

/// An image whose partitions the grid makes: its digest, the worker of each, and the record.
fn image_of(bench: &Bench, grid: &Grid) -> (String, Vec<Option<String>>, Value) {
    let url = format!("grpc://{}", grid.address);
    let arguments = [
        "build",
        "image.toml",
        "-o",
        "there.img",
        "--json",
        "-",
        "--remote",
        &url,
        "--remote-least",
        "0B",
        "--remote-platform",
        "pool=images",
        "--remote-platform",
        "OSFamily=linux",
        // One after the other, so that each fails as it is meant to; a machine with much to do answers late.
        "--jobs",
        "1",
        "--cache-timeout",
        "300",
    ];
    let record: Value = serde_json::from_str(&bench.done(&arguments)).unwrap();
    let partitions = record["partitions"].as_array().unwrap().iter();
    let worker = |it: &Value| it["filesystem"]["worker"].as_str().map(str::to_owned);
    let workers = partitions.map(worker).collect();
    (sha256(&bench.path("there.img")), workers, record)
}

fn workers(expected: [bool; 4]) -> Vec<Option<String>> {
    let named = expected.map(|is_there| is_there.then(|| WORKER.to_owned()));
    named.into()
}

#[test]
#[ignore = "takes 20 s; a step of CI"]
fn a_grid_makes_the_same_bytes() {
    let bench = bench();
    let Some(mut grid) = start(&bench, &[]) else {
        return;
    };
    let here = image_of_the_program(&bench);
    let (there, by, record) = image_of(&bench, &grid);
    assert_eq!((there, by), (here.clone(), workers([true; 4])));
    let plain: Value =
        serde_json::from_slice(&fs::read(bench.path("record.json")).unwrap()).unwrap();
    let plain = plain["partitions"].as_array().unwrap();
    let made = record["partitions"].as_array().unwrap();
    for (here, there) in plain.iter().zip(made) {
        for key in ["wall", "codecs", "used", "properties"] {
            assert_eq!(here["filesystem"][key], there["filesystem"][key], "{key}");
        }
    }
    // One measures, and four make: without an environment, and without rights.
    let ran = "0 none OSFamily=linux,pool=images";
    assert_eq!(grid.ran(), [ran; 5]);
    // What the server knows is not made again.
    let (again, by, _) = image_of(&bench, &grid);
    assert_eq!((again, by), (here, workers([true; 4])));
    assert_eq!(grid.ran(), [ran; 5]);
}

#[test]
#[ignore = "takes 20 s; a step of CI"]
fn a_worker_that_fails_costs_time_and_not_the_image() {
    let bench = bench();
    // One measures. Of the partitions the first is made here, and each other one by the second worker.
    let failures = [
        "none", "killed", "killed", "empty", "none", "forged", "none", "wrong",
    ];
    let Some(mut grid) = start(&bench, &failures) else {
        return;
    };
    let here = image_of_the_program(&bench);
    let (there, by, _) = image_of(&bench, &grid);
    let ran = grid.ran();
    assert_eq!(by, workers([false, true, true, true]), "{ran:?}");
    assert_eq!(there, here, "{ran:?}");
    let ways: Vec<&str> = ran.iter().map(|it| it.split(' ').nth(1).unwrap()).collect();
    assert_eq!(ways, [&failures[..], &["none"]].concat());
}

/// One whose content is missing gets as far as its formatter.
#[test]
fn a_worker_compiles_anew_unless_it_is_told_where() {
    let bench = Bench::new();
    for name in ["action", "tree"] {
        let seed = repository(format!("tests/fuzz/seeds/action/{name}-1"));
        // The first byte tells the fuzzer what follows.
        bench.write(&format!("there/{name}"), &fs::read(seed).unwrap()[1..]);
    }
    let compiled = |arguments: &[&str], variable: &str, folder: &str| {
        let mut command = bench.cellblock();
        command
            .args(["action", "there", "-o", "out"])
            .args(arguments)
            .env("XDG_CACHE_HOME", bench.path("home"))
            .env(variable, bench.path(folder));
        let outcome = command.output().unwrap();
        let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(said.contains("its piece content/"), "{said}");
        let entries = fs::read_dir(bench.path(folder));
        let sizes = entries.map(|all| all.map(|it| it.unwrap().metadata().unwrap().len()));
        sizes.is_ok_and(|mut sizes| sizes.any(|size| size > 100_000))
    };
    assert!(!compiled(&[], "CELLBLOCK_NOTHING", "home"));
    assert!(!bench.path("home").exists());
    assert!(compiled(&[], "CELLBLOCK_GUEST_CACHE", "by-variable"));
    let arguments = ["--guest-cache", "by-option"];
    assert!(compiled(&arguments, "CELLBLOCK_NOTHING", "by-option"));
}
