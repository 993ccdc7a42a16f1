//! Where the bytes of files are: in stores.
//!
//! A store numbers its files as it likes, and keeps of each what it needs to find it again. Each kind of store is a module
//! with a [`Store`] and its [`StoreReader`]; nothing else knows what kinds there are.

mod file;
mod memory;
mod volume;
mod walked;

pub(crate) use file::{FileStore, Reach, Span};
pub(crate) use memory::MemoryStore;
pub(crate) use volume::{VolumePiece, VolumePlace, VolumeStore};
pub(crate) use walked::{WalkedFile, WalkedStore};

use std::fmt;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use cellblock_text::PathBytes;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::error::SourceError;
use super::stamp::Mark;
use crate::{Data, Extent, NodeId, Tree};

/// Something opened that holds the bytes of files.
pub(crate) trait Store: fmt::Debug + Send + Sync {
    /// One thread's way to its bytes.
    fn reader(&self) -> Box<dyn StoreReader + '_>;

    /// The device and inode of the directory or the archive of the host that it is, if it is one.
    fn origin(&self) -> Option<(u64, u64)> {
        None
    }
}

/// One thread's way to the bytes of a store. The ranges that are asked for are in the file.
pub(crate) trait StoreReader: fmt::Debug + Send {
    /// Fills `buffer` with the bytes of `file` from `offset` on; holes are zeros.
    fn read(&mut self, file: Wanted<'_>, offset: u64, buffer: &mut [u8])
    -> Result<(), SourceError>;

    /// The same for several stretches, which may have to be worked on one by one or together.
    fn read_together(&mut self, stretches: Vec<Stretch<'_>>) -> Result<(), SourceError> {
        let mut stretches = stretches.into_iter();
        stretches.try_for_each(|it| self.read(it.file, it.offset, it.buffer))
    }

    /// Where the data in `range`, which is not empty, are, ascending; what is between them is holes.
    fn extents(
        &mut self,
        file: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<Extent<'_>>, SourceError>;

    /// Which bytes of `range`, which is not empty, are data, ascending.
    fn ranges(
        &mut self,
        file: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<crate::Range>, SourceError> {
        let extents = self.extents(file, range)?;
        let range = |extent: &Extent<'_>| crate::Range {
            offset: extent.offset,
            length: extent.length,
        };
        Ok(extents.iter().map(range).collect())
    }

    /// Checks that `file` is still what it was when the tree was made.
    fn verify(&mut self, file: Wanted<'_>) -> Result<(), SourceError>;

    /// What messages call a file: its source, and its path there or in the tree.
    fn name(&self, file: Wanted<'_>) -> (PathBuf, PathBytes);

    /// Where `file` begins in an open file that it shares with its neighbours, if it is there in one piece.
    fn position(&self, _: Wanted<'_>) -> Option<(BorrowedFd<'_>, u64)> {
        None
    }

    /// What tells that the bytes of `file` are those of another time, if they are in a file of the host that tells of changes.
    fn mark(&self, _: Wanted<'_>) -> Option<Mark> {
        None
    }
}

/// Bytes of a file from `offset` on, and the place for them.
#[derive(Debug)]
pub(crate) struct Stretch<'a> {
    pub(crate) file: Wanted<'a>,
    pub(crate) offset: u64,
    pub(crate) buffer: &'a mut [u8],
}

/// A file of a store, by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredFile {
    /// The store's number in the tree.
    pub(crate) store: u32,
    /// The file's number in the store.
    pub(crate) number: u32,
}

/// A file that is asked for, its links resolved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) id: NodeId,
    pub(crate) stored: StoredFile,
    /// In bytes.
    pub(crate) size: u64,
    /// Whether it has holes.
    pub(crate) sparse: bool,
}

impl<'t> Wanted<'t> {
    /// Its path in the tree.
    pub(crate) fn path(self) -> PathBytes {
        PathBytes(self.tree.path(self.id))
    }

    /// Its name in the tree.
    pub(crate) fn own_name(self) -> &'t [u8] {
        self.tree.name(self.id)
    }
}

/// A stretch of data in a file with holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// First byte in the file.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) length: u64,
    /// First byte in the store.
    pub(crate) position: u64,
}

impl Piece {
    /// The part of it that is in `range`, with which it overlaps.
    fn clip(self, range: &Range<u64>) -> Self {
        let from = self.offset.max(range.start);
        let to = (self.offset + self.length).min(range.end);
        Self {
            offset: from,
            length: to - from,
            position: self.position + (from - self.offset),
        }
    }

    fn extent(self, fd: BorrowedFd<'_>) -> Extent<'_> {
        Extent {
            offset: self.offset,
            length: self.length,
            data: Data::Descriptor {
                fd,
                position: self.position,
            },
        }
    }
}

/// The error for a file that ends before byte `end`.
pub(crate) fn shrunk(
    file: Wanted<'_>,
    (root, path): (PathBuf, PathBytes),
    end: u64,
) -> SourceError {
    SourceError::Changed {
        root,
        path,
        what: "size",
        was: file.size.to_string(),
        is: format!("less than {end}"),
    }
}

/// The data of an open file in a range.
fn data_pieces(fd: BorrowedFd<'_>, range: &Range<u64>) -> Result<Vec<Piece>, Errno> {
    let mut pieces = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let data = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
            // Only a hole is left.
            Err(Errno::NXIO) => break,
            found => found?,
        };
        if data >= range.end {
            break;
        }
        // Kernels fail here for some files of squashfs; all that is left is data then.
        let hole = rustix::fs::seek(fd, SeekFrom::Hole(data)).unwrap_or(range.end);
        let hole = hole.min(range.end);
        pieces.push(Piece {
            offset: data,
            length: hole - data,
            position: data,
        });
        at = hole;
    }
    Ok(pieces)
}

/// A length or position in a buffer.
pub(crate) fn small(bytes: u64) -> usize {
    usize::try_from(bytes).expect("it is in the buffer")
}

/// The length of a buffer in bytes.
pub(crate) fn long(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}

/// Fills the buffer from `offset` on; `false` when the file ends before.
fn read_exact(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Result<bool, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::pread(fd, &mut buffer[done..], offset + long(done)) {
            Ok(0) => return Ok(false),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
