//! Layers that other readers read differently, Go's `archive/tar` above all.

use super::*;

fn refused(layer: Vec<u8>, parts: &[&str]) {
    let layers = [tar().member(b"lower", b'0', b"").end(), layer];
    let message = refusal(&Layout::of(&layers, Packing::Plain).image());
    for part in [&["layer 2 of 2"], parts].concat() {
        assert!(message.contains(part), "{message}");
    }
}

fn told(layers: &[Vec<u8>]) -> (Vec<String>, Vec<String>) {
    let gathered = gather(&Layout::of(layers, Packing::Gzip).image()).unwrap();
    let warnings = gathered.warnings.iter().map(ToString::to_string);
    (paths(&gathered.tree), warnings.collect())
}

/// A member that says it has the size of another, which follows.
fn over_a_member(before: Builder, name: &[u8], kind: u8) -> Vec<u8> {
    before
        .raw(name, kind, 1024, |header| {
            header.as_old_mut().linkname[..5].copy_from_slice(b"first");
        })
        .member(b"within", b'0', b"evil")
        .member(b"last", b'0', b"")
        .end()
}

#[test]
fn what_has_no_data_has_none_whatever_its_size_is() {
    let first = || tar().member(b"first", b'0', b"");
    for kind in *b"123456" {
        let pax: &[(&str, &[u8])] = &[("size", b"1024")];
        let name: &[u8] = if kind == b'5' { b"q/" } else { b"q" };
        for before in [
            first(),
            first().pax(b'x', &[("comment", b"x")]),
            first().pax(b'x', pax),
        ] {
            let tree = layered(&[over_a_member(before, name, kind)]);
            assert_eq!(paths(&tree), ["/first", "/last", "/q", "/within"]);
        }
    }
    let of_before_posix = first()
        .raw(b"q/", b'0', 1024, |header| {
            header.as_old_mut().linkflag[0] = 0
        })
        .member(b"within", b'0', b"evil")
        .member(b"last", b'0', b"");
    let tree = layered(&[of_before_posix.end()]);
    assert_eq!(paths(&tree), ["/first", "/last", "/q", "/within"]);
    for before in [first(), first().pax(b'x', &[("comment", b"x")])] {
        let with_data = before
            .raw(b"q", b'1', 5, |header| {
                header.as_old_mut().linkname[..5].copy_from_slice(b"first");
            })
            .data(b"hello");
        refused(
            with_data.member(b"last", b'0', b"").end(),
            &[
                "'q' is a hard link with a size of 5 bytes, and what follows is no header",
                "Go's",
            ],
        );
    }
}

#[test]
fn a_file_whose_name_ends_in_a_slash_is_refused_where_it_has_data() {
    refused(
        over_a_member(tar(), b"q/", b'0'),
        &["member 'q/' has the type of a file, 1024 bytes"],
    );
    let sized = tar()
        .pax(b'x', &[("size", b"4")])
        .raw(b"q/", b'0', 0, |_| ());
    refused(
        sized.data(b"data").end(),
        &["'q/' has the type of a file, 4 bytes"],
    );
    let empty = tar().member(b"q/", b'0', b"").member(b"q/in", b'0', b"");
    assert_eq!(paths(&layered(&[empty.end()])), ["/q", "/q/in"]);
}

#[test]
fn a_member_has_one_name() {
    let file = |tar: Builder| tar.member(b"q", b'0', b"x").end();
    for names in [
        tar()
            .pax(b'x', &[("path", b"pax")])
            .member(b"././@LongLink", b'L', b"long\0"),
        tar()
            .member(b"././@LongLink", b'L', b"long\0")
            .pax(b'x', &[("path", b"pax")]),
    ] {
        refused(file(names), &["has the name 'pax' and another 'long'"]);
    }
    let named = tar().pax(b'x', &[("GNU.sparse.name", b"one"), ("path", b"two")]);
    refused(file(named), &["has the name 'one' and another 'two'"]);
    let named = tar().pax(b'x', &[("GNU.sparse.name", b"one")]);
    refused(file(named), &["has the name 'one' and another 'q'"]);
    let target = tar()
        .pax(b'x', &[("linkpath", b"pax")])
        .member(b"././@LongLink", b'K', b"long\0");
    refused(
        target.link(b"q", b'2', b"x").end(),
        &["has the name 'pax' and another 'long'"],
    );
    for key in ["path", "linkpath", "size", "GNU.sparse.name"] {
        let part = format!("at byte 0 has '{key}' for all members");
        refused(file(tar().pax(b'g', &[(key, b"1")])), &[&part]);
    }
    // What says the same twice, or nothing of names, is no harm.
    let same = tar()
        .pax(b'g', &[("comment", b"x")])
        .pax(b'x', &[("path", b"long")])
        .member(b"././@LongLink", b'L', b"long\0");
    assert_eq!(paths(&layered(&[file(same)])), ["/long"]);
}

#[test]
fn a_lone_block_of_zeros_is_refused_and_what_is_behind_the_end_is_told() {
    let first = tar().member(b"a", b'0', b"x").end();
    let behind = tar().member(b"b", b'0', b"").end();
    let zeros = |count| [&first[..1024], &vec![0; count]].concat();
    refused(
        [zeros(512), behind.clone()].concat(),
        &["at byte 1024 is a lone block of zeros"],
    );
    refused([zeros(512), vec![1; 512]].concat(), &["at byte 1024"]);
    let (found, warnings) = told(&[[zeros(10_240 - 1024), behind].concat()]);
    assert_eq!(found, ["/a"]);
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    for part in [
        "layer 1 of 1 (sha256:",
        "the end mark at byte 1024 ends it, but more members follow from byte 10240 on",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
    for quiet in [0, 512, 1024, 10_240 - 1024] {
        assert_eq!(told(&[zeros(quiet)]), (vec!["/a".to_owned()], vec![]));
    }
}

#[test]
fn a_file_of_a_lower_layer_that_gives_way_to_an_implied_directory_is_told() {
    let lower = || {
        tar()
            .member(b"d/top", b'0', b"important")
            .member(b"pipe", b'6', b"")
            .end()
    };
    let upper = tar()
        .member(b"pipe/x", b'0', b"")
        .member(b"d/top/x", b'0', b"");
    let (found, warnings) = told(&[lower(), upper.end()]);
    assert_eq!(found, ["/d", "/d/top", "/d/top/x", "/pipe", "/pipe/x"]);
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    for part in [
        "layer 2 of 2 (sha256:",
        "has names below /d/top, before it a file, which gives way to a directory",
        "so it is with 1 other path",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
    // A directory that is a member is meant.
    let meant = dir(b"d/top/").member(b"d/top/x", b'0', b"").end();
    let (_, warnings) = told(&[lower(), meant]);
    assert!(warnings.is_empty(), "{warnings:?}");
}
