//! Archives made by hand.
#![allow(clippy::unwrap_used)]

mod as_tar;
mod builder;
mod judged;
mod sparse;
mod told;

use std::fs;
use std::io::Write;

use super::super::tests::{contents, find, read as read_sources, spool};
use super::super::{ReadOptions, Source, SourceError, What as Content};
use super::*;
use crate::{NodeId, Timestamp, Tree};
pub(in super::super) use builder::Builder;
use proptest::prelude::*;
use tar::{EntryType, Header};
use tempfile::NamedTempFile;

fn parse(archive: &[u8]) -> Result<Forest, ArchiveError> {
    let archive = archive.to_vec();
    let members = Members::new(Blocks::new(&archive), None);
    ahead::read_ahead(members, |members| {
        plant(members, 0, &mut Kept::new(Default::default()))
    })
    .map(|planted| planted.forest)
}

fn file_of(bytes: &[u8]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    file
}

fn tree_of(archive: &[u8]) -> Result<Tree, SourceError> {
    let file = file_of(archive);
    read_sources(&[Source::new(Content::Archive(file.path().into()))])
}

fn refusal(archive: &[u8]) -> String {
    parse(archive).unwrap_err().to_string()
}

#[test]
fn members_become_nodes() {
    let archive = Builder::default()
        .member(b"./", b'5', b"")
        .member(b"./etc/", b'5', b"")
        .member(b"./etc/hosts", b'0', b"localhost")
        .link(b"./etc/also", b'1', b"etc/hosts")
        .link(b"./bin", b'2', b"/usr/bin")
        .raw(b"dev/sda", b'4', 0, |header| {
            header.set_device_major(8).unwrap();
            header.set_device_minor(16).unwrap();
        })
        .member(b"pipe", b'6', b"")
        .end();
    let tree = tree_of(&archive).unwrap();
    assert_eq!(contents(&tree, "/etc/also"), b"localhost");
    let also = find(&tree, "/etc/also");
    assert_eq!(
        *tree.node(find(&tree, "/etc/hosts")).kind,
        Kind::HardLink(also)
    );
    let node = tree.node(also);
    assert_eq!(
        (node.mode, node.uid, node.gid, node.modified.seconds),
        (0o644, 1, 2, 3)
    );
    let disk = Kind::BlockDevice {
        major: 8,
        minor: 16,
    };
    assert_eq!(*tree.node(find(&tree, "/dev/sda")).kind, disk);
    let made = tree.node(find(&tree, "/dev"));
    assert_eq!(
        (made.mode, made.uid, made.modified),
        (0o755, 0, tree.newest())
    );
    assert_eq!(
        *tree.node(find(&tree, "/bin")).kind,
        Kind::Symlink(b"/usr/bin"[..].into())
    );
    assert_eq!(tree.node(NodeId::ROOT).mode, 0o644);
}

#[test]
fn pax_headers_override_and_add() {
    let long = vec![b'n'; 70_000];
    let archive = Builder::default()
        .pax(b'g', &[("uid", b"100"), ("gid", b"200"), ("comment", b"x")])
        .pax(
            b'x',
            &[
                ("path", b"dir/\xff\xfe"),
                ("uid", b"4000000000"),
                ("mtime", b"-1.5"),
                ("SCHILY.xattr.user.a", b"\0=\n"),
                ("LIBARCHIVE.xattr.user.b%20c", b"aGVsbG8="),
                (
                    "SCHILY.acl.access",
                    b"user::rw-,user:joe:r--:77,group::---,mask::r--,other::---",
                ),
            ],
        )
        .member(b"short", b'0', b"1234")
        .member(b"plain", b'0', b"")
        .end();
    let tree = tree_of(&archive).unwrap();
    let node = tree.nodes().find(|node| node.name == b"\xff\xfe").unwrap();
    assert_eq!((node.uid, node.gid), (4_000_000_000, 200));
    let time = Timestamp {
        seconds: -2,
        nanoseconds: 500_000_000,
    };
    assert_eq!(node.modified, time);
    let names: Vec<&[u8]> = node
        .attributes
        .iter()
        .map(|found| &found.name[..])
        .collect();
    assert_eq!(
        names,
        [&b"system.posix_acl_access"[..], b"user.a", b"user.b c"]
    );
    assert_eq!(node.attributes[1].value, b"\0=\n");
    let plain = tree.node(find(&tree, "/plain"));
    assert_eq!(
        (plain.uid, plain.gid, plain.attributes.len()),
        (100, 200, 0)
    );

    let too_long = Builder::default()
        .pax(b'x', &[("path", &long)])
        .member(b"a", b'0', b"")
        .end();
    assert!(refusal(&too_long).contains("the limit is 65536"));
    let bomb = Builder::default().raw(b"p", b'x', 1 << 30, |_| ()).end();
    assert!(refusal(&bomb).contains("1073741824 bytes; the limit is 1048576"));
    let bomb = Builder::default().raw(b"p", b'L', 1 << 30, |_| ()).end();
    assert!(refusal(&bomb).contains("the limit is 65536"));
    let nobody = Builder::default().pax(b'x', &[("path", b"a")]).end();
    assert!(refusal(&nobody).contains("is missing"));
}

#[test]
fn names_that_lead_outside_are_refused() {
    for name in ["../x", "a/../../x"] {
        let message = refusal(&Builder::default().member(name.as_bytes(), b'0', b"").end());
        let expected =
            format!("member '{name}': has '..' in it; make the archive with relative names");
        assert!(message.starts_with(&expected), "{message}");
    }
    let link = Builder::default()
        .link(b"a", b'1', b"../../etc/passwd")
        .end();
    assert!(refusal(&link).contains("'a -> ../../etc/passwd': has '..' in it"));
    let root = Builder::default().member(b"./", b'6', b"").end();
    assert!(refusal(&root).contains("no directory; make the archive of a directory"));
}

#[test]
fn names_that_no_file_system_can_have_are_refused_without_advice_on_relative_ones() {
    let nul = Builder::default()
        .pax(b'x', &[("path", b"a\0b")])
        .member(b"a", b'0', b"");
    let nul_in_target = Builder::default()
        .pax(b'x', &[("linkpath", b"a\0b")])
        .link(b"a", b'2', b"b");
    for (archive, expected) in [
        (
            Builder::default().member(b"", b'0', b""),
            "member '': is empty; ",
        ),
        (nul, "has a NUL byte in it; "),
        (
            nul_in_target,
            "is a symbolic link with a NUL byte in its target; ",
        ),
        (
            Builder::default().link(b"a", b'2', b""),
            "member 'a': is a symbolic link without a target; ",
        ),
    ] {
        let message = refusal(&archive.end());
        let expected = format!("{expected}make the archive again without it");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn a_hard_link_through_a_symbolic_link_is_told_as_that() {
    let archive = Builder::default()
        .member(b"r/f", b'0', b"1")
        .link(b"s", b'2', b"r")
        .link(b"b", b'1', b"s/f");
    let message = refusal(&archive.end());
    let expected =
        "member 'b' is a hard link to 's/f', and 's' is a symbolic link, which is not followed";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn what_follows_compressed_data_and_what_is_nothing_is_told_as_that() {
    let archive = Builder::default().member(b"a", b'0', &[1; 600]).end();
    for (name, data) in compressed(&archive) {
        let followed = [&data[..], b"JUNK"].concat();
        let message = tree_of(&followed).unwrap_err().to_string();
        let at = data.len();
        let expected = format!("something follows the {name} data at byte {at}, and");
        assert!(message.contains(&expected), "{message}");
    }
    for (name, nothing) in compressed(b"") {
        let message = tree_of(&nothing).unwrap_err().to_string();
        let expected = format!("the {name} data decompresses to nothing");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn members_that_cannot_be_are_refused() {
    let below = Builder::default()
        .link(b"a", b'2', b"/tmp")
        .member(b"a/b", b'0', b"")
        .end();
    assert!(refusal(&below).contains("'a/b' lies below 'a', which is a symbolic link"));
    let link = Builder::default().link(b"a", b'1', b"b").end();
    assert!(refusal(&link).contains("hard link to 'b', which is no earlier member"));
    let unknown = Builder::default().member(b"a", b'Z', b"").end();
    assert!(refusal(&unknown).contains("unknown type 'Z'"));
    let number = Builder::default()
        .raw(b"a", b'0', 0, |header| {
            header.as_old_mut().uid = *b"12x45\0\0\0"
        })
        .end();
    assert!(
        refusal(&number).contains("user number '12x45"),
        "{}",
        refusal(&number)
    );
    let mut damaged = Builder::default()
        .member(b"a", b'0', b"x")
        .member(b"b", b'0', b"")
        .end();
    damaged[1024] ^= 1;
    assert!(refusal(&damaged).contains("header at byte 1024"));
    assert!(refusal(&[7; 2048]).contains("not a tar archive"));
}

#[test]
fn later_member_of_the_same_name_holds() {
    let archive = Builder::default()
        .member(b"a", b'0', b"old")
        .link(b"keep", b'1', b"a")
        .member(b"d/x", b'0', b"")
        .member(b"a", b'0', b"new!")
        .member(b"d", b'5', b"")
        .end();
    let tree = tree_of(&archive).unwrap();
    assert_eq!(contents(&tree, "/a"), b"new!");
    assert_eq!(contents(&tree, "/keep"), b"old");
    assert_eq!(tree.node(find(&tree, "/d")).uid, 1);
    find(&tree, "/d/x");
}

#[test]
fn every_truncation_is_found_unless_it_falls_between_members() {
    let archive = Builder::default()
        .member(b"one", b'0', &[1; 700])
        .pax(b'x', &[("path", b"two")])
        .member(b"x", b'0', &[2; 10])
        .end();
    let members = archive.len() - 1024;
    for length in 1..members {
        let whole = length == 1536;
        assert_eq!(parse(&archive[..length]).is_ok(), whole, "{length}");
    }
    assert!(parse(&archive[..members]).is_ok(), "no mark at the end");
    assert!(
        parse(&archive[..members + 512]).is_ok(),
        "one block of zeros"
    );
    let message = refusal(&archive[..1000]);
    assert!(
        message.contains("ends at byte 1000")
            && message.contains("'one' goes on to byte 1536")
            && message.contains("536 bytes are missing"),
        "{message}"
    );
}

#[test]
fn excluded_target_leaves_its_link() {
    let archive = Builder::default()
        .member(b"cache/file", b'0', b"data")
        .link(b"link", b'1', b"cache/file")
        .end();
    let file = file_of(&archive);
    let tree = read_sources(&[Source {
        exclude: vec!["/cache".into()],
        to: Some(b"/srv".into()),
        ..Source::new(Content::Archive(file.path().into()))
    }])
    .unwrap();
    assert_eq!(tree.len(), 3);
    assert_eq!(contents(&tree, "/srv/link"), b"data");
}

#[test]
fn archive_that_changes_is_an_error() {
    let archive = Builder::default().member(b"a", b'0', b"data").end();
    let file = file_of(&archive);
    let tree = read_sources(&[Source::new(Content::Archive(file.path().into()))]).unwrap();
    fs::write(file.path(), &archive[..700]).unwrap();
    let message = tree
        .reader()
        .read(NodeId(1), 0, &mut [0; 4])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("changed while it was read: its size"),
        "{message}"
    );
}

fn compressed(archive: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(archive).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(archive).unwrap();
    vec![
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::stream::encode_all(archive, 1).unwrap()),
        ("xz", xz.finish().unwrap()),
    ]
}

#[test]
fn compressed_archives_read_as_plain_ones_in_one_piece_or_two() {
    let archive = Builder::default()
        .member(b"a", b'0', &[1; 100_000])
        .member(b"b", b'0', &[2; 100_000])
        .end();
    let plain = tree_of(&archive).unwrap();
    let (first, second) = archive.split_at(100_500);
    for ((name, one), (_, two)) in compressed(first).into_iter().zip(compressed(second)) {
        let tree = tree_of(&[one, two].concat()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tree.digest(), plain.digest(), "{name}");
        assert_eq!(
            tree.content_digest().unwrap(),
            plain.content_digest().unwrap()
        );
    }
    for (name, mut bytes) in compressed(&archive) {
        bytes.truncate(bytes.len() - 9);
        let message = tree_of(&bytes).unwrap_err().to_string();
        assert!(
            message.contains(&format!("damaged {name} data after")),
            "{message}"
        );
    }
}

#[test]
fn decompression_stops_at_the_limit() {
    let archive = Builder::default().member(b"a", b'0', &[0; 1 << 20]).end();
    for (_, bytes) in compressed(&archive) {
        let file = file_of(&bytes);
        let sources = [Source::new(Content::Archive(file.path().into()))];
        let result = super::super::read_sources(&sources, &spool, &ReadOptions::within(1 << 20));
        let message = result.unwrap_err().to_string();
        assert!(message.contains("more than the 1048576 bytes"), "{message}");
        let enough = u64::try_from(archive.len()).unwrap();
        super::super::read_sources(&sources, &spool, &ReadOptions::within(enough)).unwrap();
    }
}

#[test]
fn other_formats_are_named() {
    for (bytes, hint) in [
        (&b"MSCF\0\0\0\0"[..], "cabinet"),
        (b"070701", "cpio"),
        (b"PK\x03\x04xx", "zip"),
        (b"", "0 bytes"),
        (b"short", "shorter than one header"),
    ] {
        let message = tree_of(bytes).unwrap_err().to_string();
        assert!(message.contains(hint), "{message}");
    }
}

/// An archive with every kind of header.
fn varied() -> Vec<u8> {
    let map = b"2\n0\n4\n1000\n4\n";
    let mut sparse = map.to_vec();
    sparse.resize(512, 0);
    sparse.extend_from_slice(b"headtail");
    Builder::default()
        .member(b"./", b'5', b"")
        .pax(b'g', &[("gid", b"5")])
        .pax(b'x', &[("mtime", b"1.25"), ("SCHILY.xattr.user.a", b"v")])
        .member(b"file", b'0', &[9; 600])
        .pax(
            b'x',
            &[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"sparse"),
                ("GNU.sparse.realsize", b"1004"),
            ],
        )
        .member(b"GNUSparseFile.0/sparse", b'0', &sparse)
        .member(b"long", b'L', b"a/long/name\0")
        .link(b"x", b'1', b"file")
        .link(b"soft", b'2', b"file")
        .raw(b"dev", b'3', 0, |header| {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        })
        .end()
}

#[test]
fn the_varied_archive_is_read() {
    let tree = tree_of(&varied()).unwrap();
    assert_eq!(&contents(&tree, "/sparse")[1000..], b"tail");
    assert_eq!(contents(&tree, "/a/long/name"), [9; 600]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let _ = parse(&bytes);
        let _ = tree_of(&bytes);
    }

    #[test]
    fn mutated_archives_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        repair in any::<bool>(),
    ) {
        let mut archive = varied();
        for (place, value) in &edits {
            let place = place.index(archive.len());
            archive[place] = *value;
            if repair {
                // A right checksum lets the damage through to what is behind it.
                let block = &mut archive[place / 512 * 512..][..512];
                let mut header = Header::new_old();
                header.as_mut_bytes().copy_from_slice(block);
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        if edits.len() > 4 {
            archive.truncate(cut.index(archive.len()));
        }
        if let Ok(tree) = tree_of(&archive) {
            let _ = tree.content_digest();
        }
    }

    #[test]
    fn random_pax_records_never_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&Builder::default().member(b"p", b'x', &data).member(b"a", b'0', b"").end());
    }
}

#[test]
fn slashes_at_the_beginning_of_a_name_do_not_count() {
    let archive = Builder::default()
        .member(b"/etc/passwd", b'0', b"root")
        .link(b"//etc/link", b'1', b"/etc/passwd")
        .end();
    let tree = tree_of(&archive).unwrap();
    // Of two names of a file the first one holds it.
    assert_eq!(contents(&tree, "/etc/link"), b"root");
    let passwd = tree.node(find(&tree, "/etc/passwd")).kind;
    assert_eq!(*passwd, Kind::HardLink(find(&tree, "/etc/link")));
}

#[test]
fn a_part_of_an_archive_is_taken() {
    let archive = Builder::default()
        .member(b"app-1.0/", b'5', b"")
        .member(b"app-1.0/rootfs/bin/sh", b'0', b"#!")
        .link(b"app-1.0/rootfs/bin/ash", b'1', b"app-1.0/rootfs/bin/sh")
        .link(b"app-1.0/rootfs/sh", b'1', b"app-1.0/rootfs/bin/sh")
        .member(b"README", b'0', b"read me")
        .end();
    let file = file_of(&archive);
    let taken = |from: Option<&str>, strip: u32, exclude: &[&str]| {
        let exclude = exclude.iter().map(|pattern| (*pattern).to_owned());
        let source = Source {
            from: from.map(|from| from.as_bytes().to_vec()),
            strip,
            exclude: exclude.collect(),
            ..Source::new(Content::Archive(file.path().into()))
        };
        let tree = read_sources(&[source])?;
        let paths = tree
            .nodes()
            .skip(1)
            .map(|node| String::from_utf8(tree.path(node.id)).unwrap());
        Ok::<_, SourceError>(paths.collect::<Vec<String>>())
    };
    let rootfs = ["/bin", "/bin/ash", "/bin/sh", "/sh"];
    assert_eq!(taken(Some("app-1.0/rootfs"), 0, &[]).unwrap(), rootfs);
    assert_eq!(taken(None, 2, &[]).unwrap(), rootfs);
    assert_eq!(taken(Some("app-1.0"), 1, &["/bin"]).unwrap(), ["/sh"]);
    assert_eq!(taken(None, 9, &[]).unwrap(), [""; 0]);
    for (from, found) in [("app", "not in it"), ("README", "a file")] {
        let message = taken(Some(from), 0, &[]).unwrap_err().to_string();
        assert!(
            message.ends_with(&format!("from '{from}' is to be taken, which is {found}")),
            "{message}"
        );
    }
}

#[test]
fn attributes_and_link_targets_are_bounded_in_all() {
    let long = vec![b'v'; 60_000];
    let attributes = (0..400_u32).fold(Builder::default(), |builder, number| {
        let value = [&long[..], &number.to_le_bytes()].concat();
        builder
            .pax(b'x', &[("SCHILY.xattr.user.a", &value)])
            .member(b"a", b'0', b"")
    });
    let targets = (0..400).fold(Builder::default(), |builder, _| {
        builder
            .pax(b'x', &[("linkpath", &long)])
            .member(b"a", b'2', b"")
    });
    for archive in [attributes, targets] {
        match parse(&archive.end()) {
            Err(ArchiveError::Kept { kept, limit, .. }) => {
                assert!(kept > limit && limit > 14 << 20)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_window_beyond_the_limit_is_named() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder
        .write_all(&Builder::default().member(b"a", b'0', b"").end())
        .unwrap();
    encoder.flush().unwrap();
    let message = tree_of(&encoder.finish().unwrap()).unwrap_err().to_string();
    let expected = "the zstd data needs a window of 134217728 bytes, and 67108864 are allowed";
    assert!(message.contains(expected), "{message}");
}
