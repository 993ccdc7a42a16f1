//! Reads metadata: small structures with their neighbours, and each once, so that no small image has much of it.

use std::cell::{Cell, RefCell};

use cellblock_guest::reader::{Partition, ReaderError};

use crate::superblock::Superblock;

/// An open file system.
pub(crate) struct Open<'a> {
    pub(crate) partition: &'a dyn Partition,
    pub(crate) superblock: Superblock,
    windows: RefCell<Vec<Window>>,
    /// How many more bytes of metadata may be read: those of structures that may not overlap.
    budget: Cell<u64>,
}

#[derive(Clone, Debug, Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Open<'a> {
    const WINDOW: u64 = 64 << 10;
    const WINDOWS: usize = 64;

    pub(crate) fn new(partition: &'a dyn Partition) -> Result<Self, ReaderError> {
        let superblock = Superblock::read(partition)?;
        Ok(Self {
            partition,
            budget: Cell::new(superblock.size()),
            superblock,
            windows: RefCell::new(vec![Window::default(); Self::WINDOWS]),
        })
    }

    /// Counts bytes of metadata that belong to one owner.
    pub(crate) fn spend(&self, bytes: u64, owner: &str) -> Result<(), ReaderError> {
        let left = self.budget.get().checked_sub(bytes).ok_or_else(|| {
            let problem = "has metadata that overlaps that of others: there is more than the file system has bytes";
            ReaderError::damaged(owner, None, problem)
        })?;
        self.budget.set(left);
        Ok(())
    }

    /// The `length` bytes at `offset`, which belong to `owner`.
    pub(crate) fn bytes(
        &self,
        offset: u64,
        length: usize,
        owner: &str,
    ) -> Result<Vec<u8>, ReaderError> {
        let end = offset.checked_add(length as u64);
        let end = end
            .filter(|end| *end <= self.superblock.size())
            .ok_or_else(|| {
                let problem = format!(
                    "has {length} bytes at {offset}, beyond the {} of the file system",
                    self.superblock.size()
                );
                ReaderError::damaged(owner, offset, problem)
            })?;
        let start = offset / Self::WINDOW * Self::WINDOW;
        if end > start + Self::WINDOW {
            return Ok(self.partition.bytes(offset, length)?);
        }
        let mut windows = self.windows.borrow_mut();
        let index = usize::try_from(start / Self::WINDOW % Self::WINDOWS as u64)
            .expect("there are few windows");
        let window = &mut windows[index];
        if window.bytes.is_empty() || window.start != start {
            let length = Self::WINDOW.min(self.superblock.size() - start);
            let length = usize::try_from(length).expect("a window is small");
            window.bytes = self.partition.bytes(start, length)?;
            window.start = start;
        }
        let within = usize::try_from(offset - start).expect("a window is small");
        Ok(window.bytes[within..][..length].to_vec())
    }
}
