//! What layers mean.

use super::*;

#[test]
fn an_upper_layer_lies_over_a_lower_one() {
    let tree = layered(&[
        dir(b"etc/")
            .member(b"etc/a", b'0', b"lower")
            .member(b"etc/b", b'0', b"kept")
            .end(),
        tar().member(b"etc/a", b'0', b"upper").end(),
    ]);
    assert_eq!(paths(&tree), ["/etc", "/etc/a", "/etc/b"]);
    assert_eq!(contents(&tree, "/etc/a"), b"upper");
    assert_eq!(contents(&tree, "/etc/b"), b"kept");
}

#[test]
fn a_whiteout_hides_a_file_and_a_directory_of_lower_layers() {
    let tree = layered(&[
        dir(b"d/")
            .member(b"d/x", b'0', b"x")
            .member(b"a", b'0', b"a")
            .member(b"b", b'0', b"b")
            .end(),
        tar()
            .member(b".wh.a", b'0', b"")
            .member(b".wh.d", b'0', b"")
            .member(b".wh.absent", b'0', b"")
            .end(),
    ]);
    assert_eq!(paths(&tree), ["/b"]);
}

#[test]
fn a_whiteout_hides_nothing_of_its_own_layer_wherever_it_stands() {
    for first in [true, false] {
        let marker = |tar: Builder| tar.member(b"d/.wh.x", b'0', b"");
        let file = |tar: Builder| tar.member(b"d/x", b'0', b"new");
        let upper = if first {
            file(marker(tar()))
        } else {
            marker(file(tar()))
        };
        let lower = dir(b"d/").member(b"d/x", b'0', b"old").end();
        let tree = layered(&[lower, upper.end()]);
        assert_eq!(contents(&tree, "/d/x"), b"new");
    }
}

#[test]
fn an_opaque_marker_hides_lower_layers_only_wherever_it_stands() {
    let lower = || {
        dir(b"d/")
            .member(b"d/old", b'0', b"1")
            .member(b"d/sub/deep", b'0', b"2")
            .member(b"e", b'0', b"3")
            .end()
    };
    let marker = |tar: Builder| tar.member(b"d/.wh..wh..opq", b'0', b"");
    let file = |tar: Builder| tar.member(b"d/new", b'0', b"4");
    for upper in [
        file(marker(dir(b"d/"))),
        marker(file(dir(b"d/"))),
        marker(file(tar())).member(b"d/", b'5', b""),
    ] {
        let tree = layered(&[lower(), upper.end()]);
        assert_eq!(paths(&tree), ["/d", "/d/new", "/e"]);
    }
    let at_root = tar()
        .member(b"new", b'0', b"")
        .member(b".wh..wh..opq", b'0', b"")
        .end();
    assert_eq!(paths(&layered(&[lower(), at_root])), ["/new"]);
}

#[test]
fn a_whiteout_may_be_a_hard_link() {
    let tree = layered(&[
        dir(b"d/")
            .member(b"d/a", b'0', b"a")
            .member(b"b", b'0', b"b")
            .end(),
        tar()
            .link(b"d/.wh..wh..opq", b'1', b".wh..wh.plnk/1.2")
            .link(b".wh.b", b'1', b"d/.wh..wh..opq")
            .end(),
    ]);
    assert_eq!(paths(&tree), ["/d"]);
}

#[test]
fn what_is_of_aufs_alone_is_left_out() {
    let tree = layered(&[dir(b".wh..wh.plnk/")
        .member(b".wh..wh.plnk/1.2", b'0', b"x")
        .member(b".wh..wh.aufs", b'0', b"")
        .member(b"a", b'0', b"a")
        .end()]);
    assert_eq!(paths(&tree), ["/a"]);
}

#[test]
fn what_aufs_keeps_for_hard_links_is_what_they_lead_to() {
    let tree = layered(&[
        dir(b".wh..wh.plnk/")
            .member(b".wh..wh.plnk/1.2", b'0', b"data")
            .link(b"a", b'1', b".wh..wh.plnk/1.2")
            .link(b"b", b'1', b".wh..wh.plnk/1.2")
            .end(),
        tar().member(b"c", b'0', b"c").end(),
    ]);
    assert_eq!(paths(&tree), ["/a", "/b", "/c"]);
    assert_eq!(contents(&tree, "/a"), b"data");
    let first = find(&tree, "/a");
    assert_eq!(*tree.node(find(&tree, "/b")).kind, Kind::HardLink(first));
}

#[test]
fn a_path_is_real_and_leads_not_through_a_lower_layers_symlink() {
    let lower = || {
        dir(b"usr/")
            .member(b"usr/lib/", b'5', b"")
            .member(b"usr/lib/a", b'0', b"a")
            .link(b"lib", b'2', b"usr/lib")
            .end()
    };
    let layout = Layout::of(
        &[lower(), tar().member(b"lib/b", b'0', b"b").end()],
        Packing::Gzip,
    );
    let gathered = gather(&layout.image()).unwrap();
    assert_eq!(
        paths(&gathered.tree),
        ["/lib", "/lib/b", "/usr", "/usr/lib", "/usr/lib/a"]
    );
    let warnings: Vec<String> = gathered.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("layer 2 of 2")
            && warnings[0]
                .contains("names below /lib, in a lower layer a symbolic link to usr/lib"),
        "{warnings:?}"
    );
    // Neither does a whiteout hide what a link leads to.
    let tree = layered(&[lower(), tar().member(b"lib/.wh.a", b'0', b"").end()]);
    assert_eq!(paths(&tree), ["/lib", "/usr", "/usr/lib", "/usr/lib/a"]);
    assert!(matches!(
        tree.node(find(&tree, "/lib")).kind,
        Kind::Symlink(_)
    ));
    let opaque = tar().member(b"lib/.wh..wh..opq", b'0', b"").end();
    assert_eq!(paths(&layered(&[lower(), opaque.clone()])), paths(&tree));
    // That is told, once.
    let whiteouts = tar()
        .member(b"lib/.wh.a", b'0', b"")
        .member(b"lib/.wh.b", b'0', b"")
        .end();
    for layer in [opaque, whiteouts] {
        let gathered = gather(&Layout::of(&[lower(), layer], Packing::Plain).image()).unwrap();
        let warnings: Vec<String> = gathered.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains("layer 2 of 2")
                && warnings[0].ends_with(
                    "has whiteouts below /lib, in a lower layer a symbolic link to usr/lib: they hide nothing that the link leads to"
                ),
            "{warnings:?}"
        );
    }
    // A whiteout of the link itself hides it, and a directory of the layer's own takes its place.
    for layer in [
        tar().member(b".wh.lib", b'0', b"").end(),
        dir(b"lib/").member(b"lib/.wh.a", b'0', b"").end(),
    ] {
        let gathered = gather(&Layout::of(&[lower(), layer], Packing::Plain).image()).unwrap();
        assert_eq!(gathered.warnings, []);
    }
}

#[test]
fn a_directory_replaces_a_symlink_and_a_symlink_a_directory() {
    let tree = layered(&[
        tar()
            .link(b"a", b'2', b"b")
            .member(b"b/", b'5', b"")
            .member(b"b/x", b'0', b"x")
            .end(),
        dir(b"a/")
            .member(b"a/y", b'0', b"y")
            .link(b"b", b'2', b"a")
            .end(),
    ]);
    assert_eq!(paths(&tree), ["/a", "/a/y", "/b"]);
    assert_eq!(
        *tree.node(find(&tree, "/b")).kind,
        Kind::Symlink((*b"a").into())
    );
}

#[test]
fn a_directory_replaces_a_file_and_a_file_a_directory() {
    let tree = layered(&[
        dir(b"a/")
            .member(b"a/x", b'0', b"x")
            .member(b"b", b'0', b"b")
            .end(),
        tar()
            .member(b"a", b'0', b"a")
            .member(b"b/y", b'0', b"y")
            .end(),
    ]);
    assert_eq!(paths(&tree), ["/a", "/b", "/b/y"]);
}

#[test]
fn hard_links_within_a_layer_and_across_layers_keep_one_inode() {
    let tree = layered(&[
        tar()
            .member(b"b", b'0', b"data")
            .link(b"c", b'1', b"b")
            .end(),
        tar().link(b"a", b'1', b"./b").end(),
        tar()
            .link(b"d", b'1', b"c")
            .member(b".wh.c", b'0', b"")
            .end(),
    ]);
    assert_eq!(paths(&tree), ["/a", "/b", "/d"]);
    let first = find(&tree, "/a");
    assert!(matches!(tree.node(first).kind, Kind::File { .. }));
    for other in ["/b", "/d"] {
        assert_eq!(*tree.node(find(&tree, other)).kind, Kind::HardLink(first));
    }
}

#[test]
fn an_upper_name_replaces_one_of_several_links_and_the_others_stay() {
    let tree = layered(&[
        tar()
            .member(b"a", b'0', b"old")
            .link(b"b", b'1', b"a")
            .link(b"c", b'1', b"a")
            .end(),
        tar()
            .member(b"a", b'0', b"new")
            .member(b".wh.b", b'0', b"")
            .end(),
    ]);
    assert_eq!(paths(&tree), ["/a", "/c"]);
    assert_eq!(
        (contents(&tree, "/a"), contents(&tree, "/c")),
        (b"new".to_vec(), b"old".to_vec())
    );
}

#[test]
fn a_hard_link_prefers_what_its_own_layer_has() {
    let tree = layered(&[
        tar().member(b"a", b'0', b"lower").end(),
        tar()
            .member(b"a", b'0', b"upper")
            .link(b"b", b'1', b"a")
            .end(),
    ]);
    assert_eq!(contents(&tree, "/a"), b"upper");
    let first = find(&tree, "/a");
    assert_eq!(*tree.node(find(&tree, "/b")).kind, Kind::HardLink(first));
}

#[test]
fn missing_parents_are_made_and_those_of_lower_layers_keep_their_modes() {
    let tree = layered(&[
        tar()
            .raw(b"private/", b'5', 0, |header| header.set_mode(0o700))
            .end(),
        tar()
            .member(b"private/a", b'0', b"")
            .member(b"new/deep/b", b'0', b"")
            .end(),
    ]);
    let mode = |path: &str| tree.node(find(&tree, path)).mode;
    assert_eq!(
        (mode("/private"), mode("/new"), mode("/new/deep")),
        (0o700, 0o755, 0o755)
    );
}

#[test]
fn an_upper_directory_gives_its_metadata_to_the_lower_one() {
    let tree = layered(&[
        dir(b"d/").member(b"d/a", b'0', b"").end(),
        tar()
            .raw(b"d/", b'5', 0, |header| {
                header.set_mode(0o1777);
                header.set_uid(9);
            })
            .end(),
    ]);
    let node = tree.node(find(&tree, "/d"));
    assert_eq!((node.mode, node.uid), (0o1777, 9));
    assert_eq!(paths(&tree), ["/d", "/d/a"]);
}

#[test]
fn attributes_capabilities_set_id_bits_and_devices_come_through() {
    let capability =
        b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let tree = layered(&[
        tar()
            .pax(
                b'x',
                &[
                    ("SCHILY.xattr.security.capability", capability),
                    ("SCHILY.xattr.user.note", b"n"),
                ],
            )
            .member(b"ping", b'0', b"x")
            .end(),
        tar()
            .raw(b"su", b'0', 0, |header| header.set_mode(0o4755))
            .raw(b"null", b'3', 0, |header| {
                header.set_device_major(1).unwrap();
                header.set_device_minor(3).unwrap();
            })
            .raw(b"whiteout", b'3', 0, |header| {
                header.set_device_major(0).unwrap();
                header.set_device_minor(0).unwrap();
            })
            .member(b"pipe", b'6', b"")
            .end(),
    ]);
    let names: Vec<&[u8]> = tree
        .node(find(&tree, "/ping"))
        .attributes
        .iter()
        .map(|it| it.name.as_slice())
        .collect();
    assert_eq!(names, [&b"security.capability"[..], b"user.note"]);
    assert_eq!(tree.node(find(&tree, "/su")).mode, 0o4755);
    assert_eq!(
        *tree.node(find(&tree, "/null")).kind,
        Kind::CharacterDevice { major: 1, minor: 3 }
    );
    assert_eq!(*tree.node(find(&tree, "/pipe")).kind, Kind::Fifo);
    // Nobody asked for overlayfs's own whiteouts.
    assert_eq!(
        *tree.node(find(&tree, "/whiteout")).kind,
        Kind::CharacterDevice { major: 0, minor: 0 }
    );
}

#[test]
fn names_that_are_not_utf_8_are_hidden_and_kept() {
    let tree = layered(&[
        tar()
            .member(b"\xff\xfe", b'0', b"1")
            .member(b"\xc3(", b'0', b"2")
            .end(),
        tar().member(b".wh.\xff\xfe", b'0', b"").end(),
    ]);
    assert_eq!(tree.len(), 2);
    assert_eq!(tree.node(crate::NodeId(1)).name, b"\xc3(");
}

#[test]
fn an_image_may_have_127_layers() {
    let layers: Vec<Vec<u8>> = (0..127_u32)
        .map(|number| {
            let name = format!("file-{number:03}");
            let before = format!(".wh.file-{:03}", number.saturating_sub(2));
            tar()
                .member(name.as_bytes(), b'0', name.as_bytes())
                .member(before.as_bytes(), b'0', b"")
                .member(b"last", b'0', name.as_bytes())
                .end()
        })
        .collect();
    let tree = layered(&layers);
    assert_eq!(paths(&tree), ["/file-125", "/file-126", "/last"]);
    assert_eq!(contents(&tree, "/last"), b"file-126");
}

#[test]
fn a_file_above_two_gib_is_known_by_its_size_and_read_at_its_end() {
    // Sparse in the archive, so that the test takes no room: pax 1.0 has the map in front of the data.
    let size: u64 = (2 << 30) + 4096;
    let mut data = b"1\n2147483648\n4096\n".to_vec();
    data.resize(512, 0);
    data.extend([7; 4096]);
    let text = size.to_string();
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"large"),
        ("GNU.sparse.realsize", text.as_bytes()),
    ];
    let layout = Layout::of(
        &[tar().pax(b'x', records).member(b"x", b'0', &data).end()],
        Packing::Gzip,
    );
    let tree = tree_of(&layout.image());
    let id = find(&tree, "/large");
    assert_eq!(*tree.node(id).kind, Kind::File { size, sparse: true });
    let mut end = [0; 4096];
    tree.reader().read(id, 2 << 30, &mut end).unwrap();
    assert_eq!(end, [7; 4096]);
}

#[test]
fn a_plain_layer_in_a_tar_is_read_where_it_is() {
    let layout = Layout::of(
        &[
            tar().member(b"a", b'0', b"first").end(),
            tar().member(b"b", b'0', &[9; 5000]).end(),
        ],
        Packing::Plain,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    fs::write(&path, packed(layout.path())).unwrap();
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let source = Source::new(What::Image(Image::new(path)));
    let gathered = read_sources(&[source], &no_spool, &ReadOptions::within(0)).unwrap();
    assert_eq!(contents(&gathered.tree, "/a"), b"first");
    assert_eq!(contents(&gathered.tree, "/b"), [9; 5000]);
}

/// A frame of zstd that decompressors skip.
fn skipped(bytes: &[u8]) -> Vec<u8> {
    const MAGIC: u32 = 0x184d_2a50;
    let length = u32::try_from(bytes.len()).unwrap();
    [&MAGIC.to_le_bytes()[..], &length.to_le_bytes(), bytes].concat()
}

/// As containers/storage writes it: frames for headers and for chunks of files, then its table of contents, what tar-split needs, and a
/// footer that says where both are, each in a frame that is skipped.
fn chunked(tar: &[u8]) -> Vec<u8> {
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let mut layer: Vec<u8> = tar.chunks(700).flat_map(frame).collect();
    let contents = br#"{"version":1,"entries":[{"type":"reg","name":"a","size":3000}]}"#;
    let split = br#"{"type":2,"payload":"AAAA","position":0}"#;
    let mut footer = Vec::new();
    for (text, kind) in [(&contents[..], 1), (&split[..], 2)] {
        let packed = frame(text);
        footer.extend((layer.len() as u64 + 8).to_le_bytes());
        footer.extend((packed.len() as u64).to_le_bytes());
        footer.extend((text.len() as u64).to_le_bytes());
        if kind == 1 {
            footer.extend(1_u64.to_le_bytes());
        }
        layer.extend(skipped(&packed));
    }
    footer.extend(b"GNUlInUx");
    layer.extend(skipped(&footer));
    layer
}

#[test]
fn a_layer_of_many_frames_or_members_is_one_tar() {
    let noise: Vec<u8> = (0..3000_u32)
        .map(|at| (at * at / 7).to_le_bytes()[0])
        .collect();
    let tar = tar()
        .member(b"a", b'0', &noise)
        .member(b"b", b'0', b"behind it")
        .end();
    let gzips: Vec<u8> = tar
        .chunks(999)
        .flat_map(|it| Packing::Gzip.pack(it))
        .collect();
    for (kind, packed) in [
        ("application/vnd.oci.image.layer.v1.tar+zstd", chunked(&tar)),
        ("application/vnd.oci.image.layer.v1.tar+gzip", gzips),
    ] {
        let mut layout = Layout::new();
        let whole = layout.blob(kind, &packed);
        let manifest = layout.manifest(&config("amd64"), &[whole]);
        layout.add(manifest, "test", None);
        layout.write_index();
        let tree = tree_of(&layout.image());
        assert_eq!(paths(&tree), ["/a", "/b"], "{kind}");
        assert_eq!(contents(&tree, "/a"), noise, "{kind}");
        assert_eq!(contents(&tree, "/b"), b"behind it", "{kind}");
        // A frame that is missing in the middle is no end.
        let mut layout = Layout::new();
        let half = layout.blob(kind, &packed[..packed.len() / 3]);
        let manifest = layout.manifest(&config("amd64"), &[half]);
        layout.add(manifest, "test", None);
        layout.write_index();
        refusal(&layout.image());
    }
}
