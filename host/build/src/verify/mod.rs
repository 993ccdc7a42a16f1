//! Read back: what is in a partition, by a reader that shares no code with what wrote it, held against what went in.
//!
//! ```text
//!     tree ──> formatter ──> partition ──> reader ──> tree
//!       └─────────────── compared ──────────────────────┘
//! ```

mod held;
mod itself;
mod record;
mod spec;
mod subject;

pub use held::Held;
pub use record::{BuildRecord, verify_record};
pub use spec::{sector_size, verify_image};

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use cellblock_cell::Runtime;
use cellblock_contract::{Log, Losses};
use cellblock_image::{ImageError, PartitionFile};
use cellblock_tree::Tree;
use cellblock_tree::source::SourceError;
use serde::Serialize;

use crate::BuildOptions;
use crate::compare::{Compared, Difference, compare};
use crate::plan::FilesystemPlan;
use crate::reading::ReadingError;

/// The differences that an error shows.
const SHOWN: usize = 8;

/// Which file systems of a build are read back before anything is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// None.
    Never,
    /// Those that formatters made which somebody brought, if a reader reads them.
    #[default]
    Foreign,
    /// All that a reader reads; of others it is said.
    Always,
}

/// Why a file system is not taken for what went in.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is something else.
    #[error(transparent)]
    Different(#[from] Different),
    /// It cannot be read back.
    #[error("reading it back failed: {0}; --no-verify publishes it unread")]
    Reading(#[from] ReadingError),
    /// What went in cannot be read once more.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Its file cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl VerifyError {
    /// What a reader had logged before it did not end well, if anything.
    pub(crate) fn log(&self) -> Option<&Log> {
        match self {
            Self::Reading(ReadingError::Reader { error, .. }) => error.log(),
            _ => None,
        }
    }
}

/// A file system that is not what went in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Different {
    /// The reader.
    pub reader: String,
    /// The first differences: what went in, and what is there.
    pub shown: Vec<Difference>,
    /// How many there are.
    pub count: u64,
}

impl fmt::Display for Different {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = if self.count == 1 { "path" } else { "paths" };
        write!(
            f,
            "what {} reads back is not what went in, in {} {paths}: ",
            self.reader, self.count
        )?;
        for (index, difference) in self.shown.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{difference}")?;
        }
        let others = self.count.saturating_sub(self.shown.len() as u64);
        if others > 0 {
            write!(f, "; and {others} others")?;
        }
        f.write_str("; --no-verify publishes it all the same")
    }
}

/// How a partition was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Path by path, as this reader tells it.
    Reader(String),
    /// Byte by byte.
    Bytes,
    /// By the digest of its bytes.
    Digest,
    /// Not at all: nothing is known of what it is to hold.
    Nothing,
}

/// A partition that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Checked {
    /// Its name.
    pub partition: String,
    /// How.
    pub by: How,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What there is to say of its file system as it was read, such as of a journal that was replayed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Checked {
    fn new(partition: &str) -> Self {
        Self {
            partition: partition.to_owned(),
            by: How::Nothing,
            differences: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Reads a partition back, and compares it with the tree that went into it, of which `lost` was dropped, and with what it was to
/// say `of_itself`; the reader's name.
pub(crate) fn read_back(
    runtime: &Runtime,
    name: &str,
    partition: &PartitionFile,
    (tree, lost): (&Tree, Losses),
    of_itself: Option<&FilesystemPlan>,
    options: &BuildOptions,
) -> Result<String, VerifyError> {
    let blocks = Arc::new(partition.blocks()?);
    let read = options.readers.read(runtime, name, blocks)?;
    let mut different = Different {
        reader: read.reader,
        shown: Vec::new(),
        count: 0,
    };
    let compared = Compared {
        ignore_times: false,
        held: Some(Held::by(&read.volume, lost)),
        jobs: NonZeroUsize::new(options.jobs),
    };
    let mut tell = |difference| {
        different.count += 1;
        if different.shown.len() < SHOWN {
            different.shown.push(difference);
        }
    };
    let itself = of_itself.map(|wanted| itself::differences(wanted, &read.volume));
    itself.into_iter().flatten().for_each(&mut tell);
    compare(tree, &read.tree, compared, &mut tell)?;
    match different.count {
        0 => Ok(different.reader),
        _ => Err(different.into()),
    }
}
