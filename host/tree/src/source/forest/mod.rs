//! The merging of sources. Names lead to inodes, as in a file system, so that hard links need no care: whatever
//! happens to one name, the others keep their inode, and the first name in the final order becomes the file.

mod flatten;
mod merge;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, btree_map};

use flatten::Flattening;
pub(crate) use merge::{Hidden, Ungraftable};

use super::attributes::AttributeSets;
use super::error::SourceError;
use super::mode::ModeRule;
use super::store::{Store, StoredFile};
use crate::{Kind, Timestamp, Tree, index};

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

    /// Which inodes have a name, the root included.
    pub(crate) fn named(&self) -> Vec<bool> {
        let mut named = vec![false; self.inodes.len()];
        let mut pending = vec![InodeId::ROOT];
        while let Some(id) = pending.pop() {
            // A directory has one name.
            named[id.index()] = true;
            if let Body::Directory(children) = self.body(id) {
                pending.extend(children.values());
            }
        }
        named
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

    /// The first symbolic link on the way to `path` below the directory `root`, its end included: how many names lead to the link,
    /// and its target.
    pub(crate) fn symlink_in(&self, root: InodeId, path: &[&[u8]]) -> Option<(usize, &[u8])> {
        let mut at = root;
        for (name, count) in path.iter().zip(1..) {
            at = self.lookup_in(at, &[name])?;
            if let Body::Other(Kind::Symlink(target)) = self.body(at) {
                return Some((count, target));
            }
        }
        None
    }

    /// Takes a name out of a directory, with all that is below it.
    ///
    /// # Panics
    /// If `directory` is none.
    pub(crate) fn unname(&mut self, directory: InodeId, name: &[u8]) {
        self.children_mut(directory).remove(name);
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
    /// are merged in the order of their names. Returns what that hides.
    pub(crate) fn strip(&mut self, count: u32) -> Result<Hidden, Ungraftable> {
        let mut hidden = Hidden::default();
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
                hidden.extend(self.merge(InodeId::ROOT, directory)?);
            }
        }
        Ok(hidden)
    }

    /// Times that are later than `latest` become it.
    pub(crate) fn clamp(&mut self, latest: Timestamp) {
        let metadata = self.inodes.iter_mut().filter_map(|it| it.metadata.as_mut());
        for modified in metadata.filter_map(|it| it.modified.as_mut()) {
            *modified = latest.min(*modified);
        }
    }

    /// Sets owners and modes of everything that the source says something about.
    pub(crate) fn apply(
        &mut self,
        owner: Option<(u32, u32)>,
        mode: Option<&ModeRule>,
        sets: &mut AttributeSets,
    ) {
        for inode in &mut self.inodes {
            let Some(metadata) = &mut inode.metadata else {
                continue;
            };
            if let Some((uid, gid)) = owner {
                (metadata.uid, metadata.gid) = (uid, gid);
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
