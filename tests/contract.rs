//! Which formatters run: by the version of the contract that they are built for, and by their digest.
//!
//! `tests/cases/contract/` has a formatter for each version of the contract there has been, as it was built then.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::Bench;
use crate::support::bench::{Outcome, case, names, sha256};

/// The command that makes a file system with a formatter from a file.
fn mkfs(bench: &Bench, guest: &str, walls: &str) -> Outcome {
    let guest = format!("old={guest}");
    bench.run(&[
        "mkfs", "old", "-o", "old.img", "--size", "1MiB", "--json", "-", "--walls", walls,
        "--guest", &guest,
    ])
}

/// The oldest formatter.
fn oldest() -> PathBuf {
    case("contract/0.1.0.wasm")
}

#[test]
fn a_guest_for_each_version_there_has_been_runs() {
    let versions = names(&case("contract"));
    assert!(versions.contains(&"0.1.0.wasm".to_owned()));
    for version in versions {
        for walls in ["wasm", "process"] {
            let bench = Bench::new();
            let guest = case("contract").join(&version);
            mkfs(&bench, guest.to_str().unwrap(), walls).done();
            let made = fs::read(bench.path("old.img")).unwrap();
            // What the kernel knows a swap area by, at the end of its first page.
            assert_eq!(&made[4086..4096], b"SWAPSPACE2");
        }
    }
}

/// The oldest formatter, as if it were built for `version`, whose text has as many letters as its own.
fn built_for(bench: &Bench, version: &str) -> PathBuf {
    let mut guest = fs::read(oldest()).unwrap();
    let found: Vec<usize> = guest
        .windows(6)
        .enumerate()
        .filter(|(_, window)| *window == b"@0.1.0")
        .map(|(at, _)| at)
        .collect();
    assert!(!found.is_empty());
    for at in found {
        guest[at + 1..at + 6].copy_from_slice(version.as_bytes());
    }
    bench.write("new.wasm", guest)
}

#[test]
fn a_guest_for_another_version_is_refused_by_version() {
    let contract = fs::read_to_string(case("../../wit/cellblock.wit")).unwrap();
    let ours = contract
        .lines()
        .find_map(|line| {
            line.strip_prefix("package cellblock:format@")?
                .strip_suffix(';')
        })
        .unwrap();
    for version in ["0.1.9", "0.2.0", "0.0.9", "1.0.0"] {
        for walls in ["wasm", "process"] {
            let bench = Bench::new();
            built_for(&bench, version);
            let outcome = mkfs(&bench, "new.wasm", walls);
            assert_eq!(
                outcome.stderr,
                format!(
                    "error: the guest 'old' needs cellblock:format {version}, and this program has {ours}: \
                     get a cellblock that has it, or build the guest for {ours}\n"
                )
            );
            assert_eq!(outcome.code, Some(2));
            assert_eq!(bench.names(), ["new.wasm"]);
        }
    }
}

#[test]
fn a_guest_on_the_command_line_can_be_pinned() {
    let bench = Bench::new();
    fs::copy(oldest(), bench.path("old.wasm")).unwrap();
    let digest = sha256(&oldest());
    mkfs(&bench, &format!("old.wasm,sha256={digest}"), "wasm").done();
    fs::remove_file(bench.path("old.img")).unwrap();

    let other = "0f".repeat(32);
    let outcome = mkfs(&bench, &format!("old.wasm,sha256={other}"), "wasm");
    assert_eq!(
        outcome.stderr,
        format!(
            "error: old.wasm: the guest 'old' has the SHA-256 digest {digest}, and is pinned to {other}\n"
        )
    );
    assert_eq!(outcome.code, Some(2));

    let outcome = mkfs(&bench, "old.wasm,sha256=0f", "wasm");
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("sha256=0f"), "{}", outcome.stderr);
    assert_eq!(bench.names(), ["old.wasm"]);
}

#[test]
fn the_record_has_the_digest_of_every_guest() {
    let digest = |record: &Value, index: usize| {
        let filesystem = &record["partitions"][index]["filesystem"];
        let name = filesystem["guest"].as_str().unwrap().to_owned();
        (
            name,
            filesystem["guest-digest"].as_str().unwrap().to_owned(),
        )
    };
    for walls in ["wasm", "process"] {
        let bench = Bench::with_case("demo");
        let oldest = oldest();
        let said = mkfs(&bench, oldest.to_str().unwrap(), walls).done();
        let record: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(digest(&record, 0), ("old".to_owned(), sha256(&oldest)));

        let build = [
            "build",
            "demo/image.toml",
            "-o",
            "demo.img",
            "--json",
            "-",
            "--walls",
            walls,
        ];
        let record: Value = serde_json::from_str(&bench.done(&build)).unwrap();
        for index in 1..4 {
            let (name, found) = digest(&record, index);
            let built_in = case("../../guests/dist").join(format!("{name}.wasm"));
            assert_eq!(found, sha256(&built_in), "{name}");
        }
    }
}
