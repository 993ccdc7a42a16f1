//! What a table is read from.

use std::io;

use crate::SectorSize;

/// A disk, an image of one, or any other bytes that can be read at an offset.
pub trait ReadAt {
    /// Fills the buffer with the bytes at an offset.
    ///
    /// # Errors
    /// Any error of the medium, and `UnexpectedEof` when the bytes end before the buffer is full.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// Any error of the medium.
    fn size(&self) -> io::Result<u64>;

    /// The size of a sector, where the medium has sectors; a file has none.
    fn sector_size(&self) -> Option<SectorSize> {
        None
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let end = start
            .checked_add(buffer.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        u64::try_from(self.len()).map_err(io::Error::other)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }

    fn size(&self) -> io::Result<u64> {
        (**self).size()
    }

    fn sector_size(&self) -> Option<SectorSize> {
        (**self).sector_size()
    }
}
