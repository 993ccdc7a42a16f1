//! A composefs dumpfile as a source: metadata in one text, content in a folder of objects.
//!
//! ```text
//!   dumpfile ──> lines: path, size, mode, owners, time, attributes ──> forest
//!                  ├── content ──> memory
//!                  └── payload ──> a file below `basedir`, held to its size and to its fs-verity digest
//! ```
//!
//! The format is that of composefs-dump(5). Hard links may name what comes later. Of a regular file the payload is a path below
//! the folder of objects, in which no link is followed.

mod error;
mod fields;
mod fsverity;
mod objects;

pub use error::DumpError;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::budget::{Kept, OverBudget};
use super::error::SourceError;
use super::forest::{Body, Forest, Inode, InodeId, Metadata};
use super::store::{MemoryStore, Store, StoredFile, long};
use crate::Kind;
use cellblock_text::PathBytes;
use fields::{Row, RowKind};
use objects::Objects;

/// The bytes of one line: a path, a target, all attributes that a node may have, and content that is written out.
const MOST_LINE: usize = 1 << 20;

/// A composefs dumpfile, and what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The dumpfile.
    pub file: PathBuf,
    /// The folder of objects, if any file has its content there.
    pub basedir: Option<PathBuf>,
}

/// A dumpfile that was read.
pub(super) struct ReadDump {
    pub(super) forest: Forest,
    /// What holds the content, in the order of the stores' numbers.
    pub(super) stores: Vec<Box<dyn Store>>,
}

/// Reads a dumpfile; its stores have the numbers from `store` on.
pub(super) fn read(dump: &Dump, store: u32, kept: &mut Kept) -> Result<ReadDump, SourceError> {
    let open = |error| SourceError::Open {
        path: dump.file.clone(),
        error,
    };
    let mut reader = BufReader::new(File::open(&dump.file).map_err(open)?);
    let mut planting = Planting {
        dump,
        forest: Forest::new(),
        kept,
        store,
        written: Vec::new(),
        objects: None,
        links: Vec::new(),
        seen: BTreeMap::new(),
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
    objects: Option<Objects>,
    /// Hard links, with their lines.
    links: Vec<(usize, Vec<u8>, Vec<u8>)>,
    /// Every path, hard links included.
    seen: BTreeMap<Vec<u8>, ()>,
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
        if self.seen.insert(path.clone(), ()).is_some() {
            let path = PathBytes(path);
            return Err(failed(DumpError::Twice { path }));
        }
        let length = path.len() + row.written_bytes();
        if let RowKind::HardLink(target) = row.content {
            self.links.push((number, path.clone(), target));
            return self.count(&path, length);
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
            RowKind::Object { payload, digest } => {
                let body = self.object(number, &path, &payload, row.size, digest.as_deref())?;
                self.seen.insert(path.clone(), ());
                body
            }
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

    /// A file whose content is an object.
    fn object(
        &mut self,
        line: usize,
        path: &[u8],
        payload: &[u8],
        size: u64,
        digest: Option<&str>,
    ) -> Result<Body, SourceError> {
        let failed = |error| failure(&self.dump.file, line, error);
        let Some(basedir) = &self.dump.basedir else {
            return Err(failed(DumpError::NoBasedir {
                payload: payload.into(),
            }));
        };
        if self.objects.is_none() {
            self.objects = Some(Objects::open(basedir)?);
        }
        let objects = self.objects.as_mut().expect("it was just opened");
        let object = objects.get(payload)?;
        if object.size != size {
            return Err(failed(DumpError::Size {
                path: path.into(),
                said: size,
                found: object.size,
            }));
        }
        if let Some(said) = digest {
            let found = objects.digest(payload, said.len())?;
            if found != said {
                return Err(failed(DumpError::Digest {
                    payload: payload.into(),
                    said: said.to_owned(),
                    found,
                }));
            }
        }
        Ok(Body::File {
            size,
            sparse: object.sparse,
            content: StoredFile {
                store: self.store.checked_add(1).ok_or(SourceError::TooManyNodes)?,
                number: object.number,
            },
        })
    }

    fn finish(mut self) -> Result<ReadDump, SourceError> {
        for (line, path, target) in std::mem::take(&mut self.links) {
            let failed = |found| {
                let error = DumpError::LinkTarget {
                    path: path.as_slice().into(),
                    target: target.as_slice().into(),
                    found,
                };
                failure(&self.dump.file, line, error)
            };
            let to = self.forest.lookup(&names(&target));
            let to = to.ok_or_else(|| failed("in no line of a file"))?;
            if matches!(self.forest.body(to), Body::Directory(_)) {
                return Err(failed("a directory"));
            }
            let names = names(&path);
            let Some((name, parents)) = names.split_last() else {
                return Err(failed("no name for the root directory"));
            };
            let parent = self.parent(line, &path, parents)?;
            self.forest.link(parent, name, to);
        }
        let mut stores: Vec<Box<dyn Store>> = vec![Box::new(MemoryStore(self.written))];
        if let Some(objects) = self.objects {
            stores.push(Box::new(objects.into_store()));
        }
        Ok(ReadDump {
            forest: self.forest,
            stores,
        })
    }
}

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
