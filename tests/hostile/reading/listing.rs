//! Trees that cannot be, and bytes that are not there.

use super::reader::{
    BLOCK_DEVICE, DIRECTORY, Extent, FILE, HARD_LINK, Node, Place, Reader, file, node, root,
    symlink,
};
use super::runner::{Attack, IMAGE, harmless, refused, withstand};

const TREE: &str = "checked tree";
const EXTENTS: &str = "checked extents";

/// A reader that tells a root and these.
fn tree(name: &str, nodes: &[Node], cause: &str) -> Attack {
    refused(name, TREE, Reader::new().tree(nodes), cause)
}

/// A reader whose only file, `/a`, has 64 bytes, or so it says.
fn extents(name: &str, extents: &[Extent], inline: &[u8], cause: &str) -> Attack {
    let reader = Reader::new()
        .tree(&[file(0, "a", 64)])
        .extents(extents, inline);
    refused(name, EXTENTS, reader, cause)
}

fn with(change: impl FnOnce(&mut Node)) -> Node {
    let mut node = file(0, "a", 0);
    change(&mut node);
    node
}

fn attribute(name: &[u8], value: &[u8]) -> Node {
    with(|node| node.attributes = vec![(name.to_vec(), value.to_vec())])
}

#[test]
fn names_and_parents() {
    let cannot = "which no file can be";
    let named = |name: &str, bytes: &[u8]| tree(name, &[file(0, bytes, 0)], cannot);
    withstand(
        "names and parents",
        vec![
            named("a name with a slash", b"../../etc/passwd"),
            named("a name with NUL", b"a\0b"),
            named("no name", b""),
            named("the name .", b"."),
            named("the name ..", b".."),
            named("a name of 766 bytes", &[b'n'; 766]),
            harmless(
                "a name of 765 bytes, which FAT has",
                "nothing: it may",
                Reader::new().tree(&[file(0, [b'n'; 765], 0)]),
                2,
            ),
            harmless(
                "a name that acts on a terminal",
                "escapes",
                Reader::new().tree(&[file(0, b"\x1b[2J\x07\xff\n", 0)]),
                2,
            ),
            tree(
                "two of one name",
                &[file(0, "a", 0), file(0, "a", 1)],
                "/a is there twice",
            ),
            tree(
                "a name in a directory that comes later",
                &[file(2, "a", 0), node(0, "d", DIRECTORY, 0)],
                "in node 2, which is no directory",
            ),
            tree(
                "a name in itself",
                &[node(1, "d", DIRECTORY, 0)],
                "in node 1, which is no directory",
            ),
            tree(
                "a name in a file",
                &[file(0, "a", 0), file(1, "b", 0)],
                "in node 1, which is no directory",
            ),
            tree(
                "a name in node 2^32 - 1",
                &[file(u32::MAX, "a", 0)],
                "in node 4294967295, which is no directory",
            ),
            tree("a second root", &[root()], cannot),
            refused(
                "no root",
                TREE,
                Reader::new(),
                "the first node is not the root directory",
            ),
            refused(
                "a file as the root",
                TREE,
                Reader::new().nodes(&[file(0, "", 0)]),
                "the first node is not the root directory",
            ),
            refused(
                "a root with a name",
                TREE,
                Reader::new().nodes(&[node(0, "r", DIRECTORY, 0)]),
                "the first node is not the root directory",
            ),
        ],
    );
}

#[test]
fn links_and_metadata() {
    let link = |to: u64| node(0, "l", HARD_LINK, to);
    let nothing = "which is a directory, a link or nothing";
    let metadata = "has a size, a mode, a time or a device number that there is not";
    let columns = "columns that do not fit together";
    let torn = |name: &str, column: usize, by: i64| {
        let nodes = [root(), file(0, "a", 0), symlink(0, "s", b"t")];
        let reader = Reader::new().columns(&nodes, |columns| {
            let length = &mut columns[column].1;
            *length = u32::try_from(i64::from(*length) + by).unwrap();
        });
        refused(name, TREE, reader, columns)
    };
    // One that is broken hides no file.
    let told_left_out = |name: &str, node: Node, why: &'static str| {
        harmless(name, "attributes left out", Reader::new().tree(&[node]), 2).heard(why)
    };
    let attributed = |name: &str, bytes: &[u8], value: &[u8], why: &'static str| {
        told_left_out(name, attribute(bytes, value), why)
    };
    withstand(
        "links and metadata",
        vec![
            tree("a hard link to the root", &[link(0)], nothing),
            tree("a hard link to itself", &[link(1)], nothing),
            tree(
                "a hard link to what comes later",
                &[link(2), file(0, "a", 0)],
                nothing,
            ),
            tree("a hard link to node 2^64 - 1", &[link(u64::MAX)], nothing),
            harmless(
                "a hard link to a hard link",
                "nothing: it may",
                Reader::new().tree(&[file(0, "a", 0), link(1), node(0, "m", HARD_LINK, 2)]),
                4,
            ),
            tree(
                "a link to nothing",
                &[symlink(0, "s", b"")],
                "the target of /s has 0 bytes",
            ),
            tree(
                "a target with NUL",
                &[symlink(0, "s", b"a\0b")],
                "the target of /s has 3 bytes",
            ),
            tree(
                "a target of 4,096 bytes",
                &[symlink(0, "s", &[b't'; 4096])],
                "the target of /s has 4096 bytes",
            ),
            harmless(
                "a link out of the image",
                "nothing follows it",
                Reader::new().tree(&[symlink(0, "s", b"/etc/passwd")]),
                2,
            ),
            tree("mode 0177777", &[with(|node| node.mode = 0xffff)], metadata),
            tree(
                "10^9 nanoseconds",
                &[with(|node| node.nanoseconds = 1_000_000_000)],
                metadata,
            ),
            tree(
                "owner 2^32 - 1",
                &[with(|node| node.uid = u32::MAX)],
                "its user is 4294967295, which is -1 and nobody's number on Linux",
            ),
            harmless(
                "a time of 2^63 - 1 seconds",
                "nothing: it may",
                Reader::new().tree(&[with(|node| node.seconds = i64::MAX)]),
                2,
            ),
            tree(
                "a device of 2^64 - 1",
                &[node(0, "b", BLOCK_DEVICE, u64::MAX)],
                metadata,
            ),
            tree("a file of 2^63 bytes", &[file(0, "a", 1 << 63)], metadata),
            attributed(
                "an attribute without a name",
                b"",
                b"",
                "has a namespace and no name",
            ),
            attributed(
                "an attribute's name with NUL",
                b"user.a\0b",
                b"",
                "has a NUL byte in its name",
            ),
            harmless(
                "an attribute's name that would end a pax record",
                "escapes",
                Reader::new().tree(&[attribute(b"user.a=1\n19 path=/etc/shadow", b"v")]),
                2,
            ),
            attributed(
                "an attribute's name of 256 bytes",
                format!("user.{}", "n".repeat(251)).as_bytes(),
                b"",
                "has a name of 256 bytes",
            ),
            attributed(
                "an attribute of 65,537 bytes",
                b"user.a",
                &[b'v'; 65537],
                "has 65537 bytes",
            ),
            attributed(
                "a capability set of a byte",
                b"security.capability",
                b"c",
                "is no capability set",
            ),
            told_left_out(
                "an attribute twice",
                with(|node| node.attributes = vec![(b"user.a".to_vec(), b"1".to_vec()); 2]),
                "is there twice",
            ),
            torn("a parent too few", 0, -1),
            torn("a size too many", 2, 1),
            torn("a byte of a name too few", 9, -1),
            torn("a byte of a target too many", 10, 1),
            refused(
                "attributes of a node that is not in the batch",
                TREE,
                {
                    let mut far = Reader::new();
                    let nodes = [root(), attribute(b"user.a", b"v")];
                    let record = far.batch(&nodes, |columns| {
                        columns.iter_mut().take(9).for_each(|it| it.1 = 1)
                    });
                    far.code(&format!("(call $tell_nodes (i32.const {record}))"))
                },
                columns,
            ),
            refused(
                "a list at the end of the address space",
                "checked addresses",
                Reader::new().columns(&[root()], |columns| columns[2] = (0xffff_fff8, 1)),
                "the guest 'hostile' failed: ",
            ),
            refused(
                "a list of 2^32 - 1 sizes",
                "checked addresses",
                Reader::new().columns(&[root()], |columns| columns[2].1 = u32::MAX),
                "the guest 'hostile' failed: ",
            ),
            refused(
                "a kind that does not exist",
                "typed answers",
                Reader::new().tree(&[node(0, "a", 200, 0)]),
                "the guest 'hostile' failed: ",
            ),
        ],
    );
}

#[test]
fn bytes_that_are_not_there() {
    let image = IMAGE as u64;
    let plain = |offset: u64, length: u64, from: u64| [(1, offset, length, Place::Plain(from))];
    let zstd = 4;
    let encoded = |codec: u8, from: u64, length: u32, decoded: u32, skip: u32| {
        [(1, 0, 64, Place::Encoded(codec, from, length, decoded, skip))]
    };
    let (beyond, outside) = ("bytes at", "beyond the 1048576 bytes of the partition");
    withstand(
        "bytes that are not there",
        vec![
            extents(
                "bytes of the root",
                &[(0, 0, 1, Place::Plain(0))],
                b"",
                "bytes are told of node 0, which is no file",
            ),
            extents(
                "bytes of a node that is not there",
                &[(9, 0, 1, Place::Plain(0))],
                b"",
                "bytes are told of node 9, which is no file",
            ),
            extents("bytes beyond the file", &plain(1, 64, 0), b"", beyond),
            extents(
                "bytes that wrap around",
                &plain(u64::MAX, 64, 0),
                b"",
                beyond,
            ),
            extents("no bytes", &plain(0, 0, 0), b"", beyond),
            extents(
                "bytes twice",
                &[plain(0, 64, 0), plain(0, 64, 0)].concat(),
                b"",
                beyond,
            ),
            extents(
                "bytes before those before",
                &[plain(32, 1, 0), plain(0, 1, 0)].concat(),
                b"",
                beyond,
            ),
            extents(
                "bytes beyond the partition",
                &plain(0, 64, image - 63),
                b"",
                outside,
            ),
            extents("bytes at 2^64 - 1", &plain(0, 64, u64::MAX), b"", outside),
            extents(
                "more inline bytes than extents",
                &[],
                b"more",
                "columns that do not fit together",
            ),
            extents(
                "fewer inline bytes than extents",
                &[(1, 0, 64, Place::Inline)],
                b"less",
                "columns that do not fit together",
            ),
            extents(
                "a block of no bytes",
                &encoded(zstd, 0, 0, 64, 0),
                b"",
                outside,
            ),
            extents(
                "a block beyond the partition",
                &encoded(zstd, image, 1, 64, 0),
                b"",
                outside,
            ),
            extents(
                "a block of 17 MiB",
                &encoded(zstd, 0, 17 << 20, 64, 0),
                b"",
                outside,
            ),
            extents(
                "a block that becomes 4 GiB",
                &encoded(zstd, 0, 64, u32::MAX, 0),
                b"",
                outside,
            ),
            extents(
                "a block that is skipped",
                &encoded(zstd, 0, 64, 64, 1),
                b"",
                "64 bytes of a place that holds 63",
            ),
            extents(
                "a codec that does not exist",
                &encoded(99, 0, 64, 64, 0),
                b"",
                "the guest 'hostile' failed: ",
            ),
        ]
        .into_iter()
        .chain([0, 1, 2, 4, 5, 6, 7].map(|codec| {
            let name = format!("a block that codec {codec} did not make");
            extents(&name, &encoded(codec, 0, 4096, 64, 0), b"", "/a")
        }))
        .chain([
            harmless(
                "the same bytes of two files",
                "nothing: it may",
                {
                    let nodes = [file(0, "a", 64), file(0, "b", 64)];
                    Reader::new().tree(&nodes).extents(
                        &[(1, 0, 64, Place::Plain(0)), (2, 0, 64, Place::Plain(0))],
                        b"",
                    )
                },
                3,
            ),
            // Bytes that are all the same are a block of LZO1X.
            harmless(
                "a block that LZO did not make, and could have",
                "nothing: it may",
                {
                    Reader::new()
                        .tree(&[file(0, "a", 64)])
                        .extents(&encoded(3, 0, 4096, 64, 0), b"")
                },
                2,
            ),
            harmless(
                "1 EiB of holes",
                "nothing: they are holes",
                Reader::new().tree(&[node(0, "a", FILE, 1 << 60)]),
                2,
            ),
        ])
        .collect(),
    );
}
