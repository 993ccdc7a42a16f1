//! `cellblock du`: how many bytes the files of each directory of an image have.

use super::looking::{below, node_of, open, shown};
use super::{Failure, print, print_json_list};
use crate::arguments::Du;
use crate::json::sized;
use cellblock_build::tree::{Kind, Node, NodeId};

pub(super) fn run(du: &Du) -> Result<(), Failure> {
    let opened = open(&du.reading, &du.place, false)?;
    let tree = &opened.tree;
    let top = node_of(&opened, &du.place)?;
    let sums = tree.sizes();
    let index = |id: NodeId| id.0 as usize;
    let is_directory = |node: &Node<'_>| matches!(node.kind, Kind::Directory);
    let directories = below(tree, top).filter(is_directory).map(|node| node.id);
    let directories: Vec<NodeId> = [top].into_iter().chain(directories).collect();
    if du.json {
        let of = |id: &NodeId| sized(&tree.path(*id), sums[index(*id)]);
        return print_json_list(directories.iter().map(of));
    }
    let width = sums[index(top)].to_string().len();
    let lines: String = directories
        .iter()
        .map(|id| format!("{:>width$} {}\n", sums[index(*id)], shown(&tree.path(*id))))
        .collect();
    print(&lines)
}
