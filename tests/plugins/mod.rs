//! Formatters that are WASI commands as other people make them, built by `tests/plugins/build`: in C, in Rust, and Debian's
//! own mkfs programs, unpatched.

mod contents;
mod debian;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::bench::{assert_same_bytes, repository, sha256};
use crate::support::{Bench, judge, skipped, text};
use crate::unprivileged::{as_nobody, folder_of_nobody};

/// What the script's exit code says: it lacks something, and has said what.
const LACKS_SOMETHING: i32 = 77;

/// Builds the plugin `name` into the bench, as `NAME.wasm`; if that cannot be done here, says why.
fn plugin(bench: &Bench, name: &str) -> Option<()> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let output = Command::new(script())
        .args(["--again", name])
        .arg(bench.path(format!("{name}.wasm")))
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    if output.status.code() == Some(LACKS_SOMETHING) {
        skipped("plugins", &text(&output));
        return None;
    }
    assert!(output.status.success(), "{}", text(&output));
    Some(())
}

fn script() -> PathBuf {
    repository("tests/plugins/build")
}

/// Builds the spec within each wall and as nobody: the image, which is always the same.
fn built(bench: &Bench, spec: &str) -> PathBuf {
    bench.write("image.toml", spec);
    let [wasm, process] = ["wasm", "process"].map(|walls| {
        let image = format!("{walls}.img");
        bench.done(&["build", "image.toml", "-q", "--walls", walls, "-o", &image]);
        bench.path(image)
    });
    assert_same_bytes(&wasm, &process);
    if let Some(setpriv) = judge("setpriv") {
        folder_of_nobody(bench, "out");
        as_nobody(
            bench,
            &setpriv,
            &["build", "image.toml", "-q", "-o", "out/nobody.img"],
        );
        assert_same_bytes(&wasm, &bench.path("out/nobody.img"));
    }
    wasm
}

#[test]
fn a_plugin_is_what_the_spec_pins_and_what_the_record_tells() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "cramfs") else {
        return;
    };
    let digest = sha256(&bench.path("cramfs.wasm"));
    let pinned = |digest: &str| {
        contents::cramfs(
            "1MiB",
            &format!("file = \"cramfs.wasm\"\nsha256 = \"{digest}\""),
        )
    };
    bench.write("root/file", "content");

    bench.write("image.toml", pinned(&digest));
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let filesystem = &record["partitions"][0]["filesystem"];
    assert_eq!(filesystem["guest-digest"], digest);
    assert_eq!(
        filesystem["command"],
        serde_json::json!(["cramfs", "-n", "Example", "/partition.img"])
    );

    let other = "0".repeat(64);
    bench.write("image.toml", pinned(&other));
    let refused = bench.run(&["build", "image.toml", "-o", "other.img"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains(&digest), "{}", refused.stderr);
    assert!(refused.stderr.contains(&other), "{}", refused.stderr);
    assert!(!bench.path("other.img").exists());
}

#[test]
fn a_panic_is_told_with_its_place_and_what_it_says() {
    let bench = Bench::new();
    let Some(()) = plugin(&bench, "panics") else {
        return;
    };
    for walls in ["wasm", "process"] {
        let made = ["mkfs", "panics", "-o", "out.img", "--size", "1MiB", "-q"];
        let guest = ["--guest", "panics=panics.wasm", "--walls", walls];
        let outcome = bench.run(&[&made[..], &guest].concat());
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        let [error, warned, panicked] = lines[..] else {
            panic!("{}", outcome.stderr);
        };
        let trap = "wasm trap: wasm `unreachable` instruction executed; it says:";
        assert_eq!(error, format!("error: the guest 'panics' failed: {trap}"));
        assert_eq!(warned, "    | it is about to fail");
        let place = panicked
            .strip_prefix("    | panicked at src/lib.rs:")
            .unwrap();
        assert!(
            place.ends_with(": no block 2048 in 1048576 bytes"),
            "{place}"
        );
    }
}

/// Whoever has a mirror of Debian has told apt of it, and nothing else is asked.
#[test]
fn scripts_name_no_mirror() {
    for script in ["plugins/debian-source", "judges/build-peers"] {
        let text = std::fs::read_to_string(repository(format!("tests/{script}"))).unwrap();
        // Lines of `sources.list`.
        let sources = text.lines().filter(|line| line.contains("signed-by="));
        assert_ne!(sources.clone().count(), 0, "{script}");
        for line in sources {
            assert!(line.contains("$mirror"), "{script}: {line}");
        }
        assert!(!text.contains("debian.org"), "{script}");
    }
}
