//! Places where an image cannot be.

use std::fs;
use std::path::Path;

use super::{PARTITION, filesystem};
use crate::support::bench::{copy_program, names};
use crate::support::mount::Mount;
use crate::support::{Ability, Bench, is_root, judge, lacks, text};

/// Builds into `output`, which must fail as a wrong name; what it says.
fn refused(bench: &Bench, output: &str) -> String {
    refused_as(2, bench, output)
}

/// The same, with this exit code.
fn refused_as(code: i32, bench: &Bench, output: &str) -> String {
    let outcome = bench.run(&["build", "image.toml", "-o", output]);
    assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
    outcome.stderr
}

#[test]
fn an_output_that_is_a_directory_is_refused() {
    let bench = Bench::new();
    bench.write("image.toml", format!("{PARTITION}size = \"2MiB\"\n"));
    let folder = bench.create_folder("folder");
    let expected = "error: folder: is a directory; name the image's file in it\n";
    assert_eq!(refused(&bench, "folder"), expected);
    assert!(names(&folder).is_empty());
    assert_eq!(bench.names(), ["folder", "image.toml"]);
}

#[test]
fn an_output_whose_folder_is_missing_is_refused() {
    let bench = Bench::new();
    bench.write("image.toml", format!("{PARTITION}size = \"2MiB\"\n"));
    assert_eq!(
        refused(&bench, "absent/disk.img"),
        "error: absent: no file can be made there: No such file or directory (os error 2)\n"
    );
    assert_eq!(bench.names(), ["image.toml"]);
}

#[test]
fn an_output_that_is_a_fifo_is_refused() {
    let bench = Bench::new();
    bench.write("image.toml", format!("{PARTITION}size = \"2MiB\"\n"));
    let Some(mkfifo) = judge("mkfifo") else {
        return;
    };
    mkfifo.content_with(&[], &bench.path("fifo"));
    assert_eq!(
        refused(&bench, "fifo"),
        "error: fifo: is no regular file, and only those are replaced; build into a file, then copy it there\n"
    );
}

/// A disk of 1 MiB in the folder `small`.
pub fn small_disk(bench: &Bench) -> Option<Mount> {
    disk_of(bench, "size=1m")
}

fn disk_of(bench: &Bench, size: &str) -> Option<Mount> {
    if !is_root() {
        lacks(Ability::Superuser, "only it mounts a small disk");
        return None;
    }
    let point = bench.create_folder("small");
    Mount::new("tmpfs", size, Path::new("small"), point)
        .inspect_err(|said| lacks(Ability::Mount, &format!("no small disk: {said}")))
        .ok()
}

#[test]
fn nothing_is_left_of_copies_for_which_the_disk_becomes_too_small() {
    let bench = Bench::new();
    bench.write("raw.img", vec![7; 24 << 20]);
    let Some(_disk) = disk_of(&bench, "size=13m") else {
        return;
    };
    for jobs in ["1", "2"] {
        for output in [
            "small/disk.img",
            "small/disk.qcow2",
            "small/disk.vhd,subformat=dynamic",
        ] {
            let arguments = ["export", "raw.img", "-o", output, "--jobs", jobs];
            let said = bench.run(&arguments);
            assert_eq!(said.code, Some(1), "{output}");
            assert!(
                said.stderr.contains("small: the disk is full: "),
                "{}",
                said.stderr
            );
            assert!(names(&bench.path("small")).is_empty(), "{output}");
        }
    }
}

#[test]
fn a_full_disk_is_refused() {
    let bench = Bench::new();
    bench.write("big", vec![b'x'; 3_000_000]);
    let content = "content = [{ file = \"big\", to = \"/big\" }]\n";
    bench.write(
        "image.toml",
        filesystem("ext4", content).replace("2MiB", "8MiB"),
    );
    let Some(_disk) = small_disk(&bench) else {
        return;
    };
    let error = refused_as(1, &bench, "small/disk.img");
    let start = "error: partition 'data': small: the disk is full: ";
    assert!(error.starts_with(start), "{error}");
    let end = " more are to be written; free some space, or build somewhere else\n";
    assert!(error.ends_with(end), "{error}");
    assert!(names(&bench.path("small")).is_empty());

    let image = bench.write("small/disk.img", "an image from before");
    assert_eq!(
        bench
            .run(&["build", "image.toml", "-o", "small/disk.img"])
            .code,
        Some(1)
    );
    assert_eq!(fs::read_to_string(image).unwrap(), "an image from before");
    assert_eq!(names(&bench.path("small")), ["disk.img"]);
}

#[test]
fn a_folder_that_is_not_writable_is_refused() {
    let bench = Bench::new();
    bench.write("image.toml", format!("{PARTITION}size = \"2MiB\"\n"));
    let folder = bench.create_folder("folder");
    let mut permissions = fs::metadata(&folder).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&folder, permissions).unwrap();
    let mut command = if is_root() {
        // The superuser may write everywhere; nobody may not.
        let Some(setpriv) = judge("setpriv") else {
            return;
        };
        let copy = bench.path("cellblock");
        copy_program(&copy);
        let mut command = setpriv.command();
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy)
            .current_dir(bench.folder());
        command
    } else {
        bench.cellblock()
    };
    let output = command
        .args(["build", "image.toml", "-o", "folder/disk.img", "--no-cache"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("folder: no file can be made there: Permission denied"),
        "{}",
        text(&output)
    );
    assert!(names(&folder).is_empty());
}
