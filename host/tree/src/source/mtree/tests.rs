#![allow(clippy::unwrap_used)]
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use cellblock_judges::{judge, text};
use tempfile::TempDir;

use super::MtreeError;
use super::words::unescaped;
use crate::source::{Gathered, ReadOptions, Source, SourceError, What, read_sources};
use crate::{Kind, Timestamp};

/// A directory `root`, and what `specification` makes of it.
fn laid(folder: &Path, specification: &str, exclude: &[&str]) -> Result<Gathered, SourceError> {
    let file = folder.join("spec.mtree");
    fs::write(&file, specification).unwrap();
    let source = Source {
        metadata: Some(file),
        exclude: exclude.iter().map(ToString::to_string).collect(),
        ..Source::new(What::Directory(folder.join("root")))
    };
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    read_sources(&[source], &no_spool, &ReadOptions::within(0))
}

fn root() -> TempDir {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join("root").join(name);
    fs::create_dir_all(at("etc/deep")).unwrap();
    fs::write(at("etc/file"), "x").unwrap();
    fs::write(at("etc/deep/other"), "y").unwrap();
    symlink("file", at("etc/link")).unwrap();
    folder
}

/// `PATH UID:GID MODE TIME [TARGET]` of every node.
fn shown(gathered: &Gathered) -> Vec<String> {
    let tree = &gathered.tree;
    let shown = tree.nodes().map(|node| {
        let path = String::from_utf8_lossy(&tree.path(node.id)).into_owned();
        let Timestamp {
            seconds,
            nanoseconds,
        } = node.modified;
        let target = match node.kind {
            Kind::Symlink(target) => format!(" {}", target.escape_ascii()),
            _ => String::new(),
        };
        format!(
            "{path} {}:{} {:04o} {seconds}.{nanoseconds}{target}",
            node.uid, node.gid, node.mode
        )
    });
    shown.collect()
}

#[test]
fn what_is_told_of_a_path_goes_over_what_is_said_of_all() {
    let folder = root();
    let file = folder.path().join("spec.mtree");
    fs::write(&file, "./etc/file uid=33 mode=0600\n./etc/deep gid=44\n").unwrap();
    let source = Source {
        metadata: Some(file),
        owner: Some((7, 8)),
        mode: Some("u=rwX,go=rX".parse().unwrap()),
        ..Source::new(What::Directory(folder.path().join("root")))
    };
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let options = ReadOptions {
        time: Some(Timestamp::default()),
        ..ReadOptions::within(0)
    };
    let gathered = read_sources(&[source], &no_spool, &options).unwrap();
    let expected = [
        "/ 7:8 0755 0.0",
        "/etc 7:8 0755 0.0",
        "/etc/deep 7:44 0755 0.0",
        "/etc/deep/other 7:8 0644 0.0",
        "/etc/file 33:8 0600 0.0",
        "/etc/link 7:8 0777 0.0 file",
    ];
    assert_eq!(shown(&gathered), expected);
}

#[test]
fn names_stand_in_the_directory_that_was_entered_and_paths_in_the_root() {
    let folder = root();
    let specification = "#mtree\n/set type=file uid=1 gid=2 mode=0640 time=5.000000007\n. type=dir mode=0755\n\
        \x20   etc type=dir mode=0700\n\
        \x20       file mode=4755 \\\n            uid=7\n        link type=link link=else\\040where mode=0644\n        deep type=dir\n\
        \x20       other gid=9\n        ..\n    ..\n..\n/unset uid time\n./etc/deep/other type=file mode=0600 time=9\n";
    let gathered = laid(folder.path(), specification, &[]).unwrap();
    let expected = [
        "/ 1:2 0755 5.7",
        "/etc 1:2 0700 5.7",
        "/etc/deep 1:2 0640 5.7",
        "/etc/deep/other 1:2 0600 9.0",
        "/etc/file 7:2 4755 5.7",
        "/etc/link 1:2 0777 5.7 else where",
    ];
    assert_eq!(shown(&gathered), expected);
    assert_eq!(gathered.warnings, []);
}

#[test]
fn what_is_not_there_is_an_error_unless_it_is_optional_or_excluded() {
    let folder = root();
    let missing = laid(folder.path(), ". type=dir\n\n./etc/none mode=0600\n", &[]).unwrap_err();
    let told = missing.to_string();
    assert!(
        told.contains("spec.mtree: line 3 is for /etc/none, which the source does not have"),
        "{told}"
    );
    laid(folder.path(), "./etc/none optional\n", &[]).unwrap();
    laid(
        folder.path(),
        "./etc/deep/other uid=1\n./etc/file type=file\n",
        &["/etc/deep", "file"],
    )
    .unwrap();
    let other = laid(folder.path(), "./etc/file type=dir\n", &[])
        .unwrap_err()
        .to_string();
    assert!(
        other.contains("says that /etc/file is of type dir, and in the source it is a file"),
        "{other}"
    );
    let unchanged = laid(folder.path(), "./etc/file uid=123456 nochange\n", &[]).unwrap();
    assert!(!shown(&unchanged).iter().any(|line| line.contains("123456")));
}

#[test]
fn keywords_that_change_nothing_are_said_once() {
    let folder = root();
    let specification = "./etc/file uname=root uid=0 gname=wheel size=1 sha256=00 flags=none colour=red\n\
        ./etc/deep uname=root flags=uchg colour=blue nlink=2\n";
    let gathered = laid(folder.path(), specification, &[]).unwrap();
    let told: Vec<String> = gathered.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("its keywords colour, flags, gname, uname change nothing"),
        "{told:?}"
    );
}

#[test]
fn a_line_that_cannot_be_is_named() {
    let folder = root();
    let long = format!("./etc/file {}", "x".repeat(2 << 20));
    let deep = "a/b type=dir\n".to_owned() + &"etc type=dir optional\n".repeat(5000);
    let faults: [(&str, usize, &str); 11] = [
        ("/sat uid=1", 1, "the command '/sat'"),
        ("\n./etc/../file", 2, "'..' in it"),
        ("./etc/file uid=-1", 1, "uid=-1, which is no user's number"),
        ("./etc/file gid=", 1, "gid=, which is no group's number"),
        ("./etc/file mode=u+q", 1, "is no mode: write octal"),
        ("./etc/file mode=17777", 1, "is no mode: write octal"),
        ("./etc/file time=1.x", 1, "is no time"),
        ("./etc/link link=\\400", 1, "octal escape above 377"),
        ("./etc/fi\\qle", 1, "an escape that vis(3) does not have"),
        (&long, 1, "longer than 1048576 bytes"),
        (
            &deep.replace("a/b type=dir\n", ""),
            4097,
            "enters more than 4096 directories",
        ),
    ];
    for (specification, line, reason) in faults {
        match laid(folder.path(), specification, &[]).unwrap_err() {
            SourceError::Metadata {
                line: at, error, ..
            } => {
                let told = error.to_string();
                assert!(
                    at == line && told.contains(reason),
                    "{reason}: {at}: {told}"
                );
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn escapes_are_those_of_vis() {
    let cases: [(&[u8], &[u8]); 8] = [
        (b"a\\040b\\sc", b"a b c"),
        (b"\\M-C\\M-<", "ü".as_bytes()),
        (b"\\M^?\\^A\\^?", b"\xff\x01\x7f"),
        (b"\\\\\\#\\*\\=", b"\\#*="),
        (b"\\n\\r\\t\\a\\b\\v\\f\\E", b"\n\r\t\x07\x08\x0b\x0c\x1b"),
        (b"\\0\\1234\\x41", b"\0S4A"),
        (b"a\\$b", b"ab"),
        (b"plain", b"plain"),
    ];
    for (written, bytes) in cases {
        assert_eq!(
            unescaped(written).unwrap(),
            bytes,
            "{}",
            written.escape_ascii()
        );
    }
    for cut in [&b"a\\"[..], b"\\M", b"\\M-", b"\\Mx", b"\\^", b"\\x4"] {
        assert!(unescaped(cut).is_err(), "{}", cut.escape_ascii());
    }
    assert!(
        MtreeError::Deep { limit: 1 }
            .to_string()
            .contains("more than 1")
    );
}

#[test]
fn an_escaped_backslash_at_the_end_of_a_line_continues_nothing() {
    let folder = root();
    let lines = b"./etc/link type=link link=x\\\\\n./etc/file type=file mode=0400\n";
    let read = |text: &[u8]| laid(folder.path(), std::str::from_utf8(text).unwrap(), &[]);
    let shown = shown(&read(lines).unwrap()).join("\n");
    assert!(shown.contains("x\\"), "{shown}");
    // Three are one that was escaped, and one that has the next line continue.
    let continued = b"./etc/link type=link link=x\\\\\\\n mode=0777\n";
    read(continued).unwrap();
}

#[test]
fn a_word_that_begins_with_a_number_sign_ends_the_line() {
    let folder = root();
    fs::write(folder.path().join("root/#a#b"), "").unwrap();
    let lines = "./etc/file mode=0400 # uid=9 as the mtree of NetBSD reads it \\\n\\#a#b mode=0401\n  # nothing \\\n./etc/deep mode=0500\t#gid=7\n";
    let gathered = laid(folder.path(), lines, &[]).unwrap();
    assert_eq!(gathered.warnings, []);
    let shown = shown(&gathered);
    let of = |path: &str| shown.iter().find(|line| line.starts_with(path)).unwrap();
    assert!(of("/etc/file ").contains(" 0400 ") && !of("/etc/file ").contains("9:"));
    assert!(of("/#a#b ").contains(" 0401 "), "{shown:?}");
    assert!(of("/etc/deep ").contains(" 0500 "), "{shown:?}");
}

#[test]
fn what_would_be_in_an_optional_directory_is_no_error_without_it() {
    let folder = root();
    let nested = ". type=dir\n  none type=dir optional\n    inner type=dir\n      file type=file\n    ..\n  ..\n  \
                  etc type=dir\n    file mode=0400\n";
    let gathered = laid(folder.path(), nested, &[]).unwrap();
    assert!(
        shown(&gathered)
            .iter()
            .any(|line| line.starts_with("/etc/file ") && line.contains(" 0400 "))
    );
    let flat = "./none type=dir optional\n./none/inner type=dir\n./none/inner/file type=file\n";
    laid(folder.path(), flat, &[]).unwrap();
    for other in [
        "./none type=dir optional\n./nine/file type=file\n",
        "./etc/none type=dir optional\n./etc/deep/none type=file\n",
    ] {
        assert!(laid(folder.path(), other, &[]).is_err(), "{other}");
    }
}

#[test]
fn modes_in_clauses_begin_with_none() {
    let folder = root();
    for (clauses, mode) in [
        ("u=rw,go=", "0600"),
        ("u=rwx,g=rx,o=", "0750"),
        ("a+r,u+s", "4444"),
    ] {
        let line = format!("./etc/file mode={clauses}\n");
        let shown = shown(&laid(folder.path(), &line, &[]).unwrap());
        let file = shown.iter().find(|line| line.starts_with("/etc/file "));
        assert!(file.unwrap().contains(mode), "{clauses}: {file:?}");
    }
}

/// A root with names and modes of all kinds, some of them root's alone to give.
fn odd_root() -> TempDir {
    let folder = root();
    let at = |name: &[u8]| {
        folder
            .path()
            .join("root")
            .join(std::ffi::OsStr::from_bytes(name))
    };
    for name in [
        &b"with space"[..],
        b"line\nbreak",
        b"b\\s#=*[x]",
        b"\xff\xfe",
        "ü".as_bytes(),
    ] {
        fs::write(at(name), name).unwrap();
    }
    fs::create_dir_all(at(b"d ir/\x01")).unwrap();
    // No backslash: the mtree of NetBSD writes one in a target as it is.
    symlink("to a\tplace", at(b"d ir/l")).unwrap();
    for (name, mode) in [
        (&b"with space"[..], 0o4750),
        (b"etc", 0o1777),
        (b"etc/file", 0o400),
    ] {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    rustix::fs::mkfifoat(rustix::fs::CWD, at(b"pipe"), 0o640.into()).unwrap();
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    let time = rustix::fs::Timespec {
        tv_sec: 1_234_567_890,
        tv_nsec: 12_345_678,
    };
    let times = rustix::fs::Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(rustix::fs::CWD, at(b"etc/file"), &times, flags).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(at(b"etc/link"), Some(12), Some(34)).unwrap();
        std::os::unix::fs::chown(at(b"d ir"), Some(1000), Some(4_000_000)).unwrap();
    }
    folder
}

/// Copies the content of `root` into `plain`, with nothing of its owners, modes and times.
fn copy_without_metadata(folder: &Path) {
    let mut copy = Command::new("cp");
    copy.args(["-R", "--no-preserve=all"])
        .args([folder.join("root"), folder.join("plain")]);
    assert!(copy.status().unwrap().success());
    fs::rename(folder.join("root"), folder.join("first")).unwrap();
    fs::rename(folder.join("plain"), folder.join("root")).unwrap();
}

#[test]
fn what_bsdtar_and_mtree_write_gives_the_tree_back() {
    let writers: [(&str, &[&str]); 4] = [
        ("bsdtar", &["-cf", "-", "--format=mtree", "."]),
        (
            "bsdtar",
            &["-cf", "-", "--format=mtree", "--options=mtree:all", "."],
        ),
        ("mtree", &["-c", "-k", "type,uid,gid,mode,time,link,size"]),
        // With names it writes no numbers, and names are looked up nowhere.
        ("mtree", &["-c", "-k", "all", "-R", "uname,gname"]),
    ];
    for (program, arguments) in writers {
        let Some(writer) = judge(program) else {
            continue;
        };
        let folder = odd_root();
        let mut command = writer.command();
        command
            .args(arguments)
            .current_dir(folder.path().join("root"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let before = laid(folder.path(), "", &[]).unwrap();
        copy_without_metadata(folder.path());
        let specification = String::from_utf8(output.stdout).unwrap();
        let after = laid(folder.path(), &specification, &[]).unwrap();
        assert_eq!(
            shown(&after),
            shown(&before),
            "{program} {arguments:?}\n{specification}"
        );
        assert_eq!(
            after.tree.digest(),
            before.tree.digest(),
            "{program} {arguments:?}"
        );
    }
}
