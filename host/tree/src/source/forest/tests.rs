//! Names that go, links that are broken, directories that are emptied.

#![allow(clippy::unwrap_used)]
use super::*;

fn metadata(mode: u16) -> Option<Metadata> {
    Some(Metadata {
        mode,
        uid: 0,
        gid: 0,
        modified: None,
        attributes: 0,
    })
}

/// `/a/b/one`, its other name `/other`, `/a/b/two`, and `/a/three`.
fn forest() -> Forest {
    let mut forest = Forest::new();
    let pipe = |mode| Inode {
        metadata: metadata(mode),
        body: Body::Other(Kind::Fifo),
    };
    let deep = forest.directory_at(&[b"a", b"b"]).unwrap();
    let one = forest.add(pipe(1)).unwrap();
    forest.link(deep, b"one", one);
    forest.link(InodeId::ROOT, b"other", one);
    forest.insert(deep, b"two", pipe(2)).unwrap();
    let parent = forest.lookup(&[b"a"]).unwrap();
    forest.insert(parent, b"three", pipe(3)).unwrap();
    forest
}

fn paths(forest: Forest) -> Vec<String> {
    let tree = forest
        .into_tree(Vec::new(), AttributeSets::new(), None)
        .unwrap();
    let described = tree.nodes().map(|node| {
        let path = String::from_utf8(tree.path(node.id)).unwrap();
        format!("{path} {} {}", node.kind.noun(), node.mode & 7)
    });
    described.collect()
}

#[test]
fn removed_names_are_gone_and_their_hard_links_stay() {
    let mut whole = forest();
    assert!(whole.remove(&[b"a", b"b"]));
    assert!(!whole.remove(&[b"a", b"b"]));
    assert!(!whole.remove(&[b"a", b"b", b"one"]));
    assert!(!whole.remove(&[b"other", b"one"]));
    assert!(!whole.remove(&[]));
    let left = [
        "/ a directory 5",
        "/a a directory 5",
        "/a/three a fifo 3",
        "/other a fifo 1",
    ];
    assert_eq!(paths(whole), left);

    let mut one = forest();
    assert!(one.remove(&[b"other"]));
    assert!(paths(one).contains(&"/a/b/one a fifo 1".to_owned()));
}

#[test]
fn broken_links_are_nodes_of_their_own() {
    let mut whole = forest();
    let names = paths(forest()).len();
    let links = |forest: &Forest| {
        let mut named = BTreeMap::new();
        for inode in forest.inodes() {
            if let Body::Directory(children) = &inode.body {
                for id in children.values() {
                    *named.entry(id.index()).or_insert(0) += 1;
                }
            }
        }
        named.into_values().max()
    };
    assert!(links(&whole) > Some(1));
    whole.break_links().unwrap();
    assert_eq!(links(&whole), Some(1));
    let broken = paths(whole);
    assert_eq!(broken.len(), names);
    assert!(broken.iter().all(|path| !path.contains("hard link")));
}

#[test]
fn an_emptied_directory_keeps_itself_and_takes_what_comes_later() {
    let mut whole = forest();
    assert!(whole.empty(&[b"a"]));
    assert!(!whole.empty(&[b"other"]));
    assert!(!whole.empty(&[b"a", b"b"]));
    let mut layer = Forest::new();
    layer.directory_at(&[b"a", b"c"]).unwrap();
    whole.graft(InodeId::ROOT, layer).unwrap();
    let left = [
        "/ a directory 5",
        "/a a directory 5",
        "/a/c a directory 5",
        "/other a fifo 1",
    ];
    assert_eq!(paths(whole), left);
    let mut root = forest();
    assert!(root.empty(&[]));
    assert_eq!(paths(root), ["/ a directory 5"]);
}
