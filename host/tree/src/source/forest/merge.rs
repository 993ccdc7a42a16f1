//! One forest into another, and the layers of an image into each other.

use cellblock_text::PathBytes;

use super::super::error::SourceError;
use super::{Body, Forest, Full, InodeId, below, implied_directory};
use crate::Kind;

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

/// A directory with something in it whose place something else has taken.
#[derive(Debug)]
pub(crate) struct HiddenDirectory {
    /// Its path, from where the merging began.
    pub(crate) path: Vec<u8>,
    /// What took its place.
    pub(crate) by: &'static str,
    /// How many entries it has, those in its directories included.
    pub(crate) entries: u64,
}

/// What a merging hides that nobody may have meant.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    pub(crate) directories: Vec<HiddenDirectory>,
    /// Symbolic links that gave way to a directory of which nothing is known but that something is in it: the path, from where the merging
    /// began, and the target. Only a layer replaces any.
    pub(crate) links: Vec<(Vec<u8>, Vec<u8>)>,
    /// What else gave way so, with what it was.
    pub(crate) files: Vec<(Vec<u8>, &'static str)>,
}

impl Hidden {
    pub(super) fn extend(&mut self, other: Self) {
        self.directories.extend(other.directories);
        self.links.extend(other.links);
        self.files.extend(other.files);
    }
}

impl Forest {
    /// Merges `other`'s root directory into the directory `at`. Returns what that hides.
    pub(crate) fn graft(&mut self, at: InodeId, other: Self) -> Result<Hidden, Ungraftable> {
        if at == InodeId::ROOT && self.inodes.len() == 1 && self.inodes[0].metadata.is_none() {
            *self = other;
            return Ok(Hidden::default());
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
    /// symbolic link too.
    pub(crate) fn merge_layer(&mut self, layer: InodeId) -> Hidden {
        let mut links = Vec::new();
        let over_link = |path, target, is_implied| {
            if is_implied {
                links.push((path, target));
            }
            Ok(())
        };
        let merged = self.merge_with(InodeId::ROOT, layer, over_link);
        Hidden {
            links,
            ..merged.expect("links are replaced")
        }
    }

    /// A directory does not replace a symbolic link: what lies behind the link would be lost to its users, as all of
    /// `/usr/lib` where `/lib` points there.
    pub(super) fn merge(&mut self, into: InodeId, from: InodeId) -> Result<Hidden, Ungraftable> {
        let over_link = |path, target, _| Err(Ungraftable::DirectoryOverSymlink { path, target });
        self.merge_with(into, from, over_link)
    }

    /// Merges two directories. `over_link` decides where a directory would replace a symbolic link: it is given the path, the link's
    /// target, and whether nothing is known of the directory.
    fn merge_with(
        &mut self,
        into: InodeId,
        from: InodeId,
        mut over_link: impl FnMut(Vec<u8>, Vec<u8>, bool) -> Result<(), Ungraftable>,
    ) -> Result<Hidden, Ungraftable> {
        let mut hidden = Hidden::default();
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
                        let is_implied = self.inode(id).metadata.is_none();
                        match self.body(existing) {
                            Body::Other(Kind::Symlink(target)) => {
                                over_link(below(&path, &name), target.to_vec(), is_implied)?;
                            }
                            body if is_implied => {
                                hidden.files.push((below(&path, &name), body.noun()));
                            }
                            _ => {}
                        }
                        self.children_mut(into).insert(name, id);
                    }
                    _ => {
                        if let Some(existing) = existing.filter(|it| self.is_directory(*it)) {
                            let entries = self.entries_below(existing);
                            if entries > 0 {
                                hidden.directories.push(HiddenDirectory {
                                    path: below(&path, &name),
                                    by: self.body(id).noun(),
                                    entries,
                                });
                            }
                        }
                        self.children_mut(into).insert(name, id);
                    }
                }
            }
        }
        Ok(hidden)
    }

    /// How many names there are below a directory.
    fn entries_below(&self, id: InodeId) -> u64 {
        let mut entries = 0;
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            if let Body::Directory(children) = self.body(id) {
                entries += u64::try_from(children.len()).expect("a length fits 64 bits");
                pending.extend(children.values());
            }
        }
        entries
    }
}
