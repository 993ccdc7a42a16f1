//! Disks in the formats of virtual machines are looked into as plain ones are, and never changed.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::bench::{assert_same_bytes, sha256};
use crate::support::watch::watch;
use crate::support::{Bench, judge};

const SPEC: &str = r#"
[disk]
size = "24MiB"
seed = "00000000-0000-0000-0000-000000000001"
time = "2024-03-01T12:00:00Z"

[[partition]]
name = "esp"
type = "esp"
size = "4MiB"
filesystem = "vfat"

[[partition]]
name = "root"
type = "root-x86-64"
size = "16MiB"
filesystem = "ext4"
content = [{ directory = "root" }]
"#;

/// As which files the disk is written.
const DISKS: [&str; 8] = [
    "a.qcow2",
    "b.qcow2,compression_type=zlib",
    "c.qcow2,compression_type=zstd,cluster_size=2M",
    "d.qcow2,compression_type=zstd,cluster_size=512",
    "e.vmdk",
    "f.vmdk,subformat=monolithicSparse",
    "g.vhd",
    "h.vhd,subformat=dynamic",
];

fn files() -> impl Iterator<Item = &'static str> {
    DISKS.iter().map(|it| it.split(',').next().unwrap())
}

fn bench() -> Bench {
    let bench = Bench::new();
    let lines: String = (0..300_000).map(|line| format!("line {line}\n")).collect();
    bench.write("root/etc/lines", lines);
    bench.write("root/etc/motd", "hello\n");
    bench.write("image.toml", SPEC);
    let mut line = vec!["build", "image.toml", "-q", "-o", "disk.img"];
    for disk in DISKS {
        line.extend(["-o", disk]);
    }
    bench.done(&line);
    bench
}

/// What the program says of a disk, with the name of the plain one.
fn said(bench: &Bench, line: &[&str], file: &str) -> String {
    let place: Vec<String> = line.iter().map(|it| it.replace("DISK", file)).collect();
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    let outcome = bench.run(&place);
    assert_eq!(outcome.code, Some(0), "{place:?}: {}", outcome.stderr);
    outcome.stdout.replace(file, "DISK")
}

#[test]
fn every_command_that_looks_sees_the_same_in_all_of_them() {
    let bench = bench();
    for line in [
        &["show", "DISK"][..],
        &["ls", "-lR", "DISK:root"],
        &["cat", "DISK:root:/etc/lines"],
        &["tree", "DISK:2"],
        &["du", "DISK:root"],
        &["stat", "DISK:root:/etc/motd"],
        &["ls", "DISK:esp"],
    ] {
        let plain = said(&bench, line, "disk.img");
        for file in files() {
            assert_eq!(said(&bench, line, file), plain, "{line:?} {file}");
        }
    }
    let digest = sha256(&bench.path("disk.img"));
    bench.done(&["cut", "disk.img", "root", "-q", "-o", "root.img"]);
    bench.done(&["tar", "disk.img:root", "-o", "root.tar"]);
    for file in files() {
        bench.done(&["cut", file, "root", "-q", "-o", "cut.img"]);
        assert_same_bytes(&bench.path("cut.img"), &bench.path("root.img"));
        let place = format!("{file}:root");
        bench.done(&["tar", &place, "-o", "again.tar"]);
        assert_same_bytes(&bench.path("again.tar"), &bench.path("root.tar"));
        bench.done(&["diff", "disk.img:root", &place]);
        bench.create_folder(&format!("out.{file}"));
        bench.done(&["cp", &format!("{place}:/etc"), &format!("out.{file}")]);
        let copied = bench.path(format!("out.{file}/lines"));
        assert_same_bytes(&copied, &bench.path("root/etc/lines"));
        bench.done(&["export", file, "-q", "-o", "again.img", "--json", "r.json"]);
        assert_eq!(sha256(&bench.path("again.img")), digest, "{file}");
    }
}

#[test]
fn whole_disks_are_compared_and_taken_as_content() {
    let bench = bench();
    let line = ["mkfs", "erofs", "-q", "--content"];
    bench.done(&[&line[..], &["image:disk.img:root", "-o", "plain.img"]].concat());
    for file in files() {
        bench.done(&["diff", "disk.img", file]);
        let content = format!("image:{file}:root");
        bench.done(&[&line[..], &[&content, "-o", "made.img"]].concat());
        assert_same_bytes(&bench.path("made.img"), &bench.path("plain.img"));
        bench.done(&["verify", file, "image.toml"]);
    }
}

#[test]
fn one_is_made_another_and_holes_stay_holes() {
    use std::os::unix::fs::MetadataExt as _;
    let bench = bench();
    bench.done(&[
        "export",
        "disk.img",
        "-q",
        "-o",
        "plain.qcow2,compression_type=zstd",
    ]);
    for file in files() {
        bench.done(&[
            "export",
            file,
            "-q",
            "-o",
            "again.qcow2,compression_type=zstd",
        ]);
        assert_same_bytes(&bench.path("again.qcow2"), &bench.path("plain.qcow2"));
    }
    bench.done(&["export", "e.vmdk", "-q", "-o", "again.img"]);
    let taken = |name: &str| bench.path(name).metadata().unwrap().blocks() * 512;
    assert!(taken("again.img") < 16 << 20, "{}", taken("again.img"));
    bench.done(&["cut", "c.qcow2", "root", "-q", "-o", "root.img"]);
    assert!(taken("root.img") < 14 << 20, "{}", taken("root.img"));
}

#[test]
fn what_is_compressed_is_taken_apart_behind_the_wall() {
    let bench = bench();
    let line = [
        "export", "c.qcow2", "-q", "-o", "x.img", "--walls", "process",
    ];
    bench.done(&[&line[..], &["--json", "record.json"]].concat());
    let record = fs::read_to_string(bench.path("record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["codecs"], "process", "{record}");
}

#[test]
fn none_is_changed() {
    let bench = bench();
    bench.write("new", "new");
    for file in files() {
        let before = sha256(&bench.path(file));
        let name = match Path::new(file).extension().unwrap().to_str() {
            Some("qcow2") => "a qcow2 image",
            Some("vmdk") => "a VMDK image",
            _ => "a VHD image",
        };
        for line in [
            &["splice", file, "root", "new"][..],
            &["fill", file, "root", "ext4"],
            &["repair", file],
            &["repair", "--write", file],
        ] {
            let outcome = bench.run(line);
            assert_eq!(outcome.code, Some(2), "{line:?}: {}", outcome.stderr);
            let expected = format!(
                "{file}: is {name}, not a raw disk; make a raw disk of it first: cellblock export FILE -o DISK.img"
            );
            assert!(
                outcome.stderr.contains(&expected),
                "{line:?}: {}",
                outcome.stderr
            );
        }
        assert_eq!(sha256(&bench.path(file)), before, "{file}");
    }
}

/// What a stranger writes into an image must not have another file read.
#[test]
fn a_file_that_an_image_names_is_never_opened() {
    let bench = Bench::new();
    let Some(qemu) = judge("qemu-img") else {
        return;
    };
    bench.write("secret", "a secret\n".repeat(4096));
    let mut command = qemu.command();
    command.current_dir(bench.folder());
    command.args([
        "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "secret", "x.qcow2",
    ]);
    assert!(command.status().unwrap().success());
    for line in [
        &["show", "x.qcow2"][..],
        &["ls", "x.qcow2"],
        &["export", "x.qcow2", "-o", "x.img"],
        &["cut", "x.qcow2", "1", "-o", "x.img"],
        &["diff", "x.qcow2", "x.qcow2"],
    ] {
        let outcome = bench.run(line);
        assert_eq!(outcome.code, Some(1), "{line:?}: {}", outcome.stderr);
        let expected = "x.qcow2: what it does not hold itself is in secret, and no file that an image names is opened";
        assert!(
            outcome.stderr.contains(expected),
            "{line:?}: {}",
            outcome.stderr
        );
        assert!(!bench.path("x.img").exists());
    }
}

/// What is not read is said, and once, by whatever reads the image.
#[test]
fn snapshots_that_are_left_aside_are_said_once() {
    let bench = bench();
    let Some(qemu) = judge("qemu-img") else {
        return;
    };
    let snapshot = |name: &str| {
        let mut command = qemu.command();
        command.args(["snapshot", "-c", name]);
        command.arg(bench.path("a.qcow2"));
        assert!(command.status().unwrap().success());
    };
    let told = |line: &[&str], expected: &str| {
        let outcome = bench.run(line);
        assert_eq!(outcome.code, Some(0), "{line:?}: {}", outcome.stderr);
        let count = outcome.stderr.matches("snapshot").count();
        assert!(
            outcome.stderr.contains(expected) && count == expected.matches("snapshot").count(),
            "{line:?}: {}",
            outcome.stderr
        );
    };
    told(&["show", "a.qcow2"], "");
    snapshot("first");
    told(
        &["show", "a.qcow2"],
        "a.qcow2: it holds a snapshot ('first'): it is left aside, and the disk is read as it is now; ",
    );
    snapshot("se\x1bcond");
    bench.create_folder("out");
    for line in [
        &["show", "--json", "a.qcow2"][..],
        &["ls", "a.qcow2:root"],
        &["cat", "a.qcow2:root:/etc/motd"],
        &["tree", "a.qcow2:root"],
        &["du", "a.qcow2:root"],
        &["stat", "a.qcow2:root:/etc/motd"],
        &["cp", "a.qcow2:root:/etc", "out"],
        &["tar", "a.qcow2:root", "-o", "root.tar"],
        &["cut", "a.qcow2", "root", "-o", "root.img"],
        &["export", "a.qcow2", "-o", "x.img"],
        &["export", "a.qcow2:root", "-o", "x.tar"],
        &["diff", "disk.img", "a.qcow2"],
        &["diff", "a.qcow2:root", "disk.img:root"],
        &["verify", "a.qcow2", "image.toml"],
        &["report", "a.qcow2", "-o", "x.html"],
        &["report", "disk.img", "--base", "a.qcow2", "-o", "y.html"],
        &[
            "mkfs",
            "erofs",
            "--content",
            "image:a.qcow2:root",
            "-o",
            "x.erofs",
        ],
    ] {
        told(
            line,
            "it holds 2 snapshots ('first', 'se\\u{1b}cond'): they are left aside, and the disk is read as it is now; ",
        );
    }
    assert_same_bytes(&bench.path("x.img"), &bench.path("disk.img"));
}

/// An image of a few clusters whose table says that a cluster of zeros, compressed, is a disk of 1 TiB.
#[test]
fn a_disk_that_claims_much_is_refused_with_little_memory() {
    let bench = bench();
    let mut bytes = fs::read(bench.path("c.qcow2")).unwrap();
    let number =
        |bytes: &[u8], at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
    let first = usize::try_from(number(&bytes, 40)).unwrap();
    let second = usize::try_from(number(&bytes, first) & 0x00ff_ffff_ffff_fe00).unwrap();
    // One table of 2^18 entries for 2 MiB each.
    bytes[24..32].copy_from_slice(&(1_u64 << 39).to_be_bytes());
    let entry = bytes[second..second + 8].to_vec();
    assert_ne!(entry, [0; 8]);
    bytes[second..second + (2 << 20)].copy_from_slice(&entry.repeat(1 << 18));
    // So many of that length are longer than the file.
    bench.write("bomb.qcow2", &bytes);
    let mut command = bench.cellblock();
    command.args(["export", "bomb.qcow2", "-q", "-o", "x.qcow2"]);
    command.stderr(Stdio::piped());
    let watched = watch(command.spawn().unwrap(), Duration::from_secs(120));
    assert_eq!(watched.ended.unwrap().code(), Some(1));
    assert!(watched.memory < 256 << 20, "{}", watched.memory);
    let outcome = bench.run(&["export", "bomb.qcow2", "-q", "-o", "x.qcow2"]);
    let expected = "would be more data than its file has room for";
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    assert!(!bench.path("x.qcow2").exists());
}

#[test]
fn what_differs_from_a_base_is_written_beside_it() {
    let bench = bench();
    bench.create_folder("here");
    fs::copy(bench.path("disk.img"), bench.path("here/old.img")).unwrap();
    bench.write("root/etc/motd", "good bye\n");
    let option = "here/new.qcow2,backing_file=old.img,cluster_size=4k";
    bench.done(&["build", "image.toml", "-q", "-o", "new.img", "-o", option]);
    let size = |name: &str| bench.path(name).metadata().unwrap().len();
    assert!(
        size("here/new.qcow2") < 128 << 10,
        "{}",
        size("here/new.qcow2")
    );
    if let Some(qemu) = judge("qemu-img") {
        let mut command = qemu.command();
        command.args(["compare", "-f", "qcow2", "-F", "raw"]);
        command
            .arg(bench.path("here/new.qcow2"))
            .arg(bench.path("new.img"));
        let said = command.output().unwrap();
        assert_eq!(said.stdout, b"Images are identical.\n", "{said:?}");
    }
    for (option, code, words) in [
        ("a.qcow2,backing_file=none.img", 2, "none.img: No such file"),
        (
            "a.qcow2,backing_file=./a.qcow2",
            2,
            "is both the image and the backing file",
        ),
        (
            "a.qcow2,backing_file=here/old.img,backing_fmt=qcow2",
            2,
            "is no disk to differ from",
        ),
        (
            "a.qcow2,backing_file=e.vmdk",
            2,
            "a VMDK image is no disk to differ from",
        ),
        (
            "a.vmdk,backing_file=e.vmdk",
            2,
            "vmdk has no option 'backing_file'",
        ),
    ] {
        bench.write("a.qcow2", "");
        let outcome = bench.run(&["export", "new.img", "-q", "-o", option]);
        assert_eq!(outcome.code, Some(code), "{option}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains(words),
            "{option}: {}",
            outcome.stderr
        );
        assert_eq!(size("a.qcow2"), 0, "{option}");
    }
}

#[test]
fn what_no_disk_can_be_is_refused_and_nothing_is_cut_off() {
    let bench = Bench::new();
    bench.write("odd.img", vec![1; 1025]);
    for format in ["qcow2", "vmdk", "vhd", "vhdx"] {
        let outcome = bench.run(&["export", "odd.img", "-o", &format!("odd.{format}")]);
        assert_ne!(outcome.code, Some(0), "{format}");
        assert!(
            outcome.stderr.contains("no multiple of "),
            "{}",
            outcome.stderr
        );
    }
    for device in ["/dev/zero", "/dev/null"] {
        let outcome = bench.run(&["export", device, "-o", "made.img"]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        let expected = format!("error: {device}: is neither a file nor a disk");
        assert!(outcome.stderr.starts_with(&expected), "{}", outcome.stderr);
    }
    assert_eq!(bench.names(), ["odd.img"]);
}
