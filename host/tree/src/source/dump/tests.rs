#![allow(clippy::unwrap_used)]
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::symlink;
use std::path::Path;

use cellblock_judges::judge;
use tempfile::TempDir;

use super::objects::Objects;
use super::{Dump, DumpError, fsverity};
use crate::source::{Gathered, ReadOptions, Source, SourceError, What, read_sources};
use crate::{Kind, NodeId};

/// The example of composefs-dump(5), with an object that there is and its digest.
fn example(digest: &str) -> String {
    format!(
        "/ 4096 40755 4 1000 1000 0 1695372970.944925700 - - - security.selinux=unconfined_u:object_r:unlabeled_t:s0\\x00\n\
         /a\\x20dir\\x20w\\x20space 27 40755 2 1000 1000 0 1694598852.869646118 - - -\n\
         /a-dir 45 40755 2 1000 1000 0 1674041780.601887980 - - -\n\
         /a-dir/a-file 259 104640 1 1000 1001 0 1695368732.385062094 35/d02f81 - {digest} user.a\\x3db=c\\x20=d\n\
         /a-hardlink 259 @104640 1 1000 1001 0 1695368732.385062094 /a-dir/a-file - {digest}\n\
         /inline.txt 10 100644 1 1000 1000 0 1697019909.446146440 - some-text\\n -\n\
         /a-link 3 120777 1 0 0 0 -5.6 to\\\\a\\x20b - -\n\
         /console 0 20600 1 0 5 1281 1.0 - - -\n\
         /disk 0 60660 1 0 6 2049 1.0 - - -\n\
         /pipe 0 10600 1 0 0 0 1.0 - - -\n\
         /socket 0 140600 1 0 0 0 1.0 - - -\n\
         /early 0 @100644 1 0 0 0 1.0 /late - -\n\
         /late 0 100600 1 0 0 0 1.0 - - -\n\
         /dash 1 100600 1 0 0 0 1.0 - \\x2d -\n"
    )
}

/// The fs-verity digest of the bytes of the object.
const DIGEST: &str = "7d7a7a2ae8bfc39b0f5a5de3d9d2b5a1c2e8c9c5d2a9d6b5dd57d9ad9c9b3b7a";

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("objects/35")).unwrap();
    fs::write(folder.path().join("objects/35/d02f81"), object()).unwrap();
    folder
}

fn object() -> Vec<u8> {
    vec![b'o'; 259]
}

fn read(folder: &Path, text: &str, basedir: bool) -> Result<Gathered, SourceError> {
    fs::write(folder.join("root.dump"), text).unwrap();
    let source = Source::new(What::Composefs(Dump {
        file: folder.join("root.dump"),
        basedir: basedir.then(|| folder.join("objects")),
    }));
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    read_sources(&[source], &no_spool, &ReadOptions::within(0))
}

fn content(gathered: &Gathered, path: &str) -> Vec<u8> {
    let tree = &gathered.tree;
    let mut node = tree
        .nodes()
        .find(|node| tree.path(node.id) == path.as_bytes())
        .unwrap();
    if let Kind::HardLink(first) = *node.kind {
        node = tree.node(first);
    }
    let Kind::File { size, .. } = *node.kind else {
        panic!("{:?}", node.kind)
    };
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    tree.reader().read(node.id, 0, &mut bytes).unwrap();
    bytes
}

#[test]
fn the_example_of_the_manual_is_read() {
    let folder = folder();
    let own = fsverity::digest(Cursor::new(object()), 259, 64).unwrap();
    let gathered = read(folder.path(), &example(&own), true).unwrap();
    let tree = &gathered.tree;
    let shown: Vec<String> = tree
        .nodes()
        .map(|node| {
            let path = String::from_utf8(tree.path(node.id)).unwrap();
            let kind = match node.kind {
                Kind::Symlink(target) => format!("-> {}", target.escape_ascii()),
                Kind::HardLink(NodeId(first)) => format!("= {first}"),
                Kind::CharacterDevice { major, minor } => format!("c {major}:{minor}"),
                Kind::BlockDevice { major, minor } => format!("b {major}:{minor}"),
                Kind::File { size, .. } => size.to_string(),
                other => other.noun().to_owned(),
            };
            let (uid, gid, time) = (node.uid, node.gid, node.modified);
            format!(
                "{path} {:04o} {uid}:{gid} {}.{} {kind}",
                node.mode, time.seconds, time.nanoseconds
            )
        })
        .collect();
    let expected = [
        "/ 0755 1000:1000 1695372970.944925700 a directory",
        "/a dir w space 0755 1000:1000 1694598852.869646118 a directory",
        "/a-dir 0755 1000:1000 1674041780.601887980 a directory",
        "/a-dir/a-file 4640 1000:1001 1695368732.385062094 259",
        "/a-hardlink 4640 1000:1001 1695368732.385062094 = 3",
        "/a-link 0777 0:0 -5.6 -> to\\\\a b",
        "/console 0600 0:5 1.0 c 5:1",
        "/dash 0600 0:0 1.0 1",
        "/disk 0660 0:6 1.0 b 8:1",
        "/early 0600 0:0 1.0 0",
        "/inline.txt 0644 1000:1000 1697019909.446146440 10",
        "/late 0600 0:0 1.0 = 9",
        "/pipe 0600 0:0 1.0 a fifo",
        "/socket 0600 0:0 1.0 a socket",
    ];
    assert_eq!(shown, expected);
    assert_eq!(content(&gathered, "/a-hardlink"), object());
    assert_eq!(content(&gathered, "/inline.txt"), b"some-text\n");
    assert_eq!(content(&gathered, "/dash"), b"-");
    let attributes = |id| tree.node(NodeId(id)).attributes.to_vec();
    assert_eq!(
        attributes(0)[0].value,
        b"unconfined_u:object_r:unlabeled_t:s0\0"
    );
    assert_eq!(
        (&attributes(3)[0].name[..], &attributes(3)[0].value[..]),
        (&b"user.a=b"[..], &b"c =d"[..])
    );
}

#[test]
fn objects_are_what_their_digests_say_or_an_error() {
    let folder = folder();
    let refused = |text: &str, basedir| read(folder.path(), text, basedir).unwrap_err().to_string();
    let text = example(DIGEST);
    let told = refused(&text, true);
    assert!(
        told.contains("root.dump: line 4 says that 35/d02f81 has the fs-verity digest")
            && told.contains(DIGEST),
        "{told}"
    );
    let text = example("-");
    read(folder.path(), &text, true).unwrap();
    let told = refused(&text, false);
    assert!(
        told.contains("line 4 has the payload '35/d02f81', and no `basedir`"),
        "{told}"
    );
    let told = refused(&text.replace(" 259 104640", " 258 104640"), true);
    assert!(
        told.contains("says that /a-dir/a-file has 258 bytes, and it has 259"),
        "{told}"
    );
    // Nothing that a link leads to is an object.
    fs::rename(folder.path().join("objects/35"), folder.path().join("real")).unwrap();
    symlink("../real", folder.path().join("objects/35")).unwrap();
    let told = refused(&text, true);
    assert!(told.contains("cannot open 35/d02f81"), "{told}");
}

#[test]
fn a_line_that_cannot_be_is_named() {
    const ROOT: &str = "/ 0 40755 2 0 0 0 1.0 - - -\n";
    let folder = folder();
    let long = format!("/{} 0", "a".repeat(2 << 20));
    let name = format!("/{} 0 40755 2 0 0 0 1.0 - - -", "a".repeat(256));
    let faults: [(&str, &str); 31] = [
        ("/a 0 40755 2 0 0 0 1.0 - -", "has 10 fields"),
        ("a 0 40755 2 0 0 0 1.0 - - -", "does not begin with /"),
        ("/a/../b 0 40755 2 0 0 0 1.0 - - -", ". or .. in it"),
        ("/a//b 0 40755 2 0 0 0 1.0 - - -", "an empty name"),
        ("/a\\x00 0 40755 2 0 0 0 1.0 - - -", "a NUL byte"),
        (
            "/a\\q 0 40755 2 0 0 0 1.0 - - -",
            "an escape that there is not",
        ),
        (
            "/a\\x4 0 40755 2 0 0 0 1.0 - - -",
            "an escape that there is not",
        ),
        (&name, "more than 255 bytes"),
        (
            "/a/b 0 40755 2 0 0 0 1.0 - - -",
            "whose directory is in no line before it",
        ),
        ("/ 0 40755 2 0 0 0 1.0 - - -", "as a line before it is"),
        ("/a 0 90755 2 0 0 0 1.0 - - -", "the mode '90755'"),
        ("/a 0 170755 2 0 0 0 1.0 - - -", "is of no type of file"),
        (
            "/a +1 100644 1 0 0 0 1.0 - - -",
            "the size '+1', which is no number",
        ),
        (
            "/a 0 100644 1 4294967296 0 0 1.0 - - -",
            "the user '4294967296'",
        ),
        ("/a 0 100644 1 0 0 0 1 - - -", "the time '1'"),
        ("/a 0 100644 1 0 0 0 1.1000000000 - - -", "the time"),
        ("/a 0 120777 1 0 0 0 1.0 - - -", "leads nowhere"),
        (
            "/a 1 100644 1 0 0 0 1.0 - - -",
            "neither its content nor a payload",
        ),
        ("/a 2 100644 1 0 0 0 1.0 - x -", "has 2 bytes, and it has 1"),
        ("/a 1 100644 1 0 0 0 1.0 ../x - -", ". or .. in it"),
        (
            "/a 1 100644 1 0 0 0 1.0 /etc/passwd - -",
            "no path below the folder of objects",
        ),
        ("/a 0 100644 1 0 0 0 1.0 - - 12", "no digest of 64 or 128"),
        (
            "/a 0 100644 1 0 0 0 1.0 - - - user.a=1 user.a=2",
            "is there twice",
        ),
        (&long, "longer than 1048576 bytes"),
        (
            "/a 0  100644 1 0 0 0 1.0 - - -",
            "has an empty mode: one space is between two fields",
        ),
        (
            "/a 0 100644 1 0 0 0 1.0  - -",
            "has an empty payload: one space",
        ),
        (
            "/a 0 100644 1 0 0 0 1.0 - - -  user.a=1",
            "has an empty attribute: one space",
        ),
        (
            "/a 0 40755 2 0 0 0 1.0 x - -",
            "the payload 'x', which is for a regular file",
        ),
        (
            "/a 0 20600 2 0 0 259 1.0 - x -",
            "the content 'x', which is for a regular file",
        ),
        (
            "/a 1 120777 2 0 0 259 1.0 x - 3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
            "which is for a regular file",
        ),
        (
            "/a 1 100644 2 0 0 259 1.0 - x 3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95",
            "says that /a has the fs-verity digest 3d248ca5",
        ),
    ];
    for (line, reason) in faults {
        match read(folder.path(), &format!("{ROOT}{line}\n"), true).err() {
            Some(SourceError::Dump { line: 2, error, .. }) => {
                let told = error.to_string();
                assert!(told.contains(reason), "{reason}: {told}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
    for (text, reason) in [
        ("", "says nothing"),
        (
            "/a 0 40755 2 0 0 0 1.0 - - -\n",
            "whose directory is in no line before it",
        ),
        (
            "/ 0 40755 2 0 0 0 1.0 - - -\n/a 0 @100644 1 0 0 0 1.0 /b - -\n",
            "which is in no line of a file",
        ),
        (
            "/ 0 40755 2 0 0 0 1.0 - - -\n/a 0 @100644 1 0 0 0 1.0 / - -\n",
            "which is a directory",
        ),
        ("/ 0 100755 2 0 0 0 1.0 - - -\n", "is that of no directory"),
    ] {
        let told = read(folder.path(), text, true).unwrap_err().to_string();
        assert!(told.contains(reason), "{reason}: {told}");
    }
    assert!(
        DumpError::Empty
            .to_string()
            .contains("begins with a line for /")
    );
}

#[test]
fn a_hard_link_may_lead_to_another_in_any_order_and_not_to_itself() {
    const ROOT: &str = "/ 0 40755 2 0 0 0 1.0 - - - \n/d 0 40755 2 0 0 0 1.0 - - - user.a=1 \n";
    let folder = folder();
    let link = |path: &str, target: &str| format!("{path} 0 @100644 1 0 0 0 1.0 {target} - -\n");
    let file = "/f 1 100644 1 0 0 0 1.0 - x -\n".to_owned();
    // In the order of paths and against it, before and behind the file.
    for lines in [
        [
            link("/a", "/b"),
            link("/b", "/d/c"),
            link("/d/c", "/f"),
            file.clone(),
        ],
        [
            file.clone(),
            link("/a", "/f"),
            link("/b", "/a"),
            link("/d/c", "/b"),
        ],
    ] {
        let gathered = read(folder.path(), &[ROOT, &lines.concat()].concat(), false).unwrap();
        let links = gathered.tree.nodes();
        let links = links.filter(|node| matches!(node.kind, Kind::HardLink(NodeId(1))));
        assert_eq!(links.count(), 3);
        assert_eq!(content(&gathered, "/d/c"), b"x");
    }
    for lines in [
        [link("/a", "/a"), file.clone()],
        [link("/a", "/b"), link("/b", "/a")],
    ] {
        let told = read(folder.path(), &[ROOT, &lines.concat()].concat(), false).unwrap_err();
        let told = told.to_string();
        assert!(told.contains("line 3 is a hard link from /a to"), "{told}");
        assert!(told.contains("a hard link that leads back to it"), "{told}");
    }
    // A chain is followed once, and not from each of its links.
    let mut chain: String = (0..20_000)
        .map(|at| link(&format!("/{at:05}"), &format!("/{:05}", at + 1)))
        .collect();
    chain.push_str("/20000 1 100644 1 0 0 0 1.0 - x -\n");
    let gathered = read(folder.path(), &[ROOT, &chain].concat(), false).unwrap();
    assert_eq!(content(&gathered, "/19999"), b"x");
}

#[test]
fn objects_of_files_that_are_left_out_are_not_looked_for() {
    let folder = folder();
    let own = fsverity::digest(Cursor::new(object()), 259, 64).unwrap();
    let text = example(&own)
        + "/x 0 40755 2 0 0 0 1.0 - - -\n\
           /x/absent 1 100644 1 0 0 0 1.0 no/such - -\n\
           /x/other 259 100644 1 0 0 0 1.0 35/d02f81 - 7d7a7a2ae8bfc39b0f5a5de3d9d2b5a1c2e8c9c5d2a9d6b5dd57d9ad9c9b3b7a\n";
    let told = read(folder.path(), &text, true).unwrap_err().to_string();
    assert!(told.contains("no/such"), "{told}");
    let gather = |change: &dyn Fn(&mut Source)| {
        let mut source = Source::new(What::Composefs(Dump {
            file: folder.path().join("root.dump"),
            basedir: Some(folder.path().join("objects")),
        }));
        change(&mut source);
        let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
        read_sources(&[source], &no_spool, &ReadOptions::within(0))
    };
    let gathered = gather(&|source| source.exclude = vec!["/x".to_owned()]).unwrap();
    assert_eq!(content(&gathered, "/a-hardlink"), object());
    let gathered = gather(&|source| source.from = Some(b"/a-dir".to_vec())).unwrap();
    assert_eq!(content(&gathered, "/a-file"), object());
    let told = gather(&|source| source.exclude = vec!["absent".to_owned()]);
    let told = told.unwrap_err().to_string();
    assert!(told.contains("line 17 says that 35/d02f81 has"), "{told}");
}

#[test]
fn an_object_of_many_files_is_hashed_once() {
    let folder = folder();
    let mut objects = Objects::open(&folder.path().join("objects")).unwrap();
    let first = objects.digest(b"35/d02f81", 64).unwrap().to_owned();
    // Nothing reads it again.
    fs::remove_file(folder.path().join("objects/35/d02f81")).unwrap();
    assert_eq!(objects.digest(b"35/d02f81", 64).unwrap(), first);
    objects.digest(b"35/d02f81", 128).unwrap_err();
}

#[test]
fn what_is_given_for_a_dumpfile_is_named() {
    let folder = folder();
    let refused = |file: &Path| {
        let basedir = None;
        let source = Source::new(What::Composefs(Dump {
            file: file.into(),
            basedir,
        }));
        let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
        let error = read_sources(&[source], &no_spool, &ReadOptions::within(0)).unwrap_err();
        assert_eq!(error.misnamed(), Some(file));
        error.to_string()
    };
    let mut erofs = vec![0; 2048];
    erofs[1024..1028].copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
    for (name, bytes, parts) in [
        (
            "root.dump.gz",
            &b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..],
            ["gzip", "decompress it first"],
        ),
        (
            "root.cfs",
            &erofs,
            ["an erofs", "`composefs-info dump IMAGE`"],
        ),
        (
            "disk",
            b"QFI\xfb\0\0\0\x03",
            ["a qcow2 image", "its lines begin with a path"],
        ),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let told = refused(&file);
        for part in parts {
            assert!(told.contains(part), "{told}");
        }
    }
    // A path may have the mark of an archive in it.
    let mut text = "/ 0 40755 2 0 0 0 1.0 - - -\n/".to_owned();
    text.push_str(&"a".repeat(257 - text.len()));
    text.push_str("ustar 0 40755 2 0 0 0 1.0 - - -\n");
    read(folder.path(), &text, false).unwrap();
}

#[test]
fn digests_are_those_of_fsverity() {
    let Some(judge) = judge("fsverity") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    // Around whole blocks, and where a level of the tree begins: 128 hashes by SHA-256 fill a block, 64 by SHA-512.
    let hashes = [
        0,
        1,
        4095,
        4096,
        4097,
        64 * 4096,
        64 * 4096 + 1,
        128 * 4096,
        128 * 4096 + 1,
        129 * 4096,
        128 * 128 * 4096,
        128 * 128 * 4096 + 5,
    ];
    for length in hashes {
        let bytes: Vec<u8> = (0..length)
            .map(|at: u32| at.to_le_bytes()[at as usize % 3])
            .collect();
        fs::write(&file, &bytes).unwrap();
        for (name, digits) in [("sha256", 64), ("sha512", 128)] {
            let said = judge.content_with(&["digest", "--compact", "--hash-alg", name], &file);
            let own = fsverity::digest(Cursor::new(&bytes), u64::from(length), digits).unwrap();
            assert_eq!(own, said.trim(), "{name} of {length} bytes");
        }
    }
}
