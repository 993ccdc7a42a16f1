//! The file that a partition is made in.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use cellblock_table::{ReadAt, SectorSize};
use cellblock_tree::volume::Blocks;
use sha2::{Digest as _, Sha256};

use super::{ImageError, Scratch, copy};

/// A range of a file, which holds one partition and, while it is being filled, nothing else. All offsets are bytes from
/// the partition's beginning.
#[derive(Debug)]
pub struct PartitionFile {
    pub(super) file: File,
    pub(super) base: u64,
    size: u64,
    scratch: Scratch,
}

impl PartitionFile {
    /// A partition of `size` bytes in an unnamed file of its own, beside the image. It reads as zeros.
    ///
    /// # Errors
    /// [`ImageError`] if the file cannot be made.
    pub fn new(scratch: &Scratch, size: u64) -> Result<Self, ImageError> {
        Self::within(scratch, 0, size)
    }

    /// The same, `base` bytes into its file: the file becomes the image.
    ///
    /// # Errors
    /// [`ImageError`] if the file cannot be made.
    pub fn within(scratch: &Scratch, base: u64, size: u64) -> Result<Self, ImageError> {
        let file = scratch.create()?;
        file.set_len(base + size)
            .map_err(|source| scratch.transfer_error("making room", base, size, source))?;
        Ok(Self {
            file,
            base,
            size,
            scratch: scratch.clone(),
        })
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` with the bytes at `offset` of the partition.
    ///
    /// # Errors
    /// [`ImageError`] if they reach beyond its end, or cannot be read.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ImageError> {
        self.inside(offset, buffer.len() as u64)
            .and_then(|()| self.file.read_exact_at(buffer, self.base + offset))
            .map_err(|source| self.error("reading", offset, buffer.len() as u64, source))
    }

    /// Writes `bytes` at `offset` of the partition.
    ///
    /// # Errors
    /// [`ImageError`] if they reach beyond its end, or the disk does not take them.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        self.inside(offset, bytes.len() as u64)
            .and_then(|()| self.file.write_all_at(bytes, self.base + offset))
            .map_err(|source| self.error("writing", offset, bytes.len() as u64, source))
    }

    /// Whether the disk can have this file share blocks with others.
    #[must_use]
    pub fn can_share(&self) -> bool {
        copy::can_share(&self.file)
    }

    /// Has the disk share the first `length` bytes of `source` at `offset` of the partition. Whether it did; if not, which takes whole
    /// blocks and one disk, any of them may be there.
    #[must_use]
    pub fn share(&self, source: &File, length: u64, offset: u64) -> bool {
        self.inside(offset, length).is_ok()
            && copy::share(source, &self.file, self.base + offset, length)
    }

    pub(super) fn error(
        &self,
        action: &'static str,
        offset: u64,
        length: u64,
        source: io::Error,
    ) -> ImageError {
        self.scratch.transfer_error(action, offset, length, source)
    }

    /// The file is longer than the partition when it is the image's own: this bound is what holds a cell in.
    pub(super) fn inside(&self, offset: u64, length: u64) -> io::Result<()> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Copies the file at `path`, which has `length` bytes, to `offset`, where the partition has zeros.
    ///
    /// # Errors
    /// [`ImageError`] if it cannot be read or has another length, does not fit, or the disk does not take it.
    pub fn splice_file(&self, path: &Path, offset: u64, length: u64) -> Result<(), ImageError> {
        let failed = |source| self.error("writing", offset, length, source);
        self.inside(offset, length).map_err(failed)?;
        copy::raw_file(
            path,
            length,
            &self.file,
            self.base + offset,
            copy::Copying::ALONE,
        )?
        .map_err(failed)
    }

    /// The same bytes for somebody who only reads, as they are when they are read.
    ///
    /// # Errors
    /// [`ImageError`] if the system has no more descriptors.
    pub fn blocks(&self) -> Result<PartitionBlocks, ImageError> {
        let file = self.file.try_clone();
        Ok(PartitionBlocks {
            file: file.map_err(|source| self.error("reading", 0, self.size, source))?,
            base: self.base,
            size: self.size,
        })
    }

    /// Where the partition has data, ascending; the rest reads as zeros.
    ///
    /// # Errors
    /// [`ImageError`] if the disk does not tell.
    pub fn data(&self) -> Result<Vec<Range<u64>>, ImageError> {
        let found = copy::extents(&self.file, self.base, self.size)
            .map_err(|source| self.error("reading", 0, self.size, source))?;
        let relative = |range: Range<u64>| range.start - self.base..range.end - self.base;
        Ok(found.into_iter().map(relative).collect())
    }

    /// The SHA-256 digest of the partition's bytes.
    ///
    /// # Errors
    /// [`ImageError::Transfer`] if they cannot be read.
    pub fn digest(&self) -> Result<[u8; 32], ImageError> {
        Self::digest_of_all(self.size, &[(0, self)])
    }

    /// The SHA-256 digest of `size` bytes in which these files lie, in ascending order, each at its offset; the rest is zeros.
    ///
    /// # Errors
    /// [`ImageError::Transfer`] if they cannot be read.
    pub fn digest_of_all(size: u64, files: &[(u64, &Self)]) -> Result<[u8; 32], ImageError> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        for (offset, file) in files {
            update_with_zeros(&mut hash, offset - at);
            let mut done = 0;
            while done < file.size {
                let count = copy::at_most(file.size - done, buffer.len());
                file.read(done, &mut buffer[..count])?;
                hash.update(&buffer[..count]);
                done += count as u64;
            }
            at = offset + file.size;
        }
        update_with_zeros(&mut hash, size - at);
        Ok(hash.finalize().into())
    }
}

fn update_with_zeros(hash: &mut Sha256, mut count: u64) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let some = copy::at_most(count, ZEROS.len());
        hash.update(&ZEROS[..some]);
        count -= some as u64;
    }
}

/// A partition that is there, for those who read it.
#[derive(Debug)]
pub struct PartitionBlocks {
    file: File,
    base: u64,
    size: u64,
}

impl ReadAt for PartitionBlocks {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buffer, self.base + offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn sector_size(&self) -> Option<SectorSize> {
        None
    }
}

impl Blocks for PartitionBlocks {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, buffer)
    }

    fn position(&self, offset: u64) -> Option<(BorrowedFd<'_>, u64)> {
        Some((self.file.as_fd(), self.base + offset))
    }
}
