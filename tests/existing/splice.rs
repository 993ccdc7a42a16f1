//! A file put into a partition, and taken out again.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;

use super::{MEBIBYTE, assert_rest_is, lived_in, noise, place};
use crate::support::bench::{Outcome, assert_same_bytes, names, program};
use crate::support::{Ability, Bench, judge, lacks};

/// The bytes of a file that are on the disk.
fn allocated(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

/// A file of 4 MiB with data in its second and fourth, and holes in the others.
fn sparse(bench: &Bench, name: &str) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let path = bench.path(name);
    let file = fs::File::create(&path).unwrap();
    file.set_len(4 << 20).unwrap();
    for at in [1, 3] {
        let bytes = noise(MEBIBYTE / 2 + 123, at);
        file.write_all_at(&bytes, u64::from(at) << 20).unwrap();
    }
    fs::read(path).unwrap()
}

#[test]
fn what_was_put_in_is_taken_out_and_the_rest_is_as_it_was() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    let new = bench.write("new", noise(4 * MEBIBYTE, 99));
    let said = bench.done(&["splice", "disk.img", "two", "new", "--expect-size", "4MiB"]);
    assert!(
        said.starts_with("disk.img: partition 2 'two', 4 MiB: new in "),
        "{said}"
    );
    assert_rest_is(&image, &before, place(&bench, &image, "two"));
    let said = bench.done(&["cut", "disk.img", "two", "-o", "out"]);
    assert!(
        said.starts_with("out: partition 2 'two' of disk.img, 4 MiB in "),
        "{said}"
    );
    assert_same_bytes(&new, &bench.path("out"));
    assert_eq!(bench.names(), ["disk.img", "image.toml", "new", "out"]);
    assert_eq!(
        bench.done(&["cut", "disk.img", "one", "-o", "out", "--quiet"]),
        ""
    );
    assert!(fs::read(bench.path("out")).unwrap() == before[MEBIBYTE..2 * MEBIBYTE]);
}

#[test]
fn a_smaller_file_leaves_zeros_behind_it() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    for length in [0, 1, 511, 4097, 3 * MEBIBYTE + 5] {
        let new = noise(length, 3);
        bench.write("new", &new);
        bench.done(&["splice", "disk.img", "two", "new", "--quiet"]);
        let two = place(&bench, &image, "two");
        let after = fs::read(&image).unwrap();
        assert!(after[two.start..two.start + length] == new, "{length}");
        assert!(
            after[two.start + length..two.end]
                .iter()
                .all(|byte| *byte == 0),
            "{length}"
        );
        assert_rest_is(&image, &before, two);
    }
}

#[test]
fn standard_input_without_a_byte_wipes_nothing() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    let mut command = bench.cellblock();
    let command = command
        .args(["splice", "disk.img", "two", "-"])
        .stdin(Stdio::null());
    let outcome = Outcome::of(command);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("gave no byte"),
        "{}",
        outcome.stderr
    );
    assert!(fs::read(&image).unwrap() == before);
}

#[test]
fn holes_stay_holes_both_ways() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let full = allocated(&image);
    let new = sparse(&bench, "new");
    bench.done(&["splice", "disk.img", "two", "new", "--quiet"]);
    let two = place(&bench, &image, "two");
    assert!(fs::read(&image).unwrap()[two] == new);
    bench.done(&["cut", "disk.img", "two", "-o", "out", "--quiet"]);
    assert_same_bytes(&bench.path("new"), &bench.path("out"));
    if allocated(&bench.path("new")) > 2 << 20 {
        lacks(Ability::Holes, "none in the folder of the tests");
        return;
    }
    let freed = full - allocated(&image);
    assert!(
        freed > 2 << 20,
        "only {freed} bytes of the image became holes"
    );
    let taken = allocated(&bench.path("out"));
    assert!(
        taken < 2 << 20,
        "{taken} bytes of what was cut are on the disk"
    );
}

/// Runs `cellblock splice disk.img two new` under strace, which makes calls of fallocate fail.
fn splice_without(bench: &Bench, injection: &str) -> Option<std::process::Output> {
    let strace = judge("strace")?;
    let output = strace
        .command()
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fallocate"])
        .args(["-e", &format!("inject=fallocate:{injection}")])
        .arg(program())
        .args([
            "splice", "disk.img", "two", "new", "--quiet", "--atomic", "never",
        ])
        .current_dir(bench.folder())
        .output()
        .unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("ptrace") {
        lacks(Ability::Trace, "strace may not trace here");
        return None;
    }
    Some(output)
}

#[test]
fn where_no_hole_can_be_made_zeros_are_written() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    let new = sparse(&bench, "new");
    let Some(output) = splice_without(&bench, "error=EOPNOTSUPP") else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let two = place(&bench, &image, "two");
    assert!(fs::read(&image).unwrap()[two.clone()] == new);
    assert_rest_is(&image, &before, two);
}

#[test]
fn a_full_disk_is_found_before_a_byte_has_changed() {
    let bench = Bench::new();
    let image = lived_in(&bench);
    let before = fs::read(&image).unwrap();
    bench.write("new", noise(4 * MEBIBYTE, 5));
    let Some(output) = splice_without(&bench, "error=ENOSPC") else {
        return;
    };
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the disk is full"), "{said}");
    assert!(fs::read(&image).unwrap() == before);
}

#[test]
fn a_link_to_an_image_is_followed() {
    let bench = Bench::new();
    lived_in(&bench);
    std::os::unix::fs::symlink("disk.img", bench.path("link")).unwrap();
    let new = bench.write("new", noise(4 * MEBIBYTE, 5));
    for atomic in ["never", "always"] {
        bench.write("new", noise(4 * MEBIBYTE, 6));
        bench.done(&["splice", "link", "two", "new", "--atomic", atomic]);
        bench.done(&["cut", "disk.img", "two", "-o", "out"]);
        assert_same_bytes(&new, &bench.path("out"));
        assert!(
            fs::symlink_metadata(bench.path("link"))
                .unwrap()
                .is_symlink()
        );
    }
}

#[test]
fn a_partition_is_taken_from_an_image_that_may_only_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let image = lived_in(&bench);
    fs::set_permissions(&image, fs::Permissions::from_mode(0o444)).unwrap();
    bench.create_folder("out");
    bench.done(&["cut", "disk.img", "three", "-o", "out/three", "-q"]);
    assert_eq!(names(&bench.path("out")), ["three"]);
}
