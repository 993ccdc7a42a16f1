//! Why a partition of a disk that exists is not what was asked for.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use cellblock_image::leads_nowhere;
use cellblock_table::{Finding, RepairError, SelectError, TableError};
use cellblock_text::{exact, grouped};
use cellblock_tree::recognise::{Class, Format};

/// Why a disk that exists is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It has no table that can be read.
    #[error("{}: {source}", path.display())]
    Table {
        /// The image.
        path: PathBuf,
        /// Why.
        source: TableError,
    },
    /// It is no raw disk, or a file system without a table around it.
    #[error("{}: is {}, not a raw disk{}", path.display(), format.name, Advice(format))]
    Recognised {
        /// The image.
        path: PathBuf,
        /// What it is.
        format: &'static Format,
    },
    /// Its table breaks a rule, so what it says of partitions is not to be trusted.
    #[error(
        "{}: the partition table is damaged, so nothing is done:{}{}",
        path.display(), Lines(findings), Hint { path, findings }
    )]
    Damaged {
        /// The image.
        path: PathBuf,
        /// What is wrong.
        findings: Vec<Finding>,
    },
    /// Its table cannot be mended.
    #[error("{}: {source}", path.display())]
    Repair {
        /// The image.
        path: PathBuf,
        /// Why.
        source: RepairError,
    },
    /// It has no such partition, or several.
    #[error("{}: {source}", path.display())]
    Select {
        /// The image.
        path: PathBuf,
        /// Why.
        source: SelectError,
    },
    /// The partition has another size than expected.
    #[error(
        "{}: partition {partition} has {}, and {} were expected", path.display(), exact(*size), grouped(*expected)
    )]
    Size {
        /// The image.
        path: PathBuf,
        /// The partition.
        partition: String,
        /// Its size in bytes.
        size: u64,
        /// What was expected.
        expected: u64,
    },
    /// The table is another one than before the partition was made.
    #[error(
        "{}: its partition table has changed while the content of partition {partition} was made: begin again",
        path.display()
    )]
    TableChanged {
        /// The image.
        path: PathBuf,
        /// The partition.
        partition: String,
    },
    /// The file does not fit.
    #[error(
        "{}: {} has {}, but partition {partition} has {} ({} short)",
        path.display(), file.display(), exact(*length), grouped(*size), grouped(length - size)
    )]
    TooLong {
        /// The image.
        path: PathBuf,
        /// The file.
        file: PathBuf,
        /// Its length in bytes.
        length: u64,
        /// The partition.
        partition: String,
        /// Its size in bytes.
        size: u64,
    },
    /// The file cannot be used.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no record of a build, or of others than this image.
    #[error("{}: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Standard input gave nothing, as when what writes it has failed.
    #[error(
        "standard input: gave no byte, and no partition is wiped by that; if it is to be wiped, name an empty file"
    )]
    Nothing,
    /// The file is a directory, a device, a fifo or a socket.
    #[error("{}: is no regular file", file.display())]
    NotAFile {
        /// The file.
        file: PathBuf,
    },
    /// The file is the image.
    #[error("{}: is the image itself; name another file", file.display())]
    SameFile {
        /// The file.
        file: PathBuf,
    },
}

/// What to do with a file that is no disk.
struct Advice<'a>(&'a Format);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.advice_for_disks() {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// What helps, if anything does.
struct Hint<'a> {
    path: &'a Path,
    findings: &'a [Finding],
}

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.iter().any(Finding::is_repairable) {
            let path = self.path.display();
            write!(
                f,
                "\n`cellblock repair {path}` says what of it can be mended"
            )?;
        }
        Ok(())
    }
}

impl DiskError {
    /// Whether what was typed cannot be: the image is none, there is no such partition, or it is too small.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Select { .. }
            | Self::Recognised { .. }
            | Self::TooLong { .. }
            | Self::NotAFile { .. }
            | Self::Nothing
            | Self::Record { .. }
            | Self::SameFile { .. } => true,
            Self::File { source, .. } => leads_nowhere(source),
            Self::Table { source, .. }
            | Self::Repair {
                source: RepairError::Table(source),
                ..
            } => matches!(source, TableError::NoTable(_)),
            _ => false,
        }
    }
}

/// Findings, each on a line of its own.
struct Lines<'a>(&'a [Finding]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

/// Whether what there is in place of a table may be a file system.
pub(crate) fn is_without_table(error: &DiskError) -> bool {
    match error {
        DiskError::Recognised { format, .. } => format.class == Class::Filesystem,
        DiskError::Table { source, .. } => matches!(source, TableError::NoTable(_)),
        _ => false,
    }
}
