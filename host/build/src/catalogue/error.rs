//! Why a guest cannot be used.

use std::path::PathBuf;

use crate::component::ComponentError;
use cellblock_cell::CellError;

/// Why a formatter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// The file cannot be read.
    #[error("{}: the guest '{name}' cannot be read: {source}", file.display())]
    Read {
        /// The guest.
        name: String,
        /// Its file.
        file: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not the one that the spec or the command line pins.
    #[error(
        "{}: the guest '{name}' has the SHA-256 digest {is}, and is pinned to {pinned}",
        file.display()
    )]
    Digest {
        /// The guest.
        name: String,
        /// Its file.
        file: PathBuf,
        /// The digest of the file.
        is: String,
        /// The digest that it must have.
        pinned: String,
    },
    /// It is to make a known file system, and makes others.
    #[error(
        "the guest '{name}' makes {kinds}, and no {name}: name it after what it makes, or give it a name that no file system has"
    )]
    OtherKind {
        /// What it is to make.
        name: String,
        /// What it makes.
        kinds: String,
    },
    /// A registry or a layout does not give it.
    #[error("the guest '{name}': {source}")]
    Component {
        /// The guest.
        name: String,
        /// The reason.
        source: ComponentError,
    },
    /// Nothing makes the file system.
    #[error(
        "no formatter makes '{kind}'; there are {known}, and --guest {kind}=FILE.wasm brings one"
    )]
    Unknown {
        /// The file system.
        kind: String,
        /// Those that there are.
        known: String,
    },
    /// The guest cannot be run.
    #[error(transparent)]
    Cell(#[from] CellError),
}

impl GuestError {
    /// Whether what was named is wrong: all that is told before anything of the guest runs.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Unknown { .. }
            | Self::Read { .. }
            | Self::Digest { .. }
            | Self::OtherKind { .. } => true,
            Self::Component { source, .. } => source.is_usage(),
            Self::Cell(error) => error.is_of_the_file(),
        }
    }
}
