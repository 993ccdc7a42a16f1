//! The files of a directory of the host, opened one by one as they are read.

use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use cap_std::fs::Dir;
use cellblock_text::PathBytes;
use rustix::io::Errno;

use super::{Piece, Store, StoreReader, Wanted, data_pieces, long, read_exact, shrunk};
use crate::source::beneath::{OpenDirectories, Record, open_file};
use crate::source::error::SourceError;
use crate::source::stamp::{FileId, Mark, Stamp};
use crate::source::walked::{failure, path_of};
use crate::{Extent, index};

/// A source directory whose walk is done: what is needed to open its files later.
#[derive(Debug)]
pub(crate) struct WalkedStore {
    pub(crate) path: PathBuf,
    pub(crate) root: Dir,
    pub(crate) directories: Vec<Record>,
    pub(crate) files: Vec<WalkedFile>,
}

/// A file as the walk found it.
#[derive(Debug)]
pub(crate) struct WalkedFile {
    /// The number of its directory in the walk.
    pub(crate) directory: u32,
    /// Its name there, where that may differ from the node's: a file with several links, or one that a followed link led to.
    pub(crate) name: Option<Box<[u8]>>,
    pub(crate) stamp: Stamp,
}

impl Store for WalkedStore {
    fn reader(&self) -> Box<dyn StoreReader + '_> {
        Box::new(WalkedReader {
            store: self,
            directories: OpenDirectories::default(),
            open: None,
        })
    }

    fn origin(&self) -> Option<(u64, u64)> {
        let id = FileId::of_open(&self.root).ok()?;
        Some(id.numbers())
    }
}

/// Keeps the last file open, and the directories on the way to it.
#[derive(Debug)]
struct WalkedReader<'s> {
    store: &'s WalkedStore,
    directories: OpenDirectories,
    /// The last file, by its number.
    open: Option<(u32, OwnedFd)>,
}

impl WalkedReader<'_> {
    fn is_open(&self, file: Wanted<'_>) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|(number, _)| *number == file.stored.number)
    }

    /// The file, open.
    fn opened(&mut self, file: Wanted<'_>) -> Result<BorrowedFd<'_>, SourceError> {
        if !self.is_open(file) {
            self.open = None;
            let opened = self
                .open_by_name(file)
                .map_err(|error| self.failure(file, "open", error))?;
            self.open = Some((file.stored.number, opened));
        }
        let (_, fd) = self.open.as_ref().expect("it was just opened");
        Ok(fd.as_fd())
    }

    fn open_by_name(&mut self, file: Wanted<'_>) -> Result<OwnedFd, Errno> {
        let store = self.store;
        let walked = &store.files[index(file.stored.number)];
        let route = self.directories.route(&store.directories, walked.directory);
        let directory = self.directories.follow(store.root.as_fd(), &route)?;
        open_file(directory, walked.name.as_deref().unwrap_or(file.own_name()))
    }

    /// Compares the open file with what the walk found.
    fn verify_opened(&self, file: Wanted<'_>) -> Result<(), SourceError> {
        let (_, fd) = self.open.as_ref().expect("it was opened before");
        let stamp = &self.store.files[index(file.stored.number)].stamp;
        stamp.verify(file.size, fd, || self.name(file))
    }

    fn failure(&self, file: Wanted<'_>, action: &'static str, error: Errno) -> SourceError {
        let (root, path) = self.name(file);
        failure(&root, path, action, error)
    }
}

impl StoreReader for WalkedReader<'_> {
    fn read(
        &mut self,
        file: Wanted<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), SourceError> {
        let end = offset + long(buffer.len());
        let fd = self.opened(file)?;
        let complete = read_exact(fd, buffer, offset);
        let complete = complete.map_err(|error| self.failure(file, "read", error))?;
        self.verify_opened(file)?;
        if end == file.size {
            self.open = None;
        }
        if complete {
            Ok(())
        } else {
            Err(shrunk(file, self.name(file), end))
        }
    }

    fn extents(
        &mut self,
        file: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<Extent<'_>>, SourceError> {
        let known = self.is_open(file);
        let fd = self.opened(file)?;
        let pieces = if file.sparse {
            data_pieces(fd, &range)
                .map_err(|error| self.failure(file, "find the holes of", error))?
        } else {
            vec![Piece {
                offset: range.start,
                length: range.end - range.start,
                position: range.start,
            }]
        };
        if file.sparse || !known {
            self.verify_opened(file)?;
        }
        let fd = self.opened(file)?;
        Ok(pieces.into_iter().map(|piece| piece.extent(fd)).collect())
    }

    fn verify(&mut self, file: Wanted<'_>) -> Result<(), SourceError> {
        self.opened(file)?;
        self.verify_opened(file)
    }

    fn name(&self, file: Wanted<'_>) -> (PathBuf, PathBytes) {
        let store = self.store;
        let walked = &store.files[index(file.stored.number)];
        let name = walked.name.as_deref().unwrap_or(file.own_name());
        let path = path_of(&store.directories, walked.directory, name);
        (store.path.clone(), path)
    }

    fn mark(&self, file: Wanted<'_>) -> Option<Mark> {
        let walked = &self.store.files[index(file.stored.number)];
        Some(Mark::new(&walked.stamp, file.size, None))
    }
}
