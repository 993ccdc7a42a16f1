//! `cellblock ls`: what is in a directory of an image.

use super::looking::{as_value, below, kind, long, node_of, open, shown, size};
use super::{Failure, print, print_json_list};
use crate::arguments::Ls;
use cellblock_build::tree::{Kind, Node};

pub(super) fn run(ls: &Ls) -> Result<(), Failure> {
    let opened = open(&ls.reading, &ls.place, false)?;
    let tree = &opened.tree;
    let top = node_of(&opened, &ls.place)?;
    let node = tree.node(top);
    let nodes: Vec<Node<'_>> = if *node.kind == Kind::Directory {
        let wanted = |node: &Node<'_>| ls.recursive || node.parent == top;
        below(tree, top).filter(wanted).collect()
    } else {
        vec![node]
    };
    if ls.json {
        return print_json_list(nodes.iter().map(|node| as_value(tree, node)));
    }
    let width = |of: &dyn Fn(&Node<'_>) -> String| {
        let lengths = nodes.iter().map(|node| of(node).len());
        lengths.max().unwrap_or_default()
    };
    let widths = if ls.long {
        [
            width(&|node| node.uid.to_string()),
            width(&|node| node.gid.to_string()),
            width(&|node| size(kind(tree, node)).to_string()),
        ]
    } else {
        [0; 3]
    };
    let prefix = match &*tree.path(top) {
        b"/" => 1,
        path => path.len() + 1,
    };
    let mut text = String::new();
    for node in &nodes {
        let called = if ls.recursive && node.id != top {
            shown(&tree.path(node.id)[prefix..])
        } else {
            shown(node.name)
        };
        if ls.long {
            text.push_str(&long(tree, node, &called, widths));
        } else {
            text.push_str(&called);
        }
        text.push('\n');
        if text.len() > 1 << 20 {
            print(&text)?;
            text.clear();
        }
    }
    print(&text)
}
