//! An open file, which is one file of the tree, or holds many: an archive.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::PathBuf;

use cellblock_text::PathBytes;
use rustix::io::Errno;

use super::{Piece, Store, StoreReader, Wanted, data_pieces, long, read_exact, shrunk, small};
use crate::source::error::SourceError;
use crate::source::stamp::{Mark, Stamp};
use crate::source::walked::failure;
use crate::{Extent, index};

/// An open file and where in it the files of the tree are.
#[derive(Debug)]
pub(crate) struct FileStore {
    /// The file, or the archive that was decompressed into it.
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) reach: Reach,
    /// Where the bytes of each of its files are.
    pub(crate) spans: Vec<Span>,
}

/// Who may write to an open file.
#[derive(Debug)]
pub(crate) enum Reach {
    /// Anybody: it was like this when it was opened, and is checked whenever it has been read.
    Shared {
        stamp: Stamp,
        /// In bytes.
        size: u64,
    },
    /// Only this process: it has no name.
    Private,
}

/// Where in an open file the bytes of a file of the tree are.
#[derive(Clone, Debug)]
pub(crate) enum Span {
    /// It is that file, with the holes that it has.
    Whole,
    /// From this byte on, all of them.
    From(u64),
    /// In pieces, ascending; the rest are holes.
    Pieces(Box<[Piece]>),
}

impl Span {
    /// The same in a file in which it stands so many bytes later.
    pub(crate) fn moved(self, bytes: u64) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::From(start) => Self::From(start + bytes),
            Self::Pieces(mut pieces) => {
                for piece in &mut pieces {
                    piece.position += bytes;
                }
                Self::Pieces(pieces)
            }
        }
    }
}

impl Store for FileStore {
    fn reader(&self) -> Box<dyn StoreReader + '_> {
        Box::new(self)
    }

    fn origin(&self) -> Option<(u64, u64)> {
        match &self.reach {
            Reach::Private => None,
            Reach::Shared { stamp, .. } => Some(stamp.identity()),
        }
    }
}

impl FileStore {
    fn span(&self, file: Wanted<'_>) -> &Span {
        &self.spans[index(file.stored.number)]
    }

    /// Reads; `false` when the file ended before.
    fn fill(&self, file: Wanted<'_>, buffer: &mut [u8], offset: u64) -> Result<bool, Errno> {
        let fd = self.file.as_fd();
        let pieces = match self.span(file) {
            Span::Whole => return read_exact(fd, buffer, offset),
            Span::From(start) => return read_exact(fd, buffer, start + offset),
            Span::Pieces(pieces) => pieces,
        };
        let range = offset..offset + long(buffer.len());
        buffer.fill(0);
        for piece in overlapping(pieces, &range) {
            let target = &mut buffer[small(piece.offset - offset)..][..small(piece.length)];
            if !read_exact(fd, target, piece.position)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl StoreReader for &FileStore {
    fn read(
        &mut self,
        file: Wanted<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), SourceError> {
        let complete = self.fill(file, buffer, offset).map_err(|error| {
            let (root, path) = self.name(file);
            failure(&root, path, "read", error)
        })?;
        self.verify(file)?;
        if complete {
            Ok(())
        } else {
            Err(shrunk(file, self.name(file), offset + long(buffer.len())))
        }
    }

    fn extents(
        &mut self,
        file: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<Extent<'_>>, SourceError> {
        let fd = self.file.as_fd();
        let piece = |position| Piece {
            offset: range.start,
            length: range.end - range.start,
            position,
        };
        let pieces = match self.span(file) {
            Span::Whole if file.sparse => data_pieces(fd, &range).map_err(|error| {
                let (root, path) = self.name(file);
                failure(&root, path, "find the holes of", error)
            })?,
            Span::Whole => vec![piece(range.start)],
            Span::From(start) => vec![piece(start + range.start)],
            Span::Pieces(pieces) => overlapping(pieces, &range).collect(),
        };
        Ok(pieces.into_iter().map(|piece| piece.extent(fd)).collect())
    }

    fn verify(&mut self, file: Wanted<'_>) -> Result<(), SourceError> {
        match &self.reach {
            Reach::Private => Ok(()),
            Reach::Shared { stamp, size } => stamp.verify(*size, &self.file, || self.name(file)),
        }
    }

    fn name(&self, file: Wanted<'_>) -> (PathBuf, PathBytes) {
        (self.path.clone(), file.path())
    }

    fn position(&self, file: Wanted<'_>) -> Option<(BorrowedFd<'_>, u64)> {
        match self.span(file) {
            Span::From(start) => Some((self.file.as_fd(), *start)),
            Span::Whole | Span::Pieces(_) => None,
        }
    }

    fn mark(&self, file: Wanted<'_>) -> Option<Mark> {
        let Reach::Shared { stamp, .. } = &self.reach else {
            return None;
        };
        match self.span(file) {
            Span::Whole => Some(Mark::new(stamp, file.size, None)),
            Span::From(start) => Some(Mark::new(stamp, file.size, Some(*start))),
            Span::Pieces(_) => None,
        }
    }
}

/// The parts of `pieces` in `range`.
fn overlapping<'p>(
    pieces: &'p [Piece],
    range: &Range<u64>,
) -> impl Iterator<Item = Piece> + use<'p> {
    let range = range.clone();
    let first = pieces.partition_point(|piece| piece.offset + piece.length <= range.start);
    let (end, clipped) = (range.end, range);
    pieces[first..]
        .iter()
        .take_while(move |piece| piece.offset < end)
        .map(move |piece| piece.clip(&clipped))
}
