//! A tar archive as a source.
//!
//! The archive is read, never unpacked: its headers become a forest, and the bytes of its files stay where they are, in
//! the archive itself, or, if that is compressed, in a temporary file that it is decompressed into once.
//!
//! Understood are POSIX ustar and pax, GNU (long names, sparse members, large numbers) and the v7 format. Where an archive
//! has a name more than once the last member holds, as it would on unpacking. Owners are taken by number; user and group names
//! are not looked up, as they would mean something else on each machine. The end is a block of zeros or, as for GNU tar, the
//! end of the file after a complete member; anything after a block of zeros is ignored.

mod blocks;
mod compression;
mod header;
mod member;
mod pax;
mod sparse;

pub(super) use compression::open;

use super::attributes::AttributeSets;
use super::content::{Content, Store};
use super::error::{ArchiveError, PathBytes};
use super::forest::{Blocked, Body, Forest, Full, Inode, InodeId, Metadata};
use crate::tree::Kind;
use blocks::{Blocks, ReadAt};
use member::{Member, Members, What};
use std::fs::File;

/// An archive that is ready to be read.
#[derive(Debug)]
pub(super) struct Opened {
    /// What holds its bytes: uncompressed.
    pub(super) store: Store,
    /// Bytes of temporary file that it takes.
    pub(super) spooled: u64,
}

/// Reads the headers of an archive.
pub(super) fn read(
    opened: &Opened,
    store: u32,
    sets: &mut AttributeSets,
) -> Result<Forest, ArchiveError> {
    match &opened.store {
        Store::Shared { file, size, .. } => read_from(file, *size, store, sets),
        Store::Private { file, .. } => read_from::<File>(file, opened.spooled, store, sets),
        Store::Directory(_) | Store::Memory(_) => unreachable!("archives are files"),
    }
}

fn read_from<R: ReadAt>(
    bytes: &R,
    length: u64,
    store: u32,
    sets: &mut AttributeSets,
) -> Result<Forest, ArchiveError> {
    let mut members = Members::new(Blocks::new(bytes, length));
    let mut planting = Planting {
        forest: Forest::new(),
        store,
        sets,
    };
    while let Some(member) = members.next()? {
        planting.add(member)?;
    }
    Ok(planting.forest)
}

/// The growing forest of an archive.
struct Planting<'a> {
    forest: Forest,
    store: u32,
    sets: &'a mut AttributeSets,
}

impl Planting<'_> {
    fn add(&mut self, member: Member) -> Result<(), ArchiveError> {
        let path = names(&member.path, &member.path)?;
        let metadata = Metadata {
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            modified: Some(member.modified),
            attributes: self.sets.number(member.attributes),
        };
        let body = match member.what {
            What::HardLink(target) => return self.link(&member.path, &path, &target),
            What::Directory => Body::Directory(Default::default()),
            What::Other(kind) => Body::Other(kind),
            What::File {
                size,
                sparse,
                place,
            } => Body::File {
                size,
                sparse,
                content: Content {
                    store: self.store,
                    place,
                },
            },
        };
        let Some((name, parents)) = path.split_last() else {
            return self.root(&member.path, &body, metadata);
        };
        let parent = self.directory(&member.path, parents)?;
        let inode = Inode {
            metadata: Some(metadata),
            body,
        };
        Ok(self.forest.insert(parent, name, inode)?)
    }

    /// The member `./`: the root directory itself.
    fn root(&mut self, member: &[u8], body: &Body, metadata: Metadata) -> Result<(), ArchiveError> {
        if !matches!(body, Body::Directory(_)) {
            return Err(ArchiveError::Name {
                member: member.into(),
                reason: "names the root, but is no directory",
            });
        }
        self.forest.set_metadata(InodeId::ROOT, metadata);
        Ok(())
    }

    fn link(&mut self, member: &[u8], path: &[&[u8]], target: &[u8]) -> Result<(), ArchiveError> {
        let refuse = |found| ArchiveError::LinkTarget {
            member: member.into(),
            target: target.into(),
            found,
        };
        let inode = self
            .forest
            .lookup(&names(target, member)?)
            .ok_or_else(|| refuse("no earlier member"))?;
        if matches!(self.forest.body(inode), Body::Directory(_)) {
            return Err(refuse(Kind::Directory.noun()));
        }
        let Some((name, parents)) = path.split_last() else {
            return Err(ArchiveError::Name {
                member: member.into(),
                reason: "names the root, but is no directory",
            });
        };
        let parent = self.directory(member, parents)?;
        self.forest.link(parent, name, inode);
        Ok(())
    }

    fn directory(&mut self, member: &[u8], parents: &[&[u8]]) -> Result<InodeId, ArchiveError> {
        self.forest
            .directory_at(parents)
            .map_err(|blocked| match blocked {
                Blocked::Full => ArchiveError::TooManyMembers,
                Blocked::By { names, found } => ArchiveError::BelowNonDirectory {
                    member: member.into(),
                    parent: PathBytes(parents[..names].join(&b'/')),
                    found,
                },
            })
    }
}

impl From<Full> for ArchiveError {
    fn from(_: Full) -> Self {
        Self::TooManyMembers
    }
}

/// The names of a member's path, or of its link target; `.` and doubled slashes do not count.
fn names<'p>(path: &'p [u8], member: &[u8]) -> Result<Vec<&'p [u8]>, ArchiveError> {
    let names: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .collect();
    let reason = if path.is_empty() {
        "is empty"
    } else if path.starts_with(b"/") {
        "is an absolute path"
    } else if names.contains(&&b".."[..]) {
        "has '..' in it"
    } else if path.contains(&0) {
        "has a NUL byte in it"
    } else {
        return Ok(names);
    };
    let member = if path == member {
        member.into()
    } else {
        PathBytes([member, b" -> ", path].concat())
    };
    Err(ArchiveError::Name { member, reason })
}

#[cfg(test)]
mod tests;
