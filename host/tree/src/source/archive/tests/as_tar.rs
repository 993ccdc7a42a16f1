//! What GNU tar and bsdtar make of an archive, and what it would be a loss to read otherwise.

use super::super::super::{ReadOptions, Warning, read_sources as read_with};
use super::*;

/// The paths of a tree, without the root.
fn paths(tree: &Tree) -> Vec<String> {
    let paths = tree.nodes().skip(1).map(|node| tree.path(node.id));
    paths
        .map(|path| String::from_utf8_lossy(&path).into_owned())
        .collect()
}

fn warnings_of(sources: &[Source]) -> Vec<Warning> {
    let gathered = read_with(sources, &spool, &ReadOptions::within(1 << 20));
    gathered.unwrap().warnings
}

#[test]
fn the_magic_alone_tells_a_ustar_header() {
    for version in [*b"\0\0", *b"  ", *b"00", *b"7x"] {
        let versioned = |prefix: &'static [u8], minor: u32| {
            move |header: &mut Header| {
                let ustar = header.as_ustar_mut().unwrap();
                ustar.prefix[..prefix.len()].copy_from_slice(prefix);
                header.set_device_major(1).unwrap();
                header.set_device_minor(minor).unwrap();
                header.as_ustar_mut().unwrap().version = version;
            }
        };
        let archive = Builder::default()
            .raw(b"f", b'0', 3, versioned(b"a", 0))
            .data(b"one")
            .raw(b"f", b'0', 3, versioned(b"b", 0))
            .data(b"two")
            .raw(b"null", b'3', 0, versioned(b"dev", 3))
            .end();
        let tree = tree_of(&archive).unwrap();
        assert_eq!(contents(&tree, "/a/f"), b"one");
        assert_eq!(contents(&tree, "/b/f"), b"two");
        let null = Kind::CharacterDevice { major: 1, minor: 3 };
        assert_eq!(*tree.node(find(&tree, "/dev/null")).kind, null);
    }
}

/// A hard link with data, behind what `before` adds, and a file behind that.
fn with_data(before: impl FnOnce(Builder) -> Builder, data: &[u8]) -> Vec<u8> {
    let size = u64::try_from(data.len()).unwrap();
    before(Builder::default().member(b"a", b'0', data))
        .raw(b"b", b'1', size, |header| {
            header.as_old_mut().linkname[0] = b'a';
        })
        .data(data)
        .member(b"c", b'0', b"world")
        .end()
}

#[test]
fn data_of_a_hard_link_in_a_pax_archive_is_skipped() {
    for kind in [b'x', b'g'] {
        // Of zeros, it would look as the end of the archive.
        for data in [&b"hello"[..], &[0; 600]] {
            let archive = with_data(|builder| builder.pax(kind, &[("comment", b"x")]), data);
            let tree = tree_of(&archive).unwrap();
            assert_eq!(contents(&tree, "/c"), b"world");
            assert_eq!(
                *tree.node(find(&tree, "/b")).kind,
                Kind::HardLink(find(&tree, "/a"))
            );
        }
    }
    let cut = with_data(|builder| builder.pax(b'x', &[("size", b"9999")]), b"hello");
    assert!(
        refusal(&cut).contains("the data of member 'b' goes on"),
        "{}",
        refusal(&cut)
    );
}

#[test]
fn without_pax_headers_the_size_of_a_hard_link_says_nothing() {
    let archive = Builder::default()
        .member(b"a", b'0', b"hello")
        .raw(b"b", b'1', 5, |header| {
            header.as_old_mut().linkname[0] = b'a';
        })
        .member(b"c", b'0', b"world")
        .end();
    assert_eq!(paths(&tree_of(&archive).unwrap()), ["/a", "/b", "/c"]);
}

#[test]
fn without_pax_headers_what_follows_a_hard_link_tells_whether_it_is_data() {
    let linked = |builder: Builder, size| {
        builder.raw(b"b", b'1', size, |header| {
            header.as_old_mut().linkname[0] = b'a';
        })
    };
    let of_a = || Builder::default().member(b"a", b'0', b"hello");
    // Of zeros, it would look as the end of the archive.
    for data in [&b"hello"[..], &[0; 600], &[0; 1024]] {
        let size = u64::try_from(data.len()).unwrap();
        let archive = linked(of_a(), size)
            .data(data)
            .member(b"c", b'0', b"world")
            .end();
        let tree = tree_of(&archive).unwrap();
        assert_eq!(paths(&tree), ["/a", "/b", "/c"]);
        assert_eq!(contents(&tree, "/c"), b"world");
        assert_eq!(contents(&tree, "/a"), b"hello");
    }
    // At the end there is none, however large the link says that it is.
    let whole = linked(of_a(), 1 << 30).end();
    let without_end = linked(of_a(), 5).0;
    for archive in [whole, without_end] {
        assert_eq!(paths(&tree_of(&archive).unwrap()), ["/a", "/b"]);
    }
}

#[test]
fn an_attribute_that_bsdtar_writes_twice_is_one() {
    // What bsdtar 3.6 writes of the attributes `user.\u{e4} b` and `user.c=d`.
    let records: &[(&str, &[u8])] = &[
        ("LIBARCHIVE.xattr.user.%C3%A4%20b", b"MQ"),
        ("SCHILY.xattr.user.%C3%A4%20b", b"1"),
        ("SCHILY.xattr.user.c%3Dd", b"2"),
        ("LIBARCHIVE.xattr.user.c%3Dd", b"Mg"),
    ];
    let archive = Builder::default()
        .pax(b'x', records)
        .member(b"a", b'0', b"")
        .end();
    let tree = tree_of(&archive).unwrap();
    let attributes = tree.node(find(&tree, "/a")).attributes;
    let shown: Vec<_> = attributes
        .iter()
        .map(|it| (str::from_utf8(&it.name).unwrap(), &it.value[..]))
        .collect();
    assert_eq!(shown, [("user.c=d", &b"2"[..]), ("user.\u{e4} b", b"1")]);
}

#[test]
fn a_directory_with_members_in_it_is_not_replaced() {
    let full = || {
        Builder::default()
            .member(b"a", b'0', b"1")
            .member(b"d/", b'5', b"")
            .member(b"d/f", b'0', b"precious")
    };
    for archive in [
        full().member(b"d", b'0', b"x"),
        full().link(b"d", b'1', b"a"),
        full().link(b"d", b'2', b"a"),
        full().member(b"d", b'6', b""),
        Builder::default()
            .member(b"d/f", b'0', b"precious")
            .member(b"d", b'0', b"x"),
    ] {
        let message = refusal(&archive.end());
        let expected = "member 'd' is no directory, and an earlier one, which has 'd/f', is";
        assert!(message.contains(expected), "{message}");
    }
    let empty = Builder::default()
        .member(b"d/", b'5', b"")
        .member(b"d", b'0', b"x")
        .end();
    assert_eq!(contents(&tree_of(&empty).unwrap(), "/d"), b"x");
}

#[test]
fn one_source_over_a_full_directory_of_another_is_told_once() {
    let below = Builder::default()
        .member(b"srv/d/e/f", b'0', b"precious")
        .member(b"srv/d/g", b'0', b"precious")
        .member(b"srv/k/g", b'0', b"precious")
        .member(b"srv/empty", b'5', b"")
        .end();
    let above = Builder::default()
        .link(b"k", b'2', b"d")
        .member(b"d", b'0', b"x")
        .member(b"empty", b'0', b"x")
        .end();
    let (below, above) = (file_of(&below), file_of(&above));
    let mut upper = Source::new(Content::Archive(above.path().into()));
    upper.to = Some(b"/srv/".to_vec());
    let sources = [Source::new(Content::Archive(below.path().into())), upper];
    let [warning] = &warnings_of(&sources)[..] else {
        panic!("{:?}", warnings_of(&sources));
    };
    let expected = format!(
        "{}: has a file at /srv/d, which hides the directory there with 3 entries; so it is with another directory",
        above.path().display()
    );
    assert_eq!(warning.to_string(), expected);
}

#[test]
fn keywords_of_pax_headers_that_may_matter_are_told_once() {
    let silent = Builder::default()
        .pax(b'g', &[("comment", b"x"), ("GNU.volume.label", b"x")])
        .pax(
            b'x',
            &[
                ("atime", b"1"),
                ("ctime", b"1"),
                ("LIBARCHIVE.creationtime", b"1"),
                ("SCHILY.dev", b"1"),
                ("SCHILY.ino", b"1"),
                ("SCHILY.nlink", b"1"),
                ("uname", b"root"),
                ("SCHILY.xattr.user.a", b"v"),
            ],
        )
        .member(b"a", b'0', b"1");
    let quiet = file_of(&Builder(silent.0.clone()).end());
    assert_eq!(
        warnings_of(&[Source::new(Content::Archive(quiet.path().into()))]),
        []
    );
    let told = silent
        .pax(
            b'x',
            &[("SCHILY.fflags", b"immutable"), ("VENDOR.key", b"x")],
        )
        .member(b"b", b'0', b"1")
        .pax(
            b'x',
            &[
                ("SCHILY.acl.ace", b"owner@:rwx::allow"),
                ("VENDOR.key", b"y"),
            ],
        )
        .member(b"c", b'0', b"1");
    let told = file_of(&told.end());
    let expected = Warning::UnknownRecords {
        root: told.path().into(),
        keywords: ["SCHILY.acl.ace", "SCHILY.fflags", "VENDOR.key"]
            .map(str::to_owned)
            .to_vec(),
    };
    assert_eq!(
        warnings_of(&[Source::new(Content::Archive(told.path().into()))]),
        [expected]
    );
}
