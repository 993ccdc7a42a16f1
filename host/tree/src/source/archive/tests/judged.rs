//! Archives by GNU tar, compared with the directories that it made them of.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use super::super::super::tests::{find, read as read_sources};
use super::{Content, Source};
use crate::{Kind, Tree};
use cellblock_judges::{Ability, Judge, judge, lacks, text};
use cellblock_text::PathBytes;
use tempfile::{NamedTempFile, TempDir};

/// A directory with some of everything that the user may make.
fn sample() -> TempDir {
    let root = TempDir::new().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("etc/deep")).unwrap();
    fs::write(at("etc/file"), b"some text").unwrap();
    fs::set_permissions(at("etc/file"), fs::Permissions::from_mode(0o2755)).unwrap();
    fs::hard_link(at("etc/file"), at("a-link")).unwrap();
    fs::write(at("empty"), b"").unwrap();
    symlink("etc/file", at("soft")).unwrap();
    symlink("x".repeat(300), at("long-soft")).unwrap();
    let long = format!("{}/{}", "d".repeat(200), "e".repeat(200));
    fs::create_dir_all(at(&long)).unwrap();
    fs::write(at(&format!("{long}/{}", "f".repeat(200))), b"far").unwrap();
    let bytes = std::ffi::OsStr::from_bytes(b"not-utf8-\xff");
    fs::write(root.path().join(bytes), b"?").unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), 0o600.into()).unwrap();
    let sparse = File::create(at("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    for place in [0_u64, 100, 200, 300, 400, 500, 600] {
        sparse.write_all_at(b"data", place * 4096).unwrap();
    }
    File::create(at("hole")).unwrap().set_len(1 << 20).unwrap();
    let set = |name: &str, attribute: &str, value: &[u8]| {
        let flags = rustix::fs::XattrFlags::empty();
        let _may_be_unsupported = rustix::fs::lsetxattr(at(name), attribute, value, flags);
    };
    set("etc/file", "user.note", b"with\0nul\n");
    set("etc", "user.dir", b"");
    if rustix::process::geteuid().is_root() {
        let capability = [
            1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        set("empty", "security.capability", &capability);
        let device = rustix::fs::makedev(5, 1);
        let kind = rustix::fs::FileType::CharacterDevice;
        let _may_be_forbidden =
            rustix::fs::mknodat(rustix::fs::CWD, at("console"), kind, 0o600.into(), device);
        std::os::unix::fs::chown(at("soft"), None, Some(1)).unwrap();
        std::os::unix::fs::lchown(at("soft"), Some(4_000_000), Some(3_000_000)).unwrap();
    }
    let acl = "u::rw-,u:1234:rwx,g::r--,g:5678:r-x,m::rwx,o::---";
    let default = "d:u::rwx,d:g::r-x,d:o::---";
    if let Some(setfacl) = judge("setfacl") {
        for (list, name) in [(acl, "empty"), (default, "etc/deep")] {
            let output = setfacl.run(&["-m", list], &at(name));
            if !output.status.success() {
                lacks(Ability::Attributes, &text(&output));
            }
        }
    }
    root
}

/// Sets times of the whole tree, files first.
fn set_times(root: &Path, nanoseconds: i64) {
    let mut pending = vec![root.to_path_buf()];
    let mut all = Vec::new();
    while let Some(path) = pending.pop() {
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            pending.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        all.push(path);
    }
    for (number, path) in (1_i64..).zip(all.iter().rev()) {
        let time = rustix::fs::Timespec {
            tv_sec: if nanoseconds == 0 { number } else { -number },
            tv_nsec: nanoseconds,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).unwrap();
    }
}

fn gnu_tar(tar: &Judge, root: &Path, options: &[&str]) -> NamedTempFile {
    let archive = NamedTempFile::new().unwrap();
    let status = tar
        .command()
        .args(options)
        .arg("-C")
        .arg(root)
        .arg("-cf")
        .arg(archive.path())
        .arg(".")
        .status()
        .unwrap();
    assert!(status.success(), "tar {options:?}");
    archive
}

fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let describe = |tree: &Tree| -> Vec<String> {
        tree.nodes()
            .map(|node| {
                let kind = match node.kind {
                    Kind::File { size, .. } => format!("file of {size}"),
                    kind => format!("{kind:?}"),
                };
                format!(
                    "{} {kind} {:o} {}:{} {:?} {:?}",
                    PathBytes(tree.path(node.id)),
                    node.mode,
                    node.uid,
                    node.gid,
                    node.modified,
                    node.attributes
                )
            })
            .collect()
    };
    let (one, other) = (describe(one), describe(other));
    one.iter()
        .zip(&other)
        .filter(|(one, other)| one != other)
        .map(|(one, other)| format!("{one}\n  {other}\n"))
        .collect()
}

#[test]
fn directory_and_its_archive_by_gnu_tar_are_equal() {
    let Some(tar) = judge("tar") else { return };
    let root = sample();
    let posix = [
        "--format=posix",
        "--xattrs",
        "--xattrs-include=*",
        "--acls",
        "--numeric-owner",
    ];
    let mut variants: Vec<(i64, Vec<&str>)> = vec![(123_456_789, posix.to_vec())];
    for version in ["0.0", "0.1", "1.0"] {
        let mut options = posix.to_vec();
        options.extend(["--sparse", "--sparse-version", version]);
        variants.push((999_999_999, options));
    }
    for (nanoseconds, options) in variants {
        set_times(root.path(), nanoseconds);
        let directory =
            read_sources(&[Source::new(Content::Directory(root.path().into()))]).unwrap();
        let archive = gnu_tar(&tar, root.path(), &options);
        let archived =
            read_sources(&[Source::new(Content::Archive(archive.path().into()))]).unwrap();
        let differences = differences(&directory, &archived);
        assert!(
            differences.is_empty(),
            "{options:?}\n{}",
            differences.concat()
        );
        assert_eq!(directory.digest(), archived.digest());
        assert_eq!(
            directory.content_digest().unwrap(),
            archived.content_digest().unwrap()
        );
        if options.contains(&"--sparse") {
            for name in ["/sparse", "/hole"] {
                let id = find(&archived, name);
                assert_eq!(
                    archived.ranges(id).unwrap(),
                    directory.ranges(id).unwrap(),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn gnu_and_old_formats_are_read() {
    let Some(tar) = judge("tar") else { return };
    let root = sample();
    // These formats have neither attributes nor fractions of seconds.
    for name in ["etc/file", "etc", "empty"] {
        for attribute in ["user.note", "user.dir", "security.capability"] {
            let _may_not_have_it = rustix::fs::removexattr(root.path().join(name), attribute);
        }
    }
    if let Some(setfacl) = judge("setfacl") {
        setfacl.content_with(&["-R", "-b"], root.path());
    }
    set_times(root.path(), 0);
    let directory = read_sources(&[Source::new(Content::Directory(root.path().into()))]).unwrap();
    for options in [&["--format=gnu", "--sparse"][..], &["--format=gnu"]] {
        let archive = gnu_tar(&tar, root.path(), options);
        let archived =
            read_sources(&[Source::new(Content::Archive(archive.path().into()))]).unwrap();
        let differences = differences(&directory, &archived);
        assert!(
            differences.is_empty(),
            "{options:?}\n{}",
            differences.concat()
        );
        assert_eq!(
            directory.content_digest().unwrap(),
            archived.content_digest().unwrap()
        );
    }
    let small = TempDir::new().unwrap();
    fs::write(small.path().join("a"), b"v7").unwrap();
    fs::create_dir(small.path().join("d")).unwrap();
    set_times(small.path(), 0);
    let directory = read_sources(&[Source::new(Content::Directory(small.path().into()))]).unwrap();
    for format in ["--format=v7", "--format=ustar", "--format=oldgnu"] {
        let archive = gnu_tar(&tar, small.path(), &[format]);
        let archived =
            read_sources(&[Source::new(Content::Archive(archive.path().into()))]).unwrap();
        assert_eq!(directory.digest(), archived.digest(), "{format}");
    }
}
