//! Which table a disk has, and in sectors of which size it counts.

use crate::{Absence, Decoded, ReadAt, Scheme, SectorSize, TableError};

/// A disk that is being read, and what is known of it.
pub(crate) struct Disk<'a> {
    reader: &'a dyn ReadAt,
    /// The length in bytes.
    pub(crate) size: u64,
    /// The size of a sector, as the caller says it.
    given: Option<SectorSize>,
}

/// What a kind of table finds on a disk.
pub(crate) enum Detected {
    /// A table of that kind.
    Table(Decoded),
    /// None, and how that is known.
    Absent(Option<Absence>),
}

impl<'a> Disk<'a> {
    pub(crate) fn new(
        reader: &'a dyn ReadAt,
        given: Option<SectorSize>,
    ) -> Result<Self, TableError> {
        let size = reader
            .size()
            .map_err(|source| TableError::Io { offset: 0, source })?;
        Ok(Self {
            reader,
            size,
            given,
        })
    }

    /// The bytes at an offset, or `None` when the disk ends before they do.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Option<Vec<u8>>, TableError> {
        let end = u64::try_from(length)
            .ok()
            .and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.size) {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        let read = self.reader.read_at(offset, &mut bytes);
        read.map_err(|source| TableError::Io { offset, source })?;
        Ok(Some(bytes))
    }

    /// The size of a sector, where the caller or the disk says it.
    pub(crate) fn sector_size(&self) -> Option<SectorSize> {
        self.given.or_else(|| self.reader.sector_size())
    }

    /// The sizes that a sector may have, the likeliest first; the one that the caller says alone.
    pub(crate) fn sector_sizes(&self) -> Vec<SectorSize> {
        if let Some(given) = self.given {
            return vec![given];
        }
        let known = self.sector_size();
        let others = SectorSize::ALL
            .into_iter()
            .filter(|size| Some(*size) != known);
        known.into_iter().chain(others).collect()
    }
}

/// Reads the table of a disk: of the first kind that recognises it.
pub(crate) fn decode(disk: &Disk<'_>) -> Result<Decoded, TableError> {
    let mut absence = Absence::NoSignature;
    for scheme in Scheme::ALL {
        match scheme.format().detect(disk)? {
            Detected::Table(decoded) => return Ok(decoded),
            Detected::Absent(why) => absence = why.unwrap_or(absence),
        }
    }
    Err(TableError::NoTable(absence))
}
