//! Links that are replaced by what they lead to.

use super::*;

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
