//! `cellblock tree`: a directory of an image as a drawing.

use super::looking::{as_value, below, kind, node_of, open, shown};
use super::{Failure, print, print_json_list};
use crate::arguments::TreeOf;
use cellblock_build::tree::{Kind, NodeId};

pub(super) fn run(typed: &TreeOf) -> Result<(), Failure> {
    let opened = open(&typed.reading, &typed.place, false)?;
    let tree = &opened.tree;
    let top = node_of(&opened, &typed.place)?;
    let nodes: Vec<_> = below(tree, top).collect();
    if typed.json {
        return print_json_list(nodes.iter().map(|node| as_value(tree, node)));
    }
    // The last child of each directory, by their numbers.
    let mut last = vec![NodeId::ROOT; tree.len() as usize];
    for node in &nodes {
        last[node.parent.0 as usize] = node.id;
    }
    let mut text = format!("{}\n", shown(&tree.path(top)));
    let mut open: Vec<NodeId> = vec![top];
    for node in &nodes {
        while open.last().is_some_and(|above| *above != node.parent) {
            open.pop();
        }
        for pair in open.windows(2) {
            let ended = last[pair[0].0 as usize] == pair[1];
            text.push_str(if ended { "    " } else { "│   " });
        }
        let ends = last[node.parent.0 as usize] == node.id;
        text.push_str(if ends { "└── " } else { "├── " });
        text.push_str(&shown(node.name));
        if let Kind::Symlink(target) = kind(tree, node) {
            text.push_str(" -> ");
            text.push_str(&shown(target));
        }
        text.push('\n');
        if *node.kind == Kind::Directory {
            open.push(node.id);
        }
        if text.len() > 1 << 20 {
            print(&text)?;
            text.clear();
        }
    }
    print(&text)
}
