//! `build --provenance`: where an image comes from, in a form that others read; and `verify-build`, which builds it once more.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::bench::{assert_same_bytes, sha256};
use crate::support::{Bench, disk, judge};

const SPEC: &str = r#"
[disk]
seed = "00000000-0000-0000-0000-000000000001"
time = "2024-03-01T12:00:00Z"

[[partition]]
name = "root"
type = "root-x86-64"
size = "8MiB"
filesystem = "ext4"
content = [{ directory = "root", exclude = ["*.tmp"] }, { file = "fstab", to = "/etc/fstab" }]

[[partition]]
name = "root-verity"
type = "root-x86-64-verity"
verity = { of = "root" }

[[partition]]
name = "usr"
type = "usr-x86-64"
size = "4MiB"
filesystem = "erofs"
options = { compression = "zstd" }
content = [{ text = "x", to = "/x" }]

[[partition]]
name = "blob"
type = "linux-generic"
size = "1MiB"
raw = [{ file = "blob" }]
"#;

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("root/etc/motd", "hello\n");
    bench.write("root/big", vec![0x5a; 300_000]);
    bench.write("root/a.tmp", "left out");
    bench.write("fstab", "# none\n");
    bench.write("blob", "a blob");
    bench.write("image.toml", SPEC);
    bench
}

const BUILD: [&str; 7] = [
    "build",
    "image.toml",
    "-o",
    "disk.img",
    "-q",
    "--provenance",
    "disk.json",
];

fn statement(bench: &Bench) -> Value {
    let text = fs::read_to_string(bench.path("disk.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn is_hexadecimal(digest: &Value) -> bool {
    let digest = digest.as_str().unwrap();
    digest.len() == 64
        && digest
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

/// What in-toto's ResourceDescriptor requires: one of `uri`, `digest`, `content`, and digests of their lengths.
fn assert_resources(resources: &Value) -> usize {
    let resources = resources.as_array().unwrap();
    for resource in resources {
        let digest = resource["digest"].as_object().unwrap();
        assert!(!digest.is_empty(), "{resource}");
        assert!(digest.values().all(is_hexadecimal), "{resource}");
        assert!(resource["name"].is_string());
    }
    resources.len()
}

fn find<'v>(resources: &'v Value, name: &str) -> &'v Value {
    let mut all = resources.as_array().unwrap().iter();
    all.find(|it| it["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {resources}"))
}

#[test]
fn a_statement_has_what_in_toto_and_slsa_require() {
    let bench = bench();
    bench.done(&[&BUILD[..], &["--split", "parts", "--split-name", "{name}"]].concat());
    let statement = statement(&bench);
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(assert_resources(&statement["subject"]), 5);
    let definition = &statement["predicate"]["buildDefinition"];
    let run = &statement["predicate"]["runDetails"];
    for uri in [&definition["buildType"], &run["builder"]["id"]] {
        let uri = uri.as_str().unwrap();
        assert!(
            uri.starts_with("urn:") || uri.starts_with("https://"),
            "{uri}"
        );
    }
    assert!(definition["externalParameters"].is_object());
    assert!(definition["internalParameters"]["libzstd"].is_string());
    // The spec, the file, the blob, the directory and three guests.
    assert_eq!(assert_resources(&definition["resolvedDependencies"]), 6);
    assert_eq!(assert_resources(&run["byproducts"]), 4);
    // Digests are those of the files.
    let subject = &statement["subject"];
    let dependencies = &definition["resolvedDependencies"];
    for (resources, name, file) in [
        (subject, "disk.img", "disk.img"),
        (subject, "root", "parts/root"),
        (subject, "root-verity", "parts/root-verity"),
        (dependencies, "image.toml", "image.toml"),
        (dependencies, "fstab", "fstab"),
        (dependencies, "blob", "blob"),
        (&run["byproducts"], "partition:blob", "parts/blob"),
        (&run["byproducts"], "partition:usr", "parts/usr"),
    ] {
        let found = find(resources, name);
        assert_eq!(
            found["digest"]["sha256"],
            sha256(&bench.path(file)),
            "{name}"
        );
    }
    for guest in ["ext4", "erofs"] {
        let file = crate::support::bench::repository(format!("guests/dist/{guest}.wasm"));
        let found = find(dependencies, &format!("guest:{guest}"));
        assert_eq!(found["digest"]["sha256"], sha256(&file));
    }
    let root = &find(&run["byproducts"], "partition:root-verity")["annotations"]["rootHash"];
    if let Some(judge) = judge("veritysetup") {
        let mut command = judge.command();
        command
            .arg("verify")
            .args([bench.path("parts/root"), bench.path("parts/root-verity")]);
        let output = command.arg(root.as_str().unwrap()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn a_statement_is_the_same_in_another_folder_and_with_other_jobs() {
    let (one, other) = (bench(), bench());
    one.done(&BUILD);
    let mut command = other.cellblock();
    command.args(BUILD).args(["-j", "1", "--walls", "wasm"]);
    crate::support::Outcome::of(&mut command).done();
    assert_same_bytes(&one.path("disk.json"), &other.path("disk.json"));
    // The environment's time is as good as the spec's.
    let untimed = SPEC.replace("time = \"2024-03-01T12:00:00Z\"\n", "");
    let bench = bench_with(&untimed);
    let mut command = bench.cellblock();
    command.args(BUILD).env("SOURCE_DATE_EPOCH", "1709294400");
    crate::support::Outcome::of(&mut command).done();
    assert_same_bytes(&one.path("disk.img"), &bench.path("disk.img"));
    verify(&bench, &[]).done();
}

fn bench_with(spec: &str) -> Bench {
    let bench = bench();
    bench.write("image.toml", spec);
    bench
}

fn verify(bench: &Bench, more: &[&str]) -> crate::support::Outcome {
    let mut arguments = vec!["verify-build", "disk.json"];
    arguments.extend(more);
    bench.run(&arguments)
}

#[test]
fn what_is_the_same_comes_out_equal() {
    let bench = bench();
    bench.done(&BUILD);
    let digest = sha256(&bench.path("disk.img"));
    let before = bench.names();
    let said = verify(&bench, &[]).done();
    assert_eq!(said, format!("disk.json: equal: sha256 {digest}\n"));
    // Without the image, and without the file that the spec was written in.
    fs::remove_file(bench.path("disk.img")).unwrap();
    assert_eq!(verify(&bench, &["-q"]).done(), "");
    assert_eq!(bench.names().len(), before.len() - 1);
    // A seed that was drawn is in the statement.
    let random = bench_with(SPEC);
    random.done(&[&BUILD[..], &["--seed", "random"]].concat());
    verify(&random, &[]).done();
}

#[test]
fn a_changed_input_is_named_with_the_partition_and_the_byte() {
    let bench = bench();
    bench.done(&BUILD);
    let parts = disk::parts(&bench, &bench.path("disk.img"));
    bench.write("root/etc/motd", "hullo\n");
    bench.write("root/b.tmp", "left out, so that nobody cares");
    bench.write("blob", "a blub");
    let outcome = verify(&bench, &[]);
    assert_eq!(
        outcome.code,
        Some(1),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    let said = &outcome.stderr;
    assert!(
        said.contains("the directory root of partition 'root' (cellblockContent): differs"),
        "{said}"
    );
    assert!(
        said.contains("the raw file blob (sha256): differs"),
        "{said}"
    );
    assert!(!said.contains("fstab"), "{said}");
    for (name, differs) in [
        ("root", true),
        ("root-verity", true),
        ("usr", false),
        ("blob", true),
    ] {
        let told = said.contains(&format!("partition '{name}': differs from byte"));
        assert_eq!(told, differs, "{name}: {said}");
    }
    let blob = parts.iter().find(|part| part.name == "blob").unwrap();
    assert!(
        said.contains("partition 'blob': differs from byte 4 on"),
        "{said}"
    );
    // The same for programs. The offset in the root is that of cmp.
    verify(&bench, &["--json", "verdict.json"]);
    let verdict = fs::read_to_string(bench.path("verdict.json")).unwrap();
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!(verdict["equal"], false);
    let difference = |what: &str| {
        let differences = verdict["differences"].as_array().unwrap();
        differences
            .iter()
            .find(|it| it["what"] == what)
            .unwrap()
            .clone()
    };
    assert_eq!(
        difference("partition 'blob'")["disk-offset"],
        blob.start + 4
    );
    let old = bench.path("old.img");
    fs::rename(bench.path("disk.img"), &old).unwrap();
    bench.done(&["build", "image.toml", "-o", "new.img", "-q"]);
    let offset = first_difference(&bench, &old, &bench.path("new.img"), "root");
    if let Some(offset) = offset {
        assert_eq!(difference("partition 'root'")["offset"], offset);
    }
}

/// Where cmp finds two partitions to differ first, from 0.
fn first_difference(bench: &Bench, one: &Path, other: &Path, name: &str) -> Option<u64> {
    let cmp = judge("cmp")?;
    let cut = |image: &Path, to: &str| {
        let parts = disk::parts(bench, image);
        let part = parts.iter().find(|part| part.name == name).unwrap();
        bench.cut(image, part.start, part.size, to)
    };
    let files: [PathBuf; 2] = [cut(one, "one.part"), cut(other, "other.part")];
    let output = cmp.command().args(files).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let byte = said.split("byte ").nth(1).unwrap();
    let digits: String = byte.chars().take_while(char::is_ascii_digit).collect();
    Some(digits.parse::<u64>().unwrap() - 1)
}

#[test]
fn an_image_that_was_tampered_with_is_found_out() {
    let bench = bench();
    bench.done(&BUILD);
    let image = bench.path("disk.img");
    let usr = disk::parts(&bench, &image)
        .into_iter()
        .find(|part| part.name == "usr")
        .unwrap();
    // In a partition, and in the table.
    for (at, what, offset) in [
        (usr.start + 4321, "partition 'usr'", 4321),
        (
            600,
            "the partition table, or what lies around the partitions",
            600,
        ),
    ] {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(&image)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        let outcome = verify(&bench, &["--json", "verdict.json"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        let verdict = fs::read_to_string(bench.path("verdict.json")).unwrap();
        let verdict: Value = serde_json::from_str(&verdict).unwrap();
        assert_eq!(
            verdict["equal"], true,
            "what is built is what the statement tells of"
        );
        let [difference] = &verdict["differences"].as_array().unwrap()[..] else {
            panic!("{verdict}");
        };
        assert_eq!(difference["what"], what);
        assert_eq!(difference["offset"], offset);
        assert_eq!(difference["disk-offset"], at);
        if what == "partition 'usr'" {
            let cut = bench.cut(&image, usr.start, usr.size, "usr.cut");
            let digest = sha256(&cut);
            assert_eq!(difference["image"], digest.as_str());
            let told = format!(
                "the image has {digest}, and {} is",
                difference["was"].as_str().unwrap()
            );
            assert!(outcome.stderr.contains(&told), "{}", outcome.stderr);
        }
        file.write_all_at(&byte, at).unwrap();
    }
    verify(&bench, &[]).done();
    fs::File::options()
        .write(true)
        .open(&image)
        .unwrap()
        .set_len(usr.start)
        .unwrap();
    assert_eq!(verify(&bench, &[]).code, Some(1));
}

#[test]
fn a_formatter_of_ones_own_is_in_the_statement() {
    let bench = bench();
    let guest = crate::support::bench::repository("guests/dist/ext4.wasm");
    fs::copy(guest, bench.path("mine.wasm")).unwrap();
    bench.done(&[&BUILD[..], &["--guest", "ext4=mine.wasm"]].concat());
    verify(&bench, &[]).done();
    // Another component, as far as its bytes go: a custom section more.
    let mut bytes = fs::read(bench.path("mine.wasm")).unwrap();
    bytes.extend([0, 3, 1, b'x', 0]);
    bench.write("mine.wasm", bytes);
    let outcome = verify(&bench, &[]);
    // The image is the same, and who made it is not.
    assert!(
        outcome
            .stderr
            .contains("the guest 'ext4' mine.wasm (sha256): differs"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome
            .stderr
            .contains("the formatter guest:ext4 (sha256): differs"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_is_no_provenance_is_refused() {
    let bench = bench();
    bench.done(&BUILD);
    let good = fs::read_to_string(bench.path("disk.json")).unwrap();
    for (bad, expected) in [
        (String::new(), "it is no provenance"),
        ("{}".to_owned(), "it is no provenance"),
        ("[".repeat(100_000), "it is no provenance"),
        (
            good.replace("slsa.dev/provenance/v1", "slsa.dev/provenance/v2"),
            "predicateType",
        ),
        (
            good.replace("urn:cellblock:build:v1", "urn:other"),
            "buildType",
        ),
        (
            good.replace("[[partition]]", "[[partitions]]"),
            "--> the spec in disk.json:",
        ),
    ] {
        bench.write("disk.json", bad);
        let outcome = verify(&bench, &[]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
    bench.write("disk.json", &good);
    fs::remove_file(bench.path("blob")).unwrap();
    let outcome = verify(&bench, &[]);
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("blob"), "{}", outcome.stderr);
    // It is no output of the same run, nor one of two images.
    let same = bench.run(&[
        "build",
        "image.toml",
        "-o",
        "x",
        "--json",
        "y",
        "--provenance",
        "y",
    ]);
    assert_eq!(same.code, Some(2), "{}", same.stderr);
    let same = bench.run(&[
        "build",
        "image.toml",
        "-o",
        "x",
        "--provenance",
        "image.toml",
    ]);
    assert_eq!(same.code, Some(2), "{}", same.stderr);
}
