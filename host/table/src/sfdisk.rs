//! A partition table in the form of `sfdisk --json`, so that what reads that reads this.

use serde::Serialize;

use crate::{DiskId, MAX_PARTITIONS, Partition, PartitionType, Table};

/// The document: one member that holds the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SfdiskReport {
    /// The table.
    pub partitiontable: SfdiskTable,
}

/// A partition table, its members named and ordered as sfdisk has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SfdiskTable {
    /// `gpt`, `dos` or `none`.
    pub label: &'static str,
    /// The disk's GUID in capitals, or its MBR signature as `0x` and eight digits.
    pub id: String,
    /// The path of the disk, as given.
    pub device: String,
    /// `sectors`: the unit of every position and size.
    pub unit: &'static str,
    /// The first sector that partitions may use; GPT only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firstlba: Option<u64>,
    /// The last sector that partitions may use; GPT only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lastlba: Option<u64>,
    /// The number of entries, unless it is the usual one; GPT only.
    #[serde(rename = "table-length", skip_serializing_if = "Option::is_none")]
    pub table_length: Option<String>,
    /// The size of a sector, in bytes.
    pub sectorsize: u64,
    /// The partitions, in the order of their numbers; left out when there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<SfdiskPartition>,
}

/// A partition, its members named and ordered as sfdisk has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SfdiskPartition {
    /// The path of the partition: the disk's with the number, and `p` between them after a digit.
    pub node: String,
    /// The first sector.
    pub start: u64,
    /// The number of sectors.
    pub size: u64,
    /// The type GUID in capitals, or the type byte in hexadecimal.
    #[serde(rename = "type")]
    pub kind: String,
    /// The GUID in capitals; GPT only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// The name, unless it is empty; GPT only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The attributes, if any; GPT only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attrs: Option<String>,
    /// `true` on an active partition; MBR only, also that of a hybrid table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootable: Option<bool>,
    /// The type byte in hexadecimal in the MBR of a hybrid table, of which sfdisk shows only the GPT.
    #[serde(rename = "mbr-type", skip_serializing_if = "Option::is_none")]
    pub mbr_type: Option<String>,
}

impl SfdiskReport {
    /// The same of a GPT with room for this many entries.
    #[must_use]
    pub fn with_entries(mut self, entries: Option<u32>) -> Self {
        self.partitiontable.table_length = entries
            .filter(|count| *count != MAX_PARTITIONS)
            .map(|count| count.to_string());
        self
    }
}

/// The table of the disk with this path, in the form of `sfdisk --json`.
#[must_use]
pub fn json_like_sfdisk(table: &Table, device: &str) -> SfdiskReport {
    let format = table.scheme().format();
    let stores_names = format.stores_names();
    let mut partitions: Vec<&Partition> = table.partitions.iter().collect();
    partitions.sort_by_key(|partition| partition.number);
    SfdiskReport {
        partitiontable: SfdiskTable {
            label: format.sfdisk_label(),
            id: match table.disk_id {
                DiskId::Gpt(id) => upper(id),
                DiskId::Mbr(_) | DiskId::None => table.disk_id.to_string(),
            },
            device: device.to_owned(),
            unit: "sectors",
            firstlba: stores_names.then_some(table.first_usable.0),
            lastlba: stores_names.then_some(table.last_usable.0),
            table_length: None,
            sectorsize: table.sector_size.bytes(),
            partitions: partitions
                .into_iter()
                .map(|one| partition(one, stores_names, device))
                .collect(),
        },
    }
}

fn partition(partition: &Partition, stores_names: bool, device: &str) -> SfdiskPartition {
    SfdiskPartition {
        node: node(device, partition.number),
        start: partition.start.0,
        size: partition.sectors,
        kind: match partition.kind {
            PartitionType::Gpt(id) => upper(id),
            PartitionType::Mbr(byte) => format!("{byte:x}"),
            PartitionType::None => partition.kind.to_string(),
        },
        uuid: partition.id.map(upper),
        name: Some(partition.name.clone()).filter(|name| stores_names && !name.is_empty()),
        attrs: Some(partition.attributes.to_sfdisk()).filter(|words| !words.is_empty()),
        bootable: partition.active.then_some(true),
        mbr_type: partition.mbr_type.map(|byte| format!("{byte:x}")),
    }
}

fn node(device: &str, number: u32) -> String {
    let separator = if device.ends_with(|last: char| last.is_ascii_digit()) {
        "p"
    } else {
        ""
    };
    format!("{device}{separator}{number}")
}

fn upper(id: uuid::Uuid) -> String {
    format!("{id:X}")
}
