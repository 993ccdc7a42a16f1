//! A composefs dumpfile as a source: metadata in one text, content in a folder of objects.
//!
//! ```text
//!   dumpfile ──> lines: path, size, mode, owners, time, attributes ──> forest
//!                  ├── content ──> memory
//!                  └── payload ──> a file below `basedir`, held to its size and to its fs-verity digest
//! ```
//!
//! The format is that of composefs-dump(5). Hard links may name what comes later, and one another. Of a regular file the payload is a
//! path below the folder of objects, in which no link is followed. Objects of files that are left out are not looked for.

mod error;
mod fields;
mod fsverity;
mod objects;
mod wanted;

pub use error::DumpError;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Cursor, Read as _};
use std::path::{Path, PathBuf};

use super::budget::{Kept, OverBudget};
use super::error::SourceError;
use super::forest::{Body, Forest, Inode, InodeId, Metadata};
use super::input;
use super::store::{MemoryStore, StoredFile, long};
use crate::Kind;
use crate::recognise::{Class, Format, HEAD, recognise};
use cellblock_text::PathBytes;
use fields::{Row, RowKind};
use wanted::{WantedObject, WantedObjects};

/// The bytes of one line: a path, a target, all attributes that a node may have, and content that is written out.
const MOST_LINE: usize = 1 << 20;

/// A composefs dumpfile, and what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The dumpfile, or `-` for standard input.
    pub file: PathBuf,
    /// The folder of objects, if any file has its content there.
    pub basedir: Option<PathBuf>,
}

/// A dumpfile that was read.
pub(super) struct ReadDump {
    pub(super) forest: Forest,
    /// What is written out in it: the first store.
    pub(super) written: MemoryStore,
    pub(super) objects: WantedObjects,
}

/// Reads a dumpfile; its stores have the numbers from `store` on.
pub(super) fn read(dump: &Dump, store: u32, kept: &mut Kept) -> Result<ReadDump, SourceError> {
    let open = |error| SourceError::Open {
        path: dump.file.clone(),
        error,
    };
    let not_one = |found, advice| SourceError::NotADump {
        path: dump.file.clone(),
        found,
        advice,
    };
    let mut file = input::open(&dump.file).map_err(open)?;
    let mut head = Vec::new();
    let read = file.by_ref().take(long(HEAD)).read_to_end(&mut head);
    read.map_err(open)?;
    // Text can have the marks of some formats in it.
    if !head.starts_with(b"/")
        && let Some(format) = recognise(&head)
    {
        return Err(not_one(format.name, advice(format)));
    }
    let mut reader = BufReader::new(Cursor::new(head).chain(file));
    let mut planting = Planting {
        dump,
        forest: Forest::new(),
        kept,
        store,
        written: Vec::new(),
        objects: Vec::new(),
        links: BTreeMap::new(),
        seen: BTreeSet::new(),
    };
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        let most = long(MOST_LINE + 1);
        let read = reader.by_ref().take(most).read_until(b'\n', &mut line);
        if read.map_err(open)? == 0 {
            break;
        }
        number += 1;
        if line.len() > MOST_LINE {
            return Err(failure(
                &dump.file,
                number,
                DumpError::LongLine { limit: MOST_LINE },
            ));
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        if !line.is_empty() {
            planting.line(number, line)?;
        }
    }
    if planting.seen.is_empty() {
        return Err(failure(&dump.file, 1, DumpError::Empty));
    }
    planting.finish()
}

/// What helps against something that is no dumpfile.
fn advice(format: &Format) -> &'static str {
    match format.class {
        Class::Compressed(_) | Class::OtherCompression => "decompress it first",
        Class::Filesystem => {
            "`composefs-info dump IMAGE` writes that of an image; with image: before its path it is content itself"
        }
        _ => "it is text, and its lines begin with a path",
    }
}

fn failure(path: &Path, line: usize, error: DumpError) -> SourceError {
    SourceError::Dump {
        path: path.into(),
        line,
        error,
    }
}

struct Planting<'a> {
    dump: &'a Dump,
    forest: Forest,
    kept: &'a mut Kept,
    /// The number of the store of what is written out; objects have the next one.
    store: u32,
    written: Vec<Vec<u8>>,
    objects: Vec<WantedObject>,
    /// Hard links by their path.
    links: BTreeMap<Vec<u8>, Link>,
    /// Every path, hard links included.
    seen: BTreeSet<Vec<u8>>,
}

/// A hard link that is still to be made.
struct Link {
    line: usize,
    target: Vec<u8>,
    /// What it leads to, once that is known.
    inode: Option<InodeId>,
}

/// The names of an absolute path.
fn names(path: &[u8]) -> Vec<&[u8]> {
    let names = path.split(|byte| *byte == b'/');
    names.filter(|name| !name.is_empty()).collect()
}

impl Planting<'_> {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), SourceError> {
        let failed = |error| failure(&self.dump.file, number, error);
        let row = Row::parse(line).map_err(failed)?;
        let path = row.path.clone();
        if !self.seen.insert(path.clone()) {
            let path = PathBytes(path);
            return Err(failed(DumpError::Twice { path }));
        }
        let length = path.len() + row.written_bytes();
        if let RowKind::HardLink(target) = row.content {
            self.count(&path, length)?;
            let link = Link {
                line: number,
                target,
                inode: None,
            };
            self.links.insert(path, link);
            return Ok(());
        }
        let metadata = Metadata {
            mode: row.mode,
            uid: row.uid,
            gid: row.gid,
            modified: Some(row.modified),
            attributes: self.kept.sets.number(row.attributes),
        };
        let body = match row.content {
            RowKind::Directory => Body::Directory(BTreeMap::new()),
            RowKind::Other(kind) => Body::Other(kind),
            RowKind::Written(bytes) => self.written(bytes)?,
            RowKind::Object { payload, digest } => self.object(WantedObject {
                line: number,
                path: path.clone(),
                payload,
                size: row.size,
                digest,
            })?,
            RowKind::HardLink(_) => unreachable!("it was taken before"),
        };
        self.count(&path, length)?;
        self.plant(number, &path, metadata, body)
    }

    fn plant(
        &mut self,
        number: usize,
        path: &[u8],
        metadata: Metadata,
        body: Body,
    ) -> Result<(), SourceError> {
        let names = names(path);
        let Some((name, parents)) = names.split_last() else {
            if !matches!(body, Body::Directory(_)) {
                let error = DumpError::Field {
                    field: "mode",
                    value: path.into(),
                    reason: "is that of no directory",
                };
                return Err(failure(&self.dump.file, number, error));
            }
            self.forest.set_metadata(InodeId::ROOT, metadata);
            return Ok(());
        };
        let parent = self.parent(number, path, parents)?;
        let metadata = Some(metadata);
        Ok(self.forest.insert(parent, name, Inode { metadata, body })?)
    }

    /// The directory that a path is in.
    fn parent(
        &self,
        number: usize,
        path: &[u8],
        parents: &[&[u8]],
    ) -> Result<InodeId, SourceError> {
        let parent = self.forest.lookup(parents);
        let is_known = self.forest.inode(InodeId::ROOT).metadata.is_some();
        let parent =
            parent.filter(|id| is_known && matches!(self.forest.body(*id), Body::Directory(_)));
        parent.ok_or_else(|| {
            failure(
                &self.dump.file,
                number,
                DumpError::NoParent { path: path.into() },
            )
        })
    }

    fn count(&mut self, path: &[u8], length: usize) -> Result<(), SourceError> {
        self.kept
            .node(long(length))
            .map_err(|OverBudget { kept, limit }| SourceError::Kept {
                root: self.dump.file.clone(),
                path: path.into(),
                kept,
                limit,
            })
    }

    /// A file whose content is in the dumpfile.
    fn written(&mut self, bytes: Vec<u8>) -> Result<Body, SourceError> {
        let number = u32::try_from(self.written.len()).map_err(|_| SourceError::TooManyNodes)?;
        let size = long(bytes.len());
        self.written.push(bytes);
        Ok(Body::File {
            size,
            sparse: false,
            content: StoredFile {
                store: self.store,
                number,
            },
        })
    }

    /// A file whose content is an object, which nobody has looked for yet.
    fn object(&mut self, wanted: WantedObject) -> Result<Body, SourceError> {
        let number = u32::try_from(self.objects.len()).map_err(|_| SourceError::TooManyNodes)?;
        let size = wanted.size;
        self.objects.push(wanted);
        Ok(Body::File {
            size,
            sparse: false,
            content: StoredFile {
                store: self.store.checked_add(1).ok_or(SourceError::TooManyNodes)?,
                number,
            },
        })
    }

    fn finish(mut self) -> Result<ReadDump, SourceError> {
        self.resolve()?;
        for (path, link) in std::mem::take(&mut self.links) {
            let names = names(&path);
            let Some((name, parents)) = names.split_last() else {
                return Err(self.wrong_link(&path, &link, "no name for the root directory"));
            };
            let parent = self.parent(link.line, &path, parents)?;
            let inode = link.inode.expect("every link was resolved");
            self.forest.link(parent, name, inode);
        }
        Ok(ReadDump {
            forest: self.forest,
            written: MemoryStore(self.written),
            objects: WantedObjects {
                dump: self.dump.clone(),
                store: self.store,
                wanted: self.objects,
            },
        })
    }

    /// Finds what hard links lead to, which may be other links: each is looked at once, though many lead through it.
    fn resolve(&mut self) -> Result<(), SourceError> {
        let paths: Vec<Vec<u8>> = self.links.keys().cloned().collect();
        for first in &paths {
            // The links on the way, of which none is resolved.
            let mut way: Vec<&[u8]> = Vec::new();
            let mut at = &first[..];
            let inode = loop {
                let Some(link) = self.links.get(at) else {
                    break self.target(way.last().expect("the first one is a link"))?;
                };
                if let Some(inode) = link.inode {
                    break inode;
                }
                if way.len() > self.links.len() {
                    return Err(self.wrong_link(first, &self.links[first], CIRCLE));
                }
                way.push(at);
                at = &link.target;
            };
            let way: Vec<Vec<u8>> = way.into_iter().map(<[u8]>::to_vec).collect();
            for path in way {
                if let Some(link) = self.links.get_mut(&path) {
                    link.inode = Some(inode);
                }
            }
        }
        Ok(())
    }

    /// What a link to no other link leads to.
    fn target(&self, path: &[u8]) -> Result<InodeId, SourceError> {
        let link = &self.links[path];
        match self.forest.lookup(&names(&link.target)) {
            None => Err(self.wrong_link(path, link, "in no line of a file")),
            Some(to) if matches!(self.forest.body(to), Body::Directory(_)) => {
                Err(self.wrong_link(path, link, "a directory"))
            }
            Some(to) => Ok(to),
        }
    }

    fn wrong_link(&self, path: &[u8], link: &Link, found: &'static str) -> SourceError {
        let error = DumpError::LinkTarget {
            path: path.into(),
            target: link.target.as_slice().into(),
            found,
        };
        failure(&self.dump.file, link.line, error)
    }
}

/// What a link is that leads to itself.
const CIRCLE: &str = "a hard link that leads back to it";

/// What a node is that has neither children nor content.
fn device(rdev: u64) -> (u32, u32) {
    (rustix::fs::major(rdev), rustix::fs::minor(rdev))
}

/// A character device by its number.
fn character(rdev: u64) -> Kind {
    let (major, minor) = device(rdev);
    Kind::CharacterDevice { major, minor }
}

/// A block device by its number.
fn block(rdev: u64) -> Kind {
    let (major, minor) = device(rdev);
    Kind::BlockDevice { major, minor }
}

#[cfg(test)]
mod tests;
