//! Partitions from caches: the same bytes as without, whatever a cache answers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cellblock_build::cache::{Cache, Key, Mode, Options, Place, Stored};
use serde_json::Value;

use crate::support::Bench;
use crate::support::bench::{set_time, sha256};

mod buildgrid;
mod fleet;
mod known;
mod nginx;
mod server;
mod spec;

/// RFC 8410, 10.3 and 10.1.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";
/// Of somebody else: RFC 8032, 7.1, test 1.
const STRANGER: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
";

const SPEC: &str = r#"
[disk]
seed = "00000000-0000-0000-0000-000000000001"
time = "2024-03-01T12:00:00Z"

[[partition]]
name = "esp"
type = "esp"
size = "36MiB"
filesystem = "vfat"
content = [{ directory = "esp" }]

[[partition]]
name = "root"
type = "root-x86-64"
size = "32MiB"
filesystem = "ext4"
content = [{ directory = "root" }]

[[partition]]
name = "usr"
type = "usr-x86-64"
size = "minimum"
filesystem = "erofs"
options = { compression = "lz4" }
content = [{ directory = "root" }]

[[partition]]
name = "usr-verity"
type = "usr-x86-64-verity"
verity = { of = "usr" }

[[partition]]
name = "srv"
type = "linux-generic"
size = "minimum"
filesystem = "squashfs"
content = [{ directory = "root" }]
"#;

/// The partitions with file systems.
const FILESYSTEMS: [&str; 4] = ["esp", "root", "usr", "srv"];

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.write("esp/loader.conf", "timeout 0\n");
    bench.write("root/etc/motd", "hello\n");
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(3 << 20)
    .collect();
    bench.write("root/noise", noise);
    for path in [
        "root/etc/motd",
        "root/noise",
        "root/etc",
        "root",
        "esp/loader.conf",
        "esp",
    ] {
        set_time(&bench.path(path), 1_700_000_000, 0);
    }
    bench.write("key.pem", PRIVATE);
    bench.write("trust.pem", PUBLIC);
    bench.write("stranger.pem", STRANGER);
    bench
}

/// What a build made.
struct Built {
    digest: String,
    record: Value,
    stderr: String,
}

impl Built {
    /// The partitions that came from a cache.
    fn cached(&self) -> Vec<&str> {
        let partitions = self.record["partitions"].as_array().unwrap();
        let cached = partitions
            .iter()
            .filter(|it| it["filesystem"]["cache"].is_string());
        cached.map(|it| it["name"].as_str().unwrap()).collect()
    }

    /// The lines that tell of a cache.
    fn said(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        lines.filter(|line| line.contains("the cache ")).collect()
    }
}

fn build(bench: &Bench, arguments: &[&str]) -> Built {
    let with = ["build", "image.toml", "-o", "disk.img", "--json", "-", "-q"];
    let outcome = bench.run(&[&with[..], arguments].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    Built {
        digest: sha256(&bench.path("disk.img")),
        record: serde_json::from_str(&outcome.stdout).unwrap(),
        stderr: outcome.stderr,
    }
}

/// A record without what tells of caches, walls and time.
fn comparable(record: &Value) -> Value {
    let mut record = record.clone();
    record.as_object_mut().unwrap().remove("timings");
    for partition in record["partitions"].as_array_mut().unwrap() {
        if let Some(verity) = partition.get_mut("verity") {
            verity.as_object_mut().unwrap().remove("hashing");
        }
        if let Some(filesystem) = partition.get_mut("filesystem") {
            let filesystem = filesystem.as_object_mut().unwrap();
            for key in [
                "timings",
                "cache",
                "codecs",
                "codecs-wall",
                "missing-codecs-wall",
            ] {
                filesystem.remove(key);
            }
            if let Some(encoded) = filesystem.get_mut("encoded") {
                // Measuring was not needed, so that no block was asked for twice.
                encoded.as_object_mut().unwrap().remove("reused");
            }
        }
    }
    record
}

#[test]
fn what_comes_from_a_cache_is_byte_for_byte_what_is_made() {
    let bench = bench();
    let without = build(&bench, &[]);
    let cold = build(&bench, &["--cache", "cache"]);
    assert_eq!(cold.digest, without.digest);
    assert_eq!(cold.cached(), [""; 0]);
    let hot = build(&bench, &["--cache", "cache"]);
    assert_eq!(hot.digest, without.digest);
    assert_eq!(hot.cached(), FILESYSTEMS);
    assert_eq!(hot.said(), [""; 0]);
    assert_eq!(comparable(&hot.record), comparable(&without.record));
    let verified = build(&bench, &["--cache", "cache", "--cache-verify", "100"]);
    assert_eq!(verified.digest, without.digest);
    assert_eq!((verified.cached(), verified.said()), (vec![], vec![]));
}

#[test]
fn a_changed_file_makes_its_partitions_anew_and_shares_most_chunks() {
    let bench = bench();
    build(&bench, &["--cache", "cache"]);
    let size = |bench: &Bench| {
        let out = bench.done(&["cache", "stats", "--cache", "cache", "--json"]);
        let out: Value = serde_json::from_str(&out).unwrap();
        out[0]["holds"]["bytes"].as_u64().unwrap()
    };
    let before = size(&bench);
    bench.write("root/etc/motd", "hallo\n");
    let changed = build(&bench, &["--cache", "cache"]);
    assert_eq!(changed.cached(), ["esp"]);
    let after = size(&bench);
    assert!(before > 3 << 20 && after > before, "{before} {after}");
    assert!(after - before < before / 2, "{before} {after}");
    assert_eq!(build(&bench, &[]).digest, changed.digest);
}

#[test]
fn the_environment_names_caches_and_options_leave_them() {
    let bench = bench();
    let run = |arguments: &[&str]| {
        let with = ["build", "image.toml", "-o", "disk.img", "--json", "-", "-q"];
        let mut command = bench.cellblock();
        command.args([&with[..], arguments].concat());
        let output = command
            .env("CELLBLOCK_CACHE", "  one two")
            .output()
            .unwrap();
        assert!(output.status.success());
        let record: Value = serde_json::from_slice(&output.stdout).unwrap();
        record["partitions"][1]["filesystem"]["cache"].clone()
    };
    assert_eq!(run(&["--no-cache"]), Value::Null);
    assert!(!bench.path("one").exists());
    assert_eq!(run(&["--cache-mode", "write"]), Value::Null);
    assert_eq!(run(&[]), "one");
    fs::remove_dir_all(bench.path("one")).unwrap();
    assert_eq!(run(&["--cache-mode", "read"]), "two");
}

#[test]
fn a_hit_that_is_not_what_is_made_is_told_and_not_used() {
    let bench = bench();
    let right = build(&bench, &["--cache", "cache"]);
    // Whoever can write to the folder stores zeros under the key of the root.
    let root = &right.record["partitions"][1];
    let key = root["fill-key"].as_str().unwrap();
    let key: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let key = Key(key.try_into().unwrap());
    let cache = Cache::open(Options {
        places: vec![Place::Folder(bench.path("cache"))],
        mode: Mode::ReadWrite,
        signer: None,
        trusted: Vec::new(),
        limit: u64::MAX,
        patience: std::time::Duration::from_secs(10),
        verify_percent: 0,
        jobs: 1,
        locks: None,
    });
    let cache = cache.unwrap();
    let notes = cache.find(&key, |hit| Some(hit.notes().to_vec())).unwrap();
    let stored = Stored {
        size: 32 << 20,
        data: &[],
        block: 1,
        read: &|_, _| Ok(()),
        notes,
    };
    cache.store(&key, &stored);
    let trusting = build(&bench, &["--cache", "cache"]);
    assert_ne!(trusting.digest, right.digest, "a private folder is trusted");
    let verified = build(
        &bench,
        &["--cache", "cache", "--cache-verify", "100", "-j1"],
    );
    assert_eq!(verified.digest, right.digest);
    assert!(
        verified.said()[0].contains("'root' has other bytes"),
        "{:?}",
        verified.said()
    );
}

#[test]
fn an_entry_that_is_cut_or_changed_costs_time_and_not_the_build() {
    let bench = bench();
    let right = build(&bench, &["--cache", "cache"]);
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 5] = [
        ("ac", |bytes| bytes.truncate(bytes.len() / 2)),
        ("ac", |bytes| bytes[40] ^= 1),
        ("cas", |bytes| bytes[7] ^= 1),
        ("cas", Vec::clear),
        ("cas", |bytes| bytes.push(0)),
    ];
    for (folder, change) in changes {
        for entry in fs::read_dir(bench.path("cache").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            change(&mut bytes);
            fs::write(&path, bytes).unwrap();
        }
        let built = build(&bench, &["--cache", "cache"]);
        assert_eq!(built.digest, right.digest, "{folder}");
        assert_eq!(built.cached(), [""; 0], "{folder}");
        assert!(!built.said().is_empty(), "{folder}");
        bench.done(&["cache", "clear", "--cache", "cache"]);
        build(&bench, &["--cache", "cache"]);
    }
}

#[test]
fn a_folder_is_counted_kept_small_and_emptied() {
    let bench = bench();
    build(&bench, &["--cache", "cache"]);
    let told = bench.done(&["cache", "stats", "--cache", "cache"]);
    // Four partitions, and what two of them measure.
    assert!(told.starts_with("cache: 6 entries, "), "{told}");
    bench.done(&["cache", "gc", "--cache", "cache", "--max", "2MiB"]);
    assert!(weight(&bench.path("cache")) <= 2 << 20);
    let right = build(&bench, &["--cache", "cache", "--cache-max", "4MiB"]);
    assert!(weight(&bench.path("cache")) <= 4 << 20);
    assert_eq!(build(&bench, &["--cache", "cache"]).digest, right.digest);
    let told = bench.done(&["cache", "clear", "--cache", "cache"]);
    assert!(told.ends_with("0 entries, 0 chunks, 0 B\n"), "{told}");
    assert_eq!(weight(&bench.path("cache")), 0);
    assert_eq!(bench.run(&["cache", "stats"]).code, Some(2));
    // What is no cache stays as it is.
    bench.write("other/ac/notes", "mine\n");
    bench.done(&["cache", "clear", "--cache", "other"]);
    assert!(bench.path("other/ac/notes").exists());
    bench.write("none/notes", "mine\n");
    for folder in ["none", "nowhere"] {
        let outcome = bench.run(&["cache", "clear", "--cache", folder]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    }
}

/// The bytes of all files of a cache.
fn weight(cache: &Path) -> u64 {
    let folders = ["ac", "cas", "new"].map(|folder| cache.join(folder));
    let files = folders.iter().flat_map(|it| fs::read_dir(it).unwrap());
    files.map(|it| it.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_made() {
    let bench = bench();
    let shared = bench.create_folder("shared");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    for (arguments, why) in [
        (&["--cache", "shared"][..], "--cache-trust"),
        (
            &["--cache", "shared", "--cache-trust", "trust.pem"],
            "--cache-key",
        ),
        (&["--cache", "http://127.0.0.1:9/"], "--cache-trust"),
        (
            &["--cache", "gopher://127.0.0.1"],
            "'gopher://' is not supported",
        ),
        (&["--cache", "https://user:secret@"], "no host"),
        (
            &["--cache", "c", "--cache-trust", "key.pem"],
            "no Ed25519 public key",
        ),
        (
            &["--cache", "c", "--cache-key", "trust.pem"],
            "no Ed25519 private key",
        ),
        (
            &["--cache", "root/cache"],
            "what it writes now, the next would read",
        ),
        (&["--cache", "c", "--cache-verify", "101"], "101"),
    ] {
        let with = ["build", "image.toml", "-o", "disk.img"];
        let outcome = bench.run(&[&with[..], arguments].concat());
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(why),
            "{arguments:?}: {}",
            outcome.stderr
        );
        assert!(!outcome.stderr.contains("secret"));
        assert!(!bench.path("disk.img").exists());
    }
    bench.done(&[
        "build",
        "image.toml",
        "-o",
        "disk.img",
        "-q",
        "--provenance",
        "p.json",
    ]);
    let remote = ["--remote", "grpc://127.0.0.1"];
    for arguments in [
        &["verify-build", "p.json", "--cache", "cache"][..],
        &[&["verify-build", "p.json"][..], &remote].concat(),
        &[&["verify", "disk.img", "image.toml"][..], &remote].concat(),
        &[&["export", "disk.img", "-o", "disk.qcow2"][..], &remote].concat(),
    ] {
        let refused = bench.run(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("and no worker"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn one_file_system_and_a_partition_that_exists_come_from_a_cache_too() {
    let bench = bench();
    let made = |name: &str, arguments: &[&str]| {
        let with = [
            "mkfs",
            "ext4",
            "-o",
            name,
            "--content",
            "root",
            "--json",
            "-",
        ];
        let record = bench.done(&[&with[..], arguments].concat());
        let record: Value = serde_json::from_str(&record).unwrap();
        let cache = record["partitions"][0]["filesystem"]["cache"].clone();
        (sha256(&bench.path(name)), cache)
    };
    let (without, _) = made("a.img", &[]);
    assert_eq!(
        made("b.img", &["--cache", "cache"]),
        (without.clone(), Value::Null)
    );
    assert_eq!(
        made("c.img", &["--cache", "cache"]),
        (without, "cache".into())
    );
}
