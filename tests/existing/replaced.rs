//! An image that a changed copy of itself takes the place of.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use super::{MEBIBYTE, assert_rest_is, lived_in, noise, place};
use crate::support::mount::{Mount, may_mount};
use crate::support::{Ability, Bench, is_root, judge, lacks};

const SPLICE: [&str; 4] = ["splice", "disk.img", "two", "new"];

fn bench() -> Bench {
    let bench = Bench::new();
    lived_in(&bench);
    bench.write("new", noise(4 * MEBIBYTE, 5));
    bench
}

#[test]
fn a_copy_is_the_same_but_for_the_partition() {
    let bench = bench();
    let image = bench.path("disk.img");
    fs::set_permissions(&image, fs::Permissions::from_mode(0o640)).unwrap();
    if is_root() {
        chown(&image, Some(1234), Some(4321)).unwrap();
    }
    let attribute = rustix::fs::setxattr(
        &image,
        "user.origin",
        b"a long story",
        rustix::fs::XattrFlags::empty(),
    );
    let (before, old) = (fs::metadata(&image).unwrap(), fs::read(&image).unwrap());
    let said = bench.done(&[&SPLICE[..], &["--atomic", "always"]].concat());
    assert!(
        said.contains("new in a copy that took the image's place in "),
        "{said}"
    );
    let after = fs::metadata(&image).unwrap();
    assert_ne!(after.ino(), before.ino());
    assert_eq!(
        (after.mode(), after.uid(), after.gid()),
        (before.mode(), before.uid(), before.gid())
    );
    if attribute.is_ok() {
        let mut value = [0; 100];
        let length = rustix::fs::getxattr(&image, "user.origin", &mut value[..]).unwrap();
        assert_eq!(value[..length], *b"a long story");
    } else {
        lacks(Ability::Attributes, "none in the folder of the tests");
    }
    assert_rest_is(&image, &old, place(&bench, &image, "two"));
    assert_eq!(bench.names(), ["disk.img", "image.toml", "new"]);
}

#[test]
fn an_image_with_several_names_is_written_in_place() {
    let bench = bench();
    let image = bench.path("disk.img");
    fs::hard_link(&image, bench.path("other.img")).unwrap();
    let before = fs::metadata(&image).unwrap();
    bench.done(&SPLICE);
    assert_eq!(fs::metadata(&image).unwrap().ino(), before.ino());

    let outcome = bench.run(&[&SPLICE[..], &["--atomic", "always"]].concat());
    assert_eq!(outcome.code, Some(1));
    let image = image.canonicalize().unwrap();
    assert_eq!(
        outcome.stderr,
        format!(
            "error: {}: cannot be replaced by a changed copy: it has 2 names (hard links); \
             use --atomic auto or never\n",
            image.display()
        )
    );
}

/// A bench on a file system that clones files, for as long as the mount is there.
pub(super) fn on_xfs() -> Option<(Mount, Bench, Bench)> {
    if !may_mount() {
        lacks(Ability::LoopDevices, "nothing clones files");
        return None;
    }
    let mkfs = judge("mkfs.xfs")?;
    let outer = Bench::new();
    let disk = outer.write("xfs.img", "");
    let size = 400 << 20;
    fs::File::options()
        .write(true)
        .open(&disk)
        .unwrap()
        .set_len(size)
        .unwrap();
    mkfs.content_with(&["-q", "-m", "reflink=1"], &disk);
    let point = outer.create_folder("mounted");
    let mount = match Mount::new("xfs", "loop", &disk, point.clone()) {
        Ok(mount) => mount,
        Err(said) => {
            lacks(Ability::Mount, &format!("XFS: {said}"));
            return None;
        }
    };
    let bench = Bench::within(&point);
    Some((mount, outer, bench))
}

#[test]
fn where_files_are_cloned_a_clone_takes_the_images_place() {
    let Some((_mount, _outer, bench)) = on_xfs() else {
        return;
    };
    lived_in(&bench);
    bench.write("new", noise(4 * MEBIBYTE, 5));
    let image = bench.path("disk.img");
    let (before, old) = (fs::metadata(&image).unwrap(), fs::read(&image).unwrap());
    let said = bench.done(&SPLICE);
    assert!(
        said.contains("in a copy that took the image's place"),
        "{said}"
    );
    assert_ne!(fs::metadata(&image).unwrap().ino(), before.ino());
    assert_rest_is(&image, &old, place(&bench, &image, "two"));

    let said = bench.done(&[&SPLICE[..], &["--atomic", "never"]].concat());
    assert!(said.contains("new in place in "), "{said}");
    assert_rest_is(&image, &old, place(&bench, &image, "two"));
    bench.done(&["cut", "disk.img", "two", "-o", "out"]);
    assert!(fs::read(bench.path("out")).unwrap() == noise(4 * MEBIBYTE, 5));
}
