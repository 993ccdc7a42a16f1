//! Which module answers for which kind of table.

use super::format::Format;
use super::{Reserved, Scheme};
use crate::{ALIGNMENT, Lba, SectorSize, Shape, TableError};
use crate::{gpt, mbr, unpartitioned};

impl Scheme {
    pub(crate) fn format(self) -> &'static dyn Format {
        match self {
            Self::Gpt => &gpt::Gpt,
            Self::Mbr => &mbr::Mbr,
            Self::None => &unpartitioned::Unpartitioned,
        }
    }

    /// The sectors that a table takes at both ends of a disk.
    ///
    /// ```
    /// use cellblock_table::{Lba, Scheme, SectorSize, Shape};
    ///
    /// let reserved = Scheme::Gpt.reserved(SectorSize::B512, &Shape::default());
    /// assert_eq!((reserved.first_usable(), reserved.at_end), (Lba(34), 33));
    /// ```
    #[must_use]
    pub fn reserved(self, sector_size: SectorSize, shape: &Shape) -> Reserved {
        self.format().reserved(sector_size, shape)
    }

    /// The number of sectors, from the disk's first on, that the table can address.
    #[must_use]
    pub fn addressable_sectors(self) -> u64 {
        self.format().addressable_sectors()
    }

    /// The highest number of a partition.
    #[must_use]
    pub fn most_partitions(self) -> u32 {
        self.format().most_partitions()
    }

    /// The highest number of a primary partition, where those above are logical. Unless another is chosen, it is the
    /// number of the extended partition that holds the logical ones.
    #[must_use]
    pub fn primaries(self) -> Option<u32> {
        self.format().primaries()
    }

    /// The boundary that partitions start on unless another is chosen, in bytes.
    #[must_use]
    pub fn alignment(self) -> u64 {
        ALIGNMENT
    }

    /// The first and the last sector that partitions may use.
    pub(crate) fn usable(
        self,
        sector_size: SectorSize,
        disk_sectors: u64,
        shape: &Shape,
    ) -> Result<(Lba, Lba), TableError> {
        let reserved = self.reserved(sector_size, shape);
        let first = reserved.first_usable();
        let needed = first.0.saturating_add(1).saturating_add(reserved.at_end);
        if disk_sectors < needed {
            return Err(TableError::DiskTooSmall {
                scheme: self,
                sectors: disk_sectors,
                needed,
                sector_size,
            });
        }
        let end = (disk_sectors - reserved.at_end).min(self.addressable_sectors());
        Ok((first, Lba(end - 1)))
    }
}
