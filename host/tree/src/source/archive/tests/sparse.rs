//! Members whose holes are left out.

use super::super::sparse;
use super::*;

#[test]
fn sparse_maps_are_checked() {
    let member = |map: &[u8], size: &[u8]| {
        Builder::default()
            .pax(b'x', &[("GNU.sparse.size", size), ("GNU.sparse.map", map)])
            .member(b"a", b'0', b"12345678")
            .end()
    };
    let tree = tree_of(&member(b"4,4,10,4,20,0", b"20")).unwrap();
    assert_eq!(
        contents(&tree, "/a"),
        b"\0\0\0\x001234\0\x005678\0\0\0\0\0\0"
    );
    assert_eq!(tree.ranges(NodeId(1)).unwrap().len(), 2);
    let mut part = [1; 4];
    tree.reader().read(NodeId(1), 7, &mut part).unwrap();
    assert_eq!(&part, b"4\0\x005");
    for (map, size, reason) in [
        (&b"4,4,6,4"[..], &b"20"[..], "overlaps"),
        (b"4,4,17,4", b"20", "beyond"),
        (b"4,8,12,4", b"20", "more data"),
        (b"4,4", b"20", "less data"),
        (b"4,4,9", b"20", "without its length"),
        (b"4,x", b"20", "decimal"),
        (b"18446744073709551615,8", b"18446744073709551615", "beyond"),
    ] {
        let message = refusal(&member(map, size));
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn holes_left_out_in_another_way_are_refused() {
    let with = |records: &[(&str, &[u8])]| {
        let archive = Builder::default()
            .pax(b'x', records)
            .member(b"a", b'0', b"data");
        refusal(&archive.end())
    };
    for (records, format) in [
        (
            &[("GNU.sparse.major", &b"2"[..]), ("GNU.sparse.minor", b"0")][..],
            "GNU.sparse 2.0",
        ),
        (
            &[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"1")],
            "GNU.sparse 1.1",
        ),
        (&[("GNU.sparse.minor", b"7")], "GNU.sparse 0.7"),
        (&[("GNU.sparse.map", b"0,4")], "GNU.sparse.map"),
        (&[("SCHILY.realsize", b"100000")], "SCHILY.realsize"),
    ] {
        let message = with(records);
        assert!(
            message.starts_with("member 'a'") && message.contains(&format!("({format})")),
            "{message}"
        );
    }
}

#[test]
fn maps_of_holes_are_bounded_in_all() {
    // Each of two members has half of the stretches that there may be, and one more.
    let half = sparse::STRETCHES / 2 + 1;
    let mut map = format!("{half}\n");
    for number in 0..half {
        map.push_str(&format!("{}\n1\n", 2 * number));
    }
    let size = (2 * half).to_string();
    let mut data = map.into_bytes();
    data.resize(data.len().next_multiple_of(512) + half, 0);
    let sparse = |builder: Builder, name: &[u8]| {
        builder
            .pax(
                b'x',
                &[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.realsize", size.as_bytes()),
                ],
            )
            .member(name, b'0', &data)
    };
    let one = sparse(Builder::default(), b"one");
    let both = sparse(Builder(one.0.clone()), b"two");
    assert!(parse(&one.end()).is_ok());
    let message = refusal(&both.end());
    assert!(
        message.contains("with member 'two', the maps of holes of the archive have more than"),
        "{message}"
    );
}
