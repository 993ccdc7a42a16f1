//! What a run says beside its result: what is done, what makes no difference, and which wall is missing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use crate::support::Bench;
use crate::walls::run_without;

const SPEC: &str =
    "[[partition]]\nname = \"data\"\ntype = \"linux\"\nsize = \"4MiB\"\nfilesystem = \"ext4\"\n";

#[test]
fn a_loss_of_what_the_format_stores_is_no_loss() {
    let bench = Bench::new();
    bench.write("root/file", "x");
    let drops = "drop = [\"owners\", \"hard-links\"]\ncontent = [{ directory = \"root\", owner = \"0:0\" }]\n";
    bench.write("image.toml", format!("{SPEC}{drops}"));
    let expected = "warning: data: nothing is dropped by drop = [\"hard-links\"]: ext4 loses no hard-links\n\
                    warning: data: nothing is dropped by drop = [\"owners\"]: ext4 loses no owners\n";
    for arguments in [
        &["build", "-o", "disk.img"][..],
        &["plan"],
        &["build", "-q", "-o", "disk.img"],
    ] {
        let outcome = bench.run(arguments);
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), expected));
    }
    let fill = ["fill", "disk.img", "data", "ext4", "--drop", "permissions"];
    let outcome = bench.run(&fill);
    let expected = "warning: partition 1 'data'";
    assert!(
        !outcome.stderr.starts_with(expected)
            && outcome
                .stderr
                .contains("nothing is dropped by drop = [\"permissions\"]"),
        "{}",
        outcome.stderr
    );
    // What FAT lacks is dropped, and attributes that no file system has room for may be.
    for (kind, loss) in [("vfat", "owners"), ("ext4", "attributes")] {
        let outcome = bench.run(&["mkfs", kind, "-o", "it", "--size", "4MiB", "--drop", loss]);
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    }
}

/// The folder's own mode and owner go in, too, and `mktemp -d` makes one of mode 0700.
#[test]
fn a_root_directory_that_only_its_owner_can_enter_is_told_of() {
    let bench = Bench::new();
    bench.write("root/file", "x");
    let root = bench.folder().join("root");
    fs::set_permissions(root, fs::Permissions::from_mode(0o700)).unwrap();
    let run = |kind, more: &[&str]| {
        let content = "root,owner=1000:1000";
        let arguments = ["mkfs", kind, "-o", "it", "--content", content];
        let outcome = bench.run(&[&arguments[..], more].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.stderr
    };
    let expected = "the root directory has the mode 0700 and the owner 1000:1000, as its source has, and lets nobody \
                    else in: where others are to enter, make the mode of the source 0755\n";
    for kind in ["ext4", "squashfs"] {
        assert!(run(kind, &[]).ends_with(expected), "{}", run(kind, &[]));
    }
    let fat = run("vfat", &["--drop", "owners"]);
    assert!(!fat.contains("root directory"), "{fat}");
}

/// A pipe whose reader has gone, as behind `2>&1 | head`, and a full disk.
#[test]
fn where_nobody_hears_it_goes_on() {
    let bench = Bench::new();
    let command = |name: &str, arguments: &[&str], errors: Stdio| {
        let mut command = bench.cellblock();
        command.args(["mkfs", "ext4", "--size", "4MiB", "--drop", "symlinks"]);
        command.args(["-o", name]).args(arguments).stderr(errors);
        command.stdout(Stdio::null()).status().unwrap().code()
    };
    let full = || Stdio::from(fs::File::create("/dev/full").unwrap());
    let gone = || Stdio::from(std::io::pipe().unwrap().1);
    for (name, errors) in [("full.img", full()), ("gone.img", gone())] {
        assert_eq!(command(name, &["-v"], errors), Some(0), "{name}");
        assert!(bench.path(name).is_file(), "{name}");
    }
    for errors in [full(), gone()] {
        let mistake = &["--content", "absent"];
        assert_eq!(command("absent.img", mistake, errors), Some(2));
    }
}

#[test]
fn a_plan_warns_of_a_missing_wall_as_a_build_does() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    for arguments in [
        &["build", "-o", "disk.img"][..],
        &["plan"],
        &["build", "--dry-run"],
    ] {
        let Some(outcome) = run_without(&bench, "landlock_create_ruleset", arguments) else {
            return;
        };
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("warning: this kernel")
                && outcome
                    .stderr
                    .contains("`--walls process` makes this an error"),
            "{arguments:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn what_is_done_is_said_if_that_is_wished_for() {
    let bench = Bench::new();
    bench.write("root/file", vec![1; 5000]);
    let content = "content = [{ directory = \"root\" }]\n";
    bench.write("image.toml", format!("{SPEC}{content}"));
    let outcome = bench.run(&["build", "-v", "-o", "disk.img", "--sync", "--json", "r"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for line in [
        "ext4: is made by the formatter ext4, sha256 ",
        "data: its content is the directory root\n",
        "data: reading\n",
        "data: reading: 2 files in ",
        "data: 4 194 304 bytes from byte 1 048 576 on\n",
        "data: writing: 4.8 KiB in ",
        "data: hashing took ",
        "data: copying: 4 MiB in ",
        "the image: hashing: ",
        "disk.img: flushing took ",
    ] {
        assert!(outcome.stderr.contains(line), "{line}: {}", outcome.stderr);
    }
    let outcome = bench.run(&["build", "-o", "disk.img"]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
    for command in [
        &["cut", "disk.img", "data", "-v", "-o", "cut"][..],
        &["splice", "disk.img", "data", "cut", "-v"],
        &["fill", "disk.img", "data", "ext4", "-v"],
    ] {
        let outcome = bench.run(command);
        let copied = "1 'data': copying: 4 MiB in ";
        assert!(outcome.stderr.contains(copied), "{}", outcome.stderr);
    }
    let both = bench.run(&["build", "-v", "-q"]);
    assert_eq!(both.code, Some(2));
}

#[test]
fn links_are_followed_in_a_partition_that_is_named() {
    let bench = Bench::new();
    bench.write("esp/real", "content");
    symlink("real", bench.path("esp/link")).unwrap();
    let spec = SPEC.replace("ext4", "vfat");
    bench.write("image.toml", &spec);
    let add = [
        "-q",
        "-o",
        "disk.img",
        "--content",
        "data=esp",
        "--owner",
        "data=0:0",
    ];
    let without = bench.run(&[&["build"], &add[..]].concat());
    assert!(without.stderr.contains("/link"), "{}", without.stderr);
    bench.done(&[&["build"], &add[..], &["--follow", "data"]].concat());
    let converted = bench.done(&[
        "convert",
        "image.toml",
        "--content",
        "data=esp",
        "--follow",
        "data",
    ]);
    assert!(converted.contains("follow = true"), "{converted}");
    let absent = bench.run(&["build", "--follow", "home"]);
    let expected = "error: --follow home: no partition has that name; the partitions are data\n";
    assert_eq!((absent.code, &*absent.stderr), (Some(2), expected));
    let size = fs::metadata(bench.path("disk.img")).unwrap().len();
    assert!(size > 4 << 20);
}

#[test]
fn a_source_of_which_strip_leaves_nothing_is_told_of() {
    let bench = Bench::new();
    bench.write("root/etc/name", "x");
    let mkfs = |strip: &str| {
        let content = format!("directory:root,strip={strip},owner=0:0");
        let arguments = ["mkfs", "ext4", "-q", "-o", "root.img", "--content"];
        bench.run(&[&arguments[..], &[&content]].concat())
    };
    for (strip, said) in [
        ("1", ""),
        (
            "2",
            "warning: ext4: root: strip = 2 leaves nothing of it: no path there has more than 2 names\n",
        ),
    ] {
        let outcome = mkfs(strip);
        assert_eq!((outcome.code, &*outcome.stderr), (Some(0), said));
    }
    bench.create_folder("empty");
    let content = "directory:empty,strip=2";
    let outcome = bench.run(&["mkfs", "ext4", "-q", "-o", "root.img", "--content", content]);
    assert_eq!((outcome.code, &*outcome.stderr), (Some(0), ""));
}
