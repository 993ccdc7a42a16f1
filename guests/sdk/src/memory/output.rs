//! A partition in a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::MemoryTree;
use crate::{FormatError, Output, PartitionError, PlaceError, Placement, ReadError, Tree as _};

/// A partition in a file, whose content comes from a [`MemoryTree`]. Refuses what the host refuses.
pub struct FileOutput {
    partition: Arc<Mutex<Partition>>,
    tree: MemoryTree,
    /// The warnings so far.
    pub warnings: Vec<String>,
}

/// The file, and what is placed in it: an encoder places there too.
pub(super) struct Partition {
    file: File,
    size: u64,
    /// Where each placed range begins and ends.
    placed: BTreeMap<u64, u64>,
}

impl FileOutput {
    /// Makes `file` a partition of `size` zero bytes.
    ///
    /// # Errors
    /// If the file cannot be resized.
    pub fn new(file: File, size: u64, tree: &MemoryTree) -> io::Result<Self> {
        file.set_len(0)?;
        file.set_len(size)?;
        let mut tree = tree.clone();
        tree.rewind();
        let partition = Partition {
            file,
            size,
            placed: BTreeMap::new(),
        };
        Ok(Self {
            partition: Arc::new(Mutex::new(partition)),
            tree,
            warnings: Vec::new(),
        })
    }

    pub(super) fn partition(&self) -> Arc<Mutex<Partition>> {
        Arc::clone(&self.partition)
    }
}

pub(super) fn locked(partition: &Mutex<Partition>) -> MutexGuard<'_, Partition> {
    partition.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Partition {
    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.placed
            .range(..end)
            .next_back()
            .is_some_and(|(_, placed_end)| *placed_end > start)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), PartitionError> {
        let end = offset
            .checked_add(bytes.len() as u64)
            .filter(|end| *end <= self.size)
            .ok_or(PartitionError::OutOfRange)?;
        if self.overlaps(offset, end) {
            return Err(PartitionError::Placed);
        }
        self.file
            .write_all_at(bytes, offset)
            .map_err(|_| PartitionError::Failed)
    }

    /// Takes `length` bytes at `offset` for the placement at `index`.
    pub(super) fn claim(&mut self, index: u32, offset: u64, length: u64) -> Result<(), PlaceError> {
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= self.size)
            .ok_or(PlaceError::OutsidePartition(index))?;
        if self.overlaps(offset, end) {
            return Err(PlaceError::Overlap(index));
        }
        if length > 0 {
            self.placed.insert(offset, end);
        }
        Ok(())
    }

    /// Copies content into what was claimed for the placement at `index`.
    fn copy(
        &self,
        index: u32,
        placement: &Placement,
        tree: &mut MemoryTree,
    ) -> Result<(), PlaceError> {
        let mut done = 0;
        while done < placement.length {
            let step = (placement.length - done).min(1 << 20);
            let length = u32::try_from(step).expect("at most 1 MiB");
            let bytes = tree
                .read(placement.file, placement.file_offset + done, length)
                .map_err(|error| match error {
                    ReadError::NotAFile => PlaceError::NotAFile(index),
                    ReadError::OutOfRange => PlaceError::OutsideFile(index),
                    ReadError::Source => PlaceError::Failed,
                })?;
            self.fill(placement.partition_offset + done, &bytes)?;
            done += step;
        }
        Ok(())
    }

    /// Writes into what was claimed.
    pub(super) fn fill(&self, offset: u64, bytes: &[u8]) -> Result<(), PlaceError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|_| PlaceError::Failed)
    }
}

impl Output for FileOutput {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        Ok(locked(&self.partition).write(offset, bytes)?)
    }

    fn place(&mut self, batch: &[Placement]) -> Result<(), FormatError> {
        let mut partition = locked(&self.partition);
        for (index, placement) in (0..).zip(batch) {
            let length = placement.length + u64::from(placement.padding);
            partition.claim(index, placement.partition_offset, length)?;
            partition.copy(index, placement, &mut self.tree)?;
        }
        Ok(())
    }

    fn compose(&mut self, offset: u64, own: &[u8], batch: &[Placement]) -> Result<(), FormatError> {
        let mut partition = locked(&self.partition);
        let (mut rest, mut end) = (own, offset);
        let mut written = Vec::new();
        for (index, placement) in (0..).zip(batch) {
            let gap = placement.partition_offset.checked_sub(end);
            let gap = gap.ok_or(PlaceError::Overlap(index))?;
            let parts = usize::try_from(gap).map(|gap| rest.split_at_checked(gap));
            let (before, behind) = parts
                .ok()
                .flatten()
                .ok_or(PlaceError::OutsidePartition(index))?;
            written.push((end, before));
            rest = behind;
            end = placement.partition_offset + placement.length + u64::from(placement.padding);
        }
        written.push((end, rest));
        let count = u32::try_from(batch.len()).expect("fewer placements than 32 bits count");
        partition.claim(count, offset, end + rest.len() as u64 - offset)?;
        for (at, bytes) in written {
            partition.fill(at, bytes)?;
        }
        for (index, placement) in (0..).zip(batch) {
            partition.copy(index, placement, &mut self.tree)?;
        }
        Ok(())
    }

    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }
}
