//! What takes the space of a file system: a tree of sizes that is small enough for a page.

use serde::Serialize;

use cellblock_build::contract::Volume;
use cellblock_build::text::PathBytes;
use cellblock_build::tree::{Kind, NodeId, Tree};

/// The most nodes of a file system that a page draws; what is smaller is summed up.
const DRAWN: usize = 8000;
/// How many folders and files are listed as the largest.
const LARGEST: usize = 10;

/// What a node of the drawing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Sort {
    Volume,
    Directory,
    File,
    Link,
    Others,
    Metadata,
    Journal,
    Free,
}

/// A node of the drawing. Parents stand before their children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    /// The index of what it is in; its own of the first.
    pub(super) parent: usize,
    pub(super) name: String,
    /// Bytes: of a directory those of all files below it.
    pub(super) size: u64,
    pub(super) sort: Sort,
}

/// Where the bytes of a volume are. Each is one of the others' neighbours: together they are the volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    /// Of content, as far as it is stored.
    pub(super) files: u64,
    /// Inodes, directories, bitmaps, maps, and what blocks have behind the ends of files.
    pub(super) metadata: u64,
    pub(super) journal: u64,
    pub(super) free: u64,
    /// Of content, as programs see it: more than what is stored where that is compressed, equal files are one, or there are holes.
    pub(super) content: u64,
}

/// What takes the space of a file system.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) parts: Parts,
    pub(super) items: Vec<Item>,
    /// The largest directories but for the root, with the bytes of all files below them.
    pub(super) folders: Vec<(PathBytes, u64)>,
    /// The largest files.
    pub(super) files: Vec<(PathBytes, u64)>,
    /// How many names there are, the root included.
    pub(super) names: u32,
}

impl Usage {
    pub(super) fn of(volume: &Volume, tree: &Tree) -> Self {
        let sizes = tree.sizes();
        let content = sizes[0];
        let parts = parts(volume, content);
        Self {
            items: items(tree, &sizes, parts, volume.size),
            folders: largest(tree, &sizes, |kind| matches!(kind, Kind::Directory)),
            files: largest(tree, &sizes, |kind| matches!(kind, Kind::File { .. })),
            names: tree.len(),
            parts,
        }
    }
}

fn parts(volume: &Volume, content: u64) -> Parts {
    let free = volume.free.min(volume.size);
    let used = volume.size - free;
    let property = |name: &str| {
        let mut found = volume.properties.iter();
        let found = found.find(|property| property.name == name);
        found.and_then(|property| property.value.parse::<u64>().ok())
    };
    let journal = property("journal size").unwrap_or_default().min(used);
    let files = content.min(used - journal);
    Parts {
        files,
        metadata: used - journal - files,
        journal,
        free,
        content,
    }
}

fn items(tree: &Tree, sizes: &[u64], parts: Parts, size: u64) -> Vec<Item> {
    let part = |name: &str, size, sort| Item {
        parent: 0,
        name: name.to_owned(),
        size,
        sort,
    };
    let mut items = vec![
        part("", size, Sort::Volume),
        part("/", parts.files, Sort::Directory),
        part("metadata", parts.metadata, Sort::Metadata),
        part("journal", parts.journal, Sort::Journal),
        part("free", parts.free, Sort::Free),
    ];
    let least = least(sizes);
    // Where each directory that is drawn stands, and what of it is not drawn.
    let mut places = vec![None; sizes.len()];
    places[0] = Some(1);
    let mut others: Vec<(u64, u64)> = vec![(0, 0); sizes.len()];
    for node in tree.nodes().skip(1) {
        let (id, parent) = (node.id.0 as usize, node.parent.0 as usize);
        let Some(place) = places[parent] else {
            continue;
        };
        if sizes[id] <= least {
            others[parent].0 += 1;
            others[parent].1 = others[parent].1.saturating_add(sizes[id]);
            continue;
        }
        places[id] = Some(items.len());
        items.push(Item {
            parent: place,
            name: PathBytes::from(node.name).to_string(),
            size: sizes[id],
            sort: match node.kind {
                Kind::Directory => Sort::Directory,
                Kind::File { .. } => Sort::File,
                _ => Sort::Link,
            },
        });
    }
    for (place, (count, size)) in places.iter().zip(others) {
        if let (Some(place), true) = (place, count > 0) {
            let one = if count == 1 { "other" } else { "others" };
            items.push(Item {
                parent: *place,
                name: format!("{count} {one}"),
                size,
                sort: Sort::Others,
            });
        }
    }
    items
}

/// What must be larger than this is drawn: at most so many are, and none of no bytes. No directory is smaller than what is in it.
fn least(sizes: &[u64]) -> u64 {
    let mut sizes = sizes.to_vec();
    if sizes.len() <= DRAWN {
        return 0;
    }
    let (_, least, _) = sizes.select_nth_unstable_by(DRAWN, |one, other| other.cmp(one));
    *least
}

fn largest(tree: &Tree, sizes: &[u64], is_one: impl Fn(&Kind) -> bool) -> Vec<(PathBytes, u64)> {
    let nodes = tree.nodes().skip(1).filter(|node| is_one(node.kind));
    let mut all: Vec<NodeId> = nodes.map(|node| node.id).collect();
    let by_size = |id: &NodeId| (std::cmp::Reverse(sizes[id.0 as usize]), *id);
    all.sort_unstable_by_key(by_size);
    all.iter()
        .take(LARGEST)
        .map(|id| (PathBytes(tree.path(*id)), sizes[id.0 as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(size: u64, free: u64) -> Volume {
        Volume {
            kind: "ext4".to_owned(),
            label: String::new(),
            identifier: String::new(),
            block_size: 4096,
            size,
            free,
            properties: Vec::new(),
        }
    }

    #[test]
    fn parts_are_the_whole() {
        for (size, free, content) in [(100, 30, 50), (100, 30, 500), (100, 200, 1), (0, 0, 0)] {
            let parts = parts(&volume(size, free), content);
            let sum = parts.files + parts.metadata + parts.journal + parts.free;
            assert_eq!(sum, size, "{parts:?}");
        }
    }

    #[test]
    fn what_is_drawn_is_bounded() {
        let sizes: Vec<u64> = (0..20_000).collect();
        let least = least(&sizes);
        assert_eq!(sizes.iter().filter(|size| **size > least).count(), DRAWN);
        assert_eq!(super::least(&[5; 100]), 0);
        // Of equal ones, all are summed up.
        assert_eq!(super::least(&[7; 20_000]), 7);
    }
}
