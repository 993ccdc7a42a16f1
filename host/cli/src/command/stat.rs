//! `cellblock stat`: what an image says of a file, or of its file system.

use serde_json::json;

use super::looking::{as_value, kind, mode, node_of, open, shown, size, time};
use super::{Failure, print, print_json};
use crate::arguments::Stat;
use cellblock_build::reading::Opened;
use cellblock_build::text::{exact, hexadecimal};
use cellblock_build::tree::{Kind, NodeId};

pub(super) fn run(stat: &Stat) -> Result<(), Failure> {
    let opened = open(&stat.reading, &stat.place, false)?;
    if stat.place.path.is_none() {
        return volume(&opened, stat.json);
    }
    let id = node_of(&opened, &stat.place)?;
    if stat.json {
        return print_json(&as_value(&opened.tree, &opened.tree.node(id)));
    }
    print(&lines(&opened, id))
}

fn volume(opened: &Opened, json: bool) -> Result<(), Failure> {
    let volume = &opened.volume;
    if json {
        return print_json(&json!({
            "volume": volume,
            "nodes": opened.tree.len(),
            "reader": opened.reader,
        }));
    }
    let mut lines = vec![
        ("kind", volume.kind.clone()),
        ("label", volume.label.clone()),
        ("identifier", volume.identifier.clone()),
        ("block size", volume.block_size.to_string()),
        ("size", exact(volume.size).clone()),
        ("free", exact(volume.free).clone()),
        ("names", opened.tree.len().to_string()),
        ("reader", opened.reader.clone()),
    ];
    lines.retain(|(_, value)| !value.is_empty());
    let mut text: String = lines
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    for property in &volume.properties {
        text.push_str(&format!("{}: {}\n", property.name, property.value));
    }
    print(&text)
}

fn lines(opened: &Opened, id: NodeId) -> String {
    let tree = &opened.tree;
    let node = tree.node(id);
    let what = kind(tree, &node);
    let nanoseconds = node.modified.nanoseconds;
    let mut lines = vec![
        ("path", shown(&tree.path(id))),
        ("type", what.noun().to_owned()),
        (
            "mode",
            format!("{:04o} {}", node.mode, mode(what, node.mode)),
        ),
        ("owner", format!("{}:{}", node.uid, node.gid)),
        ("size", size(what).to_string()),
        (
            "modified",
            format!("{}.{nanoseconds:09}", time(node.modified)),
        ),
    ];
    match what {
        Kind::Symlink(target) => lines.push(("target", shown(target))),
        Kind::CharacterDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            lines.push(("device", format!("{major}:{minor}")));
        }
        _ => {}
    }
    if let Kind::HardLink(first) = node.kind {
        lines.push(("hard link of", shown(&tree.path(*first))));
    }
    for attribute in node.attributes {
        let value = hexadecimal(&attribute.value);
        lines.push(("attribute", format!("{}={value}", shown(&attribute.name))));
    }
    lines
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect()
}
