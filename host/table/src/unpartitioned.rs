//! A disk without a partition table: boot loaders and firmware of boards find their parts at offsets that they know.

use crate::detect::{Detected, Disk};
use crate::repair::{Mend, RepairError};
use crate::scheme::Reserved;
use crate::scheme::format::Format;
use crate::{Decoded, Partition, PartitionType, Region, SectorSize, Shape, Table, TableError, gpt};

/// See the [module](self).
pub(crate) struct Unpartitioned;

impl Format for Unpartitioned {
    fn sfdisk_label(&self) -> &'static str {
        "none"
    }

    fn stores_names(&self) -> bool {
        false
    }

    fn most_partitions(&self) -> u32 {
        gpt::MAX_PARTITIONS
    }

    fn reserved(&self, _: SectorSize, _: &Shape) -> Reserved {
        Reserved {
            at_start: Vec::new(),
            at_end: 0,
        }
    }

    fn parse_type(&self, _: &str) -> Option<PartitionType> {
        None
    }

    fn type_names(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn type_forms(&self) -> &'static str {
        "none: nothing stores it"
    }

    fn check(&self, partition: &Partition) -> Result<(), TableError> {
        let what = if partition.id.is_some() {
            "a GUID"
        } else if !partition.attributes.is_empty() {
            "attributes"
        } else if partition.mbr_type.is_some() {
            "a type in a hybrid MBR"
        } else if partition.active {
            "the active flag"
        } else if partition.boot_record.is_some() {
            "a boot record"
        } else {
            return Ok(());
        };
        Err(TableError::NotStored {
            number: partition.number,
            what,
            scheme: crate::Scheme::None,
        })
    }

    fn encode(&self, _: &Table) -> Result<Vec<Region>, TableError> {
        Ok(Vec::new())
    }

    fn detect(&self, _: &Disk<'_>) -> Result<Detected, TableError> {
        Ok(Detected::Absent(None))
    }

    fn mend(&self, _: &Disk<'_>, _: &Decoded) -> Result<Vec<Mend>, RepairError> {
        Ok(Vec::new())
    }
}
