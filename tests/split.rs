//! `build --split`: each partition as a file of its own, with a list of digests.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::Value;

use crate::support::bench::{assert_same_bytes, names};
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
content = [{ directory = "root" }]

[[partition]]
name = "root-verity"
type = "root-x86-64-verity"
verity = { of = "root" }

[[partition]]
name = "var"
type = "var"
size = "64MiB"
"#;

fn bench(spec: &str) -> Bench {
    let bench = Bench::new();
    bench.write("root/etc/motd", "hello\n");
    bench.write("image.toml", spec);
    bench
}

const BUILD: [&str; 5] = ["build", "image.toml", "-o", "disk.img", "-q"];

fn split(bench: &Bench, more: &[&str]) -> crate::support::bench::Outcome {
    let mut arguments = BUILD.to_vec();
    arguments.extend(["--split", "parts"]);
    arguments.extend(more);
    bench.run(&arguments)
}

/// The UUIDs of the partitions, as sfdisk has them.
fn uuids(bench: &Bench) -> Vec<String> {
    let table = disk::table(bench, &bench.path("disk.img"));
    let partitions = table["partitions"].as_array().unwrap();
    let uuid = |it: &Value| it["uuid"].as_str().unwrap().to_lowercase();
    partitions.iter().map(uuid).collect()
}

#[test]
fn each_partition_is_a_file_with_the_bytes_of_the_disk() {
    let bench = bench(SPEC);
    split(&bench, &["--split-version", "7", "--json", "record.json"]).done();
    let ids = uuids(&bench);
    let expected: Vec<String> = ["root", "root-verity", "var"]
        .iter()
        .zip(&ids)
        .map(|(name, id)| format!("{name}_7_{id}.raw"))
        .collect();
    let mut all = expected.clone();
    all.push("SHA256SUMS".to_owned());
    all.sort();
    assert_eq!(names(&bench.path("parts")), all);
    let record = fs::read_to_string(bench.path("record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let image = bench.path("disk.img");
    for (index, part) in disk::parts(&bench, &image).iter().enumerate() {
        let cut = bench.cut(&image, part.start, part.size, "cut");
        let file = bench.path("parts").join(&expected[index]);
        assert_same_bytes(&cut, &file);
        let recorded = &record["partitions"][index]["split"];
        assert_eq!(recorded["file"], expected[index]);
        assert_eq!(recorded["sha256"], crate::support::bench::sha256(&file));
    }
    // What is empty takes no room.
    let var = fs::metadata(bench.path("parts").join(&expected[2])).unwrap();
    assert_eq!((var.len(), var.blocks()), (64 << 20, 0));
    // The list is one that others read.
    if let Some(judge) = judge("sha256sum") {
        let mut command = judge.command();
        command.current_dir(bench.path("parts"));
        let output = command
            .args(["--strict", "-c", "SHA256SUMS"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().filter(|it| it.ends_with(": OK")).count(), 3);
    }
}

#[test]
fn names_are_what_the_pattern_says() {
    let bench = bench(SPEC);
    split(&bench, &["--split-name", "{{os}}-{number}.{name}"]).done();
    let expected = [
        "SHA256SUMS",
        "{os}-1.root",
        "{os}-2.root-verity",
        "{os}-3.var",
    ];
    assert_eq!(names(&bench.path("parts")), expected);
    // Again, over what is there.
    split(&bench, &["--split-name", "{{os}}-{number}.{name}"]).done();
    assert_eq!(names(&bench.path("parts")), expected);
    // Without a version, the usual name has none. MBRs have no UUIDs but what the kernel makes of their identifier.
    let mbr = "[disk]\ntable = \"mbr\"\nid = \"0x00abcdef\"\n[[partition]]\nname = \"a b\"\ntype = \"linux\"\nsize = \"1MiB\"\n";
    bench.write("image.toml", mbr);
    bench.done(&[&BUILD[..], &["--split", "other"]].concat());
    assert_eq!(
        names(&bench.path("other")),
        ["SHA256SUMS", "a b_00abcdef-01.raw"]
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything_has_a_name() {
    let with_slash = SPEC.replace("name = \"var\"", "name = \"v/r\"");
    let cases: &[(&str, &[&str], &str)] = &[
        (SPEC, &["--split-name", "{nome}"], "did you mean {name}?"),
        (
            SPEC,
            &["--split-name", "{name}-{version}"],
            "say --split-version VERSION",
        ),
        (
            SPEC,
            &["--split-name", "{name", "--split-version", "1"],
            "a brace without its other half",
        ),
        (
            SPEC,
            &["--split-name", "x"],
            "the partitions 'root' and 'root-verity' would both be x",
        ),
        (SPEC, &["--split-name", ".{name}"], "begins with a dot"),
        (
            &with_slash,
            &[],
            "partition 'v/r': its name 'v/r' cannot be part of a file's name: it has a slash",
        ),
    ];
    for (spec, more, expected) in cases {
        let bench = bench(spec);
        let outcome = split(&bench, more);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
        assert!(!bench.path("disk.img").exists(), "{more:?}");
        let parts = bench.path("parts");
        assert!(!parts.exists() || names(&parts).is_empty(), "{more:?}");
    }
    let bench = bench(SPEC);
    let alone = bench.run(&[&BUILD[..], &["--split-name", "{name}"]].concat());
    assert_eq!(alone.code, Some(2));
    assert!(alone.stderr.contains("--split"), "{}", alone.stderr);
}

#[test]
fn a_build_that_fails_leaves_no_folder() {
    let bench = Bench::new();
    bench.write(
        "image.toml",
        "[[partition]]\ntype = \"linux\"\nsize = \"8MiB\"\nfilesystem = \"ext4\"\ncontent = [{ file = \"nosuch\", to = \"/a\" }]\n",
    );
    bench.create_folder("there");
    let names = bench.names();
    for folder in ["new", "new/below", "there", "there/below"] {
        let line = ["build", "image.toml", "-o", "disk.img", "--split", folder];
        let outcome = bench.run(&line);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert_eq!(bench.names(), names, "{folder}");
        assert_eq!(fs::read_dir(bench.path("there")).unwrap().count(), 0);
    }
}

#[test]
fn no_file_of_a_partition_replaces_what_is_read() {
    // The folder lies in the content: the next build would read what this one writes.
    let bench = bench(SPEC);
    let mut arguments = BUILD.to_vec();
    arguments.extend(["--split", "root/parts"]);
    let outcome = bench.run(&arguments);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("lies in the directory"),
        "{}",
        outcome.stderr
    );
    assert!(!bench.path("root/parts").exists());
}

#[test]
fn a_file_of_a_partition_that_is_read_is_refused() {
    let bench = Bench::new();
    bench.write("blob", "a blob");
    bench.write(
        "image.toml",
        "[[partition]]\nname = \"image\"\ntype = \"linux-generic\"\nsize = \"1MiB\"\nraw = [{ file = \"blob\" }]\n",
    );
    for (name, expected) in [
        (
            "{name}.toml",
            "is both the file of a partition and the spec",
        ),
        ("blob", "is both the file of a partition and the raw file"),
        ("disk.img", "is both the file of a partition and the image"),
    ] {
        let outcome = bench.run(&[&BUILD[..], &["--split", ".", "--split-name", name]].concat());
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
        assert_eq!(bench.names(), ["blob", "image.toml"], "{name}");
    }
}
