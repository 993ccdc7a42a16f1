//! The same inputs give the same bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::Bench;
use crate::support::bench::{assert_same_bytes, set_time, sha256};

/// The SHA-256 digest of the demo's image. It changes when the demo or the formatters do, and must not change otherwise.
pub const DEMO: &str = "8d94a73eb1d8760f59fac1a7e5671ef89b21c236cb61fc866b9208601cb39075";

/// Builds the demo with more options and another environment.
fn demo_with(options: &[&str], environment: &[(&str, Option<&str>)]) -> String {
    let bench = Bench::with_case("demo");
    let mut command = bench.cellblock();
    command.args(["build", "demo/image.toml", "-o", "demo.img", "-q"]);
    command.args(options);
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    crate::support::Outcome::of(&mut command).done();
    sha256(&bench.path("demo.img"))
}

#[test]
fn the_demo_has_the_digest_that_is_pinned() {
    assert_eq!(
        demo_with(&[], &[]),
        DEMO,
        "the demo's image has changed; if it was meant to, pin the new digest in tests/determinism.rs"
    );
}

#[test]
fn the_number_of_jobs_does_not_matter() {
    for jobs in ["1", "2", "8", "100"] {
        assert_eq!(demo_with(&["--jobs", jobs], &[]), DEMO, "--jobs {jobs}");
    }
}

#[test]
fn the_cache_does_not_matter() {
    let nowhere = "/nonexistent/cache";
    assert_eq!(demo_with(&["--no-cache"], &[]), DEMO);
    assert_eq!(
        demo_with(&[], &[("XDG_CACHE_HOME", None), ("HOME", None)]),
        DEMO
    );
    assert_eq!(
        demo_with(&[], &[("XDG_CACHE_HOME", None), ("HOME", Some(nowhere))]),
        DEMO
    );
    // A file, where a folder is to be made.
    assert_eq!(
        demo_with(&[], &[("XDG_CACHE_HOME", Some("/dev/null"))]),
        DEMO
    );
    let bench = Bench::new();
    let fresh = bench.create_folder("cache");
    let fresh = fresh.to_str().unwrap();
    for _ in 0..2 {
        assert_eq!(demo_with(&[], &[("XDG_CACHE_HOME", Some(fresh))]), DEMO);
    }
}

#[test]
fn the_environment_does_not_matter() {
    let environment = [
        ("TZ", Some("Pacific/Auckland")),
        ("LC_ALL", Some("de_DE.UTF-8")),
        ("TMPDIR", Some("/nonexistent")),
        ("NO_COLOR", Some("1")),
    ];
    assert_eq!(demo_with(&[], &environment), DEMO);
}

/// The demo without a time of its own, under another name: specs, folders and names must not matter.
#[test]
fn the_path_does_not_matter() {
    let bench = Bench::new();
    let images: Vec<PathBuf> = ["demo", "elsewhere/with a long name/demo"]
        .iter()
        .map(|folder| {
            bench.create_folder(folder);
            bench.copy_case("demo", folder);
            let spec = format!("{folder}/image.toml");
            bench.build(&spec, &format!("{folder}/{}.img", folder.len()))
        })
        .collect();
    assert_same_bytes(&images[0], &images[1]);
    assert_eq!(sha256(&images[0]), DEMO);
}

/// Two checkouts of one commit have other times, all later than the one that its spec gives, and modes by other masks.
#[test]
fn the_times_and_modes_of_a_checkout_do_not_matter() {
    for (mask, time) in [(0o077, 1_800_000_000), (0o002, 4_000_000_000)] {
        let bench = Bench::with_case("demo");
        check_out_again(&bench.path("demo"), mask, time);
        assert_eq!(sha256(&bench.build("demo/image.toml", "demo.img")), DEMO);
    }
}

/// Gives all below `path` the modes that a process of this mask would, and this time.
fn check_out_again(path: &Path, mask: u32, time: i64) {
    let metadata = fs::symlink_metadata(path).unwrap();
    if !metadata.is_symlink() {
        let is_executable = metadata.is_dir() || metadata.permissions().mode() & 0o100 != 0;
        let mode = if is_executable { 0o777 } else { 0o666 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode & !mask)).unwrap();
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            check_out_again(&entry.unwrap().path(), mask, time);
        }
    }
    set_time(path, time, 0);
}

#[test]
fn the_environment_may_set_the_time() {
    let bench = Bench::with_case("demo");
    let spec = fs::read_to_string(bench.path("demo/image.toml")).unwrap();
    let timeless = spec.replace("time = \"2024-03-01T12:00:00Z\"\n", "");
    assert_ne!(spec, timeless);
    bench.write("demo/timeless.toml", timeless);
    let build = |image: &str, epoch: &str| {
        let output = bench
            .cellblock()
            .args(["build", "demo/timeless.toml", "-q", "-o", image])
            .env("SOURCE_DATE_EPOCH", epoch)
            .output()
            .unwrap();
        assert!(output.status.success());
        sha256(&bench.path(image))
    };
    // The time that the spec has.
    assert_eq!(build("one.img", "1709294400"), DEMO);
    assert_ne!(build("two.img", "1709294401"), DEMO);
}

#[test]
fn the_seed_decides_the_identifiers() {
    let bench = Bench::with_case("demo");
    let spec = fs::read_to_string(bench.path("demo/image.toml")).unwrap();
    bench.write("demo/other.toml", spec.replace("6f9c2e0b", "00000000"));
    let other = bench.build("demo/other.toml", "other.img");
    assert_ne!(sha256(&other), DEMO);
}
