//! How what a reader tells is cut into calls.

#![allow(missing_docs, clippy::unwrap_used)]

use std::borrow::Cow;

use cellblock_guest::reader::{FileExtent, Listing, Teller};
use cellblock_guest::{Attribute, Batch, Kind, Node, NodeId, Timestamp};

/// The nodes and the bytes of attributes of each call.
#[derive(Default)]
struct Calls(Vec<(usize, usize)>);

impl Listing for Calls {
    fn nodes(&mut self, batch: Batch) {
        let bytes = |node: Node<'_>| -> usize {
            let attributes = node.attributes.iter();
            attributes.map(|it| it.name.len() + it.value.len()).sum()
        };
        self.0.push((batch.len(), batch.nodes().map(bytes).sum()));
    }

    fn extents(&mut self, _: Vec<FileExtent>) {}

    fn warn(&mut self, _: &str) {}
}

/// The host takes 16 MiB of attributes in one call.
#[test]
fn large_attributes_are_told_in_several_calls() {
    let mut calls = Calls::default();
    let mut teller = Teller::new(&mut calls);
    let mut tell = |length: usize| {
        let attribute = Attribute {
            name: b"user.a".to_vec(),
            value: vec![0; length],
        };
        let node = Node {
            parent: NodeId::ROOT,
            name: Cow::Borrowed(b""),
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: Timestamp {
                seconds: 0,
                nanoseconds: 0,
            },
            attributes: Cow::Owned(vec![attribute]),
        };
        teller.node(node).unwrap();
    };
    for _ in 0..40 {
        tell(65_530);
    }
    tell((16 << 20) - 6);
    tell(1);
    teller.finish();
    let large = 16 << 20;
    assert_eq!(
        calls.0,
        [
            (16, 1 << 20),
            (16, 1 << 20),
            (8, 1 << 19),
            (1, large),
            (1, 7)
        ]
    );
}
