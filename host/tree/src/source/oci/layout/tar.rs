//! An image in a tar: its members are found by their headers, and read where they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::super::super::archive::blocks::{Blocks, Plain, ReadAt as _};
use super::super::super::archive::member::{Member, MemberKind, Members};
use super::super::super::archive::names;
use super::super::super::archive::packed::{self, Opened};
use super::super::super::error::{ArchiveError, SourceError};
use super::super::super::input::is_standard_input;
use super::super::super::stamp::{Stamp, status};
use super::super::super::store::Span;
use super::super::Means;
use super::super::error::ImageError;
use super::{Blob, INDEX, MARK, SAVED};
use crate::Kind;

/// The most members of a tar that is an image.
const MEMBERS: usize = 100_000;
/// The most links from one member to the next.
const LINKS: usize = 8;

/// Where a member's bytes are.
#[derive(Clone, Debug)]
enum Item {
    File {
        offset: u64,
        length: u64,
    },
    /// The names of another member's path: the older `docker save` has each layer once, and links to it.
    Link(Vec<Vec<u8>>),
    Other(&'static str),
}

#[derive(Debug)]
pub(in super::super) struct TarLayout {
    file: File,
    shared: Option<(Stamp, u64)>,
    items: BTreeMap<Vec<u8>, Item>,
}

impl TarLayout {
    /// Reads the headers of a tar; what is compressed, or comes through a pipe, goes into a temporary file. Returns the bytes that
    /// it was decompressed to.
    pub(super) fn open(path: &Path, means: &Means<'_>) -> Result<(Self, u64), SourceError> {
        let archive = |error| SourceError::Archive {
            path: path.into(),
            error,
        };
        let (plain, shared, expanded) = match packed::open(path)? {
            Opened::Plain(plain) => {
                let shared = Some((plain.stamp, plain.length));
                (plain, shared, 0)
            }
            Opened::Packed(packed) => {
                let spool = (means.spool)().map_err(ArchiveError::Spool);
                let unpacked = spool
                    .and_then(|spool| packed.unpack(spool, means.decompressors, means.expanded))
                    .and_then(|unpacking| {
                        // All of it is wanted: where the members are is not known yet.
                        unpacking.reach(u64::MAX)?;
                        unpacking.finish()
                    });
                let (file, expanded) = unpacked.map_err(archive)?;
                let status =
                    status(&file).map_err(|error| archive(ArchiveError::Read(error.into())))?;
                let stamp = Stamp::of_open(&status);
                let plain = Plain {
                    file,
                    stamp,
                    length: expanded,
                };
                (plain, None, expanded)
            }
        };
        let items = items(&plain).map_err(archive)?;
        let layout = Self {
            file: plain.file,
            shared,
            items,
        };
        Ok((layout, expanded))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let within = [name.as_bytes(), b"/"].concat();
        let from = self.items.range(name.as_bytes().to_vec()..);
        let mut first = from.take(2).map(|(found, _)| found);
        first.any(|found| found == name.as_bytes() || found.starts_with(&within))
    }

    pub(super) fn blob(&self, name: &str) -> Result<Blob, ImageError> {
        let mut path = name.as_bytes().to_vec();
        for _ in 0..=LINKS {
            match self.items.get(&path) {
                Some(Item::File { offset, length }) => {
                    let file = self.file.try_clone().map_err(|error| ImageError::Open {
                        name: name.as_bytes().into(),
                        error,
                    })?;
                    return Ok(Blob {
                        name: name.as_bytes().into(),
                        file,
                        shared: self.shared,
                        offset: *offset,
                        length: *length,
                    });
                }
                Some(Item::Link(target)) => path = target.join(&b'/'),
                Some(Item::Other(found)) => {
                    return Err(ImageError::NotAFile {
                        name: name.as_bytes().into(),
                        found,
                    });
                }
                None => break,
            }
        }
        Err(ImageError::Open {
            name: name.as_bytes().into(),
            error: std::io::ErrorKind::NotFound.into(),
        })
    }
}

fn items(plain: &Plain) -> Result<BTreeMap<Vec<u8>, Item>, ArchiveError> {
    let mut items = BTreeMap::new();
    for member in Members::new(Blocks::new(plain), None) {
        let member = member?;
        if items.len() == MEMBERS {
            return Err(ArchiveError::NotAnArchive {
                hint: Some("an archive of many members, and no container image"),
            });
        }
        let path = names(&member.path, &member.path)?.join(&b'/');
        let item = item(&member, &path)?;
        items.insert(path, item);
    }
    Ok(items)
}

fn item(member: &Member, path: &[u8]) -> Result<Item, ArchiveError> {
    Ok(match &member.kind {
        MemberKind::File {
            size,
            span: Span::From(offset),
            ..
        } => Item::File {
            offset: *offset,
            length: *size,
        },
        MemberKind::File { .. } => Item::Other("a file with holes"),
        MemberKind::HardLink(target) => Item::Link(owned(&names(target, &member.path)?)),
        MemberKind::Other(Kind::Symlink(target)) => relative(path, target),
        MemberKind::Directory => Item::Other(Kind::Directory.noun()),
        MemberKind::Other(kind) => Item::Other(kind.noun()),
    })
}

/// Where a symbolic link leads within the tar.
fn relative(path: &[u8], target: &[u8]) -> Item {
    let mut names: Vec<Vec<u8>> = path
        .split(|byte| *byte == b'/')
        .map(<[u8]>::to_vec)
        .collect();
    names.pop();
    for name in target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if names.pop().is_none() => {
                return Item::Other("a link that leads out of the image");
            }
            b".." => {}
            name => names.push(name.to_vec()),
        }
    }
    if target.starts_with(b"/") {
        return Item::Other("a link that leads out of the image");
    }
    Item::Link(names)
}

fn owned(names: &[&[u8]]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.to_vec()).collect()
}

/// Whether the file or directory at `path` is a container image, as far as names tell: a tar with the documents of one and
/// nothing that only another archive has. A compressed tar is not looked into.
///
/// What cannot be read is none.
#[must_use]
pub fn looks_like_image(path: &Path) -> bool {
    if path.is_dir() {
        return path.join(MARK).is_file() && path.join(INDEX).is_file();
    }
    if is_standard_input(path) {
        return false;
    }
    let Ok(Opened::Plain(plain)) = packed::open(path) else {
        return false;
    };
    let mut is_image = false;
    for member in Members::new(Blocks::new(&plain), None).take(MEMBERS) {
        let Ok(member) = member else { return false };
        let Ok(path) = names(&member.path, &member.path) else {
            return false;
        };
        if !path.is_empty() && !is_of_image(&path) {
            return false;
        }
        is_image |= path == [INDEX.as_bytes()] || path == [SAVED.as_bytes()];
    }
    is_image
}

/// Whether an image may have a member of this path.
fn is_of_image(path: &[&[u8]]) -> bool {
    let is_id = |name: &[u8]| name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit);
    match path {
        [b"blobs", ..] => true,
        [b"index.json" | b"oci-layout" | b"manifest.json" | b"repositories"] => true,
        [name] => {
            let stem = name
                .strip_suffix(b".json")
                .or_else(|| name.strip_suffix(b".tar"))
                .unwrap_or(name);
            is_id(stem)
        }
        [id, b"VERSION" | b"json" | b"layer.tar"] => is_id(id),
        _ => false,
    }
}
