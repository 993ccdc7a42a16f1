//! The record of a repair.

use std::path::Path;

use serde::Serialize;

use cellblock_table::Repair;

/// What was wrong with a partition table, and what mends it: the shape of `repair --json`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RepairRecord {
    /// The version of this program.
    pub cellblock: &'static str,
    /// The file.
    pub image: String,
    /// Whether what mends it has been written.
    pub written: bool,
    /// What was wrong, in words.
    pub faults: Vec<String>,
    /// What mends it, in the order in which it is to be written.
    pub mends: Vec<MendRecord>,
}

/// One part of a table that is written anew.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct MendRecord {
    /// What it is, in words.
    pub what: String,
    /// Where it is, in bytes.
    pub start: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl RepairRecord {
    /// What was found in the image at `path`.
    #[must_use]
    pub fn of(path: &Path, repair: &Repair, written: bool) -> Self {
        let mends = repair.mends.iter().map(|mend| MendRecord {
            what: mend.what.to_string(),
            start: mend.region.offset,
            size: mend.region.bytes.len() as u64,
        });
        Self {
            cellblock: env!("CARGO_PKG_VERSION"),
            image: path.display().to_string(),
            written,
            faults: repair.faults.iter().map(ToString::to_string).collect(),
            mends: mends.collect(),
        }
    }
}
