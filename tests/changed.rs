//! Changing an image: its file system as content, with something over it, in another format. The kernel judges what comes of it, or
//! debugfs and erofs-utils where there are no loop devices.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{XattrFlags, setxattr};

use crate::support::bench::set_time;
use crate::support::judges::judge_ext4;
use crate::support::reading::assert_ext4_holds;
use crate::support::{Bench, Listing, is_root, judge, mount};

/// Something of everything that a file system of Unix holds.
fn old(bench: &Bench) {
    let path = |name: &str| bench.path("old").join(name);
    let text: String = (0..40_000).map(|number| format!("{number} ")).collect();
    bench.write("old/usr/text", text);
    bench.write("old/etc/motd", "hello\n");
    bench.write("old/etc/gone", "old\n");
    bench.write("old/etc/small", "small\n");
    fs::hard_link(path("etc/small"), path("usr/again")).unwrap();
    symlink("etc/motd", path("link")).unwrap();
    let sparse = fs::File::create(path("sparse")).unwrap();
    sparse.set_len(9 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", 5 << 20).unwrap();
    let mode = |name: &str, mode| {
        fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("usr/text", 0o4750);
    mode("etc", 0o1777);
    // A file system of temporary files may have none: then nothing of them is tried.
    let _ = setxattr(path("etc/motd"), "user.note", b"noted", XattrFlags::empty());
    if is_root() {
        chown(path("etc/motd"), Some(70_000), Some(8)).unwrap();
        for (name, line) in [("null", &["c", "1", "3"][..]), ("fifo", &["p"])] {
            let _ = Command::new("mknod").arg(path(name)).args(line).status();
        }
    }
    settle(&path(""), 1_500_000_000);
}

/// What goes over it.
fn over(bench: &Bench) {
    bench.write("over/etc/motd", "changed\n");
    bench.write("over/new/file", "new\n");
    settle(&bench.path("over"), 1_600_000_000);
}

/// Gives all that is below a folder times of its own, to the second: squashfs has no more.
fn settle(folder: &Path, seconds: i64) {
    for ((path, _), more) in Listing::of_directory(folder).0.into_iter().rev().zip(0..) {
        let path = String::from_utf8(path).unwrap();
        set_time(&folder.join(path), seconds + more, 0);
    }
}

fn bench() -> (Bench, Listing) {
    let bench = Bench::new();
    old(&bench);
    over(&bench);
    let mut old = Listing::of_directory(&bench.path("old"));
    old.0.remove(&b"etc/gone"[..]);
    let expected = old.overlaid(Listing::of_directory(&bench.path("over")));
    (bench, expected)
}

fn disk_of(bench: &Bench, kind: &str, options: &str) {
    bench.write(
        "old.toml",
        format!(
            "[[partition]]\nname = \"esp\"\ntype = \"esp\"\nsize = \"8MiB\"\nfilesystem = \"vfat\"\n\
             [[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"minimum\"\nfilesystem = \"{kind}\"\n\
             {options}\ncontent = [{{ directory = \"old\" }}]\n"
        ),
    );
    bench.done(&["build", "old.toml", "-q", "-o", "old.img"]);
}

/// Fails unless judges find in a file system what is expected.
fn assert_holds(bench: &Bench, kind: &str, image: &Path, mut expected: Listing) {
    match kind {
        "ext4" => {
            judge_ext4(image);
            assert_ext4_holds(bench, image, expected);
        }
        _ => {
            if let Some(fsck) = judge("fsck.erofs") {
                let output = fsck.run(&["--extract"], image);
                assert!(output.status.success(), "{output:?}");
            }
            if let Some(mut found) = mount::read(bench, kind, image) {
                // An ext4 file system has one, and it is content like all else.
                for listing in [&mut expected, &mut found] {
                    listing.0.remove(&b"lost+found"[..]);
                }
                expected.counted().assert_same(&found.counted());
            }
        }
    }
}

#[test]
fn a_root_of_a_disk_becomes_another_format_with_something_over_it() {
    for (from, options, to) in [
        ("ext4", "", "erofs"),
        ("erofs", "options = { compression = \"lz4\" }", "ext4"),
        ("squashfs", "", "ext4"),
    ] {
        let (bench, expected) = bench();
        disk_of(&bench, from, options);
        bench.write(
            "new.toml",
            format!(
                "[[partition]]\nname = \"root\"\ntype = \"linux-generic\"\nsize = \"minimum\"\nfilesystem = \"{to}\"\n\
                 content = [\n  {{ image = \"old.img\", partition = \"root\", exclude = [\"/etc/gone\"] }},\n  \
                 {{ directory = \"over\" }},\n]\n"
            ),
        );
        bench.done(&["build", "new.toml", "-q", "-o", "new.img"]);
        bench.done(&["cut", "new.img", "root", "-q", "-o", "root.img"]);
        assert_holds(&bench, to, &bench.path("root.img"), expected);
        // Two builds are the same, and the command line says it too.
        let content = [
            "--content",
            "image:old.img:root,exclude=/etc/gone",
            "--content",
            "over",
        ];
        for name in ["one.img", "two.img"] {
            let line = [
                "mkfs",
                to,
                "-q",
                "--seed",
                "00000000000000000000000000000000",
                "-o",
                name,
            ];
            bench.done(&[&line[..], &content].concat());
        }
        assert_eq!(
            fs::read(bench.path("one.img")).unwrap(),
            fs::read(bench.path("two.img")).unwrap(),
            "{from}"
        );
        let same = bench.run(&["diff", "one.img", "root.img"]);
        assert_eq!(same.code, Some(0), "{}{}", same.stdout, same.stderr);
    }
}

#[test]
fn a_file_system_alone_is_content_by_its_parts() {
    let (bench, _) = bench();
    bench.done(&[
        "mkfs",
        "squashfs",
        "-q",
        "--content",
        "old",
        "-o",
        "old.img",
    ]);
    let content = "image:old.img,from=etc,to=/x,owner=5:6";
    bench.done(&["mkfs", "ext4", "-q", "--content", content, "-o", "new.img"]);
    let told = bench.run(&["ls", "-l", "new.img:/x"]).stdout;
    assert!(told.contains("motd") && told.contains(" 5 6 "), "{told}");
    assert!(!told.contains("text"), "{told}");
}

#[test]
fn what_cannot_be_content_is_refused() {
    let (bench, _) = bench();
    disk_of(&bench, "squashfs", "");
    let before = fs::read(bench.path("old.img")).unwrap();
    for (content, output, code, expected) in [
        ("image:old.img:root", "old.img", 2, "the disk"),
        ("image:old.img", "new.img", 2, "2 partitions"),
        ("image:old.img:swap", "new.img", 2, "swap"),
        ("image:none.img", "new.img", 2, "none.img"),
        ("old,partition=root", "new.img", 2, "`partition`"),
        (
            "image:old/etc/motd",
            "new.img",
            2,
            "holds no file system that is known; there are readers of ",
        ),
    ] {
        let line = ["mkfs", "ext4", "--content", content, "-o", output];
        let outcome = bench.run(&line);
        assert_eq!(outcome.code, Some(code), "{content}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
        assert!(!bench.path("new.img").exists());
    }
    assert_eq!(fs::read(bench.path("old.img")).unwrap(), before);
    bench.write(
        "new.toml",
        "[[partition]]\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\n\
         content = [{ directory = \"old\", partition = \"root\" }]\n",
    );
    let outcome = bench.run(&["build", "new.toml"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("new.toml:4"), "{}", outcome.stderr);
}
