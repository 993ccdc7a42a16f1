//! A directory as it is walked, and its files as they are read.

use std::time::{Duration, SystemTime};

use super::*;
use crate::{Disks, KnownFiles};

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
fn a_file_that_changed_is_hashed_again_though_its_size_and_time_are_the_same() {
    let root = TempDir::new().unwrap();
    for name in ["changed", "kept"] {
        fs::write(root.path().join(name), b"before").unwrap();
        set_time(&root.path().join(name), 1_000);
    }
    // As if it had been written long before it is hashed.
    let later = SystemTime::now() + Duration::from_secs(3600);
    let hashed = |kept: &[u8]| {
        let known = KnownFiles::new(kept, later, Disks::under(root.path()));
        let tree = read(&[directory(root.path())]).unwrap();
        let digests = tree.digests_with(&known).unwrap();
        assert_eq!(digests, tree.digests().unwrap());
        (digests.content, known.to_bytes(), tree.origins().unwrap())
    };
    let (before, kept, origin) = hashed(&[]);
    let kept = kept.unwrap();
    assert_eq!(hashed(&kept), (before, None, origin));
    fs::write(root.path().join("changed"), b"behind").unwrap();
    set_time(&root.path().join("changed"), 1_000);
    let (behind, newer, _) = hashed(&kept);
    assert_ne!(behind, before);
    assert_eq!(newer.unwrap().len(), kept.len());
}

#[test]
fn what_is_known_of_a_file_is_used() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("file"), b"bytes").unwrap();
    let later = SystemTime::now() + Duration::from_secs(3600);
    let digest = |kept: &[u8]| {
        let known = KnownFiles::new(kept, later, Disks::under(root.path()));
        let tree = read(&[directory(root.path())]).unwrap();
        let content = tree.digests_with(&known).unwrap().content;
        (content, known.to_bytes())
    };
    let (right, kept) = digest(&[]);
    let mut forged = kept.unwrap();
    *forged.last_mut().unwrap() ^= 1;
    assert_ne!(digest(&forged).0, right);
}

#[test]
fn the_members_of_an_archive_are_known_by_where_they_are_in_it() {
    let root = TempDir::new().unwrap();
    let path = root.path().join("a.tar");
    let mut archive = tar::Builder::new(File::create(&path).unwrap());
    for (name, bytes) in [("a", &b"one"[..]), ("b", b"two"), ("c", b"one")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.finish().unwrap();
    let later = SystemTime::now() + Duration::from_secs(3600);
    let tree = read(&[Source::new(What::Archive(path.clone()))]).unwrap();
    let first = KnownFiles::new(&[], later, Disks::under(root.path()));
    let digests = tree.digests_with(&first).unwrap();
    let kept = first.to_bytes().unwrap();
    let second = KnownFiles::new(&kept, later, Disks::under(root.path()));
    assert_eq!(tree.digests_with(&second).unwrap(), digests);
    assert_eq!((second.to_bytes(), kept.len()), (None, 3 * 88));
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
    let time = SystemTime::UNIX_EPOCH;
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
        std::thread::sleep(Duration::from_millis(20));
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
