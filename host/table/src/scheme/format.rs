//! What each kind of table has to answer.

use super::Reserved;
use crate::detect::{Detected, Disk};
use crate::repair::{Mend, RepairError};
use crate::{Decoded, Partition, PartitionType, Region, SectorSize, Shape, Table, TableError};

/// What a kind of table is, takes of a disk, and does.
pub(crate) trait Format: Sync {
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
