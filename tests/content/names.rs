//! Names and nodes that lead astray.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::archive::Archive;
use super::runner::{Case, case, endure};
use crate::support::{Ability, Bench, Listing, is_root, judge, lacks, reading};
use crate::unprivileged::{as_nobody, folder_of_nobody};

const ARCHIVE: &str = "{ archive = \"a.tar\" }";
const DIRECTORY: &str = "{ directory = \"content\", owner = \"0:0\" }";

fn archive(name: &str, filesystem: &'static str, bytes: Vec<u8>) -> Case {
    case(name, filesystem, ARCHIVE, move |bench| {
        bench.write("a.tar", &bytes);
    })
}

fn loops(bench: &Bench) {
    let folder = bench.create_folder("content/folder");
    for (link, target) in [
        ("self", "self"),
        ("one", "other"),
        ("other", "one"),
        ("folder/up", ".."),
        ("folder/here", "."),
        ("root", "/"),
    ] {
        symlink(target, bench.path("content").join(link)).unwrap();
    }
    drop(folder);
}

#[test]
fn links_that_lead_in_circles() {
    endure(
        "circles",
        vec![
            case("symbolic links in circles", "ext4", DIRECTORY, loops).right(|bench, part| {
                let mut expected = Listing::of_directory(&bench.path("content"));
                for entry in expected.0.values_mut() {
                    entry.owner = (0, 0);
                }
                reading::assert_ext4_holds(bench, part, expected);
            }),
            case("symbolic links in circles", "vfat", DIRECTORY, loops)
                .refused("/folder/here: a symbolic link cannot be stored in vfat; …"),
            archive(
                "a hard link to itself",
                "ext4",
                Archive::new().link("a", b'1', "a").bytes(),
            )
            .refused("a.tar: member 'a' is a hard link to 'a', which is no earlier member; …"),
            archive(
                "a hard link to a directory that it is in",
                "ext4",
                Archive::new()
                    .with("a/", b'5', b"")
                    .link("a/b", b'1', "a")
                    .bytes(),
            )
            .refused("a.tar: member 'a/b' is a hard link to 'a', which is a directory; …"),
        ],
    );
}

#[test]
fn members_that_contradict_each_other() {
    let mut cases = Vec::new();
    for filesystem in ["ext4", "vfat"] {
        let refused = |name: &str, bytes: Vec<u8>, error: &str| {
            archive(name, filesystem, bytes).refused(format!("a.tar: {error}"))
        };
        cases.extend([
            refused(
                "a name that leads outside",
                Archive::new().with("a/../../b", b'0', b"").bytes(),
                "member 'a/../../b': has '..' in it; …",
            ),
            refused(
                "a link whose target leads outside",
                Archive::new().link("a", b'1', "../../etc/shadow").bytes(),
                "member 'a -> ../../etc/shadow': has '..' in it; …",
            ),
            refused(
                "a hard link to a member that comes later",
                Archive::new()
                    .link("a", b'1', "b")
                    .with("b", b'0', b"")
                    .bytes(),
                "member 'a' is a hard link to 'b', which is no earlier member; …",
            ),
            refused(
                "a file below a file",
                Archive::new()
                    .with("a", b'0', b"")
                    .with("a/b", b'0', b"")
                    .bytes(),
                "member 'a/b' lies below 'a', which is a file",
            ),
            refused(
                "a file in the place of a directory that is not empty",
                Archive::new()
                    .with("a/", b'5', b"")
                    .with("a/b", b'0', b"")
                    .with("a", b'0', b"")
                    .bytes(),
                "member 'a' is no directory, and an earlier one, which has '…b', is: that would be lost; …",
            ),
            refused(
                "a directory below a symbolic link",
                Archive::new()
                    .link("a", b'2', "/etc")
                    .with("a/b/", b'5', b"")
                    .bytes(),
                "member 'a/b/' lies below 'a', which is a symbolic link",
            ),
            archive(
                "an absolute name, whose slashes do not count",
                filesystem,
                Archive::new().with("//a", b'0', b"inside").bytes(),
            )
            .right(move |bench, part| assert_file(bench, filesystem, part, "a", b"inside")),
            archive(
                "a name three times, of which the last holds",
                filesystem,
                Archive::new()
                    .with("a/", b'5', b"")
                    .with("a", b'0', b"first")
                    .with("a", b'0', b"last")
                    .bytes(),
            )
            .right(move |bench, part| assert_file(bench, filesystem, part, "a", b"last")),
        ]);
    }
    endure("contradictions", cases);
}

/// Fails unless the file system holds the file with these bytes, as far as its reader is installed.
pub fn assert_file(bench: &Bench, filesystem: &str, part: &Path, name: &str, bytes: &[u8]) {
    let (reader, arguments) = match filesystem {
        "vfat" => ("mtype", vec!["-i".to_owned()]),
        _ => ("debugfs", vec!["-R".to_owned(), format!("cat /{name}")]),
    };
    let Some(reader) = judge(reader) else { return };
    let mut command = reader.command();
    command
        .args(arguments)
        .arg(part)
        .current_dir(bench.folder());
    if filesystem == "vfat" {
        command.arg(format!("::/{name}"));
    }
    let output = command.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn names_that_would_act_on_a_terminal() {
    // It clears the screen, begins a line, and is no UTF-8.
    let name = "a\u{1b}[2J\r\nerror: fake\u{9b}";
    let escaped = "a\\u{1b}[2J\\r\\nerror: fake\\u{9b}";
    endure(
        "terminals",
        vec![
            archive(
                "a name with control characters",
                "ext4",
                Archive::new().with(name, b'0', b"").bytes(),
            ),
            archive(
                "a name with control characters",
                "vfat",
                Archive::new().with(name, b'0', b"").bytes(),
            )
            .refused("/a…error: fake…: vfat cannot store the character '\\u{1b}' in a name; …"),
            archive(
                "a name with control characters in an error of the archive",
                "ext4",
                Archive::new()
                    .with(&format!("../{name}"), b'0', b"")
                    .bytes(),
            )
            .refused(format!("a.tar: member '../{escaped}': has '..' in it; …")),
            archive(
                "a target with control characters in an error",
                "ext4",
                Archive::new().link("a", b'1', name).bytes(),
            )
            .refused(format!(
                "a.tar: member 'a' is a hard link to '{escaped}', which is no earlier member; …"
            )),
            case(
                "a directory with such a name, that cannot be stored",
                "vfat",
                DIRECTORY,
                move |bench| drop(bench.create_folder(&format!("content/{name}"))),
            )
            .refused("/a…error: fake…: vfat cannot store the character '\\u{1b}' in a name; …"),
        ],
    );
}

/// What a build in a container meets in a root file system's `/dev`.
fn devices() -> Vec<u8> {
    let mut archive = Archive::new().with("dev/", b'5', b"");
    for (name, kind, major, minor) in [
        ("dev/null", b'3', 1, 3),
        ("dev/tty", b'3', 5, 0),
        ("dev/sda", b'4', 8, 0),
        ("dev/far", b'4', 4095, 1_048_575),
    ] {
        archive
            .header(name, kind, 0, |header| {
                header.set_device_major(major).unwrap();
                header.set_device_minor(minor).unwrap();
                header.set_uid(1000);
                header.set_mode(0o6666);
            })
            .unwrap();
    }
    archive.with("dev/pipe", b'6', b"").bytes()
}

#[test]
fn a_tree_of_devices() {
    let refused = "/dev/far: a block device cannot be stored in vfat; …";
    endure(
        "devices",
        vec![
            archive("devices in an archive", "ext4", devices()),
            archive("devices in an archive", "vfat", devices()).refused(refused),
            archive("devices that are left out", "vfat", devices())
                .with("drop = [\"special-files\", \"owners\", \"permissions\"]"),
        ],
    );
    let bench = Bench::new();
    let Some(setpriv) = judge("setpriv") else {
        return;
    };
    bench.write("a.tar", devices());
    folder_of_nobody(&bench, "out");
    let make = ["mkfs", "ext4", "-q", "--content", "a.tar", "-o"];
    bench.done(&[&make[..], &["expected.img"]].concat());
    as_nobody(&bench, &setpriv, &[&make[..], &["out/dev.img"]].concat());
    let image = bench.path("out/dev.img");
    crate::support::bench::assert_same_bytes(&image, &bench.path("expected.img"));
    if is_root() {
        let expected = reading::of_archive(&bench, &bench.path("a.tar"), reading::Acls::Words);
        let Some(mut expected) = expected else { return };
        expected.get("").modified = (1_700_000_000, 0);
        expected.get("").mode = 0o755;
        reading::assert_ext4_holds(&bench, &image, expected);
    } else {
        lacks(Ability::Superuser, "only it makes devices to compare with");
    }
}
