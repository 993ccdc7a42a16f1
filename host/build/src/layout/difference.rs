//! What a tree has that another has not, as a layer over it.

use std::collections::{BTreeMap, BTreeSet};

use cellblock_tree::pax::write::Layer;
use cellblock_tree::source::SourceError;
use cellblock_tree::{Kind, NodeId, Tree};

use crate::compare::{Compared, Pair, pairs};

/// The layer that makes `tree` of `base`.
pub(super) fn between(base: &Tree, tree: &Tree) -> Result<Layer, SourceError> {
    let mut changed: BTreeSet<NodeId> = BTreeSet::new();
    let mut gone: Vec<NodeId> = Vec::new();
    let mut removed: BTreeMap<NodeId, Vec<Vec<u8>>> = BTreeMap::new();
    // The node of the tree for each directory of the base that both have.
    let mut both: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    pairs(base, tree, Compared::default(), &mut |pair| match pair {
        Pair::First(id) => gone.push(id),
        Pair::Second(id) => {
            changed.insert(id);
        }
        Pair::Both(old, new, aspects) => {
            let is_directory = |tree: &Tree, id| *tree.node(id).kind == Kind::Directory;
            if is_directory(base, old) && is_directory(tree, new) {
                both.insert(old, new);
            }
            if !aspects.is_empty() {
                changed.insert(new);
            }
            // No layer has sockets: what stood in the place of one is taken away all the same.
            if is_socket(tree, new) && !is_socket(base, old) {
                let node = tree.node(new);
                removed
                    .entry(node.parent)
                    .or_default()
                    .push(node.name.to_vec());
            }
        }
    })?;
    // All names of a file are in one layer: a link into a lower one would be a file of its own to some who mount layers.
    let first = |id| tree.original(id).id;
    let files: BTreeSet<NodeId> = changed.iter().map(|id| first(*id)).collect();
    let mut holds: Vec<bool> = tree
        .nodes()
        .map(|node| changed.contains(&node.id) || files.contains(&first(node.id)))
        .collect();
    for id in gone {
        let node = base.node(id);
        // What is in a directory that is gone, or has become something else, goes with it.
        if let Some(parent) = both.get(&node.parent) {
            removed.entry(*parent).or_default().push(node.name.to_vec());
        }
    }
    removed.values_mut().for_each(|names| names.sort_unstable());
    for directory in removed.keys() {
        holds[directory.0 as usize] = true;
    }
    // Whoever unpacks a layer makes directories that are missing as they like.
    for node in (1..tree.len()).rev().map(|id| tree.node(NodeId(id))) {
        if holds[node.id.0 as usize] {
            holds[node.parent.0 as usize] = true;
        }
    }
    Ok(Layer { holds, removed })
}

/// Whether a node is a socket, or another name of one.
fn is_socket(tree: &Tree, id: NodeId) -> bool {
    *tree.original(id).kind == Kind::Socket
}
