//! Directories, files and bytes, merged; and their bytes read back.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};

use super::attributes::AttributeAccess;
use super::*;
use crate::{Data, Kind, NodeId};
use cellblock_judges::{Ability, lacks};
use tempfile::TempDir;

pub(super) fn spool() -> io::Result<File> {
    tempfile::tempfile()
}

pub(super) fn read(sources: &[Source]) -> Result<Tree, SourceError> {
    read_sources(sources, &spool, &ReadOptions::within(1 << 30)).map(|read| read.tree)
}

/// With a time that is given.
fn read_at(sources: &[Source], time: Timestamp) -> Result<Tree, SourceError> {
    let options = ReadOptions {
        time: Some(time),
        ..ReadOptions::within(1 << 30)
    };
    read_sources(sources, &spool, &options).map(|read| read.tree)
}

fn directory(path: &Path) -> Source {
    Source::new(What::Directory(path.into()))
}

fn text(to: &str, bytes: &[u8]) -> Source {
    Source {
        to: Some(to.into()),
        ..Source::new(What::Bytes(bytes.into()))
    }
}

pub(super) fn find(tree: &Tree, path: &str) -> NodeId {
    let found = tree
        .nodes()
        .find(|node| tree.path(node.id) == path.as_bytes());
    found.unwrap_or_else(|| panic!("no {path}")).id
}

fn paths(tree: &Tree) -> Vec<String> {
    let path = |id| PathBytes(tree.path(id)).to_string();
    tree.nodes().map(|node| path(node.id)).collect()
}

pub(super) fn contents(tree: &Tree, path: &str) -> Vec<u8> {
    let id = find(tree, path);
    let Kind::File { size, .. } = *tree.node(id).kind else {
        panic!("{path} is no file");
    };
    let mut buffer = vec![1; usize::try_from(size).unwrap()];
    tree.reader().read(id, 0, &mut buffer).unwrap();
    buffer
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn no_source_is_an_empty_root() {
    let tree = read(&[]).unwrap();
    assert_eq!(tree.len(), 1);
    let root = tree.node(NodeId::ROOT);
    assert_eq!((root.mode, root.uid, root.gid), (0o755, 0, 0));
    assert_eq!((root.parent, root.name), (NodeId::ROOT, &b""[..]));
    assert_eq!(tree.path(NodeId::ROOT), b"/");
}

#[test]
fn directory_is_taken_as_found() {
    let root = TempDir::new().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("b/c")).unwrap();
    fs::write(at("b/file"), b"hello").unwrap();
    fs::set_permissions(at("b/file"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::hard_link(at("b/file"), at("a-link")).unwrap();
    symlink("../nowhere", at("b/c/link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), 0o600.into()).unwrap();
    std::os::unix::net::UnixListener::bind(at("socket")).unwrap();

    let tree = read(&[directory(root.path())]).unwrap();
    assert_eq!(
        paths(&tree),
        [
            "/",
            "/a-link",
            "/b",
            "/b/c",
            "/b/c/link",
            "/b/file",
            "/pipe",
            "/socket"
        ]
    );
    let first = tree.node(NodeId(1));
    assert_eq!(
        *first.kind,
        Kind::File {
            size: 5,
            sparse: false
        }
    );
    assert_eq!(first.mode, 0o4751);
    let metadata = fs::metadata(at("b/file")).unwrap();
    assert_eq!(first.modified.seconds, metadata.mtime());
    assert_eq!(i64::from(first.modified.nanoseconds), metadata.mtime_nsec());
    assert_eq!((first.uid, first.gid), (metadata.uid(), metadata.gid()));
    assert_eq!(*tree.node(NodeId(5)).kind, Kind::HardLink(NodeId(1)));
    assert_eq!(
        *tree.node(NodeId(4)).kind,
        Kind::Symlink(b"../nowhere"[..].into())
    );
    assert_eq!(*tree.node(NodeId(6)).kind, Kind::Fifo);
    assert_eq!(*tree.node(NodeId(7)).kind, Kind::Socket);
    assert_eq!(contents(&tree, "/a-link"), b"hello");
    let mut through_link = [0; 3];
    tree.reader().read(NodeId(5), 1, &mut through_link).unwrap();
    assert_eq!(&through_link, b"ell");
    assert_eq!(tree.total_file_bytes(), 5);
}

#[test]
fn devices_and_attributes_are_taken_when_root_made_them() {
    if !is_root() {
        lacks(Ability::Superuser, "only root makes devices");
        return;
    }
    let root = TempDir::new().unwrap();
    let device = root.path().join("null");
    let number = rustix::fs::makedev(259, 70_000);
    if rustix::fs::mknodat(
        rustix::fs::CWD,
        &device,
        rustix::fs::FileType::BlockDevice,
        0o660.into(),
        number,
    )
    .is_err()
    {
        lacks(Ability::Devices, "mknod is not allowed");
        return;
    }
    let tree = read(&[directory(root.path())]).unwrap();
    let expected = Kind::BlockDevice {
        major: 259,
        minor: 70_000,
    };
    assert_eq!(*tree.node(NodeId(1)).kind, expected);
}

/// The tree of an open directory, `meanwhile` being called between the walk and the second look.
fn walked(
    path: &Path,
    opened: cap_std::fs::Dir,
    access: AttributeAccess,
    meanwhile: impl FnOnce(),
) -> Result<Tree, SourceError> {
    let mut kept = Kept::new(Counter::default());
    let selection = Selection {
        from: &[],
        strip: 0,
        exclude: &Patterns::default(),
        renames: false,
        leave_out: &BTreeSet::new(),
    };
    let read = directory::read_opened(path, opened, selection, access, 0, &mut kept, meanwhile)?;
    read.forest
        .into_tree(vec![Box::new(read.store)], kept.sets, None)
}

#[test]
fn attributes_are_found_with_and_without_proc() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, b"x").unwrap();
    let set = |path: &Path, name: &str, value: &[u8]| {
        rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty())
    };
    if set(&file, "user.b", &[7; 3000]).is_err() {
        lacks(
            Ability::Attributes,
            "none can be set in the temporary folder",
        );
        return;
    }
    set(&file, "user.a", b"\0\xff").unwrap();
    set(root.path(), "user.root", b"yes").unwrap();
    let names = |tree: &Tree, id| -> Vec<Vec<u8>> {
        let attributes = tree.node(NodeId(id)).attributes.iter();
        attributes
            .map(|attribute| attribute.name.clone())
            .filter(|name| name.starts_with(b"user."))
            .collect()
    };
    let mut digests = Vec::new();
    for proc in [true, false] {
        let opened = File::open(root.path()).unwrap();
        let access = match AttributeAccess::detect(opened.as_fd()) {
            access @ AttributeAccess::Proc(_) if proc => access,
            _ => AttributeAccess::Open,
        };
        let opened = cap_std::fs::Dir::from_std_file(opened);
        let tree = walked(root.path(), opened, access, || ()).unwrap();
        assert_eq!(names(&tree, 0), [b"user.root"]);
        assert_eq!(names(&tree, 1), [b"user.a", b"user.b"]);
        let value = |name: &[u8]| {
            let attributes = tree.node(NodeId(1)).attributes;
            attributes
                .iter()
                .find(|found| found.name == name)
                .unwrap()
                .value
                .clone()
        };
        assert_eq!(value(b"user.a"), b"\0\xff");
        assert_eq!(value(b"user.b"), [7; 3000]);
        digests.push(tree.digest());
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn holes_are_found_and_read_as_zeros() {
    let root = TempDir::new().unwrap();
    let file = File::create(root.path().join("sparse")).unwrap();
    file.set_len(10 << 20).unwrap();
    file.write_all_at(&[1; 4096], 1 << 20).unwrap();
    file.write_all_at(&[2; 4096], 9 << 20).unwrap();
    drop(file);
    let tree = read(&[directory(root.path())]).unwrap();
    let id = NodeId(1);
    if *tree.node(id).kind
        != (Kind::File {
            size: 10 << 20,
            sparse: true,
        })
    {
        lacks(Ability::Holes, "none in the temporary folder");
        return;
    }
    let ranges = tree.ranges(id).unwrap();
    assert_eq!(ranges.len(), 2);
    assert_eq!((ranges[0].offset, ranges[0].length), (1 << 20, 4096));
    let mut reader = tree.reader();
    let extents = reader.extents(id, (1 << 20) + 10, 100).unwrap();
    assert_eq!(
        (extents[0].offset, extents[0].length),
        ((1 << 20) + 10, 100)
    );
    assert!(
        matches!(extents[0].data, Data::Descriptor { position, .. } if position == (1 << 20) + 10)
    );
    assert!(reader.extents(id, 4 << 20, 4 << 20).unwrap().is_empty());
    reader.verify(id).unwrap();
    assert_eq!(contents(&tree, "/sparse")[9 << 20], 2);
}

#[test]
fn content_digest_does_not_depend_on_holes() {
    let (sparse, full) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    for (root, hole) in [(&sparse, true), (&full, false)] {
        let file = File::create(root.path().join("file")).unwrap();
        file.set_len((5 << 20) + 17).unwrap();
        if !hole {
            file.write_all_at(&vec![0; (5 << 20) + 17], 0).unwrap();
        }
        file.write_all_at(b"data", 3 << 20).unwrap();
    }
    let digest = |root: &TempDir| {
        read(&[directory(root.path())])
            .unwrap()
            .content_digest()
            .unwrap()
    };
    assert_eq!(digest(&sparse), digest(&full));
    fs::write(full.path().join("other"), b"x").unwrap();
    assert_ne!(digest(&sparse), digest(&full));
}

#[test]
fn change_after_the_walk_is_an_error() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    let tree_of = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        read(&[directory(root.path())]).unwrap()
    };
    let read_it = |tree: &Tree| tree.reader().read(NodeId(1), 0, &mut [0; 10]);
    let changed = |result| match result {
        Err(SourceError::Changed { what, .. }) => what,
        other => panic!("{other:?}"),
    };

    let tree = tree_of(&[5; 10]);
    read_it(&tree).unwrap();
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(9)
        .unwrap();
    assert_eq!(changed(read_it(&tree)), "size");
    let message = read_it(&tree).unwrap_err().to_string();
    assert!(
        message.contains("/file changed") && message.contains("was 10, now 9"),
        "{message}"
    );

    let tree = tree_of(&[5; 10]);
    File::options()
        .append(true)
        .open(&file)
        .unwrap()
        .write_all_at(b"x", 0)
        .unwrap();
    assert_eq!(changed(read_it(&tree)), "size");

    let tree = tree_of(&[5; 10]);
    let time = std::time::SystemTime::UNIX_EPOCH;
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert_eq!(changed(read_it(&tree)), "modification time");

    let tree = tree_of(&[5; 10]);
    let other = root.path().join("other");
    fs::write(&other, [6; 10]).unwrap();
    fs::rename(&other, &file).unwrap();
    assert_eq!(changed(read_it(&tree)), "inode");
    assert_eq!(
        changed(tree.reader().extents(NodeId(1), 0, 10).map(drop)),
        "inode"
    );

    let tree = tree_of(&[5; 10]);
    fs::remove_file(&file).unwrap();
    assert_eq!(changed(read_it(&tree)), "entry in its directory");
    symlink("/etc/passwd", &file).unwrap();
    assert_eq!(changed(read_it(&tree)), "entry in its directory");
}

#[test]
fn copying_is_checked_by_verify() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("file");
    fs::write(&file, [5; 10]).unwrap();
    let tree = read(&[directory(root.path())]).unwrap();
    let mut reader = tree.reader();
    assert_eq!(reader.extents(NodeId(1), 2, 8).unwrap().len(), 1);
    reader.verify(NodeId(1)).unwrap();
    fs::write(&file, [5; 11]).unwrap();
    assert!(reader.verify(NodeId(1)).is_err());
    assert!(matches!(
        reader.read(NodeId(1), 5, &mut [0; 6]),
        Err(SourceError::OutOfRange { size: 10, .. })
    ));
    assert!(matches!(
        reader.read(NodeId::ROOT, 0, &mut []),
        Err(SourceError::NotAFile { .. })
    ));
}

#[test]
fn a_directory_over_a_symbolic_link_is_refused() {
    let (base, overlay) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir_all(base.path().join("usr/lib")).unwrap();
    symlink("usr/lib", base.path().join("lib")).unwrap();
    fs::create_dir_all(overlay.path().join("lib/modules")).unwrap();
    let error = read(&[directory(base.path()), directory(overlay.path())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/lib is a directory here, and a symbolic link to usr/lib in an earlier source; \
         links are never followed: put its content into the real directory"
    );
}

#[test]
fn later_sources_win_and_directories_merge() {
    let (base, overlay) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir_all(base.path().join("etc/dir")).unwrap();
    fs::write(base.path().join("etc/dir/kept"), b"kept").unwrap();
    fs::write(base.path().join("etc/one"), b"old").unwrap();
    fs::hard_link(base.path().join("etc/one"), base.path().join("etc/two")).unwrap();
    fs::write(base.path().join("link"), b"a file").unwrap();
    fs::create_dir_all(overlay.path().join("etc")).unwrap();
    fs::set_permissions(
        overlay.path().join("etc"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    fs::write(overlay.path().join("etc/one"), b"new").unwrap();
    fs::create_dir(overlay.path().join("link")).unwrap();
    fs::write(overlay.path().join("link/x"), b"").unwrap();

    let tree = read(&[
        directory(base.path()),
        Source {
            owner: Some((7, 8)),
            ..directory(overlay.path())
        },
        text("/etc/fstab", b"# none"),
        text("srv/deep/er/file", b"1"),
    ])
    .unwrap();
    assert_eq!(
        paths(&tree),
        [
            "/",
            "/etc",
            "/etc/dir",
            "/etc/dir/kept",
            "/etc/fstab",
            "/etc/one",
            "/etc/two",
            "/link",
            "/link/x",
            "/srv",
            "/srv/deep",
            "/srv/deep/er",
            "/srv/deep/er/file"
        ]
    );
    let etc = tree.node(find(&tree, "/etc"));
    assert_eq!((etc.mode, etc.uid, etc.gid), (0o700, 7, 8));
    assert_eq!(contents(&tree, "/etc/one"), b"new");
    // The other name of the replaced file is the file now.
    assert_eq!(contents(&tree, "/etc/two"), b"old");
    assert_eq!(contents(&tree, "/etc/fstab"), b"# none");
    let made = tree.node(find(&tree, "/srv/deep"));
    assert_eq!(
        (made.mode, made.uid, made.modified),
        (0o755, 0, tree.newest())
    );
    let fstab = tree.node(find(&tree, "/etc/fstab"));
    assert_eq!(
        (fstab.mode, fstab.uid, fstab.modified),
        (0o644, 0, tree.newest())
    );
}

#[test]
fn default_time_is_that_of_what_no_source_describes() {
    let time = Timestamp {
        seconds: 1_700_000_000,
        nanoseconds: 0,
    };
    let tree = read_at(&[text("/a/b", b"")], time).unwrap();
    assert!(tree.nodes().all(|node| node.modified == time));
    assert_eq!(tree.newest(), time);
}

#[test]
fn single_file_goes_where_it_is_said_to() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("motd");
    fs::write(&path, b"hello").unwrap();
    let source = |to: Option<&str>| Source {
        to: to.map(Into::into),
        mode: Some("0600".parse().unwrap()),
        ..Source::new(What::File(path.clone()))
    };
    for (to, expected) in [
        (None, "/motd"),
        (Some("/etc/"), "/etc/motd"),
        (Some("/etc/issue"), "/etc/issue"),
    ] {
        let tree = read(&[source(to)]).unwrap();
        assert_eq!(contents(&tree, expected), b"hello");
        assert_eq!(tree.node(find(&tree, expected)).mode, 0o600);
    }
    let refused = |sources: &[Source]| read(sources).unwrap_err().to_string();
    let message = refused(&[text("/etc/x/y", b""), source(Some("/etc/x"))]);
    assert!(message.contains("end it with '/'"), "{message}");
    let message = refused(&[source(Some("/a")), source(Some("/a/b/c"))]);
    assert!(
        message.contains("/a/b/c cannot be put below /a, which is a file"),
        "{message}"
    );
    assert!(refused(&[source(Some("/a/../b"))]).contains("'..'"));
    assert!(refused(&[Source::new(What::File(root.path().into()))]).contains("is a directory"));
    assert!(refused(&[directory(&path)]).contains("a directory is needed"));
    assert!(refused(&[directory(&root.path().join("absent"))]).contains("cannot open"));
    assert!(refused(&[Source::new(What::Bytes(Vec::new()))]).contains("name the file"));
}

#[test]
fn excluded_paths_are_not_even_opened() {
    let root = TempDir::new().unwrap();
    for path in ["proc/1/fd", "var/cache/apt", "usr/proc"] {
        fs::create_dir_all(root.path().join(path)).unwrap();
    }
    fs::write(root.path().join("usr/x.pyc"), b"").unwrap();
    fs::set_permissions(
        root.path().join("var/cache"),
        fs::Permissions::from_mode(0o0),
    )
    .unwrap();
    let exclude = ["/proc/*", "cache/", "*.pyc"].map(String::from).to_vec();
    let tree = read(&[Source {
        exclude,
        ..directory(root.path())
    }]);
    fs::set_permissions(
        root.path().join("var/cache"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    assert_eq!(
        paths(&tree.unwrap()),
        ["/", "/proc", "/usr", "/usr/proc", "/var"]
    );
}

#[test]
fn unreadable_file_is_named_before_anything_is_written() {
    if is_root() {
        lacks(Ability::OrdinaryUser, "root may read everything");
        return;
    }
    let root = TempDir::new().unwrap();
    let path = root.path().join("shadow");
    fs::write(&path, b"x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    let message = read(&[directory(root.path())]).unwrap_err().to_string();
    assert!(
        message.contains("may not read /shadow") && message.contains("tar"),
        "{message}"
    );
}

/// Far deeper than one path can name, with a file at every hundredth level.
#[test]
fn paths_beyond_the_limit_of_one_call_are_read() {
    const DEPTH: usize = 2_000;
    let root = TempDir::new().unwrap();
    let name = "d".repeat(255);
    let mut at = File::open(root.path()).unwrap();
    for level in 0..DEPTH {
        rustix::fs::mkdirat(&at, &name, 0o755.into()).unwrap();
        if level % 100 == 0 {
            let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
            let file = rustix::fs::openat(&at, "file", flags, 0o644.into()).unwrap();
            rustix::io::write(file, level.to_string().as_bytes()).unwrap();
        }
        let flags = rustix::fs::OFlags::RDONLY;
        at = rustix::fs::openat(&at, &name, flags, 0.into())
            .unwrap()
            .into();
    }
    let tree = read(&[directory(root.path())]).unwrap();
    assert_eq!(
        usize::try_from(tree.len()).unwrap(),
        1 + DEPTH + DEPTH / 100
    );
    let mut reader = tree.reader();
    let mut files = 0;
    for node in tree.nodes() {
        if let Kind::File { size, .. } = node.kind {
            let mut buffer = vec![0; usize::try_from(*size).unwrap()];
            reader.read(node.id, 0, &mut buffer).unwrap();
            let level: usize = String::from_utf8(buffer).unwrap().parse().unwrap();
            assert_eq!(tree.path(node.id).len(), level * 256 + "/file".len());
            files += 1;
        }
    }
    assert_eq!(files, DEPTH / 100);
}

#[test]
fn tree_and_errors_may_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Tree>();
    check::<SourceError>();
}

fn set_time(path: &Path, seconds: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 5,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn later_times_than_the_given_one_become_it_unless_a_source_keeps_them() {
    let root = TempDir::new().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::write(at("old"), b"").unwrap();
    fs::write(at("new"), b"").unwrap();
    symlink("x", at("link")).unwrap();
    for (path, seconds) in [("old", 99), ("new", 101), ("link", 102), ("", 103)] {
        set_time(&at(path), seconds);
    }
    let given = Timestamp {
        seconds: 100,
        nanoseconds: 7,
    };
    let times = |source: Source| -> Vec<(i64, u32)> {
        let tree = read_at(&[source], given).unwrap();
        tree.nodes()
            .map(|node| (node.modified.seconds, node.modified.nanoseconds))
            .collect()
    };
    let clamped = [(100, 7), (100, 7), (100, 7), (99, 5)];
    assert_eq!(times(directory(root.path())), clamped);
    let kept = Source {
        times: Times::Keep,
        ..directory(root.path())
    };
    assert_eq!(times(kept), [(103, 5), (102, 5), (101, 5), (99, 5)]);
    let single = |times| Source {
        to: Some(b"/new".to_vec()),
        times,
        ..Source::new(What::File(at("new")))
    };
    assert_eq!(times(single(Times::Clamp)), [(100, 7), (100, 7)]);
    assert_eq!(times(single(Times::Keep)), [(100, 7), (101, 5)]);
}

#[test]
fn a_file_renamed_into_a_directory_that_was_read_already_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("/a", |root| {
            fs::rename(root.join("b/file"), root.join("a/file")).unwrap()
        }),
        ("/b", |root| fs::remove_file(root.join("b/file")).unwrap()),
        ("/", |root| {
            fs::rename(root.join("b"), root.join("c")).unwrap()
        }),
        ("/b", |root| {
            fs::set_permissions(root.join("b"), fs::Permissions::from_mode(0o700)).unwrap();
        }),
    ];
    for (place, change) in changes {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("a")).unwrap();
        fs::create_dir(root.path().join("b")).unwrap();
        fs::write(root.path().join("b/file"), b"x").unwrap();
        // Far from now, so that the change is seen on a file system with coarse times too.
        for directory in ["a", "b", ""] {
            set_time(&root.path().join(directory), 1000);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        let opened = cap_std::fs::Dir::from_std_file(File::open(root.path()).unwrap());
        let result = walked(root.path(), opened, AttributeAccess::Open, || {
            change(root.path())
        });
        match result.unwrap_err() {
            SourceError::Changed { path, .. } => assert_eq!(path.to_string(), place),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn files_to_be_written_are_left_out_and_unmatched_patterns_are_told() {
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("out")).unwrap();
    for name in ["out/disk.img", "out/other", "a.pyc"] {
        fs::write(root.path().join(name), b"x").unwrap();
    }
    fs::hard_link(root.path().join("out/disk.img"), root.path().join("again")).unwrap();
    let mut options = ReadOptions::within(0);
    let output = FileId::of_path(&root.path().join("out/disk.img")).unwrap();
    options.leave_out.insert(output);
    let source = Source {
        exclude: vec!["*.pyc".to_owned(), "/cache/".to_owned(), "a.*".to_owned()],
        ..directory(root.path())
    };
    let read = read_sources(&[source], &spool, &options).unwrap();
    assert_eq!(paths(&read.tree), ["/", "/out", "/out/other"]);
    let left_out = |path: &str| Warning::LeftOut {
        root: root.path().into(),
        path: PathBytes(path.into()),
    };
    let unmatched = Warning::Unmatched {
        root: root.path().into(),
        pattern: "/cache/".to_owned(),
    };
    let expected = [left_out("/again"), left_out("/out/disk.img"), unmatched];
    assert_eq!(read.warnings, expected);
}

#[test]
fn a_part_of_a_directory_is_taken_without_looking_at_the_rest() {
    let root = TempDir::new().unwrap();
    for folder in ["one/rootfs/etc", "one/rootfs/usr/etc", "two"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    for file in [
        "one/rootfs/etc/a",
        "one/rootfs/usr/etc/b",
        "one/rootfs/top",
        "two/c",
    ] {
        fs::write(root.path().join(file), file).unwrap();
    }
    symlink("one", root.path().join("link")).unwrap();
    let taken = |from: Option<&str>, strip, exclude: &[&str]| {
        let exclude = exclude.iter().map(|pattern| (*pattern).to_owned());
        read(&[Source {
            from: from.map(|from| from.as_bytes().to_vec()),
            strip,
            exclude: exclude.collect(),
            ..directory(root.path())
        }])
    };
    let tree = taken(Some("one/rootfs"), 0, &["/top"]).unwrap();
    assert_eq!(
        paths(&tree),
        ["/", "/etc", "/etc/a", "/usr", "/usr/etc", "/usr/etc/b"]
    );
    assert_eq!(contents(&tree, "/etc/a"), b"one/rootfs/etc/a");
    let tree = taken(Some("/one/rootfs/"), 1, &[]).unwrap();
    assert_eq!(paths(&tree), ["/", "/a", "/etc", "/etc/b"]);
    assert_eq!(contents(&tree, "/etc/b"), b"one/rootfs/usr/etc/b");
    // What remains of the path is what a pattern means.
    let tree = taken(None, 1, &["/rootfs/usr", "/one"]).unwrap();
    assert_eq!(
        paths(&tree),
        [
            "/",
            "/c",
            "/rootfs",
            "/rootfs/etc",
            "/rootfs/etc/a",
            "/rootfs/top"
        ]
    );
    for (from, reason) in [
        ("none", "not in it"),
        ("two/c", "no directory"),
        ("link/rootfs", "no directory"),
    ] {
        let message = taken(Some(from), 0, &[]).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
    assert!(matches!(
        taken(Some("one/../two"), 0, &[]),
        Err(SourceError::Destination { .. })
    ));
}

#[test]
fn followed_links_become_what_they_lead_to() {
    let root = TempDir::new().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("lib/deep")).unwrap();
    fs::write(at("lib/deep/file"), b"hello").unwrap();
    fs::hard_link(at("lib/deep/file"), at("lib/other")).unwrap();
    fs::write(at("single"), b"hello").unwrap();
    for (target, link) in [
        ("single", "a-copy"),
        ("lib/deep/file", "to-file"),
        ("/lib/deep", "to-directory"),
        ("to-file", "to-link"),
        ("../deep/./file", "lib/deep/up"),
        ("to-directory/up", "through"),
    ] {
        symlink(target, at(link)).unwrap();
    }
    let followed = || {
        read(&[Source {
            follow: true,
            ..directory(root.path())
        }])
    };
    let tree = followed().unwrap();
    let files: Vec<String> = paths(&tree)
        .into_iter()
        .filter(|path| !matches!(tree.node(find(&tree, path)).kind, Kind::Directory))
        .collect();
    let expected = [
        "/a-copy",
        "/lib/deep/file",
        "/lib/deep/up",
        "/lib/other",
        "/single",
        "/through",
        "/to-directory/file",
        "/to-directory/up",
        "/to-file",
        "/to-link",
    ];
    assert_eq!(files, expected);
    for path in expected {
        if path == "/lib/other" {
            let first = find(&tree, "/lib/deep/file");
            assert_eq!(*tree.node(find(&tree, path)).kind, Kind::HardLink(first));
        } else {
            assert_eq!(contents(&tree, path), b"hello");
        }
    }
    for (target, reason) in [
        ("nowhere", "leads to nothing in the source"),
        ("to-file/x", "leads to nothing in the source"),
        ("../../etc/passwd", "leads out of the source"),
        ("/lib/../..", "leads out of the source"),
        (".", "leads to a directory that it is in"),
        ("bad", "leads through more than 40 links"),
    ] {
        symlink(target, at("lib/bad")).unwrap();
        let message = followed().unwrap_err().to_string();
        let link = format!("/lib/bad, a symbolic link to '{target}', {reason}; ");
        assert!(message.contains(&link), "{message}");
        fs::remove_file(at("lib/bad")).unwrap();
    }
    // Two directories that hold each other.
    fs::create_dir(at("one")).unwrap();
    fs::create_dir(at("two")).unwrap();
    symlink("../two", at("one/two")).unwrap();
    symlink("../one", at("two/one")).unwrap();
    let message = followed().unwrap_err().to_string();
    assert!(
        message.contains(
            "/one/two/one, a symbolic link to '../one', leads to a directory that it is in"
        ),
        "{message}"
    );
}

#[test]
fn followed_links_do_not_multiply_without_end() {
    let root = TempDir::new().unwrap();
    for level in 0..30 {
        let directory = root.path().join(level.to_string());
        fs::create_dir(&directory).unwrap();
        for name in ["a", "b"] {
            symlink(format!("../{}", level + 1), directory.join(name)).unwrap();
        }
    }
    fs::create_dir(root.path().join("30")).unwrap();
    let source = Source {
        follow: true,
        ..directory(root.path())
    };
    let message = read(&[source]).unwrap_err().to_string();
    assert!(message.contains("16 times as many nodes"), "{message}");
}

#[test]
fn files_without_a_length_are_refused_by_name() {
    let Ok(_) = fs::metadata("/proc/self/status") else {
        eprintln!("skipped: no /proc here");
        return;
    };
    for source in [
        Source {
            from: Some(b"sys/kernel/random".to_vec()),
            ..directory(Path::new("/proc"))
        },
        Source {
            to: Some(b"/status".to_vec()),
            ..Source::new(What::File("/proc/self/status".into()))
        },
    ] {
        let message = read(&[source]).unwrap_err().to_string();
        assert!(
            message.contains("is a file of procfs, which has no length"),
            "{message}"
        );
    }
}

#[test]
fn attributes_of_a_directory_are_bounded_in_all() {
    let root = TempDir::new().unwrap();
    for number in 0..6000_u32 {
        let file = root.path().join(number.to_string());
        fs::write(&file, b"").unwrap();
        let mut value = vec![b'v'; 3800];
        value.extend_from_slice(&number.to_le_bytes());
        if rustix::fs::setxattr(&file, "user.a", &value, rustix::fs::XattrFlags::empty()).is_err() {
            eprintln!("skipped: no extended attributes of this size here");
            return;
        }
    }
    match read(&[directory(root.path())]) {
        Err(SourceError::Kept { kept, limit, .. }) => assert!(kept > limit && limit > 14 << 20),
        other => panic!("{other:?}"),
    }
}
