//! A disk of which the two ends are known, and all between them is zeros.

use std::io;

use cellblock_table::{ReadAt, Region};

/// See the [module](self).
#[derive(Clone)]
pub(crate) struct Disk {
    /// Bytes.
    pub(crate) size: u64,
    /// What begins at 0.
    pub(crate) head: Vec<u8>,
    /// What ends at the end.
    pub(crate) tail: Vec<u8>,
    /// What was written since, in that order.
    written: Vec<Region>,
}

impl Disk {
    pub(crate) fn new(size: u64, head: Vec<u8>, tail: Vec<u8>) -> Self {
        Self {
            size,
            head,
            tail,
            written: Vec::new(),
        }
    }

    /// Writes what a table is, which must be inside.
    pub(crate) fn write(&mut self, region: Region) {
        let end = region.offset.checked_add(region.bytes.len() as u64);
        assert!(
            end.is_some_and(|end| end <= self.size),
            "a region beyond the disk"
        );
        self.written.push(region);
    }
}

impl ReadAt for Disk {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer.fill(0);
        let tail = self.size.saturating_sub(self.tail.len() as u64);
        copy(&self.head, 0, buffer, offset);
        copy(&self.tail, tail, buffer, offset);
        for region in &self.written {
            copy(&region.bytes, region.offset, buffer, offset);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }
}

/// Copies from `bytes`, which stand at `start` of the disk, what belongs into `buffer`, which is from `offset` on.
fn copy(bytes: &[u8], start: u64, buffer: &mut [u8], offset: u64) {
    let from = start.max(offset);
    let to = (start + bytes.len() as u64).min(offset + buffer.len() as u64);
    if from < to {
        let index = |at: u64, base: u64| usize::try_from(at - base).expect("within a buffer");
        buffer[index(from, offset)..index(to, offset)]
            .copy_from_slice(&bytes[index(from, start)..index(to, start)]);
    }
}
