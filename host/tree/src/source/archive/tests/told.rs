//! What is told of an archive that may not be what was meant.

use super::super::super::{ReadOptions, read_sources as read_with};
use super::*;

fn told(archives: &[&[u8]]) -> Vec<String> {
    let files: Vec<_> = archives.iter().map(|bytes| file_of(bytes)).collect();
    let sources = files
        .iter()
        .map(|file| Source::new(Content::Archive(file.path().into())));
    let sources: Vec<_> = sources.collect();
    let gathered = read_with(&sources, &spool, &ReadOptions::within(1 << 24)).unwrap();
    let warnings = gathered.warnings.iter().map(ToString::to_string);
    let named = warnings.map(|it| {
        files
            .iter()
            .zip(1..)
            .fold(it, |it, (file, number): (_, u32)| {
                it.replace(file.path().to_str().unwrap(), &number.to_string())
            })
    });
    named.collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn members_behind_the_end_are_told() {
    let first = || Builder::default().member(b"a", b'0', b"x").0;
    let behind = Builder::default().member(b"b", b'0', b"").end();
    for (zeros, mark) in [
        (512, "a lone block of zeros"),
        (1024, "the end mark"),
        (9216, "the end mark"),
        (1024 * 1024 - 1024, "the end mark"),
    ] {
        let archive = [&first()[..], &vec![0; zeros], &behind].concat();
        for archive in [gzipped(&archive), archive] {
            let warnings = told(&[&archive]);
            let expected = format!(
                "1: {mark} at byte 1024 ends it, but more members follow from byte {} on, which are not taken",
                1024 + zeros
            );
            assert!(
                warnings.len() == 1 && warnings[0].starts_with(&expected),
                "{warnings:?}"
            );
        }
    }
    // Zeros that fill up a record are none, nor is what is no header.
    for rest in [
        &[0; 9216][..],
        &[0; 512],
        &[],
        &[[0; 1024], [7; 1024]].concat(),
    ] {
        let archive = [&first()[..], rest].concat();
        assert_eq!(told(&[&archive, &gzipped(&archive)]), [""; 0]);
    }
}

#[test]
fn an_incremental_archive_is_told() {
    let dumped = |names: &[u8]| {
        Builder::default()
            .member(b"./", b'D', names)
            .member(b"./d/", b'D', names)
            .pax(b'x', &[("GNU.dumpdir", names)])
            .member(b"./e/", b'5', b"")
            .member(b"./new", b'0', b"x")
            .end()
    };
    assert_eq!(told(&[&dumped(b"Ynew\0Dd\0De\0\0")]), [""; 0]);
    for names in [&b"Ynew\0Nold\0\0"[..], b"Rbefore\0Tafter\0\0"] {
        let warnings = told(&[&dumped(names)]);
        let expected = "1: is an incremental archive: 3 directories list files that it has not";
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(expected),
            "{warnings:?}"
        );
        assert!(warnings[0].contains("--level=0"), "{warnings:?}");
    }
}

#[test]
fn a_file_that_gives_way_to_an_implied_directory_of_another_source_is_told() {
    let below = Builder::default()
        .member(b"srv/top", b'0', b"important")
        .end();
    let above = Builder::default().member(b"srv/top/x", b'0', b"").end();
    let warnings = told(&[&below, &above]);
    let expected = "2: has names below /srv/top, before it a file, which gives way to a directory";
    assert!(
        warnings.len() == 1 && warnings[0].starts_with(expected),
        "{warnings:?}"
    );
    let meant = Builder::default()
        .member(b"srv/top/", b'5', b"")
        .member(b"srv/top/x", b'0', b"");
    assert_eq!(told(&[&below, &meant.end()]), [""; 0]);
}

#[test]
fn data_of_a_hard_link_that_may_be_a_member_is_refused() {
    for size in [("size", &b"1024"[..]), ("comment", b"x")] {
        let archive = Builder::default()
            .member(b"first", b'0', b"")
            .pax(b'x', &[size])
            .raw(b"q", b'1', 1024, |header| {
                header.as_old_mut().linkname[..5].copy_from_slice(b"first");
            })
            .member(b"within", b'0', b"evil")
            .end();
        let message = refusal(&archive);
        let expected = "member 'q' is a hard link with a size of 1024 bytes, and a header follows";
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn what_is_refused_is_called_by_its_name() {
    let volume = Builder::default().member(b"part", b'M', b"rest").end();
    assert!(refusal(&volume).contains("the rest of a file that begins in another volume"));
    let with = |key, value| {
        let archive = Builder::default().pax(b'x', &[(key, value)]);
        refusal(&archive.member(b"a", b'0', b"").end())
    };
    assert!(with("uid", b"-1").contains("its user number '-1' is negative"));
    assert!(with("mtime", b"+5").contains("its modification time '+5' has a sign"));
    assert!(with("gid", b"x").contains("'x' is no decimal number"));
    let plain = Builder::default().member(b"a", b'0', b"").end();
    for (bytes, expected) in [
        (
            gzipped(&plain),
            "compressed twice: what it decompresses to is compressed with gzip",
        ),
        (
            [&b"070701"[..], &[b'0'; 600]].concat(),
            "not a tar archive, plain or compressed with gzip, zstd, xz, bzip2 or lz4: it is a cpio archive",
        ),
    ] {
        let message = tree_of(&gzipped(&bytes)).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}
