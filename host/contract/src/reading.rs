//! What a reader says of itself, and of the file system that it reads.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Property;

/// What a reader is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderDescription {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// What it reads, in a sentence.
    pub summary: String,
    /// The kinds that it reads.
    pub kinds: Vec<String>,
}

/// What a file system says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Volume {
    /// What it is, as `ext4`.
    pub kind: String,
    /// The label; empty for none. What is not UTF-8 in it is replaced.
    pub label: String,
    /// What tells it from others, as it is usually written; empty for none.
    pub identifier: String,
    /// The bytes of what it allots room in.
    pub block_size: u32,
    /// The bytes that it takes of the partition.
    pub size: u64,
    /// The bytes of it that are free.
    pub free: u64,
    /// What else is worth telling, in a fixed order.
    pub properties: Vec<Property>,
}

/// Why a file system is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderError {
    /// It is of no kind that the reader reads.
    Unrecognised,
    /// It needs something that the reader does not have.
    Unsupported(String),
    /// A structure is not as its format says.
    Damaged {
        /// The structure.
        structure: String,
        /// Where it is in the partition, in bytes, if that is known.
        offset: Option<u64>,
        /// What is wrong with it.
        problem: String,
    },
    /// The partition could not be read: what the reader was told.
    Partition(String),
    /// Something of it could not be decoded: what.
    Decoding(String),
}

impl fmt::Display for ReaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecognised => f.write_str("it is no file system that the reader knows"),
            Self::Unsupported(what) => write!(f, "it needs {what}, which the reader does not have"),
            Self::Damaged {
                structure,
                offset,
                problem,
            } => {
                write!(f, "damaged: {structure}")?;
                if let Some(offset) = offset {
                    write!(f, ", at byte {offset},")?;
                }
                write!(f, " {problem}")
            }
            Self::Partition(code) => write!(
                f,
                "damaged: it points outside the partition, or that cannot be read: {code}"
            ),
            Self::Decoding(what) => write!(f, "damaged: {what}"),
        }
    }
}
