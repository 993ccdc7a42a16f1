//! The key of each partition's fill: it changes with what decides the partition's bytes, and with nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::bench::{set_time, sha256};
use crate::support::{Bench, disk};

/// A disk with one partition of each kind of fill.
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
size = "16MiB"
filesystem = "ext4"
label = "ROOT"
content = [{ directory = "root" }]

[[partition]]
name = "usr"
type = "usr-x86-64"
size = "4MiB"
filesystem = "erofs"
options = { compression = "lz4" }
content = [{ directory = "root" }]

[[partition]]
name = "usr-verity"
type = "usr-x86-64-verity"
verity = { of = "usr" }

[[partition]]
name = "blob"
type = "linux-generic"
size = "1MiB"
raw = [{ file = "blob", offset = 512 }]
"#;

const NAMES: [&str; 5] = ["esp", "root", "usr", "usr-verity", "blob"];

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("esp/loader.conf", "timeout 0\n");
    bench.write("root/etc/motd", "hello\n");
    bench.write("root/etc/shadow", "secret\n");
    // A file with a hole, which ext4 keeps.
    bench.write("root/sparse", "begin");
    let sparse = fs::File::options()
        .write(true)
        .open(bench.path("root/sparse"))
        .unwrap();
    sparse.set_len(1 << 20).unwrap();
    bench.write("blob", "a blob");
    for path in ["etc/motd", "etc/shadow", "sparse", "etc", ""] {
        set_time(&bench.path("root").join(path), 1_700_000_000, 0);
    }
    bench
}

/// Of each partition, the key that the record has and the digest of the bytes where sfdisk says that it lies.
type Keyed = BTreeMap<&'static str, (String, String)>;

fn keyed(bench: &Bench, spec: &str) -> Keyed {
    bench.write("image.toml", spec);
    let record = bench.done(&["build", "image.toml", "-o", "disk.img", "--json", "-"]);
    let record: Value = serde_json::from_str(&record).unwrap();
    let partitions = record["partitions"].as_array().unwrap();
    let image = bench.path("disk.img");
    NAMES
        .into_iter()
        .zip(partitions)
        .zip(disk::parts(bench, &image))
        .map(|((name, record), part)| {
            let key = record["fill-key"].as_str().unwrap().to_owned();
            let bytes = bench.cut(&image, part.start, part.size, "part");
            (name, (key, sha256(&bytes)))
        })
        .collect()
}

fn changed(
    of: &Keyed,
    to: &Keyed,
    what: impl Fn(&(String, String)) -> &String,
) -> Vec<&'static str> {
    let is_changed = |name: &&str| what(&of[name]) != what(&to[name]);
    NAMES.into_iter().filter(is_changed).collect()
}

/// A change to the sources or the spec, and the partitions whose bytes it changes.
type Change = (
    &'static str,
    fn(&Bench, &str) -> String,
    &'static [&'static str],
);

const CHANGES: &[Change] = &[
    ("nothing", |_, spec| spec.to_owned(), &[]),
    (
        "a byte of a file",
        |bench, spec| {
            bench.write("root/etc/motd", "hallo\n");
            set_time(&bench.path("root/etc/motd"), 1_700_000_000, 0);
            spec.to_owned()
        },
        &["root", "usr", "usr-verity"],
    ),
    (
        "a mode",
        |bench, spec| {
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(bench.path("root/etc/shadow"), mode).unwrap();
            spec.to_owned()
        },
        &["root", "usr", "usr-verity"],
    ),
    (
        "a time",
        |bench, spec| {
            set_time(&bench.path("root/etc/shadow"), 1_600_000_000, 0);
            spec.to_owned()
        },
        &["root", "usr", "usr-verity"],
    ),
    (
        "a hole, which formatters see, becomes zeros",
        |bench, spec| {
            let mut plain = b"begin".to_vec();
            plain.resize(1 << 20, 0);
            bench.write("root/sparse", plain);
            set_time(&bench.path("root/sparse"), 1_700_000_000, 0);
            spec.to_owned()
        },
        &["root", "usr", "usr-verity"],
    ),
    (
        "a name",
        |bench, spec| {
            let [from, to] = ["motd", "mot2"].map(|name| bench.path("root/etc").join(name));
            fs::rename(from, to).unwrap();
            set_time(&bench.path("root/etc"), 1_700_000_000, 0);
            spec.to_owned()
        },
        &["root", "usr", "usr-verity"],
    ),
    (
        "an owner",
        |_, spec| {
            let owned = "{ directory = \"root\", owner = \"7:8\" }";
            spec.replace("{ directory = \"root\" }", owned)
        },
        &["root", "usr", "usr-verity"],
    ),
    (
        "the identifier of a file system",
        |_, spec| {
            let uuid = "label = \"ROOT\"\nuuid = \"11111111-2222-3333-4444-555555555555\"";
            spec.replace("label = \"ROOT\"", uuid)
        },
        &["root"],
    ),
    (
        "a label",
        |_, spec| spec.replace("\"ROOT\"", "\"OTHER\""),
        &["root"],
    ),
    (
        "an option",
        |_, spec| spec.replace("\"lz4\"", "\"none\""),
        &["usr", "usr-verity"],
    ),
    (
        "a size, which moves what lies behind",
        |_, spec| spec.replace("\"16MiB\"", "\"17MiB\""),
        &["root"],
    ),
    (
        "the place of the ESP, which FAT stores",
        |_, spec| spec.replace("size = \"36MiB\"", "size = \"36MiB\"\noffset = \"2MiB\""),
        &["esp"],
    ),
    (
        "the salt",
        |_, spec| spec.replace("of = \"usr\"", "of = \"usr\", salt = \"00ff\""),
        &["usr-verity"],
    ),
    (
        "parity",
        |_, spec| spec.replace("of = \"usr\"", "of = \"usr\", fec-roots = 2"),
        &["usr-verity"],
    ),
    (
        "a raw file",
        |bench, spec| {
            bench.write("blob", "a blub");
            spec.to_owned()
        },
        &["blob"],
    ),
    (
        "the place of a raw file",
        |_, spec| spec.replace("offset = 512", "offset = 1024"),
        &["blob"],
    ),
    (
        "the time",
        |_, spec| spec.replace("T12:00:00Z", "T12:00:02Z"),
        &["esp", "root", "usr", "usr-verity"],
    ),
    (
        "a partition's name and identifier",
        |_, spec| {
            spec.replace(
                "name = \"root\"",
                "name = \"base\"\nid = \"11111111-2222-3333-4444-555555555555\"",
            )
        },
        &[],
    ),
];

#[test]
fn a_key_changes_with_the_bytes_and_stays_with_them() {
    for (what, change, expected) in CHANGES {
        let bench = bench();
        let before = keyed(&bench, SPEC);
        let spec = change(&bench, SPEC);
        let after = keyed(&bench, &spec);
        let bytes = changed(&before, &after, |(_, bytes)| bytes);
        let keys = changed(&before, &after, |(key, _)| key);
        assert_eq!(bytes, *expected, "{what}: bytes");
        assert_eq!(keys, *expected, "{what}: keys");
    }
}

#[test]
fn a_key_is_that_of_another_folder_and_of_any_number_of_jobs() {
    let one = bench();
    let other = bench();
    other.write("image.toml", SPEC);
    let record = other.done(&[
        "build",
        "image.toml",
        "-o",
        "x.img",
        "--json",
        "-",
        "-j",
        "7",
    ]);
    let record: Value = serde_json::from_str(&record).unwrap();
    let keys = |name: &str| {
        let partitions = record["partitions"].as_array().unwrap();
        let found = partitions.iter().find(|it| it["name"] == name);
        found.unwrap()["fill-key"].as_str().unwrap().to_owned()
    };
    for (name, (key, _)) in keyed(&one, SPEC) {
        assert_eq!(keys(name), key, "{name}");
    }
}
