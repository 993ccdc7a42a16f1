//! What can go wrong, with the partition that it concerns.

use crate::catalogue::GuestError;
use crate::kernel::KernelError;
use crate::plan::PlanError;
use crate::reading::ReadingError;
use crate::split::error::SplitError;
use crate::verify::VerifyError;
use crate::{DiskError, TemplateError};
use cellblock_cell::CellError;
use cellblock_contract::FormatError;
use cellblock_image::ImageError;
use cellblock_spec::SpecError;
use cellblock_table::TableError;
use cellblock_tree::source::SourceError;

/// Why there is no image. Whatever had its name before is as it was, but for what [`Error::Later`] names.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The spec cannot be understood.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The spec is understood, and cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A formatter cannot be used.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// A partition cannot be made.
    #[error("partition '{name}': {reason}")]
    Partition {
        /// The partition's name.
        name: String,
        /// The reason.
        reason: Box<PartitionError>,
    },
    /// A file system without a disk cannot be made.
    #[error(transparent)]
    Filesystem(Box<PartitionError>),
    /// Its partitions cannot be files of their own.
    #[error("--split: {0}")]
    Split(#[from] SplitError),
    /// The partition table cannot be made.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The image cannot be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The image cannot be had in the format of an output.
    #[error("{output}: {reason}")]
    Output {
        /// The output.
        output: String,
        /// The reason.
        reason: ImageError,
    },
    /// An output cannot have its name, and outputs before it have theirs.
    #[error("{reason}; {} already", named(.before))]
    Later {
        /// The outputs that have their names.
        before: Vec<String>,
        /// Why this one cannot.
        reason: Box<Error>,
    },
    /// An image that exists cannot be changed or read as asked.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a partition cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// A template of its content.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A unified kernel that goes into it.
    #[error(transparent)]
    Kernel(KernelError),
    /// Its content.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A disk image among its content.
    #[error(transparent)]
    Reading(#[from] Box<ReadingError>),
    /// Its cell.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// It is not what went in, or cannot be read back.
    #[error(transparent)]
    Verify(#[from] Box<VerifyError>),
    /// Its file.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The program that workers run.
    #[error("the program that workers run cannot be read: {0}")]
    Program(std::io::Error),
}

impl From<KernelError> for PartitionError {
    /// A template is shown beside its own lines, wherever it goes.
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Template(error) => Self::Template(error),
            error => Self::Kernel(error),
        }
    }
}

fn named(outputs: &[String]) -> String {
    match outputs {
        [output] => format!("{output} is new"),
        outputs => format!("{} are new", outputs.join(", ")),
    }
}

impl Error {
    /// Whether the spec or the command line is wrong, and not something that happened while building.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Spec(_) | Self::Plan(_) | Self::Split(_) => true,
            Self::Guest(error) => error.is_usage(),
            Self::Disk(error) => error.is_usage(),
            Self::Image(error) | Self::Output { reason: error, .. } => error.is_of_what_was_named(),
            Self::Partition { reason, .. } | Self::Filesystem(reason) => reason.is_usage(),
            _ => false,
        }
    }
}

impl PartitionError {
    /// Whether what was asked for is wrong: a kind, a label, an option or a size that cannot be, or content that is not there.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        let source = match self {
            Self::Template(_) | Self::Kernel(_) => return true,
            Self::Reading(error) => return error.is_usage(),
            Self::Source(source) => source,
            Self::Cell(error) => match error.bare() {
                CellError::Source(source) => source,
                CellError::Refused(refusal) => {
                    return refusal.shortage().is_some()
                        || refusal.is_of_the_stamp()
                        || matches!(
                            refusal.error(),
                            FormatError::Kind
                                | FormatError::Label(_)
                                | FormatError::Setting(_)
                                | FormatError::TooLarge(_)
                        );
                }
                error => return error.is_of_the_file(),
            },
            _ => return false,
        };
        source.misnamed().is_some()
    }
}
