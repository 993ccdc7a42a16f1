//! What overlayfs writes into layers.

use super::*;

/// A whiteout as overlayfs has it.
fn whiteout(tar: Builder, name: &[u8]) -> Builder {
    tar.raw(name, b'3', 0, |header| {
        header.set_device_major(0).unwrap();
        header.set_device_minor(0).unwrap();
    })
}

#[test]
fn overlayfss_own_marks_that_nobody_asked_for_are_told_once() {
    let opaque: &[(&str, &[u8])] = &[("SCHILY.xattr.trusted.overlay.opaque", b"y")];
    let layers = [
        dir(b"d/").member(b"a", b'0', b"").end(),
        whiteout(whiteout(tar(), b"a"), b"b").end(),
        whiteout(tar().pax(b'x', opaque).member(b"d/", b'5', b""), b"c").end(),
    ];
    let layout = Layout::of(&layers, Packing::Plain);
    let gathered = gather(&layout.image()).unwrap();
    assert_eq!(paths(&gathered.tree), ["/a", "/b", "/c", "/d"]);
    let [warning] = &gathered.warnings[..] else {
        panic!("{:?}", gathered.warnings)
    };
    let told = warning.to_string();
    for part in [
        "layer 2 of 3 (sha256:",
        "has the member a, a device 0:0",
        "so it is with 3 other members",
        "`overlay-whiteouts`",
    ] {
        assert!(told.contains(part), "{told}");
    }
    // An attribute that is kept is kept whole.
    let attributes = gathered.tree.node(find(&gathered.tree, "/d")).attributes;
    assert_eq!(attributes[0].name, b"trusted.overlay.opaque");
    let image = Image {
        overlay_whiteouts: true,
        ..layout.image()
    };
    assert_eq!(gather(&image).unwrap().warnings, []);
}

#[test]
fn attributes_for_an_overlayfs_on_top_lose_one_escape_as_when_mounted() {
    let escaped: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.trusted.overlay.overlay.opaque", b"y"),
        (
            "SCHILY.xattr.trusted.overlay.overlay.overlay.redirect",
            b"/x",
        ),
        ("SCHILY.xattr.user.overlay.overlay.whiteout", b""),
        ("SCHILY.xattr.trusted.overlay.origin", b"o"),
        ("SCHILY.xattr.user.a", b"b"),
    ];
    let layers = [
        dir(b"d/").member(b"d/kept", b'0', b"").end(),
        tar().pax(b'x', escaped).member(b"d/", b'5', b"").end(),
    ];
    let layout = Layout::of(&layers, Packing::Plain);
    let names = |image: &Image| {
        let gathered = gather(image).unwrap();
        assert_eq!(gathered.warnings, []);
        assert_eq!(paths(&gathered.tree), ["/d", "/d/kept"]);
        let attributes = gathered.tree.node(find(&gathered.tree, "/d")).attributes;
        let names = attributes
            .iter()
            .map(|it| String::from_utf8(it.name.clone()).unwrap());
        names.collect::<Vec<_>>()
    };
    let mut image = layout.image();
    assert_eq!(names(&image).len(), 5);
    image.overlay_whiteouts = true;
    let expected = [
        "trusted.overlay.opaque",
        "trusted.overlay.overlay.redirect",
        "user.a",
        "user.overlay.whiteout",
    ];
    assert_eq!(names(&image), expected);
}

#[test]
fn overlayfss_own_whiteouts_hide_when_asked_for() {
    let opaque: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.origin", b""),
        ("SCHILY.xattr.user.a", b"b"),
    ];
    let layers = [
        dir(b"d/")
            .member(b"d/x", b'0', b"")
            .member(b"a", b'0', b"")
            .end(),
        whiteout(
            tar()
                .pax(b'x', opaque)
                .member(b"d/", b'5', b"")
                .member(b"d/y", b'0', b""),
            b"a",
        )
        .end(),
    ];
    let layout = Layout::of(&layers, Packing::Zstd);
    let image = Image {
        overlay_whiteouts: true,
        ..layout.image()
    };
    let tree = tree_of(&image);
    assert_eq!(paths(&tree), ["/d", "/d/y"]);
    let attributes = tree.node(find(&tree, "/d")).attributes;
    assert_eq!(attributes.len(), 1);
    assert_eq!(attributes[0].name, b"user.a");
    let redirect: &[(&str, &[u8])] = &[("SCHILY.xattr.trusted.overlay.redirect", b"/x")];
    let layout = Layout::of(
        &[tar().pax(b'x', redirect).member(b"d/", b'5', b"").end()],
        Packing::Plain,
    );
    let image = Image {
        overlay_whiteouts: true,
        ..layout.image()
    };
    assert!(refusal(&image).contains("redirect_dir"));
}

/// The layers over each other, with overlayfs's own whiteouts.
fn overlaid(layers: &[Vec<u8>]) -> Result<Vec<String>, String> {
    let layout = Layout::of(layers, Packing::Plain);
    let image = Image {
        overlay_whiteouts: true,
        ..layout.image()
    };
    let gathered = gather(&image).map_err(|error| error.to_string())?;
    Ok(paths(&gathered.tree))
}

#[test]
fn a_hard_link_to_overlayfss_whiteout_is_one() {
    let lower = || {
        dir(b"d/")
            .member(b"d/a", b'0', b"1")
            .member(b"d/b", b'0', b"2")
            .member(b"d/c", b'0', b"3")
            .member(b"e", b'0', b"4")
            .end()
    };
    let links = |tar: Builder| {
        tar.link(b"./d/b", b'1', b"d/a")
            .link(b"d/c", b'1', b"./d/b")
            .link(b"new", b'1', b"d/a")
            .end()
    };
    let empty: &[(&str, &[u8])] = &[("SCHILY.xattr.trusted.overlay.whiteout", b"y")];
    for upper in [
        links(whiteout(tar(), b"d/a")),
        links(tar().pax(b'x', empty).member(b"d/a", b'0', b"")),
        // The last member of a name holds.
        links(whiteout(tar().member(b"d/a", b'0', b"old"), b"d/a")),
        whiteout(tar().member(b"d/b", b'0', b"old"), b"d/a")
            .link(b"d/b", b'1', b"d/a")
            .link(b"d/c", b'1', b"d/b")
            .end(),
    ] {
        // Nothing is left of it for a layer above.
        let above = tar().member(b"f", b'0', b"").end();
        assert_eq!(
            overlaid(&[lower(), upper, above]).unwrap(),
            ["/d", "/e", "/f"]
        );
    }
    // What has the name of a whiteout at last is a file, and so is a link to it.
    let replaced = whiteout(tar(), b"d/a")
        .member(b"d/a", b'0', b"new")
        .link(b"d/b", b'1', b"d/a");
    assert_eq!(
        overlaid(&[lower(), replaced.end()]).unwrap(),
        ["/d", "/d/a", "/d/b", "/d/c", "/e"]
    );
}

#[test]
fn a_hard_link_that_may_be_to_a_whiteout_or_not_is_refused() {
    let lower = || tar().member(b"a", b'0', b"secret").end();
    let before = whiteout(tar().link(b"b", b'1', b"a"), b"a").end();
    let message = overlaid(&[lower(), before]).unwrap_err();
    assert!(
        message.contains("'b' is a hard link to 'a', which is a whiteout of overlayfs further on"),
        "{message}"
    );
    // One of an earlier layer has nothing that could be linked to.
    let layers = [
        lower(),
        whiteout(tar(), b"a").end(),
        tar().link(b"b", b'1', b"a").end(),
    ];
    let message = overlaid(&layers).unwrap_err();
    assert!(message.contains("no earlier member"), "{message}");
    let marker = tar()
        .member(b".wh.a", b'0', b"")
        .link(b"b", b'1', b".wh.a")
        .end();
    let message = overlaid(&[lower(), marker]).unwrap_err();
    assert!(message.contains("no earlier member"), "{message}");
    // A link to what a lower layer has, which loses its name otherwise, stays.
    let renamed = tar().link(b"b", b'1', b"a").member(b".wh.a", b'0', b"");
    assert_eq!(overlaid(&[lower(), renamed.end()]).unwrap(), ["/b"]);
}
