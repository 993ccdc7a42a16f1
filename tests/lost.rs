//! Nothing is lost: no output is an input or another output, and what can fail beforehand fails before anything is
//! replaced.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::Bench;

const SPEC: &str = "[[partition]]\nname = \"data\"\ntype = \"linux\"\nsize = \"4MiB\"\n";

/// A bench with a spec that reads each kind of file.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("source.bin", "content");
    bench.write("fstab.in", "{{ disk.id }}\n");
    bench.write("raw.bin", vec![7; 512]);
    bench.write("root.tar", vec![0; 1024]);
    let content = "filesystem = \"ext2\"\ncontent = [{ file = \"source.bin\", to = \"/a\" }, \
                   { template = \"fstab.in\", to = \"/b\" }, { archive = \"root.tar\" }]\n";
    let raw = "[[partition]]\nname = \"raw\"\ntype = \"linux\"\nraw = [{ file = \"raw.bin\", offset = 0 }]\n";
    bench.write("image.toml", format!("{SPEC}{content}{raw}"));
    symlink("image.toml", bench.path("link")).unwrap();
    bench
}

#[test]
fn no_output_is_an_input_or_another_output() {
    let build = ["build", "image.toml"];
    for (arguments, path, other) in [
        (vec!["-o", "image.toml"], "image.toml", "the spec"),
        (vec!["-o", "link"], "link", "the spec (image.toml)"),
        (vec!["-o", "source.bin"], "source.bin", "the source"),
        (vec!["-o", "fstab.in"], "fstab.in", "the template"),
        (vec!["-o", "raw.bin"], "raw.bin", "the raw file"),
        (vec!["-o", "root.tar"], "root.tar", "the archive"),
        (
            vec!["-o", "v.img", "--json", "image.toml"],
            "image.toml",
            "the spec",
        ),
        (
            vec!["-o", "v.img", "--json", "./v.img"],
            "./v.img",
            "the image",
        ),
    ] {
        let bench = bench();
        let names = bench.names();
        let before = fs::read(bench.path("image.toml")).unwrap();
        let outcome = bench.run(&[&build[..], &arguments].concat());
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        let message = &outcome.stderr;
        assert!(
            message.starts_with(&format!("error: {path}: is both the ")) && message.contains(other),
            "{arguments:?}: {message}"
        );
        assert_eq!(bench.names(), names, "{arguments:?}");
        assert!(fs::read(bench.path("image.toml")).unwrap() == before);
    }
}

#[test]
fn the_archive_of_a_file_system_is_not_written_over() {
    let bench = bench();
    for output in ["root.tar", "./root.tar"] {
        let outcome = bench.run(&[
            "mkfs",
            "ext4",
            "-o",
            output,
            "--content",
            "archive:root.tar",
        ]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    }
    let bytes = fs::read(bench.path("root.tar")).unwrap();
    assert!(bytes == vec![0; 1024]);
}

#[test]
fn a_partition_is_not_cut_into_its_image() {
    let bench = bench();
    bench.write("empty.toml", SPEC);
    let image = bench.build_text(SPEC);
    let before = fs::read(&image).unwrap();
    let name = image.file_name().unwrap().to_str().unwrap().to_owned();
    symlink(&name, bench.path("alias.img")).unwrap();
    let outcome = bench.run(&["cut", &name, "data", "-o", "alias.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(fs::read(&image).unwrap() == before);
}

#[test]
fn a_record_that_cannot_be_written_leaves_the_image_that_was() {
    for record in ["absent/record.json", "folder", "/dev/full"] {
        let bench = bench();
        bench.create_folder("folder");
        bench.write("disk.img", "the one before");
        bench.write("plain.toml", SPEC);
        let outcome = bench.run(&["build", "plain.toml", "-o", "disk.img", "--json", record]);
        assert_eq!(outcome.code, Some(1), "{record}: {}", outcome.stderr);
        let kept = fs::read_to_string(bench.path("disk.img")).unwrap();
        assert_eq!(kept, "the one before", "{record}");
    }
}

#[test]
fn what_is_replaced_keeps_its_permissions() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.write("disk.img", "the one before");
    let path = bench.path("disk.img");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_long_name_is_replaced_as_it_is_built() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let name = format!("{}.img", "n".repeat(251));
    for _ in 0..2 {
        let outcome = bench.run(&["build", "image.toml", "-o", &name]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    }
    assert_eq!(bench.names(), ["image.toml", &name]);
}

#[test]
fn builds_to_one_name_do_not_fail_each_other() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    std::thread::scope(|scope| {
        let build = || {
            for _ in 0..10 {
                let outcome = bench.run(&["build", "image.toml", "-o", "disk.img", "--no-cache"]);
                assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
            }
        };
        for _ in 0..6 {
            scope.spawn(build);
        }
    });
    assert_eq!(bench.names(), ["disk.img", "image.toml"]);
}

#[test]
fn a_name_of_another_format_is_refused() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let outcome = bench.run(&["build", "image.toml", "-o", "z.qcow2"]);
    let expected = "error: --output z.qcow2: the name says a qcow2 image, and what is made is a plain disk: \
                    name it .img or .raw, and convert it afterwards\n";
    assert_eq!((outcome.code, &*outcome.stderr), (Some(2), expected));
    assert_eq!(bench.names(), ["image.toml"]);
}
