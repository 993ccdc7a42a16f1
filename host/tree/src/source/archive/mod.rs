//! A tar archive as a source.
//!
//! The archive is read, never unpacked: its headers become a forest, and the bytes of its files stay where they are, in
//! the archive itself, or, if that is compressed, in a temporary file that it is decompressed into as it is read: a header is
//! judged before anything behind it is decompressed.
//!
//! Understood are POSIX ustar and pax, GNU (long names, sparse members, large numbers) and the v7 format. Where an archive
//! has a name more than once the last member holds, as it would on unpacking. Owners are taken by number; user and group names
//! are not looked up, as they would mean something else on each machine. The end is a block of zeros or, as for GNU tar, the
//! end of the file after a complete member; anything after a block of zeros is ignored, and members there are told of.

pub(super) mod blocks;
pub(super) mod compression;
pub(super) mod member;
pub(super) mod packed;

mod ahead;
mod behind;
mod header;
mod notes;
mod pax;
mod sparse;

pub use compression::{BeyondWindow, Decompressors, InProcess, decompressor};
pub(super) use notes::Notes;
pub(super) use packed::open;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Room;
use super::budget::{Kept, OverBudget};
use super::error::ArchiveError;
use super::forest::{Blocked, Body, Forest, Full, Inode, InodeId, Metadata};
use super::store::{FileStore, Reach, Span, StoredFile, long};
use super::warning::Warning;
use crate::{Attribute, Kind};
use blocks::Blocks;
use cellblock_text::PathBytes;
use member::{Member, MemberKind, Members};
use packed::Opened;

/// Directories that an archive may need without having them as members, beside [`IMPLIED_BY_MEMBER`] for each member:
/// half a kilobyte of a path can stand for hundreds.
const IMPLIED: u64 = 100_000;
/// Directories that each member of an archive may need.
const IMPLIED_BY_MEMBER: u64 = 16;

/// An archive that has been read.
pub(super) struct Archive {
    pub(super) forest: Forest,
    /// What holds its bytes: uncompressed.
    pub(super) store: FileStore,
    /// Bytes that it was decompressed to.
    pub(super) expanded: u64,
    /// Keywords of its pax headers that say nothing to this program, sorted.
    pub(super) unknown: BTreeSet<String>,
    pub(super) warnings: Vec<Warning>,
}

/// Reads the headers of an archive. What is compressed, or comes through a pipe, goes into a file from `spool`, as far as
/// there is room for it.
pub(super) fn read(
    path: &Path,
    opened: Opened,
    spool: &dyn Fn() -> io::Result<File>,
    decompressors: &dyn Decompressors,
    room: Room,
    store: u32,
    kept: &mut Kept,
) -> Result<Archive, ArchiveError> {
    match opened {
        Opened::Plain(plain) => {
            let members = Members::new(Blocks::new(&plain), None);
            let notes = members.notes();
            let planted = ahead::read_ahead(members, |members| plant(members, store, kept))?;
            Ok(Archive {
                forest: planted.forest,
                store: FileStore {
                    path: path.into(),
                    file: plain.file,
                    reach: Reach::Shared {
                        stamp: plain.stamp,
                        size: plain.length,
                    },
                    spans: planted.spans,
                },
                expanded: 0,
                unknown: planted.unknown,
                warnings: notes.warnings(&path.display().to_string()),
            })
        }
        Opened::Packed(packed) => {
            let spool = spool().map_err(ArchiveError::Spool)?;
            let unpacking = packed.unpack(spool, decompressors, room.expanded)?;
            // Nothing is read ahead of what is judged: it would be decompressed.
            let members = Members::new(Blocks::new(&unpacking), room.partition);
            let notes = members.notes();
            let planted = plant(members, store, kept)?;
            let (file, expanded) = unpacking.finish()?;
            Ok(Archive {
                forest: planted.forest,
                store: FileStore {
                    path: path.into(),
                    file,
                    reach: Reach::Private,
                    spans: planted.spans,
                },
                expanded,
                unknown: planted.unknown,
                warnings: notes.warnings(&path.display().to_string()),
            })
        }
    }
}

/// The nodes of an archive, and where the bytes of its files are.
struct Planted {
    forest: Forest,
    spans: Vec<Span>,
    unknown: BTreeSet<String>,
}

fn plant(
    members: impl Iterator<Item = Result<Member, ArchiveError>>,
    store: u32,
    kept: &mut Kept,
) -> Result<Planted, ArchiveError> {
    let mut forest = Forest::new();
    let mut planting = Planting::new(&mut forest, InodeId::ROOT, store, kept);
    for member in members {
        planting.add(member?)?;
    }
    let (spans, unknown) = (planting.spans, planting.unknown);
    Ok(Planted {
        forest,
        spans,
        unknown,
    })
}

/// The growing forest of an archive.
pub(super) struct Planting<'a> {
    pub(super) forest: &'a mut Forest,
    /// The directory that the archive's root becomes.
    root: InodeId,
    /// A directory that hard links may lead into where the archive has no such member: what lies below a layer.
    pub(super) lower: Option<InodeId>,
    /// Where the archive begins in its store, in bytes.
    pub(super) base: u64,
    pub(super) spans: Vec<Span>,
    /// Keywords of pax headers that say nothing to this program.
    pub(super) unknown: BTreeSet<String>,
    members: u64,
    /// Directories that were needed before they were members, if they ever are.
    implied: u64,
    store: u32,
    kept: &'a mut Kept,
    /// The attributes of the last member, and their number.
    attributes: (Arc<[Attribute]>, u32),
}

impl<'a> Planting<'a> {
    /// Below the directory `root`, with the bytes of files in `store`.
    pub(super) fn new(
        forest: &'a mut Forest,
        root: InodeId,
        store: u32,
        kept: &'a mut Kept,
    ) -> Self {
        Self {
            forest,
            root,
            lower: None,
            base: 0,
            spans: Vec::new(),
            unknown: BTreeSet::new(),
            members: 0,
            implied: 0,
            store,
            kept,
            attributes: (Arc::from([]), 0),
        }
    }

    pub(super) fn add(&mut self, member: Member) -> Result<(), ArchiveError> {
        let path = names(&member.path, &member.path)?;
        self.members += 1;
        self.unknown.extend(member.unknown);
        let metadata = Metadata {
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            modified: Some(member.modified),
            attributes: self.number(&member.attributes),
        };
        let name = path.last().map_or(0, |name| name.len());
        self.count(&member.path, long(name) + member.kind.memory())?;
        let body = match member.kind {
            MemberKind::HardLink(target) => return self.link(&member.path, &path, &target),
            MemberKind::Directory => Body::Directory(Default::default()),
            MemberKind::Other(kind) => Body::Other(kind),
            MemberKind::File { size, sparse, span } => Body::File {
                size,
                sparse,
                content: self.stored(span)?,
            },
        };
        let Some((name, parents)) = path.split_last() else {
            return self.root(&member.path, &body, metadata);
        };
        let parent = self.directory(&member.path, parents)?;
        if !matches!(body, Body::Directory(_)) {
            self.keep_full(&member.path, parent, name)?;
        }
        let inode = Inode {
            metadata: Some(metadata),
            body,
        };
        Ok(self.forest.insert(parent, name, inode)?)
    }

    /// Counts a member of which only the path is kept.
    pub(super) fn note(&mut self, member: &Member) -> Result<(), ArchiveError> {
        self.count(&member.path, long(member.path.len()))
    }

    /// Whether there is something at a path, of this archive and not of what lies below.
    pub(super) fn has(&self, path: &[Box<[u8]>]) -> bool {
        self.at(path).is_some()
    }

    /// Takes away what is at a path, of this archive, unless that is a directory.
    pub(super) fn unname(&mut self, path: &[Box<[u8]>]) {
        let Some((name, parents)) = path.split_last() else {
            return;
        };
        let is_directory = |id| matches!(self.forest.body(id), Body::Directory(_));
        if let Some(parent) = self.at(parents).filter(|it| is_directory(*it))
            && self.at(path).is_some_and(|it| !is_directory(it))
        {
            self.forest.unname(parent, name);
        }
    }

    fn at(&self, path: &[Box<[u8]>]) -> Option<InodeId> {
        let names: Vec<&[u8]> = path.iter().map(|name| &**name).collect();
        self.forest.lookup_in(self.root, &names)
    }

    fn count(&mut self, path: &[u8], bytes: u64) -> Result<(), ArchiveError> {
        let counted = self.kept.node(bytes);
        counted.map_err(|OverBudget { kept, limit }| ArchiveError::Kept {
            member: path.into(),
            kept,
            limit,
        })
    }

    fn stored(&mut self, span: Span) -> Result<StoredFile, Full> {
        let number = u32::try_from(self.spans.len()).map_err(|_| Full)?;
        self.spans.push(span.moved(self.base));
        Ok(StoredFile {
            store: self.store,
            number,
        })
    }

    fn number(&mut self, attributes: &Arc<[Attribute]>) -> u32 {
        if !Arc::ptr_eq(attributes, &self.attributes.0) {
            let number = self.kept.sets.number(attributes.to_vec());
            self.attributes = (Arc::clone(attributes), number);
        }
        self.attributes.1
    }

    /// The member `./`: the root directory itself.
    fn root(&mut self, member: &[u8], body: &Body, metadata: Metadata) -> Result<(), ArchiveError> {
        if !matches!(body, Body::Directory(_)) {
            return Err(ArchiveError::Name {
                member: member.into(),
                reason: "names the root, but is no directory",
                advice: "make the archive of a directory (tar -C DIR -cf ARCHIVE .)",
            });
        }
        self.forest.set_metadata(self.root, metadata);
        Ok(())
    }

    /// The symbolic link that a path leads through, here or in what lies below.
    fn symlink_of(&self, names: &[&[u8]]) -> Option<Vec<u8>> {
        let roots = [Some(self.root), self.lower];
        let mut found = roots.into_iter().flatten();
        let (count, _) = found.find_map(|root| self.forest.symlink_in(root, names))?;
        Some(names[..count].join(&b'/'))
    }

    fn link(&mut self, member: &[u8], path: &[&[u8]], target: &[u8]) -> Result<(), ArchiveError> {
        let refuse = |found| ArchiveError::LinkTarget {
            member: member.into(),
            target: target.into(),
            found,
        };
        let target_names = names(target, member)?;
        let found = self.forest.lookup_in(self.root, &target_names);
        let in_lower = |lower| self.forest.lookup_in(lower, &target_names);
        let inode = found
            .or_else(|| self.lower.and_then(in_lower))
            .ok_or_else(|| match self.symlink_of(&target_names) {
                None => refuse("no earlier member"),
                Some(link) => ArchiveError::LinkThroughSymlink {
                    member: member.into(),
                    target: target.into(),
                    link: PathBytes(link),
                },
            })?;
        if matches!(self.forest.body(inode), Body::Directory(_)) {
            return Err(refuse(Kind::Directory.noun()));
        }
        let Some((name, parents)) = path.split_last() else {
            return Err(ArchiveError::Name {
                member: member.into(),
                reason: "names the root, but is no directory",
                advice: "make the archive of a directory (tar -C DIR -cf ARCHIVE .)",
            });
        };
        let parent = self.directory(member, parents)?;
        self.keep_full(member, parent, name)?;
        self.forest.link(parent, name, inode);
        Ok(())
    }

    /// Refuses that what is no directory takes the name of a directory with something in it, which would be lost: tar and bsdtar
    /// remove an empty one only. In layers it is another rule.
    fn keep_full(&self, member: &[u8], parent: InodeId, name: &[u8]) -> Result<(), ArchiveError> {
        if self.lower.is_some() {
            return Ok(());
        }
        let existing = self.forest.lookup_in(parent, &[name]);
        let Some(Body::Directory(children)) = existing.map(|it| self.forest.body(it)) else {
            return Ok(());
        };
        match children.first_key_value() {
            None => Ok(()),
            Some((first, _)) => Err(ArchiveError::OverDirectory {
                member: member.into(),
                kept: PathBytes([member, b"/", first].concat()),
            }),
        }
    }

    fn directory(&mut self, member: &[u8], parents: &[&[u8]]) -> Result<InodeId, ArchiveError> {
        let before = self.forest.len();
        let found =
            self.forest
                .directory_in(self.root, parents)
                .map_err(|blocked| match blocked {
                    Blocked::Full => ArchiveError::TooManyMembers,
                    Blocked::By { names, found } => ArchiveError::BelowNonDirectory {
                        member: member.into(),
                        parent: PathBytes(parents[..names].join(&b'/')),
                        found,
                    },
                })?;
        self.implied += self.forest.len() - before;
        let limit = IMPLIED.saturating_add(self.members.saturating_mul(IMPLIED_BY_MEMBER));
        if self.implied > limit {
            return Err(ArchiveError::ImpliedDirectories {
                member: member.into(),
                implied: self.implied,
                members: self.members,
                limit,
            });
        }
        Ok(found)
    }
}

impl From<Full> for ArchiveError {
    fn from(_: Full) -> Self {
        Self::TooManyMembers
    }
}

/// What helps against members that no file system can have.
const WITHOUT: &str = "make the archive again without it";

/// The names of a member's path, or of its link target; `.`, doubled slashes and those at the beginning do not count.
pub(super) fn names<'p>(path: &'p [u8], member: &[u8]) -> Result<Vec<&'p [u8]>, ArchiveError> {
    let names: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .collect();
    let (reason, advice) = if path.is_empty() {
        ("is empty", WITHOUT)
    } else if names.contains(&&b".."[..]) {
        let advice = "make the archive with relative names (tar -C DIR -cf ARCHIVE .)";
        ("has '..' in it", advice)
    } else if path.contains(&0) {
        ("has a NUL byte in it", WITHOUT)
    } else {
        return Ok(names);
    };
    let member = if path == member {
        member.into()
    } else {
        PathBytes([member, b" -> ", path].concat())
    };
    Err(ArchiveError::Name {
        member,
        reason,
        advice,
    })
}

#[cfg(test)]
pub(super) mod tests;
