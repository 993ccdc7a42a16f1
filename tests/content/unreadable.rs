//! Content that a kernel would not read again, or that breaks a file system which nothing but the kernel finds broken.

use std::path::Path;

use super::archive::Archive;
use super::runner::{Case, case, endure};
use crate::support::{Bench, reading};

const ARCHIVE: &str = "{ archive = \"a.tar\" }";
/// The two ways to keep a formatter in.
const WALLS: [&[&str]; 2] = [&["--walls", "wasm"], &["--walls", "process"]];

/// An archive's table of faults: the name of a case, the archive, and what is said after its name.
type Fault<'a> = (&'a str, Archive<Vec<u8>>, &'a str);

/// Each fault, in a file system of this kind.
fn refused_in(filesystem: &'static str, faults: Vec<Fault<'_>>) -> Vec<Case> {
    let cases = faults.into_iter().map(|(name, archive, error)| {
        let bytes = archive.bytes();
        let prepare = move |bench: &Bench| drop(bench.write("a.tar", &bytes));
        case(name, filesystem, ARCHIVE, prepare).refused(error)
    });
    cases.collect()
}

/// A file with a pax record.
fn file(key: &str, value: &[u8]) -> Archive<Vec<u8>> {
    node(key, value, b'0')
}

fn node(key: &str, value: &[u8], kind: u8) -> Archive<Vec<u8>> {
    let archive = Archive::new().pax(b'x', &[(key, value)]);
    match kind {
        b'2' => archive.link("a", kind, "target"),
        _ => archive.with("a", kind, b""),
    }
}

fn list_of(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    value
}

#[test]
fn attributes_that_the_kernel_refuses() {
    let long = format!("SCHILY.xattr.user.{}", "n".repeat(251));
    let faults = || {
        vec![
            (
                "a NUL in an attribute's name",
                file("SCHILY.xattr.user.a\0b", b"v"),
                "a.tar: /a: its attribute 'user.a\\u{0}b' has a NUL byte in its name; …drop = [\"attributes\"], or --drop attributes",
            ),
            (
                "an attribute's name of 256 bytes",
                file(&long, b"v"),
                "a.tar: /a: its attribute 'user.n…' has a name of 256 bytes, and Linux takes 255 at most; …",
            ),
            (
                "an attribute without a name",
                file("SCHILY.xattr.user.", b"v"),
                "a.tar: /a: its attribute 'user.' has a namespace and no name; …",
            ),
            (
                "an attribute without anything",
                file("SCHILY.xattr.", b"v"),
                "a.tar: /a: its attribute '' has a namespace and no name; …",
            ),
            (
                "an attribute of another system",
                file("LIBARCHIVE.xattr.com.apple.provenance", b"AQIA"),
                "a.tar: /a: its attribute 'com.apple.provenance' is in no namespace of Linux …",
            ),
            (
                "a value that is too long",
                file("SCHILY.xattr.user.a", &vec![b'v'; 65_537]),
                "a.tar: /a: its attribute 'user.a' has 65537 bytes, and Linux takes 65536 at most; …",
            ),
            (
                "a user's attribute on a symbolic link",
                node("SCHILY.xattr.user.a", b"v", b'2'),
                "a.tar: /a: its attribute 'user.a' is in user., which on Linux only files and directories have; …",
            ),
            (
                "a user's attribute on a fifo",
                node("SCHILY.xattr.user.a", b"v", b'6'),
                "a.tar: /a: its attribute 'user.a' is in user., which on Linux only files and directories have; …",
            ),
            (
                "a capability set of 4 bytes",
                file("SCHILY.xattr.security.capability", &[0, 0, 0, 2]),
                "a.tar: /a: its attribute 'security.capability' is no capability set that Linux takes: it has 4 bytes, \
                 and one of revision 2 has 20; …",
            ),
            (
                "a capability set of revision 0",
                file("SCHILY.xattr.security.capability", &[0; 20]),
                "a.tar: /a: its attribute 'security.capability' is no capability set that Linux takes: it is of \
                 revision 0, and Linux takes 2 and 3; …",
            ),
            (
                "a capability set of revision 1, which Linux gives back to nobody",
                file(
                    "SCHILY.xattr.security.capability",
                    &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
                ),
                "a.tar: /a: its attribute 'security.capability' is no capability set that Linux takes: it is of \
                 revision 1, and Linux takes 2 and 3; …",
            ),
        ]
    };
    let mut cases = refused_in("ext4", faults());
    cases.extend(refused_in("vfat", faults()));
    endure("attributes", cases);
}

#[test]
fn access_control_lists_that_are_none() {
    const TEXT: &str = "SCHILY.acl.access";
    const BINARY: &str = "SCHILY.xattr.system.posix_acl_access";
    const OWNER: (u16, u16, u32) = (1, 6, u32::MAX);
    const GROUP: (u16, u16, u32) = (4, 4, u32::MAX);
    const OTHERS: (u16, u16, u32) = (0x20, 0, u32::MAX);
    const NAMED: (u16, u16, u32) = (2, 7, 1000);
    let list = |archive, error: &str| {
        let error = format!(
            "a.tar: /a: its attribute 'system.posix_acl_access' is no access control list that Linux takes: {error}; …"
        );
        (archive, error)
    };
    let text = |text: &str, error| list(file(TEXT, text.as_bytes()), error);
    let binary = |entries: &[(u16, u16, u32)], error| list(file(BINARY, &list_of(entries)), error);
    let mut table = vec![
        text(
            "user::rw-,user:1000:r--",
            "it has no entry for the owning group",
        ),
        text("user::rw-,group::r--", "it has no entry for all others"),
        text(
            "user::rw-,user:1000:rwx,group::r--,other::---",
            "it has an entry for user 1000 and none for the mask",
        ),
        text(
            "user::rw-,user:7:r--,user:7:rw-,group::r--,mask::rw-,other::---",
            "it has two entries for user 7",
        ),
        text(
            "user::rw-,user::r--,group::r--,other::---",
            "it has two entries for the owner",
        ),
        binary(&[OWNER, GROUP], "it has no entry for all others"),
        binary(
            &[OWNER, NAMED, GROUP, OTHERS],
            "it has an entry for user 1000 and none for the mask",
        ),
        binary(
            &[(1, 0o17, u32::MAX), GROUP, OTHERS],
            "the entry of the owner has permissions 15, and there are 0 to 7",
        ),
        binary(
            &[OWNER, (0x40, 4, 0), GROUP, OTHERS],
            "entry 2 has the tag 0x40, which there is not",
        ),
        binary(
            &[GROUP, OWNER, OTHERS],
            "its entry for the owner comes after that for the owning group; \
             the order is owner, users, group, groups, mask, others",
        ),
        binary(
            &[OWNER, OWNER, GROUP, OTHERS],
            "it has two entries for the owner",
        ),
        binary(&[], "it has no entry for the owner"),
    ];
    let whole = list_of(&[OWNER, GROUP, OTHERS]);
    let cut = &whole[..whole.len() - 3];
    table.push(list(
        file(BINARY, cut),
        "it has 25 bytes, and a list has 4 and then 8 for each entry",
    ));
    let other_version = [&[3], &whole[1..]].concat();
    table.push(list(
        file(BINARY, &other_version),
        "it is of version 3, and there is only 2",
    ));
    let entry = |text: &str, reason: &str| {
        let error = format!("a.tar: member 'a': access control list entry '{text}' {reason}");
        (file(TEXT, text.as_bytes()), error)
    };
    table.extend([
        entry("user::8", "has permissions other than r, w, x and -"),
        entry("user::rwxr", "has more than three permissions"),
        entry("nobody::rwx", "has an unknown tag"),
        entry("user:7", "has permissions other than r, w, x and -"),
    ]);
    for (key, kind, name, error) in [
        (
            "SCHILY.acl.default",
            b'0',
            "default",
            "is the list that new files in a directory get, and this is no directory",
        ),
        (
            "SCHILY.acl.default",
            b'6',
            "default",
            "is the list that new files in a directory get, and this is no directory",
        ),
        (
            TEXT,
            b'2',
            "access",
            "is an access control list, which a symbolic link does not have",
        ),
    ] {
        let archive = node(key, b"user::rw-,group::r--,other::---", kind);
        let error = format!("a.tar: /a: its attribute 'system.posix_acl_{name}' {error}; …");
        table.push((archive, error));
    }
    let faults = table.iter().map(|(archive, error)| {
        (
            "a list that is none",
            Archive(archive.0.clone()),
            error.as_str(),
        )
    });
    endure("lists", refused_in("ext4", faults.collect()));
}

#[test]
fn owners_that_are_nobody() {
    let owned = |user: &str, group: &str| {
        Archive::new()
            .with("folder/", b'5', b"")
            .pax(b'x', &[("uid", user.as_bytes()), ("gid", group.as_bytes())])
            .with("folder/a", b'0', b"")
    };
    let error = |what: &str| {
        format!(
            "a.tar: /folder/a: its {what} is 4294967295, which is -1 and nobody's number on Linux; \
             set another one with owner = \"0:0\""
        )
    };
    let (user, group) = (error("user"), error("group"));
    let faults = vec![
        ("a user of -1", owned("4294967295", "0"), user.as_str()),
        ("a group of -1", owned("0", "4294967295"), group.as_str()),
    ];
    let mut cases = refused_in("ext4", faults);
    let bytes = owned("4294967295", "4294967295").bytes();
    let content = "{ archive = \"a.tar\", owner = \"7:8\" }";
    let prepare = move |bench: &Bench| drop(bench.write("a.tar", &bytes));
    cases.push(case("owners that the spec sets", "ext4", content, prepare));
    endure("owners", cases);
}

#[test]
fn a_lost_and_found_that_is_none() {
    const NAME: &str = "lost+found";
    let error = "/lost+found: ext4 keeps this name for itself; rename or exclude it";
    let kinds = || {
        let linked = |archive: Archive<Vec<u8>>| archive.link(NAME, b'1', "a");
        vec![
            (
                "a file called lost+found",
                Archive::new().with(NAME, b'0', b"content"),
                error,
            ),
            (
                "a link called lost+found",
                linked(Archive::new().with("a", b'0', b"content")),
                error,
            ),
            (
                "a link to a fifo called lost+found",
                linked(Archive::new().with("a", b'6', b"")),
                error,
            ),
            (
                "a symbolic link called lost+found",
                Archive::new().link(NAME, b'2', "/tmp"),
                error,
            ),
            (
                "a fifo called lost+found",
                Archive::new().with(NAME, b'6', b""),
                error,
            ),
            (
                "a device called lost+found",
                Archive::new().with(NAME, b'3', b""),
                error,
            ),
        ]
    };
    let mut cases = Vec::new();
    for walls in WALLS {
        let refused = refused_in("ext4", kinds());
        cases.extend(refused.into_iter().map(|case| case.arguments(walls)));
    }
    let folder = |bench: &Bench| {
        let folder = bench.create_folder("content");
        std::fs::write(folder.join("a"), "content").unwrap();
        std::fs::hard_link(folder.join("a"), folder.join(NAME)).unwrap();
    };
    let directory = "{ directory = \"content\", owner = \"0:0\" }";
    cases.push(
        case(
            "a link of that name in a directory",
            "ext4",
            directory,
            folder,
        )
        .refused(error),
    );
    endure("lost+found", cases);
}

/// What is right is taken as it is, and the kernel finds it.
#[test]
fn all_that_the_kernel_reads() {
    let long = format!("SCHILY.xattr.user.{}", "n".repeat(250));
    let sets = |revision: u8, length: usize| {
        let mut set = vec![0; length];
        (set[3], set[4]) = (revision, 4);
        // The user who is root.
        if length == 24 {
            set[20] = 9;
        }
        set
    };
    // As the mode 0644 has it.
    let list = b"user::rw-,user:7:r--,user:3:rw-,group::r--,group:9:---,mask::r--,other::r--";
    let bytes = Archive::new()
        .pax(
            b'x',
            &[
                (
                    "SCHILY.acl.access",
                    b"user::rwx,group::r-x,group:9:rwx,mask::r-x,other::r-x",
                ),
                ("SCHILY.acl.default", list),
            ],
        )
        .with("lost+found/", b'5', b"")
        .pax(b'x', &[(&long, b"long"), ("SCHILY.acl.access", list)])
        .with("a", b'0', b"content")
        // These say another thing than the mode, 0644, and hold.
        .pax(
            b'x',
            &[(
                "SCHILY.acl.access",
                b"user::rwx,user:7:rw-,group::r--,mask::rwx,other::---",
            )],
        )
        .with("contrary", b'0', b"")
        .pax(
            b'x',
            &[("SCHILY.acl.access", b"user::rwx,group::-w-,other::--x")],
        )
        .with("contrary-and-short", b'0', b"")
        .pax(b'x', &[("SCHILY.xattr.security.capability", &sets(2, 20))])
        .with("second", b'0', b"")
        .pax(b'x', &[("SCHILY.xattr.security.capability", &sets(3, 24))])
        .with("third", b'0', b"")
        .pax(b'x', &[("SCHILY.xattr.trusted.a", b"of a link")])
        // Its mode is 0644 here, and 0777 on Linux.
        .link("link", b'2', "a")
        .pax(
            b'x',
            &[
                ("SCHILY.xattr.trusted.a", b"of a fifo"),
                ("SCHILY.acl.access", list),
            ],
        )
        .with("fifo", b'6', b"")
        .pax(b'x', &[("uid", b"4294967294"), ("gid", b"65536")])
        .with("owned", b'0', b"")
        .link("again", b'1', "a")
        .bytes();
    let cases = WALLS.map(|walls| {
        let bytes = bytes.clone();
        let prepare = move |bench: &Bench| drop(bench.write("a.tar", &bytes));
        case("all that the kernel reads", "ext4", ARCHIVE, prepare)
            .arguments(walls)
            .right(assert_as_unpacked)
    });
    endure("read again", cases.into());
}

/// Fails unless the kernel finds in the file system what GNU tar unpacks.
fn assert_as_unpacked(bench: &Bench, part: &Path) {
    let archive = bench.path("a.tar");
    let Some(mut expected) = reading::of_archive(bench, &archive, reading::Acls::Words) else {
        return;
    };
    // No member is the root: it is made, and of the newest time of all.
    let root = expected.get("");
    (root.mode, root.owner, root.modified) = (0o755, (0, 0), (1_700_000_000, 0));
    reading::assert_ext4_holds(bench, part, expected);
}
