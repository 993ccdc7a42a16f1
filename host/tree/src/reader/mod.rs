//! The bytes of a tree's files.

mod joined;

pub use joined::Portion;

use super::{Kind, NodeId, Range, Tree, index};
use crate::source::SourceError;
use crate::source::beneath::{OpenDirectories, open_file};
use crate::source::content::{Content, Piece, Place, Stamp, Store};
use crate::source::directory::{Walked, failure};
use cellblock_text::PathBytes;
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Reads files of a tree. Each thread has its own: it keeps the last file open, and the directories on the way to it, so
/// that reading in the tree's order costs few system calls (a small file: open, read, check, close).
///
/// Whatever is read from a file of the host is checked afterwards: when device, inode, size, modification or change time are
/// no longer those that the tree was made with, the result is [`SourceError::Changed`].
#[derive(Debug)]
pub struct Reader<'t> {
    tree: &'t Tree,
    /// Open directories, for each store.
    directories: Vec<OpenDirectories>,
    /// The last file of a source directory.
    open: Option<(NodeId, OwnedFd)>,
    /// What stands between neighbours in an archive, and is read along with them.
    gaps: Vec<u8>,
}

/// A stretch of a file's data and where to copy it from.
#[derive(Clone, Copy, Debug)]
pub struct Extent<'r> {
    /// First byte in the file.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
    /// Where the bytes are.
    pub data: Data<'r>,
}

/// Where the bytes of an extent are.
#[derive(Clone, Copy, Debug)]
pub enum Data<'r> {
    /// In an open file.
    Descriptor {
        /// The file, fit for `pread(2)` and `copy_file_range(2)`. Its own position means nothing.
        fd: BorrowedFd<'r>,
        /// The extent's first byte there.
        position: u64,
    },
    /// In memory: exactly the extent's bytes.
    Memory(&'r [u8]),
}

/// A file, its links resolved.
#[derive(Clone, Copy)]
struct Located<'t> {
    id: NodeId,
    size: u64,
    sparse: bool,
    content: &'t Content,
    store: &'t Store,
}

impl<'t> Reader<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            directories: tree
                .stores
                .iter()
                .map(|_| OpenDirectories::default())
                .collect(),
            open: None,
            gaps: Vec::new(),
        }
    }

    /// Fills `buffer` with the bytes of `file` from `offset` on; holes are zeros. A hard link reads as its file.
    ///
    /// # Errors
    /// When the bytes are not all in the file, the file cannot be read, or it changed since the tree was made.
    pub fn read(
        &mut self,
        file: NodeId,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), SourceError> {
        let located = self.locate(file)?;
        let length = u64::try_from(buffer.len()).expect("a length fits 64 bits");
        let end = self.check_range(located, offset, length)?;
        if length == 0 {
            return Ok(());
        }
        let complete = match (located.store, &located.content.place) {
            (Store::Directory(walked), Place::Walked { stamp, .. }) => {
                let fd = self.opened(located, walked)?;
                let complete = read_exact(fd, buffer, offset);
                let complete = complete.map_err(|error| self.failure(located, "read", error))?;
                self.verify_opened(located, walked, stamp)?;
                if end == located.size {
                    self.open = None;
                }
                complete
            }
            (Store::Memory(bytes), _) => {
                buffer.copy_from_slice(slice(bytes, offset, length));
                true
            }
            (Store::Shared { file, .. } | Store::Private { file, .. }, place) => {
                let result = read_place(file.as_fd(), place, buffer, offset);
                let complete = result.map_err(|error| self.failure(located, "read", error))?;
                self.verify_shared(located)?;
                complete
            }
            _ => unreachable!("a place fits its store"),
        };
        if complete {
            Ok(())
        } else {
            Err(self.shrunk(located, end))
        }
    }

    /// Where `file` has data, ascending; the rest is holes, and reads as zeros. A file without holes is one range, an empty
    /// one none.
    ///
    /// # Errors
    /// When the file cannot be read, or it changed since the tree was made.
    pub fn ranges(&mut self, file: NodeId) -> Result<Vec<Range>, SourceError> {
        let located = self.locate(file)?;
        let size = located.size;
        if !located.sparse && size > 0 {
            return Ok(vec![Range {
                offset: 0,
                length: size,
            }]);
        }
        let extents = self.extents(file, 0, size)?;
        let range = |extent: &Extent<'_>| Range {
            offset: extent.offset,
            length: extent.length,
        };
        let ranges = extents.iter().map(range).collect();
        Ok(ranges)
    }

    /// Where the data of `length` bytes of `file` from `offset` on are to be copied from, ascending, holes left out. After
    /// copying, call [`Reader::verify`].
    ///
    /// # Errors
    /// When the bytes are not all in the file, the file cannot be opened, or it changed since the tree was made.
    pub fn extents(
        &mut self,
        file: NodeId,
        offset: u64,
        length: u64,
    ) -> Result<Vec<Extent<'_>>, SourceError> {
        let located = self.locate(file)?;
        let end = self.check_range(located, offset, length)?;
        if length == 0 {
            return Ok(Vec::new());
        }
        let wanted = Piece {
            offset,
            length,
            position: offset,
        };
        match (located.store, &located.content.place) {
            (Store::Memory(bytes), _) => Ok(vec![Extent {
                offset,
                length,
                data: Data::Memory(slice(bytes, offset, length)),
            }]),
            (Store::Shared { file, .. } | Store::Private { file, .. }, Place::Pieces(pieces)) => {
                let first = pieces.partition_point(|piece| piece.offset + piece.length <= offset);
                Ok(pieces[first..]
                    .iter()
                    .take_while(|piece| piece.offset < end)
                    .map(|piece| extent(file.as_fd(), clip(*piece, offset, end)))
                    .collect())
            }
            (Store::Shared { file, .. } | Store::Private { file, .. }, Place::At(start)) => {
                // Only a whole file of the host has holes of its own.
                let pieces = if located.sparse {
                    data_pieces(file.as_fd(), offset, end)
                        .map_err(|error| self.failure(located, "find the holes of", error))?
                } else {
                    vec![Piece {
                        position: start + offset,
                        ..wanted
                    }]
                };
                Ok(pieces
                    .into_iter()
                    .map(|piece| extent(file.as_fd(), piece))
                    .collect())
            }
            (Store::Directory(walked), Place::Walked { stamp, .. }) => {
                let known = self.is_open(located.id);
                let fd = self.opened(located, walked)?;
                let pieces = if located.sparse {
                    data_pieces(fd, offset, end)
                        .map_err(|error| self.failure(located, "find the holes of", error))?
                } else {
                    vec![wanted]
                };
                if located.sparse || !known {
                    self.verify_opened(located, walked, stamp)?;
                }
                let fd = self.opened(located, walked)?;
                Ok(pieces.into_iter().map(|piece| extent(fd, piece)).collect())
            }
            _ => unreachable!("a place fits its store"),
        }
    }

    /// Checks that `file` is still what it was when the tree was made. Needed after copying [`Reader::extents`].
    ///
    /// # Errors
    /// [`SourceError::Changed`] when it is not.
    pub fn verify(&mut self, file: NodeId) -> Result<(), SourceError> {
        let located = self.locate(file)?;
        match (located.store, &located.content.place) {
            (Store::Directory(walked), Place::Walked { stamp, .. }) => {
                self.opened(located, walked)?;
                self.verify_opened(located, walked, stamp)
            }
            _ => self.verify_shared(located),
        }
    }

    fn locate(&self, id: NodeId) -> Result<Located<'t>, SourceError> {
        let tree = self.tree;
        let id = match tree.node(id).kind {
            Kind::HardLink(first) => *first,
            _ => id,
        };
        match tree.node(id).kind {
            Kind::File { size, sparse } => {
                let content = &tree.contents[index(tree.entries[id.index()].content)];
                Ok(Located {
                    id,
                    size: *size,
                    sparse: *sparse,
                    content,
                    store: &tree.stores[index(content.store)],
                })
            }
            kind => Err(SourceError::NotAFile {
                path: PathBytes(tree.path(id)),
                found: kind.noun(),
            }),
        }
    }

    /// The end of the range, which is in the file.
    fn check_range(
        &self,
        located: Located<'_>,
        offset: u64,
        length: u64,
    ) -> Result<u64, SourceError> {
        offset
            .checked_add(length)
            .filter(|end| *end <= located.size)
            .ok_or_else(|| SourceError::OutOfRange {
                path: PathBytes(self.tree.path(located.id)),
                offset,
                length,
                size: located.size,
            })
    }

    fn is_open(&self, file: NodeId) -> bool {
        self.open.as_ref().is_some_and(|(id, _)| *id == file)
    }

    /// The file of a source directory, open.
    fn opened(
        &mut self,
        located: Located<'t>,
        walked: &'t Walked,
    ) -> Result<BorrowedFd<'_>, SourceError> {
        if !self.is_open(located.id) {
            self.open = None;
            let opened = self
                .open_walked(located, walked)
                .map_err(|error| self.failure(located, "open", error))?;
            self.open = Some((located.id, opened));
        }
        let (_, fd) = self.open.as_ref().expect("it was just opened");
        Ok(fd.as_fd())
    }

    fn open_walked(&mut self, located: Located<'t>, walked: &'t Walked) -> Result<OwnedFd, Errno> {
        let (directory, name) = self.walked_name(located);
        let directories = &mut self.directories[index(located.content.store)];
        let route = directories.route(&walked.directories, directory);
        let fd = directories.follow(walked.root.as_fd(), &route)?;
        open_file(fd, name)
    }

    /// The directory's number and the name there of a file of a source directory.
    fn walked_name(&self, located: Located<'t>) -> (u32, &'t [u8]) {
        match &located.content.place {
            Place::Walked {
                directory, name, ..
            } => {
                let own = self.tree.name(located.id);
                (*directory, name.as_deref().unwrap_or(own))
            }
            _ => unreachable!("only files of source directories are opened by name"),
        }
    }

    fn verify_opened(
        &self,
        located: Located<'t>,
        walked: &Walked,
        stamp: &Stamp,
    ) -> Result<(), SourceError> {
        let (_, fd) = self.open.as_ref().expect("it was opened before");
        stamp.verify(located.size, fd, || {
            let (directory, name) = self.walked_name(located);
            (walked.path.clone(), walked.path_of(directory, name))
        })
    }

    fn verify_shared(&self, located: Located<'t>) -> Result<(), SourceError> {
        match located.store {
            Store::Shared {
                file, stamp, size, ..
            } => stamp.verify(*size, file, || self.place_name(located)),
            _ => Ok(()),
        }
    }

    /// What messages call a file: its source, and its path there or in the tree.
    fn place_name(&self, located: Located<'t>) -> (PathBuf, PathBytes) {
        match located.store {
            Store::Directory(walked) => {
                let (directory, name) = self.walked_name(located);
                (walked.path.clone(), walked.path_of(directory, name))
            }
            Store::Shared { path, .. } | Store::Private { path, .. } => {
                (path.clone(), PathBytes(self.tree.path(located.id)))
            }
            Store::Memory(_) => (PathBuf::new(), PathBytes(self.tree.path(located.id))),
        }
    }

    fn failure(&self, located: Located<'t>, action: &'static str, error: Errno) -> SourceError {
        let (root, path) = self.place_name(located);
        failure(&root, path, action, error)
    }

    fn shrunk(&self, located: Located<'t>, end: u64) -> SourceError {
        let (root, path) = self.place_name(located);
        SourceError::Changed {
            root,
            path,
            what: "size",
            was: located.size.to_string(),
            is: format!("less than {end}"),
        }
    }
}

fn extent(fd: BorrowedFd<'_>, piece: Piece) -> Extent<'_> {
    Extent {
        offset: piece.offset,
        length: piece.length,
        data: Data::Descriptor {
            fd,
            position: piece.position,
        },
    }
}

/// The part of a piece that is in `offset..end`, with which it overlaps.
fn clip(piece: Piece, offset: u64, end: u64) -> Piece {
    let from = piece.offset.max(offset);
    let to = (piece.offset + piece.length).min(end);
    Piece {
        offset: from,
        length: to - from,
        position: piece.position + (from - piece.offset),
    }
}

/// The data of an open file in `offset..end`.
fn data_pieces(fd: BorrowedFd<'_>, offset: u64, end: u64) -> Result<Vec<Piece>, Errno> {
    let mut pieces = Vec::new();
    let mut at = offset;
    while at < end {
        let data = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
            // Only a hole is left.
            Err(Errno::NXIO) => break,
            found => found?,
        };
        if data >= end {
            break;
        }
        let hole = rustix::fs::seek(fd, SeekFrom::Hole(data))?.min(end);
        pieces.push(Piece {
            offset: data,
            length: hole - data,
            position: data,
        });
        at = hole;
    }
    Ok(pieces)
}

fn slice(bytes: &[u8], offset: u64, length: u64) -> &[u8] {
    let position = |offset| usize::try_from(offset).expect("it is in memory");
    &bytes[position(offset)..position(offset + length)]
}

/// Reads from a place of an opened file; `false` when it ended before.
fn read_place(
    fd: BorrowedFd<'_>,
    place: &Place,
    buffer: &mut [u8],
    offset: u64,
) -> Result<bool, Errno> {
    match place {
        Place::At(start) => read_exact(fd, buffer, start + offset),
        Place::Pieces(pieces) => {
            let end = offset + u64::try_from(buffer.len()).expect("a length fits 64 bits");
            let first = pieces.partition_point(|piece| piece.offset + piece.length <= offset);
            buffer.fill(0);
            for piece in pieces[first..]
                .iter()
                .take_while(|piece| piece.offset < end)
            {
                let part = clip(*piece, offset, end);
                let target = &mut buffer[small(part.offset - offset)..][..small(part.length)];
                if !read_exact(fd, target, part.position)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Place::Walked { .. } => unreachable!("a place fits its store"),
    }
}

/// A length or position in a buffer.
fn small(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it is in the buffer")
}

/// Fills the buffer from `offset` on; `false` when the file ends before.
fn read_exact(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Result<bool, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        let at = offset + u64::try_from(done).expect("a length fits 64 bits");
        match rustix::io::pread(fd, &mut buffer[done..], at) {
            Ok(0) => return Ok(false),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
