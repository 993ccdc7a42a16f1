//! An image that is read: opened once, and its table decoded once, for all that is read of it.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::{DiskError, decode_table};
use cellblock_image::{Existing, ImageError};
use cellblock_table::{Decoded, ReadAt as _, SectorSize};
use cellblock_tree::volume::{Blocks, Decoders};

/// An image that is read, or a disk that may be.
#[derive(Debug)]
pub struct OpenedImage {
    pub(crate) existing: Existing,
    /// As it was named.
    pub(crate) path: PathBuf,
    /// The size of a sector, where the table does not say it.
    sector_size: Option<SectorSize>,
    /// What the file was when it was opened.
    stamp: Stamp,
    table: OnceLock<Decoded>,
}

impl OpenedImage {
    /// Opens an image whose sectors have this size, or the one that its table shows. `decoders` are asked for what is compressed in
    /// one that is not raw.
    ///
    /// # Errors
    /// [`ImageError`] if it cannot be read, or is a virtual disk that is damaged or not read.
    pub fn open(
        path: &Path,
        sector_size: Option<SectorSize>,
        decoders: &Arc<dyn Decoders>,
    ) -> Result<Self, ImageError> {
        let existing = Existing::open(path)?.with_disk(decoders)?;
        let stamp = stamp(&existing).map_err(|source| ImageError::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            existing,
            path: path.to_owned(),
            sector_size,
            stamp,
            table: OnceLock::new(),
        })
    }

    /// As it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be said of the file, whatever is read of it.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let snapshots = self.existing.snapshots();
        snapshots.iter().map(ToString::to_string).collect()
    }

    /// The table.
    ///
    /// # Errors
    /// [`DiskError`] if it is no disk, or its table cannot be read.
    pub(crate) fn table(&self) -> Result<&Decoded, DiskError> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let decoded = decode_table(&self.existing, &self.path, self.sector_size)?;
        Ok(self.table.get_or_init(|| decoded))
    }

    /// Whether somebody, or the disk itself, says how large its sectors are.
    pub(crate) fn says_sector_size(&self) -> bool {
        self.sector_size.is_some() || self.existing.sector_size().is_some()
    }

    /// What of a range the image has.
    pub(crate) fn blocks(self: &Arc<Self>, place: &Range<u64>) -> ImageBlocks {
        let end = place.end.min(self.existing.size());
        let start = place.start.min(end);
        ImageBlocks {
            image: Arc::clone(self),
            start,
            size: end - start,
        }
    }
}

/// What a file's size and its last change were.
type Stamp = (u64, i64, i64);

fn stamp(image: &Existing) -> io::Result<Stamp> {
    let metadata = image.metadata()?;
    Ok((metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
}

/// A range of an image.
#[derive(Debug)]
pub(crate) struct ImageBlocks {
    image: Arc<OpenedImage>,
    start: u64,
    size: u64,
}

impl Blocks for ImageBlocks {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.image.existing.read_at(self.start + offset, buffer)
    }

    fn position(&self, offset: u64) -> Option<(BorrowedFd<'_>, u64)> {
        let file = self.image.existing.plain_file()?;
        Some((file.as_fd(), self.start + offset))
    }

    fn verify(&self) -> io::Result<()> {
        if stamp(&self.image.existing)? == self.image.stamp {
            Ok(())
        } else {
            Err(io::Error::other("the image was changed while it was read"))
        }
    }
}
