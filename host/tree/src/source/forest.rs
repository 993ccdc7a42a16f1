//! The merging of sources. Names lead to inodes, as in a file system, so that hard links need no care: whatever
//! happens to one name, the others keep their inode, and the first name in the final order becomes the file.

use std::collections::BTreeMap;
use std::collections::btree_map;

use super::attributes::AttributeSets;
use super::error::SourceError;
use super::mode::ModeRule;
use super::store::{Store, StoredFile};
use crate::{Entry, Kind, NodeId, Timestamp, Tree, index};
use cellblock_text::PathBytes;

/// Index of an inode in its forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InodeId(u32);

impl InodeId {
    pub(crate) const ROOT: Self = Self(0);

    pub(crate) fn index(self) -> usize {
        index(self.0)
    }

    /// # Panics
    /// If there is no such inode: they are numbered by 32 bits.
    pub(crate) fn of_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("inodes are counted when they are added"))
    }
}

pub(crate) type Children = BTreeMap<Box<[u8]>, InodeId>;

#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `None` is the default time, or else the newest one of the tree, or else [`Timestamp::FALLBACK`].
    pub(crate) modified: Option<Timestamp>,
    /// Index into the attribute sets; 0 is the empty one.
    pub(crate) attributes: u32,
}

impl Metadata {
    /// Of a directory that no source says anything about.
    pub(crate) const IMPLIED: Self = Self {
        mode: 0o755,
        uid: 0,
        gid: 0,
        modified: None,
        attributes: 0,
    };
}

#[derive(Clone, Debug)]
pub(crate) struct Inode {
    /// `None` where no source says anything about it: a missing parent directory.
    pub(crate) metadata: Option<Metadata>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Directory(Children),
    File {
        size: u64,
        sparse: bool,
        content: StoredFile,
    },
    /// What has neither children nor content; never `Kind::Directory`, `File` or `HardLink`.
    Other(Kind),
}

impl Body {
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Directory(_) => Kind::Directory.noun(),
            Self::File { .. } => "a file",
            Self::Other(kind) => kind.noun(),
        }
    }
}

/// More inodes than can be numbered.
#[derive(Debug)]
pub(crate) struct Full;

impl From<Full> for SourceError {
    fn from(_: Full) -> Self {
        Self::TooManyNodes
    }
}

/// One source cannot be merged into what is there.
#[derive(Debug)]
pub(crate) enum Ungraftable {
    Full,
    DirectoryOverSymlink { path: Vec<u8>, target: Vec<u8> },
}

impl From<Ungraftable> for SourceError {
    fn from(ungraftable: Ungraftable) -> Self {
        match ungraftable {
            Ungraftable::Full => Self::TooManyNodes,
            Ungraftable::DirectoryOverSymlink { path, target } => Self::DirectoryOverSymlink {
                path: PathBytes(path),
                target: PathBytes(target),
            },
        }
    }
}

/// Something on the way to a path is no directory.
#[derive(Debug)]
pub(crate) enum Blocked {
    Full,
    /// The first so many names of the path lead to this.
    By {
        names: usize,
        found: &'static str,
    },
}

#[derive(Debug)]
pub(crate) struct Forest {
    inodes: Vec<Inode>,
}

impl Forest {
    /// Just a root directory of which nothing is known.
    pub(crate) fn new() -> Self {
        Self {
            inodes: vec![implied_directory()],
        }
    }

    /// Number of inodes, those without a name included.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.inodes.len()).expect("a length fits 64 bits")
    }

    pub(crate) fn add(&mut self, inode: Inode) -> Result<InodeId, Full> {
        let id = u32::try_from(self.inodes.len()).map_err(|_| Full)?;
        self.inodes.push(inode);
        Ok(InodeId(id))
    }

    pub(crate) fn inodes(&self) -> &[Inode] {
        &self.inodes
    }

    pub(crate) fn body(&self, id: InodeId) -> &Body {
        &self.inode(id).body
    }

    pub(crate) fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.index()]
    }

    /// All inodes, those without a name included.
    pub(crate) fn inodes_mut(&mut self) -> impl Iterator<Item = (InodeId, &mut Inode)> {
        (0..).map(InodeId).zip(&mut self.inodes)
    }

    /// The first path, in the order of the tree, of an inode that is `wanted`; none if all of those have lost their names.
    pub(crate) fn first_named(
        &self,
        wanted: impl Fn(InodeId) -> bool,
    ) -> Option<(InodeId, Vec<u8>)> {
        let mut pending = vec![(InodeId::ROOT, Vec::new())];
        while let Some((id, path)) = pending.pop() {
            if wanted(id) {
                let path = if id == InodeId::ROOT {
                    b"/".to_vec()
                } else {
                    path
                };
                return Some((id, path));
            }
            if let Body::Directory(children) = self.body(id) {
                let children = children.iter().rev();
                pending.extend(children.map(|(name, child)| (*child, below(&path, name))));
            }
        }
        None
    }

    pub(crate) fn set_metadata(&mut self, id: InodeId, metadata: Metadata) {
        self.inodes[id.index()].metadata = Some(metadata);
    }

    /// Has a symbolic link lead elsewhere; anything else stays.
    pub(crate) fn set_target(&mut self, id: InodeId, to: Box<[u8]>) {
        if let Body::Other(Kind::Symlink(target)) = &mut self.inodes[id.index()].body {
            *target = to;
        }
    }

    /// # Panics
    /// If `directory` is none.
    pub(crate) fn set_children(&mut self, directory: InodeId, children: Children) {
        *self.children_mut(directory) = children;
    }

    fn children_mut(&mut self, directory: InodeId) -> &mut Children {
        match &mut self.inodes[directory.index()].body {
            Body::Directory(children) => children,
            _ => unreachable!("only directories are asked for children"),
        }
    }

    pub(crate) fn lookup(&self, path: &[&[u8]]) -> Option<InodeId> {
        self.lookup_in(InodeId::ROOT, path)
    }

    /// What is at `path` below the directory `root`; no link is followed.
    pub(crate) fn lookup_in(&self, root: InodeId, path: &[&[u8]]) -> Option<InodeId> {
        path.iter().try_fold(root, |at, name| match self.body(at) {
            Body::Directory(children) => children.get(*name).copied(),
            _ => None,
        })
    }

    /// The directory at `path`; missing ones are made.
    pub(crate) fn directory_at(&mut self, path: &[&[u8]]) -> Result<InodeId, Blocked> {
        self.directory_in(InodeId::ROOT, path)
    }

    /// The directory at `path` below the directory `root`; missing ones are made.
    pub(crate) fn directory_in(
        &mut self,
        root: InodeId,
        path: &[&[u8]],
    ) -> Result<InodeId, Blocked> {
        let mut at = root;
        for (depth, name) in path.iter().enumerate() {
            let next = self.children_mut(at).get(*name).copied();
            at = match next {
                None => {
                    let made = self
                        .add(implied_directory())
                        .map_err(|Full| Blocked::Full)?;
                    self.children_mut(at).insert((*name).into(), made);
                    made
                }
                Some(next) => match self.body(next) {
                    Body::Directory(_) => next,
                    other => {
                        return Err(Blocked::By {
                            names: depth + 1,
                            found: other.noun(),
                        });
                    }
                },
            };
        }
        Ok(at)
    }

    /// Names `inode` in `directory`. Of two directories the later's metadata holds and the children stay;
    /// anything else replaces what had the name.
    pub(crate) fn insert(
        &mut self,
        directory: InodeId,
        name: &[u8],
        inode: Inode,
    ) -> Result<(), Full> {
        let existing = self.children_mut(directory).get(name).copied();
        if let (Some(existing), Body::Directory(_)) = (existing, &inode.body)
            && self.is_directory(existing)
        {
            self.inodes[existing.index()].metadata = inode.metadata;
            return Ok(());
        }
        let id = self.add(inode)?;
        self.link(directory, name, id);
        Ok(())
    }

    /// Gives `inode` the name in a directory; false, and nothing changed, if something has it already.
    ///
    /// # Panics
    /// If `directory` is none.
    pub(crate) fn name_once(&mut self, directory: InodeId, name: &[u8], inode: InodeId) -> bool {
        match self.children_mut(directory).entry(name.into()) {
            btree_map::Entry::Vacant(place) => {
                place.insert(inode);
                true
            }
            btree_map::Entry::Occupied(_) => false,
        }
    }

    /// A name of `inode` in a directory; it is looked for among all of them.
    pub(crate) fn name_of(&self, directory: InodeId, inode: InodeId) -> Option<&[u8]> {
        let Body::Directory(children) = self.body(directory) else {
            return None;
        };
        let mut named = children.iter().filter(|(_, child)| **child == inode);
        named.next().map(|(name, _)| &**name)
    }

    /// Gives `inode` the name, whatever had it before.
    pub(crate) fn link(&mut self, directory: InodeId, name: &[u8], inode: InodeId) {
        self.children_mut(directory).insert(name.into(), inode);
    }

    /// Makes each name of what has several an inode of its own.
    ///
    /// # Errors
    /// If there are more than can be numbered.
    pub(crate) fn break_links(&mut self) -> Result<(), Full> {
        let mut is_named = vec![false; self.inodes.len()];
        for directory in 0..self.inodes.len() {
            let Body::Directory(children) = &mut self.inodes[directory].body else {
                continue;
            };
            let mut children = std::mem::take(children);
            for id in children.values_mut() {
                let named = &mut is_named[id.index()];
                if *named && !self.is_directory(*id) {
                    let copy = self.inodes[id.index()].clone();
                    *id = self.add(copy)?;
                    continue;
                }
                *named = true;
            }
            self.set_children(InodeId::of_index(directory), children);
        }
        Ok(())
    }

    /// Removes the name at `path`, with all that is below it, as a layer's whiteout asks; whether there was one. Other names
    /// of what was there keep it.
    pub(crate) fn remove(&mut self, path: &[&[u8]]) -> bool {
        let Some((name, parents)) = path.split_last() else {
            return false;
        };
        match self.lookup(parents) {
            Some(parent) if self.is_directory(parent) => {
                self.children_mut(parent).remove(*name).is_some()
            }
            _ => false,
        }
    }

    /// Removes all that is below the directory at `path`, which stays, as a layer's opaque marker asks; whether there is such
    /// a directory.
    pub(crate) fn empty(&mut self, path: &[&[u8]]) -> bool {
        match self.lookup(path) {
            Some(directory) if self.is_directory(directory) => {
                self.children_mut(directory).clear();
                true
            }
            _ => false,
        }
    }

    fn is_directory(&self, id: InodeId) -> bool {
        matches!(self.body(id), Body::Directory(_))
    }

    /// Removes every name that `excluded` says yes to, asking with the path from the root and whether it is a directory.
    pub(crate) fn prune(&mut self, mut excluded: impl FnMut(&[Box<[u8]>], bool) -> bool) {
        let mut path: Vec<Box<[u8]>> = Vec::new();
        // A directory that is entered, or the leaving of one.
        let mut stack = vec![Some((InodeId::ROOT, Box::<[u8]>::default()))];
        while let Some(step) = stack.pop() {
            let Some((directory, name)) = step else {
                path.pop();
                continue;
            };
            path.push(name);
            stack.push(None);
            let mut children = std::mem::take(self.children_mut(directory));
            children.retain(|name, id| {
                let is_directory = self.is_directory(*id);
                path.push(name.clone());
                let keep = !excluded(&path[1..], is_directory);
                path.pop();
                if keep && is_directory {
                    stack.push(Some((*id, name.clone())));
                }
                keep
            });
            *self.children_mut(directory) = children;
        }
    }

    /// Makes the directory at `path` the root, and forgets what is not below it.
    pub(crate) fn descend(&mut self, path: &[&[u8]]) -> Result<(), &'static str> {
        let found = self.lookup(path).ok_or("not in it")?;
        match self.body(found) {
            Body::Directory(_) => {
                self.inodes.swap(0, found.index());
                Ok(())
            }
            other => Err(other.noun()),
        }
    }

    /// Whether there is nothing but a root.
    pub(crate) fn is_bare(&self) -> bool {
        match &self.inode(InodeId::ROOT).body {
            Body::Directory(children) => children.is_empty(),
            _ => false,
        }
    }

    /// Takes `count` names off the beginning of every path; what has no more than those goes. Directories that become one
    /// are merged in the order of their names.
    pub(crate) fn strip(&mut self, count: u32) -> Result<(), Ungraftable> {
        for _ in 0..count {
            let children = std::mem::take(self.children_mut(InodeId::ROOT));
            if children.is_empty() {
                break;
            }
            let directories = children.into_values();
            for directory in directories
                .filter(|id| self.is_directory(*id))
                .collect::<Vec<_>>()
            {
                self.merge(InodeId::ROOT, directory)?;
            }
        }
        Ok(())
    }

    /// Sets owners and modes of everything that the source says something about. Times that are later than `latest` become it.
    pub(crate) fn apply(
        &mut self,
        owner: Option<(u32, u32)>,
        mode: Option<&ModeRule>,
        latest: Option<Timestamp>,
        sets: &mut AttributeSets,
    ) {
        for inode in &mut self.inodes {
            let Some(metadata) = &mut inode.metadata else {
                continue;
            };
            if let Some((uid, gid)) = owner {
                (metadata.uid, metadata.gid) = (uid, gid);
            }
            if let (Some(modified), Some(latest)) = (&mut metadata.modified, latest) {
                *modified = latest.min(*modified);
            }
            let is_symlink = matches!(inode.body, Body::Other(Kind::Symlink(_)));
            if let Some(rule) = mode
                && !is_symlink
            {
                let is_directory = matches!(inode.body, Body::Directory(_));
                metadata.mode = rule.apply(metadata.mode, is_directory);
                metadata.attributes = sets.with_mode(metadata.attributes, metadata.mode);
            }
        }
    }

    /// Merges `other`'s root directory into the directory `at`.
    pub(crate) fn graft(&mut self, at: InodeId, other: Self) -> Result<(), Ungraftable> {
        if at == InodeId::ROOT && self.inodes.len() == 1 && self.inodes[0].metadata.is_none() {
            *self = other;
            return Ok(());
        }
        let base = u32::try_from(self.inodes.len()).map_err(|_| Ungraftable::Full)?;
        let total = self.inodes.len() + other.inodes.len();
        u32::try_from(total).map_err(|_| Ungraftable::Full)?;
        self.inodes
            .extend(other.inodes.into_iter().map(|mut inode| {
                if let Body::Directory(children) = &mut inode.body {
                    for id in children.values_mut() {
                        id.0 += base;
                    }
                }
                inode
            }));
        self.merge(at, InodeId(base))
    }

    /// A root directory that is not yet part of anything, for what is merged later.
    pub(crate) fn add_root(&mut self) -> Result<InodeId, Full> {
        self.add(implied_directory())
    }

    /// Merges what is below `layer`, a root of its own, into this root, as the layer of a container image: a directory replaces a
    /// symbolic link too. Returns the paths at which one did that of which the layer has no member, with the targets.
    pub(crate) fn merge_layer(&mut self, layer: InodeId) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut hidden = Vec::new();
        let merged = self.merge_with(InodeId::ROOT, layer, |path, target, is_implied| {
            if is_implied {
                hidden.push((path, target));
            }
            Ok(())
        });
        merged.expect("links are replaced");
        hidden
    }

    /// A directory does not replace a symbolic link: what lies behind the link would be lost to its users, as all of
    /// `/usr/lib` where `/lib` points there.
    fn merge(&mut self, into: InodeId, from: InodeId) -> Result<(), Ungraftable> {
        self.merge_with(into, from, |path, target, _| {
            Err(Ungraftable::DirectoryOverSymlink { path, target })
        })
    }

    /// Merges two directories. `over_link` decides where a directory would replace a symbolic link: it is given the path, the link's
    /// target, and whether nothing is known of the directory.
    fn merge_with(
        &mut self,
        into: InodeId,
        from: InodeId,
        mut over_link: impl FnMut(Vec<u8>, Vec<u8>, bool) -> Result<(), Ungraftable>,
    ) -> Result<(), Ungraftable> {
        let mut pairs = vec![(into, from, Vec::new())];
        while let Some((into, from, path)) = pairs.pop() {
            if let Some(metadata) = self.inodes[from.index()].metadata.take() {
                self.inodes[into.index()].metadata = Some(metadata);
            }
            for (name, id) in std::mem::take(self.children_mut(from)) {
                let existing = self.children_mut(into).get(&name).copied();
                match existing {
                    Some(existing) if self.is_directory(existing) && self.is_directory(id) => {
                        pairs.push((existing, id, below(&path, &name)));
                    }
                    Some(existing) if self.is_directory(id) => {
                        if let Body::Other(Kind::Symlink(target)) = self.body(existing) {
                            let is_implied = self.inode(id).metadata.is_none();
                            over_link(below(&path, &name), target.to_vec(), is_implied)?;
                        }
                        self.children_mut(into).insert(name, id);
                    }
                    _ => {
                        self.children_mut(into).insert(name, id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts the nodes into their final order.
    pub(crate) fn into_tree(
        self,
        stores: Vec<Box<dyn Store>>,
        sets: AttributeSets,
        default_time: Option<Timestamp>,
    ) -> Result<Tree, SourceError> {
        let mut flattening = Flattening::new(self, stores, sets);
        flattening.run()?;
        Ok(flattening.finish(default_time))
    }
}

fn below(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}

fn implied_directory() -> Inode {
    Inode {
        metadata: None,
        body: Body::Directory(Children::new()),
    }
}

/// A directory's node, and those of its children that are still to come.
type Descent = (NodeId, btree_map::IntoIter<Box<[u8]>, InodeId>);

/// The walk through a forest that emits a tree.
struct Flattening {
    inodes: Vec<Inode>,
    /// Where an inode got its first node.
    seen: Vec<Option<NodeId>>,
    /// Nodes of which no source says the time.
    timeless: Vec<NodeId>,
    newest: Option<Timestamp>,
    tree: Tree,
}

impl Flattening {
    fn new(forest: Forest, stores: Vec<Box<dyn Store>>, sets: AttributeSets) -> Self {
        Self {
            seen: vec![None; forest.inodes.len()],
            timeless: Vec::new(),
            newest: None,
            tree: Tree {
                entries: Vec::with_capacity(forest.inodes.len()),
                names: Vec::new(),
                attribute_sets: sets.into_vec(),
                contents: Vec::new(),
                stores,
                newest: Timestamp::FALLBACK,
                dated: false,
            },
            inodes: forest.inodes,
        }
    }

    fn run(&mut self) -> Result<(), SourceError> {
        let mut open: Vec<Descent> = Vec::new();
        open.extend(self.emit(NodeId::ROOT, b"", InodeId::ROOT)?);
        while let Some((parent, children)) = open.last_mut() {
            match children.next() {
                None => drop(open.pop()),
                Some((name, inode)) => {
                    let parent = *parent;
                    open.extend(self.emit(parent, &name, inode)?);
                }
            }
        }
        Ok(())
    }

    /// Appends a node; returns a directory's children, which come next.
    fn emit(
        &mut self,
        parent: NodeId,
        name: &[u8],
        inode: InodeId,
    ) -> Result<Option<Descent>, SourceError> {
        let id = u32::try_from(self.tree.entries.len())
            .map(NodeId)
            .map_err(|_| SourceError::TooManyNodes)?;
        let (kind, content, children) = self.kind_of(id, inode)?;
        let metadata = self.metadata_of(id, inode);
        self.tree.entries.push(Entry {
            parent,
            name_start: self.tree.names.len(),
            kind,
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            modified: metadata.modified.unwrap_or_default(),
            attributes: metadata.attributes,
            content,
        });
        self.tree.names.extend_from_slice(name);
        Ok(children.map(|children| (id, children.into_iter())))
    }

    fn kind_of(
        &mut self,
        id: NodeId,
        inode: InodeId,
    ) -> Result<(Kind, u32, Option<Children>), SourceError> {
        if let Some(first) = self.seen[inode.index()] {
            return Ok((Kind::HardLink(first), 0, None));
        }
        self.seen[inode.index()] = Some(id);
        let taken = Body::Other(Kind::Fifo);
        Ok(
            match std::mem::replace(&mut self.inodes[inode.index()].body, taken) {
                Body::Directory(children) => (Kind::Directory, 0, Some(children)),
                Body::Other(kind) => (kind, 0, None),
                Body::File {
                    size,
                    sparse,
                    content,
                } => {
                    let number = u32::try_from(self.tree.contents.len())
                        .map_err(|_| SourceError::TooManyNodes)?;
                    self.tree.contents.push(content);
                    (Kind::File { size, sparse }, number, None)
                }
            },
        )
    }

    fn metadata_of(&mut self, id: NodeId, inode: InodeId) -> Metadata {
        let metadata = self.inodes[inode.index()].metadata.clone();
        let metadata = metadata.unwrap_or(Metadata::IMPLIED);
        self.newest = self.newest.max(metadata.modified);
        if metadata.modified.is_none() {
            self.timeless.push(id);
        }
        metadata
    }

    fn finish(mut self, default_time: Option<Timestamp>) -> Tree {
        let invented = default_time.or(self.newest).unwrap_or(Timestamp::FALLBACK);
        for id in &self.timeless {
            self.tree.entries[index(id.0)].modified = invented;
        }
        self.tree.newest = self.newest.unwrap_or(invented);
        self.tree.dated = self.newest.is_some();
        self.tree.entries.shrink_to_fit();
        self.tree
    }
}

#[cfg(test)]
mod tests {
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
}
