//! Partitions as tars and as OCI images: judged by umoci, skopeo and GNU tar, and by our own source of OCI images.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use crate::support::bench::{assert_same_bytes, set_time};
use crate::support::{Ability, Bench, Kind, Listing, is_root, judge, lacks};

/// A time that all of the content has, and directories that umoci takes something out of do not.
const TIME: i64 = 1_600_000_000;

/// A tree with something of everything that layers hold.
fn old(bench: &Bench) {
    bench.write("old/etc/motd", "hello\n");
    bench.write("old/etc/gone", "gone\n");
    bench.write("old/etc/same", "same\n");
    bench.write("old/gone/below/file", "gone\n");
    bench.write("old/becomes-file/below", "gone\n");
    bench.write("old/becomes-folder", "file\n");
    bench.write("old/numbers", "0123456789".repeat(9_000));
    symlink("etc/motd", bench.path("old/link")).unwrap();
    fs::hard_link(bench.path("old/etc/motd"), bench.path("old/etc/again")).unwrap();
    fs::hard_link(bench.path("old/etc/same"), bench.path("old/was-name")).unwrap();
    let mode = fs::Permissions::from_mode(0o4755);
    fs::set_permissions(bench.path("old/numbers"), mode).unwrap();
}

/// What has become of it.
fn new(bench: &Bench) {
    let copied = Command::new("cp")
        .args(["-a", "old", "new"])
        .current_dir(bench.folder())
        .status();
    assert!(copied.unwrap().success());
    let path = |name: &str| bench.path("new").join(name);
    fs::remove_file(path("etc/gone")).unwrap();
    fs::remove_dir_all(path("gone")).unwrap();
    fs::remove_dir_all(path("becomes-file")).unwrap();
    bench.write("new/becomes-file", "file\n");
    fs::remove_file(path("becomes-folder")).unwrap();
    bench.write("new/becomes-folder/below", "new\n");
    // One of two names is gone, and the content behind two others is another.
    fs::remove_file(path("was-name")).unwrap();
    fs::write(path("etc/motd"), "HELLO\n").unwrap();
    fs::remove_file(path("link")).unwrap();
    symlink("etc/again", path("link")).unwrap();
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path("numbers"), mode).unwrap();
}

/// Gives all that is below a folder one time.
fn settle(folder: &Path) {
    for (path, _) in Listing::of_directory(folder).0.into_iter().rev() {
        let path = String::from_utf8(path).unwrap();
        set_time(&folder.join(path), TIME, 0);
    }
}

fn bench() -> Bench {
    let bench = Bench::new();
    old(&bench);
    settle(&bench.path("old"));
    new(&bench);
    settle(&bench.path("new"));
    for name in ["old", "new"] {
        let image = format!("{name}.img");
        bench.done(&["mkfs", "erofs", "-q", "--content", name, "-o", &image]);
    }
    bench
}

/// What umoci unpacks of a layout.
fn unpacked(bench: &Bench, layout: &str) -> Option<Listing> {
    let umoci = judge("umoci")?;
    if !is_root() {
        lacks(Ability::Superuser, "only it unpacks owners");
        return None;
    }
    let _ = fs::remove_dir_all(bench.path("bundle"));
    let output = umoci
        .command()
        .args(["unpack", "--image", &format!("{layout}:latest"), "bundle"])
        .current_dir(bench.folder())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(Listing::of_directory(&bench.path("bundle/rootfs")))
}

/// Directories out of which umoci has removed something have the time at which it did.
fn without_times_of_directories(mut listing: Listing) -> Listing {
    for entry in listing.0.values_mut() {
        if entry.kind == Kind::Directory {
            entry.modified = (0, 0);
        }
    }
    listing
}

#[test]
fn a_partition_becomes_an_image_of_one_layer() {
    let bench = bench();
    let line = ["export", "new.img", "--platform", "linux/amd64", "-o"];
    bench.done(&[&line[..], &["one/"]].concat());
    bench.done(&[&line[..], &["two", "--output-format", "oci"]].concat());
    let expected = Listing::of_directory(&bench.path("one"));
    assert_eq!(expected.0.len(), 1 + 2 + 2 + 3, "{expected:?}");
    let names = |folder: &str| {
        let listing = Listing::of_directory(&bench.path(folder));
        let kinds = listing
            .0
            .into_iter()
            .map(|(path, entry)| (path, entry.kind));
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(names("one"), names("two"));
    if let Some(found) = unpacked(&bench, "one") {
        Listing::of_directory(&bench.path("new")).assert_same(&found);
    }
    if let Some(skopeo) = judge("skopeo") {
        let output = skopeo
            .command()
            .args(["inspect", "--config", "oci:one"])
            .current_dir(bench.folder())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(told.contains("\"architecture\": \"amd64\""), "{told}");
        let output = skopeo
            .command()
            .args(["--insecure-policy", "copy", "oci:one:latest", "dir:copied"])
            .current_dir(bench.folder())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    bench.done(&[
        "mkfs",
        "squashfs",
        "-q",
        "--content",
        "oci:one",
        "-o",
        "again.img",
    ]);
    let same = bench.run(&["diff", "new.img", "again.img"]);
    assert_eq!(same.code, Some(0), "{}{}", same.stdout, same.stderr);
}

#[test]
fn a_layer_over_a_base_has_only_what_differs() {
    let bench = bench();
    let line = [
        "export", "new.img", "--base", "old.img", "-o", "layout/", "--json", "record",
    ];
    bench.done(&line);
    let found = unpacked(&bench, "layout");
    if let Some(found) = found {
        let expected = Listing::of_directory(&bench.path("new"));
        without_times_of_directories(expected).assert_same(&without_times_of_directories(found));
    }
    bench.done(&[
        "mkfs",
        "squashfs",
        "-q",
        "--content",
        "oci:layout",
        "-o",
        "again.img",
    ]);
    let same = bench.run(&["diff", "new.img", "again.img"]);
    assert_eq!(same.code, Some(0), "{}{}", same.stdout, same.stderr);
    let Some(tar) = judge("tar") else { return };
    // The smaller one of the two tars is the upper layer.
    let blobs = fs::read_dir(bench.path("layout/blobs/sha256")).unwrap();
    let mut layers: Vec<_> = blobs
        .map(|blob| blob.unwrap().path())
        .filter(|blob| fs::metadata(blob).unwrap().len() % 512 == 0)
        .collect();
    layers.sort_by_key(|layer| fs::metadata(layer).unwrap().len());
    let output = tar.command().arg("tf").arg(&layers[0]).output().unwrap();
    let names = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    let expected = [
        "./",
        "./.wh.gone",
        "./.wh.was-name",
        "./becomes-file",
        "./becomes-folder/",
        "./becomes-folder/below",
        "./etc/",
        "./etc/.wh.gone",
        "./etc/again",
        "./etc/motd",
        "./link",
        "./numbers",
    ];
    assert!(names == expected, "{names:?} in {}", layers[0].display());
}

#[test]
fn a_tar_is_what_the_command_tar_writes() {
    let bench = bench();
    bench.done(&["tar", "new.img", "-o", "one.tar"]);
    bench.done(&["export", "new.img", "-o", "two.tar"]);
    assert_same_bytes(&bench.path("one.tar"), &bench.path("two.tar"));
    let line = ["export", "new.img", "-o", "-", "--output-format", "tar"];
    let output = bench.cellblock().args(line).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, fs::read(bench.path("one.tar")).unwrap());
}

#[test]
fn what_cannot_be_exported_is_refused_and_nothing_is_written() {
    let bench = bench();
    bench.write("full/file", "");
    bench.write("bad/.wh.file", "");
    bench.done(&["mkfs", "erofs", "-q", "--content", "bad", "-o", "bad.img"]);
    for (line, code, expected) in [
        (&["new.img", "-o", "full"][..], 2, "not empty"),
        (&["bad.img", "-o", "out/"], 1, "/.wh.file"),
        (
            &["new.img", "-o", "new.img", "--output-format", "tar"],
            2,
            "new.img",
        ),
        (
            &["new.img", "-o", "a.tar", "-o", "b.qcow2"],
            2,
            "whole disk",
        ),
        (
            &["new.img", "-o", "a.tar", "--base", "old.img"],
            2,
            "--base",
        ),
        (&["new.img:1", "-o", "a.qcow2"], 2, "whole image"),
        (
            &["new.img", "-o", "-", "--output-format", "oci"],
            2,
            "directory",
        ),
    ] {
        let outcome = bench.run(&[&["export"], line].concat());
        assert_eq!(outcome.code, Some(code), "{line:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
    let names = ["bad", "bad.img", "full", "new", "new.img", "old", "old.img"];
    assert_eq!(bench.names(), names);
}

/// GNU tar takes a list from its text alone; without it, the mask is the group's permissions.
#[test]
fn access_control_lists_are_what_tar_restores() {
    let (Some(setfacl), Some(getfacl), Some(tar)) =
        (judge("setfacl"), judge("getfacl"), judge("tar"))
    else {
        return;
    };
    let bench = Bench::new();
    bench.write("root/folder/file", "hello\n");
    let set = |list: &str, name: &str| {
        let mut command = setfacl.command();
        let done = command.args(["-m", list]).arg(bench.path(name)).status();
        assert!(done.unwrap().success());
    };
    set("u:1234:rwx,g::r--,m::rwx", "root/folder/file");
    set("d:g:4321:r-x", "root/folder");
    bench.done(&["mkfs", "erofs", "-q", "--content", "root", "-o", "disk.img"]);
    bench.done(&["tar", "disk.img", "-o", "root.tar"]);
    bench.create_folder("again");
    let mut command = tar.command();
    command.args([
        "--acls",
        "--numeric-owner",
        "-xpf",
        "root.tar",
        "-C",
        "again",
    ]);
    let done = command.current_dir(bench.folder()).status();
    assert!(done.unwrap().success());
    let lists = |folder: &str| {
        let mut command = getfacl.command();
        command.args(["-n", "-R", "folder"]);
        let output = command.current_dir(bench.path(folder)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(lists("again"), lists("root"));
    assert!(lists("again").contains("user:1234:rwx"));
}

#[test]
fn what_a_socket_stands_in_for_is_taken_away() {
    let bench = Bench::new();
    bench.write("old/run/file", "old\n");
    bench.write("old/run/folder/below", "old\n");
    for name in [
        "old/run/socket",
        "new/run/file",
        "new/run/folder",
        "new/run/socket",
    ] {
        fs::create_dir_all(bench.path(name).parent().unwrap()).unwrap();
        UnixListener::bind(bench.path(name)).unwrap();
    }
    for name in ["old", "new"] {
        let image = format!("{name}.img");
        bench.done(&[
            "mkfs",
            "ext4",
            "-q",
            "--content",
            name,
            "--size",
            "8MiB",
            "-o",
            &image,
        ]);
    }
    let line = [
        "export", "new.img", "--base", "old.img", "-o", "layout/", "-q",
    ];
    bench.done(&line);
    bench.done(&[
        "mkfs",
        "erofs",
        "-q",
        "--content",
        "oci:layout",
        "-o",
        "again.img",
    ]);
    let told = bench.done(&["ls", "-R", "again.img"]);
    for gone in ["file", "below"] {
        assert!(!told.contains(gone), "{told}");
    }
}

#[test]
fn what_overlayfs_takes_for_its_own_mark_is_told_of_layers() {
    let bench = Bench::new();
    bench.write("upper.dump", "/ 0 40755 2 0 0 0 1.0 - - -\n/gone 0 20000 1 0 0 0 1.0 - - -\n/out 0 20000 1 0 0 0 1.0 - - -\n");
    bench.write(
        "lower.dump",
        "/ 0 40755 2 0 0 0 1.0 - - -\n/gone 0 100644 1 0 0 0 1.0 - - -\n",
    );
    for name in ["upper", "lower"] {
        let (content, image) = (format!("composefs:{name}.dump"), format!("{name}.img"));
        bench.done(&["mkfs", "erofs", "-q", "--content", &content, "-o", &image]);
    }
    let done = bench.run(&[
        "export",
        "upper.img",
        "--base",
        "lower.img",
        "-o",
        "layout/",
        "-q",
        "--platform",
        "linux/amd64",
    ]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stderr
            .contains("/gone is a device 0:0: where the layers are mounted by overlayfs")
            && done.stderr.contains("so it is with another file"),
        "{}",
        done.stderr
    );
}
