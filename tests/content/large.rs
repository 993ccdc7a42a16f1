//! More of everything than others make.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use tar::Header;

use super::archive::{Archive, compressed};
use super::runner::{case, endure};
use crate::support::{Bench, judge};

const ARCHIVE: &str = "{ archive = \"a.tar\" }";
const ZSTD: &str = "{ archive = \"a.tar.zst\" }";
const DIRECTORY: &str = "{ directory = \"content\", owner = \"0:0\" }";

/// What debugfs answers, where it is installed.
fn asked(file: &Path, request: &str) -> Option<String> {
    let debugfs = judge("debugfs")?;
    Some(debugfs.content_with(&["-R", request], file))
}

/// Fails unless debugfs shows `what` when asked.
fn shows(file: &Path, request: &str, what: &str) {
    if let Some(said) = asked(file, request) {
        assert!(said.contains(what), "{request}: {said}");
    }
}

/// A thousand directories of a thousand empty files, less one.
fn million(bench: &Bench) {
    compressed(&bench.path("a.tar.zst"), |archive| {
        for directory in 0..1000 {
            archive.member(&format!("{directory}/"), b'5', b"")?;
            for file in 1..1000 {
                archive.member(&format!("{directory}/{file}"), b'0', b"")?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_million_nodes() {
    endure(
        "nodes",
        vec![
            case("a million nodes", "ext4", ZSTD, million)
                .size("minimum")
                .nodes(1_000_000)
                .right(|_, part| shows(part, "stat /999/999", "Type: regular")),
            case("a million nodes", "vfat", ZSTD, million)
                .size("minimum")
                .nodes(1_000_000),
            case("a million nodes in 64 MiB", "ext4", ZSTD, million)
                .nodes(1_000_000)
                .refused("a.tar.zst: decompresses to more than the 402653184 bytes …"),
            case("a million nodes in 64 MiB, allowed", "ext4", ZSTD, million)
                .arguments(&["--archive-limit", "1GiB"])
                .nodes(1_000_000)
                .refused("too small: ext4 with this content needs …"),
        ],
    );
}

const DEPTH: usize = 2000;

/// A directory in a directory, 2,000 deep, with a file at the bottom; each name has 255 bytes.
fn deep(bench: &Bench) {
    let name = "n".repeat(255);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mode = Mode::from_raw_mode(0o755);
    let mut at = File::open(bench.create_folder("content")).unwrap();
    for _ in 0..DEPTH {
        mkdirat(&at, &*name, mode).unwrap();
        at = File::from(openat(&at, &*name, flags, Mode::empty()).unwrap());
    }
    let create = OFlags::CREATE | OFlags::WRONLY;
    File::from(openat(&at, "bottom", create, mode).unwrap())
        .write_all_at(b"here", 0)
        .unwrap();
}

/// Removes what is too deep for a removal that keeps all directories on its way open.
struct Removed(std::path::PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = Command::new("rm").arg("-rf").arg(&self.0).status();
    }
}

#[test]
fn names_of_255_bytes_2000_deep() {
    let long = "n".repeat(255);
    let path = format!("{long}/").repeat(DEPTH) + "bottom";
    let archive = Archive::new()
        .pax(b'x', &[("path", path.as_bytes())])
        .with("x", b'0', b"")
        .bytes();
    let folder = crate::support::bench::cache().join("deep");
    let removed = Removed(folder.clone());
    drop(Removed(folder.clone()));
    let made = Bench::within(folder.parent().unwrap());
    deep(&made);
    fs::rename(made.path("content"), &folder).unwrap();
    let content = format!(
        "{{ directory = \"{}\", owner = \"0:0\" }}",
        folder.display()
    );
    let cases = vec![
        case("2,000 deep", "ext4", &content, |_| ()).nodes(2000),
        case("2,000 deep", "vfat", &content, |_| ()).nodes(2000),
        case("2,000 deep in an archive", "ext4", ARCHIVE, move |bench| {
            bench.write("a.tar", &archive);
        })
        .refused("a.tar: the path of the member at byte … has 512006 bytes; the limit is 65536"),
    ];
    endure("depth", cases);
    drop(removed);
}

/// An archive whose one directory has this many entries.
fn crowd(count: u32) -> impl Fn(&Bench) {
    move |bench| {
        compressed(&bench.path("a.tar.zst"), |archive| {
            archive.member("d/", b'5', b"")?;
            (0..count).try_for_each(|n| archive.member(&format!("d/{n}"), b'0', b""))
        });
    }
}

#[test]
#[ignore = "takes minutes"]
fn a_directory_of_two_million_entries() {
    let count = 2_000_000;
    let refused = "/d: it has more entries than the 65535 that vfat has room for";
    endure(
        "directories",
        vec![
            case("2 million entries", "ext4", ZSTD, crowd(count))
                .size("minimum")
                .nodes(count.into())
                .seconds(300)
                .right(|_, part| shows(part, "stat /d/1999999", "Type: regular")),
            case("2 million entries, large_dir", "ext4", ZSTD, crowd(count))
                .size("minimum")
                .with("options = { features = \"large_dir\" }")
                .nodes(count.into())
                .seconds(300)
                .right(|_, part| shows(part, "stat /d/1999999", "Type: regular")),
            case("2 million entries", "vfat", ZSTD, crowd(count))
                .size("minimum")
                .nodes(count.into())
                .seconds(300)
                .refused(refused),
        ],
    );
}

#[test]
fn a_directory_beyond_what_fat_has_room_for() {
    let refused = "/d: it has more entries than the …";
    endure(
        "directories",
        vec![
            case("100,000 entries", "ext4", ZSTD, crowd(100_000))
                .size("minimum")
                .nodes(100_000),
            case("100,000 entries", "vfat", ZSTD, crowd(100_000))
                .size("minimum")
                .nodes(100_000)
                .refused(refused),
        ],
    );
}

const TEBIBYTE: u64 = 1 << 40;
/// The data of the sparse file: at its beginning, in its middle and at its end.
const STRETCHES: [u64; 3] = [0, TEBIBYTE / 2, TEBIBYTE - 4096];

fn sparse_directory(bench: &Bench) {
    bench.create_folder("content");
    let file = File::create(bench.path("content/file")).unwrap();
    file.set_len(TEBIBYTE).unwrap();
    for offset in STRETCHES {
        file.write_all_at(&[7; 4096], offset).unwrap();
    }
}

/// In the format of GNU tar before pax: the map is in the header.
fn sparse_gnu(bench: &Bench) {
    let mut archive = Archive::new();
    let number = |field: &mut [u8; 12], value: u64| {
        field[0] = 0x80;
        field[4..].copy_from_slice(&value.to_be_bytes());
    };
    let edit = |header: &mut Header| {
        header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
        let gnu = header.as_gnu_mut().unwrap();
        number(&mut gnu.realsize, TEBIBYTE);
        for (entry, offset) in gnu.sparse.iter_mut().zip(STRETCHES) {
            number(&mut entry.offset, offset);
            number(&mut entry.numbytes, 4096);
        }
    };
    archive.header("file", b'S', 3 * 4096, edit).unwrap();
    archive.0.extend_from_slice(&[7; 3 * 4096]);
    bench.write("a.tar", archive.bytes());
}

/// In the format 1.0 in pax headers: the map comes before the data.
fn sparse_pax(bench: &Bench) {
    let mut data = String::from("3\n");
    for offset in STRETCHES {
        data.push_str(&format!("{offset}\n4096\n"));
    }
    let mut data = data.into_bytes();
    data.resize(512, 0);
    data.resize(512 + 3 * 4096, 7);
    let size = TEBIBYTE.to_string();
    let archive = Archive::new()
        .pax(
            b'x',
            &[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"file"),
                ("GNU.sparse.realsize", size.as_bytes()),
            ],
        )
        .with("GNUSparseFile.0/file", b'0', &data)
        .bytes();
    bench.write("a.tar", archive);
}

/// The size, and that only the three stretches take blocks: of 512 bytes each, with what maps them.
fn is_sparse(_: &Bench, part: &Path) {
    shows(part, "stat /file", "Size: 1099511627776");
    shows(part, "stat /file", "Blockcount: 24\n");
    for block in STRETCHES.map(|offset| offset / 4096) {
        if let Some(said) = asked(part, &format!("bmap /file {block}")) {
            let found = said.lines().next().unwrap_or_default().parse::<u64>();
            assert!(found.is_ok_and(|found| found > 0), "{said}");
        }
    }
}

#[test]
fn a_sparse_file_of_1_tebibyte() {
    let mut cases = Vec::new();
    let too_large = "/file: it is larger than the 4 294 967 295 bytes that a file of vfat can have";
    for (name, content, make) in [
        ("a directory", DIRECTORY, sparse_directory as fn(&Bench)),
        ("GNU's archive", ARCHIVE, sparse_gnu),
        ("a pax archive", ARCHIVE, sparse_pax),
    ] {
        let name = format!("1 TiB with holes in {name}");
        cases.push(case(&name, "ext4", content, make).right(is_sparse));
        cases.push(case(&name, "vfat", content, make).refused(too_large));
    }
    endure("sparse files", cases);
}

/// An archive with one file and as many names of it, in directories of ten thousand.
fn names(count: u32) -> impl Fn(&Bench) {
    move |bench| {
        compressed(&bench.path("a.tar.zst"), |archive| {
            archive.member("0/0", b'0', b"one")?;
            (1..count).try_for_each(|n| {
                archive.header(&format!("{}/{n}", n / 10_000), b'1', 0, |header| {
                    header.as_old_mut().linkname[..3].copy_from_slice(b"0/0");
                })
            })
        });
    }
}

#[test]
fn more_names_than_a_file_can_have() {
    endure(
        "hard links",
        vec![
            case("65,000 names", "ext4", ZSTD, names(65_000))
                .nodes(65_000)
                .right(|_, part| shows(part, "stat /6/64999", "Links: 65000")),
            case("65,001 names", "ext4", ZSTD, names(65_001))
                .nodes(65_001)
                .refused("/0/0: it has more names than the 65000 that ext4 can count"),
            case("65,001 names", "vfat", ZSTD, names(65_001))
                .nodes(65_001)
                .refused(
                    "/0/…: a hard link cannot be stored in vfat; \
                     store a copy of each with drop = [\"hard-links\"], or --drop hard-links",
                ),
            case("65,001 names, each a copy", "vfat", ZSTD, names(65_001))
                .size("600MiB")
                .with("drop = [\"hard-links\"]")
                .nodes(65_001),
        ],
    );
}
