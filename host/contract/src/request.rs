//! What a formatter is asked for.

use cellblock_tree::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Losses;

/// Everything that decides the bytes of a file system beside its tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which of the formatter's kinds to make.
    pub kind: String,
    /// The size of the partition; 0 to measure.
    pub size: u64,
    /// Where the partition begins on its disk; 0 if it is on none.
    pub disk_offset: u64,
    /// The disk's logical sector: 512 or 4096.
    pub sector_size: u32,
    /// The label; empty for none.
    pub label: String,
    /// The file system's identifier, in the order in which a UUID is written; formats with shorter ones take its last bytes.
    pub uuid: [u8; 16],
    /// From where every other identifier derives.
    pub seed: [u8; 16],
    /// The time of all that the formatter makes itself.
    pub time: Timestamp,
    /// What may be left out.
    pub drop: Losses,
    /// Options in the user's order, no name twice.
    pub settings: Vec<Setting>,
}

/// An option as the user gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The option's name, as `reserved-blocks`.
    pub name: String,
    /// Its value, as typed.
    pub value: String,
}
