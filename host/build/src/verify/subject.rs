//! An image that is held against what it should be.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use cellblock_cell::Runtime;
use cellblock_image::{PartitionFile, Superblock};
use cellblock_table::{BOOT_CODE, Region, Selector, Table};
use cellblock_text::hexadecimal;

use crate::DiskError;
use crate::catalogue::is_read;
use crate::compare::{Aspect, Difference, What};
use crate::differing;
use crate::error::Error;
use crate::existing::OpenedImage;
use crate::filesystem::partition_error;
use crate::reading::{Opened, Readers};

/// An image, and its table.
pub(super) struct Subject<'a> {
    pub(super) image: Arc<OpenedImage>,
    /// None if it is to have none.
    table: Option<Table>,
    pub(super) runtime: &'a Runtime,
    pub(super) readers: &'a Readers,
    /// How many threads compare the bytes of files.
    pub(super) jobs: Option<NonZeroUsize>,
}

impl<'a> Subject<'a> {
    /// An image, which has a table if it `is_disk`.
    pub(super) fn of(
        image: &Arc<OpenedImage>,
        is_disk: bool,
        (runtime, readers): (&'a Runtime, &'a Readers),
        jobs: Option<NonZeroUsize>,
    ) -> Result<Self, Error> {
        let table = if is_disk {
            Some(image.table()?.table.clone())
        } else {
            None
        };
        Ok(Self {
            image: Arc::clone(image),
            table,
            runtime,
            readers,
            jobs,
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Disk(DiskError::File {
            file: self.image.path.clone(),
            source,
        })
    }

    /// Where the image has a partition of this number, and how that differs from where it is to be.
    pub(super) fn place(&self, number: u32, wanted: &Range<u64>) -> Result<Range<u64>, Difference> {
        let place = match &self.table {
            Some(table) => {
                let mut all = table.partitions.iter();
                let found = all.find(|one| one.number == number);
                found.map(|found| table.place_of(found))
            }
            None => Some(wanted.clone()).filter(|it| it.start < self.image.existing.size()),
        };
        let Some(place) = place else {
            return Err(Difference {
                path: "partition".into(),
                what: What::Removed,
            });
        };
        if place == *wanted {
            return Ok(place);
        }
        let text = |range: &Range<u64>| format!("{}+{}", range.start, range.end - range.start);
        Err(changed("partition", "place", text(wanted), text(&place)))
    }

    /// That the image ends before a place does; none if it has all of it.
    pub(super) fn cut(&self, place: &Range<u64>) -> Option<Difference> {
        let size = self.image.existing.size();
        (place.end > size).then(|| {
            let left = size.saturating_sub(place.start);
            let all = place.end - place.start;
            let is = format!("cut off: the image ends behind {left} of {all}");
            changed("partition", "bytes", String::new(), is)
        })
    }

    /// Whether a reader reads what is there.
    pub(super) fn is_readable(&self, place: &Range<u64>) -> Result<bool, Error> {
        let found = Superblock::find(&self.image.existing, place.clone());
        let found = found.map_err(|source| self.failed(source))?;
        if found.is_some_and(|found| is_read(found.kind)) {
            return Ok(true);
        }
        let known = self.readers.know(self.runtime, &self.image, place);
        known.map_err(|error| partition_error("what is read", Box::new(error)))
    }

    /// Reads the partition with this number, which is at `place`.
    pub(super) fn read(
        &self,
        name: &str,
        number: u32,
        place: &Range<u64>,
    ) -> Result<Opened, Error> {
        let opened = match self.table {
            Some(_) => {
                let selector = Selector::Number(number);
                let selector = Some(&selector);
                (self.readers).open_in(self.runtime, &self.image, selector, true)
            }
            None => (self.readers).open_at(self.runtime, &self.image, place.clone()),
        };
        opened.map_err(|error| partition_error(name, Box::new(error)))
    }

    /// The first byte in which the image, from `start` on, differs from what was made.
    pub(super) fn first_other_byte(
        &self,
        start: u64,
        made: &PartitionFile,
    ) -> Result<Option<u64>, Error> {
        self.first_other_byte_of(0..made.size(), start, made)
    }

    /// The first byte of a range of what was made in which the image, from `start` on, differs from it, as far as the image goes.
    pub(super) fn first_other_byte_of(
        &self,
        range: Range<u64>,
        start: u64,
        made: &PartitionFile,
    ) -> Result<Option<u64>, Error> {
        use cellblock_table::ReadAt as _;
        let room = self.image.existing.size().saturating_sub(start);
        differing::first(
            range.start.min(room)..range.end.min(room),
            |at, bytes| Ok(made.read(at, bytes)?),
            |at, bytes| {
                let read = self.image.existing.read_at(start + at, bytes);
                read.map_err(|source| self.failed(source))
            },
        )
    }

    /// The first byte of a range of the image that is not zero, as far as the image goes.
    pub(super) fn first_byte(&self, range: Range<u64>) -> Result<Option<u64>, Error> {
        use cellblock_table::ReadAt as _;
        let size = self.image.existing.size();
        differing::first(
            range.start.min(size)..range.end.min(size),
            |_, bytes| {
                bytes.fill(0);
                Ok(())
            },
            |at, bytes| {
                let read = self.image.existing.read_at(at, bytes);
                read.map_err(|source| self.failed(source))
            },
        )
    }

    /// How the image's partition table differs from the planned one, without boot code before it.
    pub(super) fn other_table(&self, planned: &[Region]) -> Result<Vec<Difference>, Error> {
        use cellblock_table::ReadAt as _;
        let mut differences = Vec::new();
        for region in planned {
            let place = behind_boot_code(region);
            let at = place.start;
            let skip = usize::try_from(at - region.offset).expect("boot code is short");
            let expected = &region.bytes[skip..];
            let mut found = vec![0; expected.len()];
            let is_there = at.saturating_add(found.len() as u64) <= self.image.existing.size();
            if is_there {
                let read = self.image.existing.read_at(at, &mut found);
                read.map_err(|source| self.failed(source))?;
            }
            let other = differing::first_of(expected, &found);
            if let Some(other) = other.or((!is_there).then_some(0)) {
                differences.push(other_bytes(at + other as u64));
            }
        }
        Ok(differences)
    }

    /// The SHA-256 digest of the bytes of a place.
    pub(super) fn digest(&self, place: &Range<u64>) -> Result<String, Error> {
        let digest = self.image.existing.digest(place.clone());
        let digest = digest.map_err(|source| self.failed(source))?;
        Ok(hexadecimal(&digest))
    }
}

/// Where a part of a table lies, without the boot code before the first.
pub(super) fn behind_boot_code(region: &Region) -> Range<u64> {
    let length = region.bytes.len();
    let skip = if region.offset == 0 {
        BOOT_CODE.min(length)
    } else {
        0
    };
    region.offset + skip as u64..region.offset + length as u64
}

/// That the bytes from `at` on are others.
pub(super) fn other_bytes(at: u64) -> Difference {
    let is = format!("others from byte {at} on");
    changed("partition", "bytes", String::new(), is)
}

/// That one aspect of something is another than it was to be.
pub(super) fn changed(path: &str, name: &'static str, was: String, is: String) -> Difference {
    let (was, is) = (was.into(), is.into());
    Difference {
        path: path.into(),
        what: What::Changed {
            aspects: vec![Aspect { name, was, is }],
        },
    }
}
