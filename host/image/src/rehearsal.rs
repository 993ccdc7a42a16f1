//! A partition that is made in order to see what goes where: metadata is written, content is only counted.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cellblock_contract::{Part, Partition, PiecePlacement, Placement, Run};

use super::{ImageError, PartitionFile, Scratch};

/// Takes what a cell writes, and copies none of what it places.
#[derive(Debug)]
pub struct Rehearsal {
    partition: PartitionFile,
    placed: AtomicU64,
}

impl Rehearsal {
    /// A partition of `size` bytes in a file that has no name and holds metadata only.
    ///
    /// # Errors
    /// [`ImageError`] if the file cannot be made.
    pub fn new(scratch: &Scratch, size: u64) -> Result<Self, ImageError> {
        Ok(Self {
            partition: PartitionFile::new(scratch, size)?,
            placed: AtomicU64::new(0),
        })
    }

    /// The bytes of content that were placed, with what fills up their blocks.
    #[must_use]
    pub fn placed(&self) -> u64 {
        self.placed.load(Ordering::Relaxed)
    }
}

impl Partition for Rehearsal {
    fn size(&self) -> u64 {
        self.partition.size()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let read = self.partition.read(offset, buffer);
        read.map_err(io::Error::other)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let written = self.partition.write(offset, bytes);
        written.map_err(io::Error::other)
    }

    fn place(&self, batch: Vec<Placement>) -> io::Result<()> {
        let lengths = batch
            .iter()
            .map(|one| one.length + u64::from(one.padding))
            .sum();
        self.placed.fetch_add(lengths, Ordering::Relaxed);
        Ok(())
    }

    fn compose(&self, run: Run) -> io::Result<()> {
        for part in run.parts() {
            if let Part::Own(offset, bytes) = part {
                self.write(offset, bytes)?;
            }
        }
        self.place(run.placements)
    }

    fn place_pieces(&self, _spool: &Arc<File>, batch: Vec<PiecePlacement>) -> io::Result<()> {
        let lengths = batch
            .iter()
            .map(|one| one.end() - one.partition_offset)
            .sum();
        self.placed.fetch_add(lengths, Ordering::Relaxed);
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
}
