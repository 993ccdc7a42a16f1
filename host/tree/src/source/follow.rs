//! Symbolic links of a source, replaced by what they lead to in it: for formats that store none.

use std::collections::btree_map;

use super::forest::{Body, Children, Forest, Inode, InodeId};
use crate::Kind;

/// Links that one path may go through, as in Linux (`MAXSYMLINKS`).
const LINKS: usize = 40;
/// So many times the nodes of the source may come of it, and [`SPARE`] more: links in linked directories multiply.
const TIMES: u64 = 16;
const SPARE: u64 = 1000;

/// A link that cannot be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unfollowable {
    pub(crate) path: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) reason: &'static str,
}

/// A directory that is being made.
struct Level {
    name: Box<[u8]>,
    /// What it is in the old forest.
    old: InodeId,
    /// What it is in the new one.
    new: InodeId,
    /// Whether a link led here, so that hard links are copies too.
    is_copy: bool,
    left: btree_map::IntoIter<Box<[u8]>, InodeId>,
    made: Children,
}

/// The forest without its symbolic links. Absolute targets begin at its root.
pub(crate) fn follow(old: &Forest) -> Result<Forest, Unfollowable> {
    let mut following = Following {
        old,
        parents: parents(old),
        new: Forest::new(),
        known: vec![None; old.inodes().len()],
        levels: Vec::new(),
    };
    following.run()?;
    Ok(following.new)
}

/// The directory that each directory is in.
fn parents(forest: &Forest) -> Vec<InodeId> {
    let mut parents = vec![InodeId::ROOT; forest.inodes().len()];
    for (number, inode) in forest.inodes().iter().enumerate() {
        let Body::Directory(children) = &inode.body else {
            continue;
        };
        for child in children.values() {
            parents[child.index()] = InodeId::of_index(number);
        }
    }
    parents
}

struct Following<'f> {
    old: &'f Forest,
    parents: Vec<InodeId>,
    new: Forest,
    /// What has been made of the old forest's inodes that no link led to.
    known: Vec<Option<InodeId>>,
    levels: Vec<Level>,
}

impl Following<'_> {
    fn run(&mut self) -> Result<(), Unfollowable> {
        let root = self.old.inode(InodeId::ROOT);
        if let Some(metadata) = root.metadata.clone() {
            self.new.set_metadata(InodeId::ROOT, metadata);
        }
        self.enter(Box::default(), InodeId::ROOT, InodeId::ROOT, false);
        while let Some(level) = self.levels.last_mut() {
            match level.left.next() {
                Some((name, id)) => self.child(name, id)?,
                None => self.leave(),
            }
        }
        Ok(())
    }

    fn enter(&mut self, name: Box<[u8]>, old: InodeId, new: InodeId, is_copy: bool) {
        let left = match &self.old.inode(old).body {
            Body::Directory(children) => children.clone(),
            _ => Children::new(),
        };
        self.levels.push(Level {
            name,
            old,
            new,
            is_copy,
            left: left.into_iter(),
            made: Children::new(),
        });
    }

    fn leave(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.new.set_children(level.new, level.made);
        }
    }

    fn child(&mut self, name: Box<[u8]>, id: InodeId) -> Result<(), Unfollowable> {
        let level = self.levels.last().expect("a child is of a level");
        let (directory, mut is_copy) = (level.old, level.is_copy);
        let mut found = id;
        if let Body::Other(Kind::Symlink(target)) = &self.old.inode(id).body {
            let refuse = |reason| self.refusal(&name, target, reason);
            found = self.resolve(directory, target).map_err(refuse)?;
            is_copy = true;
            if self.levels.iter().any(|level| level.old == found) {
                return Err(refuse("leads to a directory that it is in"));
            }
            if self.new.len() > self.old.len() * TIMES + SPARE {
                return Err(refuse(
                    "is one link too many: they make 16 times as many nodes as there are",
                ));
            }
        }
        if !is_copy && let Some(known) = self.known[found.index()] {
            self.name(name, known);
            return Ok(());
        }
        let Inode { metadata, body } = self.old.inode(found);
        let body = match body {
            Body::Directory(_) => Body::Directory(Children::new()),
            Body::File {
                size,
                sparse,
                content,
            } => Body::File {
                size: *size,
                sparse: *sparse,
                content: *content,
            },
            Body::Other(kind) => Body::Other(kind.clone()),
        };
        let is_directory = matches!(body, Body::Directory(_));
        let made = Inode {
            metadata: metadata.clone(),
            body,
        };
        // The bound above is far below what can be numbered, unless the source is near it itself.
        let made = self.new.add(made).map_err(|_| Unfollowable {
            path: self.path(&name),
            target: Vec::new(),
            reason: "is one node more than can be numbered",
        })?;
        if !is_copy {
            self.known[found.index()] = Some(made);
        }
        self.name(name.clone(), made);
        if is_directory {
            self.enter(name, found, made, is_copy);
        }
        Ok(())
    }

    fn name(&mut self, name: Box<[u8]>, id: InodeId) {
        let level = self.levels.last_mut().expect("a child is of a level");
        level.made.insert(name, id);
    }

    fn path(&self, name: &[u8]) -> Vec<u8> {
        let names = self.levels.iter().skip(1).map(|level| &*level.name);
        crate::join_path(names.chain([name]))
    }

    fn refusal(&self, name: &[u8], target: &[u8], reason: &'static str) -> Unfollowable {
        Unfollowable {
            path: self.path(name),
            target: target.to_vec(),
            reason,
        }
    }

    /// What a link in `directory` leads to: no link.
    fn resolve(&self, directory: InodeId, target: &[u8]) -> Result<InodeId, &'static str> {
        const NOWHERE: &str = "leads to nothing in the source";
        let mut at = directory;
        let mut links = 1;
        let mut names = Vec::new();
        let mut target = target;
        loop {
            if target.starts_with(b"/") {
                at = InodeId::ROOT;
            }
            names.extend(target.split(|byte| *byte == b'/').rev());
            target = loop {
                let Some(name) = names.pop() else {
                    return Ok(at);
                };
                let Body::Directory(children) = &self.old.inode(at).body else {
                    return Err(NOWHERE);
                };
                match name {
                    b"" | b"." => {}
                    b".." if at == InodeId::ROOT => return Err("leads out of the source"),
                    b".." => at = self.parents[at.index()],
                    name => {
                        let next = *children.get(name).ok_or(NOWHERE)?;
                        if let Body::Other(Kind::Symlink(target)) = &self.old.inode(next).body {
                            break target;
                        }
                        at = next;
                    }
                }
            };
            links += 1;
            if links > LINKS {
                return Err("leads through more than 40 links");
            }
        }
    }
}
