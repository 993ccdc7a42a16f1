//! The kinds of partition tables: one module for each behind one trait, and one line here that names it.
//!
//! What a table takes of a disk, how far it reaches, how its partitions are numbered and how it is read and written is
//! asked of the [`Scheme`], and known nowhere else.

use std::fmt;
use std::ops::Range;

use crate::detect::{Detected, Disk};
use crate::repair::{Mend, RepairError};
use crate::{
    ALIGNMENT, Decoded, Lba, Partition, PartitionType, Region, SectorSize, Shape, Table, TableError,
};
use crate::{gpt, mbr, unpartitioned};

/// Names each kind with the value that knows it, in the order in which a disk is asked for them.
macro_rules! schemes {
    ($($(#[$documentation:meta])* $name:ident => $format:expr;)*) => {
        /// The kind of a partition table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scheme {
            $($(#[$documentation])* $name,)*
        }

        impl Scheme {
            /// Every kind, in the order in which a disk is asked for them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            pub(crate) fn format(self) -> &'static dyn Format {
                match self {
                    $(Self::$name => &$format,)*
                }
            }
        }
    };
}

schemes! {
    /// A GUID partition table (UEFI 2.10, 5.3), behind a protective MBR.
    Gpt => gpt::Gpt;
    /// A master boot record, with a chain of extended boot records for logical partitions.
    Mbr => mbr::Mbr;
    /// No table at all: the partitions are places on the disk that only their maker knows of.
    None => unpartitioned::Unpartitioned;
}

/// What a kind of table is, takes of a disk, and does.
pub(crate) trait Format: Sync {
    /// What sentences call it, such as `GPT`.
    fn name(&self) -> &'static str;

    /// What sfdisk calls it, such as `dos`.
    fn sfdisk_label(&self) -> &'static str;

    /// Whether it stores names, and which sectors partitions may use.
    fn stores_names(&self) -> bool;

    /// The highest number of a partition.
    fn most_partitions(&self) -> u32;

    /// The highest number of a primary partition, where those above are logical.
    fn primaries(&self) -> Option<u32> {
        None
    }

    /// The number of sectors, from the disk's first on, that it can address.
    fn addressable_sectors(&self) -> u64 {
        u64::MAX
    }

    /// The sectors that it takes at both ends of a disk.
    fn reserved(&self, sector_size: SectorSize, shape: &Shape) -> Reserved;

    /// The type that a name, or the form that it is stored in, stands for.
    fn parse_type(&self, text: &str) -> Option<PartitionType>;

    /// Every name of a type, aliases included.
    fn type_names(&self) -> Vec<&'static str>;

    /// What to write for a type, with examples.
    fn type_forms(&self) -> &'static str;

    /// Refuses a partition that it cannot store.
    fn check(&self, partition: &Partition) -> Result<(), TableError>;

    /// The bytes of a table whose partitions obey the rules that all kinds share.
    fn encode(&self, table: &Table) -> Result<Vec<Region>, TableError>;

    /// Reads the table of a disk, if it is of this kind.
    fn detect(&self, disk: &Disk<'_>) -> Result<Detected, TableError>;

    /// What has to be written so that a table that was read with faults has none.
    fn mend(&self, disk: &Disk<'_>, decoded: &Decoded) -> Result<Vec<Mend>, RepairError>;
}

/// The sectors that a table takes at both ends of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Ranges from the start of the disk on, ascending, without overlaps. Partitions follow the last; what is between two
    /// is free for boot loaders.
    pub at_start: Vec<Range<Lba>>,
    /// The number of sectors at the end.
    pub at_end: u64,
}

impl Reserved {
    /// The first sector that a partition may have.
    #[must_use]
    pub fn first_usable(&self) -> Lba {
        self.at_start.last().map_or(Lba(0), |range| range.end)
    }
}

impl Scheme {
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

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.format().name())
    }
}
