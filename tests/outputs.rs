//! What a build becomes: several formats at once, `export`, standard output, and that all are there or none.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::bench::{assert_same_bytes, sha256};
use crate::support::{Bench, judge};

const SPEC: &str = r#"
[disk]
seed = "00000000-0000-0000-0000-000000000001"
time = "2024-03-01T12:00:00Z"

[[partition]]
name = "root"
type = "root-x86-64"
size = "16MiB"
filesystem = "ext4"
content = [{ directory = "root" }]
"#;

fn bench() -> Bench {
    let bench = Bench::new();
    let lines: String = (0..200_000).map(|line| format!("line {line}\n")).collect();
    bench.write("root/etc/lines", lines);
    bench.write("root/etc/motd", "hello\n");
    bench.write("image.toml", SPEC);
    bench
}

const BUILD: [&str; 3] = ["build", "image.toml", "-q"];

fn build(bench: &Bench, more: &[&str]) -> crate::support::bench::Outcome {
    bench.run(&[&BUILD[..], more].concat())
}

#[test]
fn one_build_makes_several_formats_and_the_record_names_them() {
    let bench = bench();
    let outputs = [
        ("disk.img", "raw"),
        ("disk.qcow2", "qcow2"),
        ("disk.vmdk", "vmdk"),
        ("disk.vhd", "vhd"),
        ("disk.vhdx", "vhdx"),
        ("disk.img.zst", "raw.zst"),
        ("disk.bmap", "bmap"),
    ];
    let mut line = vec!["--json", "record.json"];
    for (file, _) in &outputs {
        line.extend(["-o", file]);
    }
    build(&bench, &line).done();
    let record = fs::read_to_string(bench.path("record.json")).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let recorded = record["outputs"].as_array().unwrap();
    assert_eq!(recorded.len(), outputs.len());
    for ((file, format), recorded) in outputs.iter().zip(recorded) {
        let path = bench.path(file);
        assert_eq!(recorded["file"], *file);
        assert_eq!(recorded["format"], *format);
        assert_eq!(recorded["size"], fs::metadata(&path).unwrap().len());
        assert_eq!(recorded["sha256"], sha256(&path), "{file}");
    }
    assert_eq!(record["sha256"], sha256(&bench.path("disk.img")));
    assert_eq!(record["image"], "disk.img");
    // Alone, each is the same; and so with another number of threads.
    for (file, _) in outputs {
        let alone = format!("alone/{file}");
        bench.create_folder("alone");
        build(&bench, &["-o", &alone, "--jobs", "1"]).done();
        assert_same_bytes(&bench.path(file), &bench.path(&alone));
    }
    if let Some(qemu) = judge("qemu-img") {
        for (file, format) in [
            ("disk.qcow2", "qcow2"),
            ("disk.vmdk", "vmdk"),
            ("disk.vhd", "vpc"),
            ("disk.vhdx", "vhdx"),
        ] {
            let mut command = qemu.command();
            command.args(["compare", "-f", format, "-F", "raw"]);
            command.arg(bench.path(file)).arg(bench.path("disk.img"));
            let said = command.output().unwrap();
            assert_eq!(said.stdout, b"Images are identical.\n", "{file}");
        }
    }
}

#[test]
fn what_is_exported_is_what_the_build_would_have_made() {
    let bench = bench();
    let outputs = [
        "d.qcow2,compression_type=zstd",
        "e.qcow2",
        "d.vmdk,subformat=monolithicSparse",
        "d.vhd,subformat=dynamic",
        "d.simg",
        "d.xz,compression_level=1",
        "d.gz",
    ];
    let mut line = vec!["-o", "disk.img"];
    let here: Vec<String> = outputs.iter().map(|it| format!("here/{it}")).collect();
    for output in &outputs {
        line.extend(["-o", output]);
    }
    build(&bench, &line).done();
    bench.create_folder("here");
    let mut line = vec!["export", "disk.img", "-q"];
    for output in &here {
        line.extend(["-o", output]);
    }
    let mut command = bench.cellblock();
    // The time of the spec: a VHD has it in it.
    let done = command.args(line).env("SOURCE_DATE_EPOCH", "1709294400");
    assert!(done.status().unwrap().success());
    for output in outputs {
        let file = output.split(',').next().unwrap();
        assert_same_bytes(&bench.path(file), &bench.path("here").join(file));
    }
    if let Some(qemu) = judge("qemu-img") {
        let said = qemu.content_with(&["check"], &bench.path("d.qcow2"));
        assert!(said.contains("No errors were found"), "{said}");
    }
}

#[test]
fn a_file_system_alone_has_formats_too() {
    let bench = bench();
    let line = ["mkfs", "ext4", "--content", "root/", "-o", "r.img"];
    bench.done(&[&line[..], &["-o", "r.qcow2", "-o", "r.zst"]].concat());
    if let Some(qemu) = judge("qemu-img") {
        let mut command = qemu.command();
        command.args(["compare", "-f", "qcow2", "-F", "raw"]);
        command.arg(bench.path("r.qcow2")).arg(bench.path("r.img"));
        assert!(command.output().unwrap().status.success());
    }
}

#[test]
fn standard_output_takes_any_format() {
    let bench = bench();
    build(&bench, &["-o", "disk.img"]).done();
    for (typed, format) in [
        (["-o", "-", "--output-format", "raw.zst"].as_slice(), "zst"),
        (&["--output=-,format=qcow2"], "qcow2"),
    ] {
        let mut command = bench.cellblock();
        let output = command.args(BUILD).args(typed).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let file = bench.write(&format!("got.{format}"), &output.stdout);
        let named = format!("named.{format}");
        build(&bench, &["-o", &named]).done();
        assert_same_bytes(&file, &bench.path(&named));
    }
    let Some(zstd) = judge("zstd") else { return };
    let plain = bench.path("plain");
    let mut command = zstd.command();
    command.args(["-dc"]).arg(bench.path("got.zst"));
    command.stdout(fs::File::create(&plain).unwrap());
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    assert_same_bytes(&plain, &bench.path("disk.img"));
}

#[test]
fn where_one_output_cannot_be_none_is_replaced() {
    let bench = bench();
    bench.write("old.qcow2", "old");
    let line = ["mkfs", "ext4", "--content", "root", "--size", "16777728"];
    let outcome = bench.run(&[&line[..], &["-o", "old.qcow2", "-o", "new.vhd"]].concat());
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let expected = "error: new.vhd: the disk cannot be written as vhd: the disk has";
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    assert_eq!(fs::read(bench.path("old.qcow2")).unwrap(), b"old");
    assert_eq!(bench.names(), ["image.toml", "old.qcow2", "root"]);
}

#[test]
fn no_output_is_an_input_or_another_output() {
    let bench = bench();
    build(&bench, &["-o", "disk.img"]).done();
    let before = sha256(&bench.path("disk.img"));
    for (line, words) in [
        (
            ["export", "disk.img", "-o", "a.qcow2", "-o", "./disk.img"].as_slice(),
            "./disk.img: is both the image that is read and the image that is written",
        ),
        (
            &["export", "disk.img", "-o", "a.qcow2", "-o", "a.qcow2"],
            "a.qcow2: is named twice for the image; name it once",
        ),
        (
            &[
                "export",
                "disk.img",
                "-o",
                "a.qcow2",
                "-o",
                "./a.qcow2,format=raw",
            ],
            "./a.qcow2: is the same file as a.qcow2, and each is named for the image; leave one of them out",
        ),
        (
            &["export", "disk.img", "-o", "-", "-o", "-"],
            "takes one image, and not several",
        ),
        (
            &[
                "build",
                "image.toml",
                "-o",
                "a.img",
                "-o",
                "image.toml,format=qcow2",
            ],
            "is both the image and the spec",
        ),
    ] {
        let outcome = bench.run(line);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    assert_eq!(sha256(&bench.path("disk.img")), before);
    assert_eq!(bench.names(), ["disk.img", "image.toml", "root"]);
}

#[test]
fn what_is_no_disk_is_not_exported() {
    let bench = bench();
    build(&bench, &["-o", "d.zst", "-o", "d.simg"]).done();
    for (file, is) in [
        (
            "d.zst",
            "is compressed with zstd, not a raw disk; decompress it first",
        ),
        ("d.simg", "is an Android sparse image, not a raw disk"),
    ] {
        for line in [
            ["export", file, "-o", "x.vhd"].as_slice(),
            &["show", file],
            &["cut", file, "1", "-o", "x.img"],
        ] {
            let outcome = bench.run(line);
            assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
            assert!(outcome.stderr.contains(is), "{}", outcome.stderr);
        }
    }
}

#[test]
fn names_with_commas_are_quoted_and_mistakes_are_told() {
    let bench = bench();
    build(&bench, &["-o", "\"a,b=c.img\""]).done();
    assert!(bench.path("a,b=c.img").exists());
    for (typed, code, words) in [
        (
            "d.qcow2,compresion_type=zstd",
            2,
            "did you mean compression_type?",
        ),
        (
            "d.qcow2,compression_type=lzo",
            2,
            "it is none or zlib or zstd",
        ),
        ("d.img,format=qcow", 2, "did you mean qcow2?"),
        (
            "d.vdi",
            2,
            "the name says a VDI image, which is not written",
        ),
        ("d.tar.gz", 2, "the name says a compressed tar archive"),
        ("d.tgz", 2, "the name says a compressed tar archive"),
        ("d.iso", 2, "the name says an ISO 9660 image"),
    ] {
        let outcome = build(&bench, &["-o", typed]);
        assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    let several = build(&bench, &["-o", "a", "-o", "b", "--output-format", "qcow2"]);
    assert!(
        several.stderr.contains("say ,format=qcow2 behind"),
        "{}",
        several.stderr
    );
}

/// As `flock FOLDER cellblock …` has it: who holds the lock waits for the program.
#[test]
fn a_folder_that_somebody_has_locked_is_not_waited_for() {
    let bench = bench();
    bench.write("disk.img", "old");
    let folder = fs::File::open(bench.folder()).unwrap();
    rustix::fs::flock(&folder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let names = bench.names();
    bench.done(&["build", "image.toml", "-q", "-o", "disk.img"]);
    assert!(fs::metadata(bench.path("disk.img")).unwrap().len() > 16 << 20);
    assert_eq!(bench.names(), names);
}

/// The signal that comes with it would end the program without a word.
#[test]
fn a_file_that_may_not_be_so_long_is_an_error() {
    let bench = bench();
    bench.write("disk.img", "old");
    let names = bench.names();
    let program = bench.cellblock();
    let mut command = std::process::Command::new("sh");
    let output = command
        .args(["-c", "ulimit -f 100; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(["build", "image.toml", "-q", "-o", "disk.img"])
        .current_dir(bench.folder())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = "or than `ulimit -f` allows";
    assert!(
        said.contains(expected) || said.contains("File too large"),
        "{said}"
    );
    assert_eq!(bench.names(), names);
    assert_eq!(fs::read(bench.path("disk.img")).unwrap(), b"old");
}

#[test]
fn what_an_output_cannot_be_is_said_with_what_to_do() {
    let bench = bench();
    std::os::unix::fs::symlink("nowhere/disk.img", bench.path("link.img")).unwrap();
    for (output, expected) in [
        (
            "link.img",
            "link.img: it is a link to nowhere/disk.img, which is not there: name what it should lead to",
        ),
        (
            "disk.vhdx,block_size=64KiB",
            "such as 1048576, which it is otherwise",
        ),
        (
            "disk.tar.gz",
            "`cellblock tar IMAGE -o -` writes a plain one to a pipe",
        ),
    ] {
        let outcome = bench.run(&["build", "image.toml", "-q", "-o", output]);
        assert_ne!(outcome.code, Some(0), "{output}");
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
}
