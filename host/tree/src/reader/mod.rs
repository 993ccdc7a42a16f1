//! The bytes of a tree's files.

mod joined;

pub use joined::Portion;

use std::os::fd::BorrowedFd;

use cellblock_text::PathBytes;

use super::{Kind, Node, NodeId, Range, Tree, index};
use crate::source::SourceError;
use crate::source::stamp::Mark;
use crate::source::store::{StoreReader, Wanted, long};

/// Reads files of a tree. Each thread has its own: it keeps the last file open, and the directories on the way to it, so
/// that reading in the tree's order costs few system calls (a small file: open, read, check, close).
///
/// Whatever is read from a file of the host is checked afterwards: when device, inode, size, modification or change time are
/// no longer those that the tree was made with, the result is [`SourceError::Changed`].
#[derive(Debug)]
pub struct Reader<'t> {
    tree: &'t Tree,
    /// The readers of the tree's stores, made when they are first needed.
    stores: Vec<Option<Box<dyn StoreReader + 't>>>,
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

impl<'t> Reader<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            stores: tree.stores.iter().map(|_| None).collect(),
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
        let wanted = self.locate(file)?;
        let range = self.check_range(wanted, offset, long(buffer.len()))?;
        if range.is_empty() {
            return Ok(());
        }
        self.store(wanted).read(wanted, offset, buffer)
    }

    /// Where `file` has data, ascending; the rest is holes, and reads as zeros. A file without holes is one range, an empty
    /// one none.
    ///
    /// # Errors
    /// When the file cannot be read, or it changed since the tree was made.
    pub fn ranges(&mut self, file: NodeId) -> Result<Vec<Range>, SourceError> {
        let wanted = self.locate(file)?;
        let size = wanted.size;
        if !wanted.sparse && size > 0 {
            return Ok(vec![Range {
                offset: 0,
                length: size,
            }]);
        }
        if size == 0 {
            return Ok(Vec::new());
        }
        self.store(wanted).ranges(wanted, 0..size)
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
        let wanted = self.locate(file)?;
        let range = self.check_range(wanted, offset, length)?;
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.store(wanted).extents(wanted, range)
    }

    /// Checks that `file` is still what it was when the tree was made. Needed after copying [`Reader::extents`].
    ///
    /// # Errors
    /// [`SourceError::Changed`] when it is not.
    pub fn verify(&mut self, file: NodeId) -> Result<(), SourceError> {
        let wanted = self.locate(file)?;
        self.store(wanted).verify(wanted)
    }

    /// What tells that `file` is unchanged, if it is in a file of the host.
    pub(crate) fn mark(&mut self, file: NodeId) -> Result<Option<Mark>, SourceError> {
        let wanted = self.locate(file)?;
        Ok(self.store(wanted).mark(wanted))
    }

    /// The reader of the store that a file is in.
    fn store(&mut self, wanted: Wanted<'_>) -> &mut (dyn StoreReader + 't) {
        let number = index(wanted.stored.store);
        let tree = self.tree;
        &mut **self.stores[number].get_or_insert_with(|| tree.stores[number].reader())
    }

    fn locate(&self, id: NodeId) -> Result<Wanted<'t>, SourceError> {
        let tree = self.tree;
        let Node { id, kind, .. } = tree.original(id);
        match kind {
            Kind::File { size, sparse } => Ok(Wanted {
                tree,
                id,
                stored: tree.contents[index(tree.entries[id.index()].content)],
                size: *size,
                sparse: *sparse,
            }),
            kind => Err(SourceError::NotAFile {
                path: PathBytes(tree.path(id)),
                found: kind.noun(),
            }),
        }
    }

    /// The range, which is in the file.
    fn check_range(
        &self,
        wanted: Wanted<'_>,
        offset: u64,
        length: u64,
    ) -> Result<std::ops::Range<u64>, SourceError> {
        offset
            .checked_add(length)
            .filter(|end| *end <= wanted.size)
            .map(|end| offset..end)
            .ok_or_else(|| SourceError::OutOfRange {
                path: wanted.path(),
                offset,
                length,
                size: wanted.size,
            })
    }
}
