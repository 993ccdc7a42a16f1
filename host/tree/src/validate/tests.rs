#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;
use crate::source::forest::Metadata;
use cellblock_judges::{Ability, lacks};
use cellblock_text::PathBytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use rustix::io::Errno;

/// A node of any kind that has attributes.
const FIFO: Kind = Kind::Fifo;

fn attribute(name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Attribute {
    Attribute {
        name: name.into(),
        value: value.into(),
    }
}

/// A list of tags, permissions and ids.
fn list_of(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut value = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    value
}

fn capability_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn fault(attribute: Attribute, class: Class) -> Option<AttributeFault> {
    match attribute::first_fault(&[attribute], class)? {
        Fault::Attribute { fault, .. } => Some(fault),
        other => panic!("{other}"),
    }
}

#[test]
fn names_are_those_that_the_kernel_takes() {
    let found = |name: &[u8]| fault(attribute(name, "value"), Class::File);
    let long = |length: usize| [b"user.".to_vec(), vec![b'n'; length - 5]].concat();
    for name in [
        &b"user.a"[..],
        b"trusted.overlay.opaque",
        b"security.selinux",
        b"user.\xff",
        &long(255),
    ] {
        assert_eq!(found(name), None, "{}", name.escape_ascii());
    }
    let too_long = AttributeFault::NameTooLong {
        length: 256,
        limit: 255,
    };
    for (name, fault) in [
        (&b""[..], AttributeFault::Unnamed),
        (b"user.", AttributeFault::Unnamed),
        (b"security.", AttributeFault::Unnamed),
        (b"user.a\0b", AttributeFault::NulInName),
        (b"\0", AttributeFault::NulInName),
        (b"User.a", AttributeFault::Namespace),
        (b"com.apple.provenance", AttributeFault::Namespace),
        (b"system.data", AttributeFault::Namespace),
        (b"system.posix_acl_accessory", AttributeFault::Namespace),
        (&long(256), too_long),
    ] {
        assert_eq!(found(name), Some(fault), "{}", name.escape_ascii());
    }
    let limit = 65_536;
    assert_eq!(
        fault(attribute("user.a", vec![0; limit]), Class::File),
        None
    );
    assert_eq!(
        fault(attribute("user.a", vec![0; limit + 1]), Class::File),
        Some(AttributeFault::ValueTooLong {
            length: limit + 1,
            limit
        })
    );
}

#[test]
fn sets_have_each_name_once_and_no_more_than_are_listed() {
    let twice = [attribute("user.a", "1"), attribute("user.a", "2")];
    assert_eq!(
        attribute::first_fault(&twice, Class::File),
        Some(Fault::Attribute {
            name: PathBytes(b"user.a".to_vec()),
            fault: AttributeFault::Repeated
        })
    );
    // With its NUL each name has 256 bytes.
    let many = |count: usize| -> Vec<Attribute> {
        let name = |number| format!("user.{number:0>250}");
        (0..count)
            .map(|number| attribute(name(number), ""))
            .collect()
    };
    assert_eq!(attribute::first_fault(&many(256), Class::File), None);
    assert_eq!(
        attribute::first_fault(&many(257), Class::File),
        Some(Fault::AttributeNames {
            count: 257,
            bytes: 257 * 256,
            limit: 65_536
        })
    );
    assert_eq!(attribute::sound_ones(&many(257), Class::File), many(256));
}

#[test]
fn attributes_belong_to_kinds() {
    use Class::{Directory, File, Special, Symlink};
    let list = list_of(&[(1, 7, 0), (4, 5, 0), (0x20, 0, 0)]);
    let found = |name: &str, class| fault(attribute(name, list.clone()), class);
    for class in [File, Directory, Special, Symlink] {
        assert_eq!(found("trusted.a", class), None);
        assert_eq!(found("security.selinux", class), None);
        let of_files = matches!(class, Special | Symlink);
        let user = of_files.then_some(AttributeFault::UserNamespace);
        assert_eq!(found("user.a", class), user);
        let access = (class == Symlink).then_some(AttributeFault::ListOfSymlink);
        assert_eq!(found("system.posix_acl_access", class), access);
        let default = match class {
            Directory => None,
            Symlink => Some(AttributeFault::ListOfSymlink),
            File | Special => Some(AttributeFault::DefaultOfNoDirectory),
        };
        assert_eq!(found("system.posix_acl_default", class), default);
    }
}

#[test]
fn lists_are_judged_with_what_is_wrong() {
    const OWNER: (u16, u16, u32) = (1, 6, u32::MAX);
    const GROUP: (u16, u16, u32) = (4, 4, u32::MAX);
    const MASK: (u16, u16, u32) = (0x10, 7, u32::MAX);
    const OTHERS: (u16, u16, u32) = (0x20, 0, u32::MAX);
    let user = |id| (2, 7, id);
    let group = |id| (8, 7, id);
    let named = [OWNER, user(9), user(3), GROUP, group(3), MASK, OTHERS];
    assert_eq!(list::check(&list_of(&named)), Ok(()));
    assert_eq!(list::check(&list_of(&[OWNER, GROUP, MASK, OTHERS])), Ok(()));
    assert_eq!(list::check(&list_of(&[OWNER, GROUP, OTHERS])), Ok(()));
    let missing = |holder| ListFault::Missing { holder };
    let repeated = |holder| ListFault::Repeated { holder };
    for (entries, fault) in [
        (vec![], missing(Holder::Owner)),
        (vec![OWNER, user(1)], missing(Holder::OwningGroup)),
        (vec![GROUP, OTHERS], missing(Holder::Owner)),
        (vec![OWNER, GROUP], missing(Holder::Others)),
        (
            vec![OWNER, user(5), GROUP, OTHERS],
            ListFault::NoMask {
                holder: Holder::User(5),
            },
        ),
        (vec![OWNER, OWNER, GROUP, OTHERS], repeated(Holder::Owner)),
        (
            vec![OWNER, user(1), user(2), user(1), GROUP, MASK, OTHERS],
            repeated(Holder::User(1)),
        ),
        (vec![OWNER, GROUP, OTHERS, OWNER], repeated(Holder::Owner)),
        (
            vec![OWNER, GROUP, user(1), MASK, OTHERS],
            ListFault::Order {
                holder: Holder::User(1),
                before: Holder::OwningGroup,
            },
        ),
        (
            vec![OWNER, GROUP, OTHERS, MASK],
            ListFault::Order {
                holder: Holder::Mask,
                before: Holder::Others,
            },
        ),
        (
            vec![(1, 8, 0), GROUP, OTHERS],
            ListFault::Permissions {
                holder: Holder::Owner,
                permissions: 8,
            },
        ),
        (
            vec![OWNER, (3, 7, 0), GROUP, OTHERS],
            ListFault::Tag { entry: 2, tag: 3 },
        ),
        (
            vec![OWNER, user(u32::MAX), GROUP, MASK, OTHERS],
            ListFault::Nobody {
                holder: Holder::User(u32::MAX),
            },
        ),
    ] {
        assert_eq!(list::check(&list_of(&entries)), Err(fault), "{entries:?}");
    }
    let whole = list_of(&[OWNER, GROUP, OTHERS]);
    for length in [0, 3, 5, 27] {
        assert_eq!(
            list::check(&whole[..length]),
            Err(ListFault::Length { length })
        );
    }
    let mut version = whole;
    version[0] = 1;
    assert_eq!(
        list::check(&version),
        Err(ListFault::Version { version: 1 })
    );
}

#[test]
fn capability_sets_have_the_length_of_their_revision() {
    for sound in [
        &[0x0200_0001, 1 << 13, 0, 0, 0][..],
        &[0x0300_0001, 1, 0, 0, 0, 100_000],
    ] {
        assert_eq!(capability::check(&capability_of(sound)), Ok(()));
    }
    let length = |revision, length, expected| CapabilityFault::Length {
        revision,
        length,
        expected,
    };
    for (words, fault) in [
        (&[][..], CapabilityFault::Truncated { length: 0 }),
        (&[0x0200_0000], length(2, 4, 20)),
        (&[0x0200_0000, 0, 0, 0, 0, 0], length(2, 24, 20)),
        (&[0x0300_0000, 0, 0, 0, 0], length(3, 20, 24)),
        (
            &[0x0100_0000, 1, 2],
            CapabilityFault::Revision { revision: 1 },
        ),
        (&[0; 5], CapabilityFault::Revision { revision: 0 }),
        (
            &[0x0400_0000, 0, 0, 0, 0],
            CapabilityFault::Revision { revision: 4 },
        ),
        (
            &[0x0200_0003, 0, 0, 0, 0],
            CapabilityFault::Flags { flags: 3 },
        ),
        (&[0x0300_0001, 0, 0, 0, 0, u32::MAX], CapabilityFault::Root),
    ] {
        assert_eq!(capability::check(&capability_of(words)), Err(fault));
    }
}

/// A file on a file system whose attributes the kernel judges; none where it does not.
fn judged_by_the_kernel() -> Option<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let list = list_of(&[(1, 7, 0), (2, 5, 7), (4, 5, 0), (0x10, 5, 0), (0x20, 0, 0)]);
    let is_judge = set(file.path(), "system.posix_acl_access", &list).is_ok();
    if !is_judge {
        lacks(
            Ability::Attributes,
            "no access control list can be set in the temporary folder",
        );
    }
    is_judge.then_some(file)
}

fn set(path: &Path, name: &str, value: &[u8]) -> Result<(), Errno> {
    lsetxattr(path, name, value, XattrFlags::empty())
}

#[test]
fn the_kernel_judges_access_control_lists_alike() {
    let Some(file) = judged_by_the_kernel() else {
        return;
    };
    let tag = prop_oneof![
        20 => prop::sample::select(vec![1_u16, 2, 4, 8, 0x10, 0x20]),
        1 => any::<u16>(),
    ];
    let permissions = prop_oneof![20 => 0_u16..8, 1 => any::<u16>()];
    let id = prop_oneof![8 => 0_u32..1000, 1 => Just(u32::MAX)];
    // Mostly in order: otherwise there would be nearly no right ones.
    let entries = (vec((tag, permissions, id), 0..6), any::<bool>(), 0..4_u8);
    let cases = entries.prop_map(|(mut entries, sorted, base)| {
        if base > 0 {
            entries.extend([(1, 7, 0), (4, 5, 0), (0x20, 0, 0)]);
        }
        if sorted || base > 1 {
            entries.sort_unstable();
            entries.dedup_by(|a, b| a.0 == b.0 && !matches!(a.0, 2 | 8));
        }
        entries
    });
    let config = ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let taken = std::cell::Cell::new(0);
    let outcome = TestRunner::new(config).run(&cases, |entries| {
        let value = list_of(&entries);
        let kernel = set(file.path(), "system.posix_acl_access", &value);
        match list::check(&value) {
            Ok(()) => taken.set(taken.get() + 1),
            // The kernel removes the list then.
            Err(ListFault::Missing { .. }) if entries.is_empty() => return Ok(()),
            // The kernel takes the first, and libacl refuses to set such a list.
            Err(ListFault::Repeated {
                holder: Holder::User(_) | Holder::Group(_),
            }) => return Ok(()),
            Err(_) => {}
        }
        prop_assert_eq!(list::check(&value).is_ok(), kernel.is_ok(), "{:?}", kernel);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(taken.get() > 100, "{} right ones", taken.get());
}

#[test]
fn the_kernel_reads_the_capability_sets_that_are_taken() {
    if !rustix::process::geteuid().is_root() {
        lacks(Ability::Superuser, "only it sets capabilities");
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let first = [
        0x0200_0000_u32,
        0x0200_0001,
        0x0300_0001,
        0x0200_0002,
        0x0400_0000,
        0,
    ];
    for first in first {
        for words in [1, 2, 3, 5, 6, 7] {
            let mut value = vec![0_u32; words];
            value[0] = first;
            value[words - 1] |= u32::from(words == 6) * 100_000;
            let value = capability_of(&value);
            let kernel = set(file.path(), "security.capability", &value);
            if kernel == Err(Errno::PERM) || kernel == Err(Errno::OPNOTSUPP) {
                lacks(Ability::Attributes, "no capability can be set");
                return;
            }
            // What it takes and does not read is refused too.
            let mut buffer = [0; 64];
            let read = kernel
                .and_then(|()| lgetxattr(file.path(), "security.capability", &mut buffer[..]));
            assert_eq!(
                capability::check(&value).is_ok(),
                read.is_ok(),
                "{value:x?}"
            );
        }
    }
}

fn metadata(sets: &mut AttributeSets, attributes: Vec<Attribute>) -> Metadata {
    Metadata {
        mode: 0o640,
        uid: 0,
        gid: 0,
        modified: None,
        attributes: sets.number(attributes),
    }
}

fn node(metadata: Metadata, kind: Kind) -> Inode {
    Inode {
        metadata: Some(metadata),
        body: Body::Other(kind),
    }
}

#[test]
fn the_first_node_in_the_order_of_the_tree_is_named() {
    let mut sets = AttributeSets::new();
    let mut forest = Forest::new();
    let bad = metadata(&mut sets, vec![attribute("user.", "")]);
    let folder = forest.directory_at(&[b"b", b"c"]).unwrap();
    forest
        .insert(InodeId::ROOT, b"z", node(bad.clone(), FIFO))
        .unwrap();
    forest
        .insert(folder, b"d", node(bad.clone(), FIFO))
        .unwrap();
    forest.insert(InodeId::ROOT, b"a", node(bad, FIFO)).unwrap();
    // One that has lost its name is none of the content.
    let good = metadata(&mut sets, Vec::new());
    forest
        .insert(InodeId::ROOT, b"a", node(good, FIFO))
        .unwrap();
    let (path, fault) = check(&mut forest, &mut sets, false).unwrap_err();
    assert_eq!(path, b"/b/c/d");
    let name = PathBytes(b"user.".to_vec());
    let unnamed = AttributeFault::Unnamed;
    assert_eq!(
        fault,
        Fault::Attribute {
            name,
            fault: unnamed
        }
    );
    check(&mut forest, &mut sets, true).unwrap();
    let dropped = forest.lookup(&[b"z"]).unwrap();
    assert_eq!(
        forest.inode(dropped).metadata.as_ref().unwrap().attributes,
        0
    );
}

#[test]
fn owners_are_somebody() {
    for (uid, gid, what) in [(u32::MAX, 0, "user"), (7, u32::MAX, "group")] {
        let mut sets = AttributeSets::new();
        let mut forest = Forest::new();
        let owned = Metadata {
            uid,
            gid,
            ..metadata(&mut sets, Vec::new())
        };
        forest
            .insert(InodeId::ROOT, b"a", node(owned, FIFO))
            .unwrap();
        // Leaving attributes out mends no owner.
        let (path, fault) = check(&mut forest, &mut sets, true).unwrap_err();
        assert_eq!((&path[..], fault), (&b"/a"[..], Fault::Owner { what }));
    }
}

#[test]
fn what_linux_has_in_one_way_only_is_put_so() {
    let mut sets = AttributeSets::new();
    let mut forest = Forest::new();
    let list = |owner| list_of(&[(1, owner, 0), (4, 4, 0), (0x20, 0, 0)]);
    let mut add = |name: &[u8], attributes, kind| {
        let metadata = metadata(&mut sets, attributes);
        let added = forest.insert(InodeId::ROOT, name, node(metadata, kind));
        added.unwrap();
    };
    let label = attribute("security.selinux", "label");
    add(b"link", Vec::new(), Kind::Symlink(b"target"[..].into()));
    add(
        b"same",
        vec![label.clone(), attribute(list::ACCESS, list(6))],
        FIFO,
    );
    add(b"other", vec![attribute(list::ACCESS, list(7))], FIFO);
    // With somebody named, the mask stands where the mode has the owning group.
    let long = list_of(&[(1, 7, 0), (2, 7, 9), (4, 0, 0), (0x10, 5, 0), (0x20, 1, 0)]);
    add(b"long", vec![attribute(list::ACCESS, &long[..])], FIFO);
    check(&mut forest, &mut sets, false).unwrap();
    let found = |name: &[u8]| {
        let metadata = forest
            .inode(forest.lookup(&[name]).unwrap())
            .metadata
            .clone();
        let metadata = metadata.unwrap();
        (metadata.mode, sets.get(metadata.attributes).to_vec())
    };
    assert_eq!(found(b"link"), (0o777, vec![]));
    assert_eq!(found(b"same"), (0o640, vec![label]));
    // The list that says otherwise than the mode holds.
    assert_eq!(found(b"other"), (0o740, vec![]));
    assert_eq!(
        found(b"long"),
        (0o751, vec![attribute(list::ACCESS, &long[..])])
    );
}
