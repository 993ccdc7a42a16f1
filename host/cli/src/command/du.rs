//! `cellblock du`: how many bytes the files of each directory of an image have.

use serde_json::{Value, json};

use super::looking::{below, node_of, open, shown};
use super::{Failure, print, print_json};
use crate::arguments::Du;
use cellblock_build::tree::{Kind, NodeId};

pub(super) fn run(du: &Du) -> Result<(), Failure> {
    let opened = open(&du.reading, &du.place, false)?;
    let tree = &opened.tree;
    let top = node_of(&opened, &du.place)?;
    let mut sums = vec![0_u64; tree.len() as usize];
    let mut directories = vec![top];
    let index = |id: NodeId| id.0 as usize;
    for node in below(tree, top) {
        match node.kind {
            Kind::Directory => directories.push(node.id),
            Kind::File { size, .. } => {
                let sum = &mut sums[index(node.parent)];
                *sum = sum.saturating_add(*size);
            }
            _ => {}
        }
    }
    if let Kind::File { size, .. } = tree.node(top).kind {
        sums[index(top)] = *size;
    }
    // Children have larger numbers than their directories.
    for id in directories.iter().skip(1).rev() {
        let parent = index(tree.node(*id).parent);
        sums[parent] = sums[parent].saturating_add(sums[index(*id)]);
    }
    if du.json {
        let of = |id: &NodeId| json!({ "path": shown(&tree.path(*id)), "bytes": sums[index(*id)] });
        return print_json(&directories.iter().map(of).collect::<Vec<Value>>());
    }
    let width = sums[index(top)].to_string().len();
    let lines: String = directories
        .iter()
        .map(|id| format!("{:>width$} {}\n", sums[index(*id)], shown(&tree.path(*id))))
        .collect();
    print(&lines)
}
