//! What the user should know of content that was read.

use std::fmt;
use std::path::PathBuf;

use cellblock_text::PathBytes;

/// Something about a source that is no error, and perhaps not what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A pattern of `exclude` means nothing that is there.
    Unmatched {
        /// The source.
        root: PathBuf,
        /// The pattern.
        pattern: String,
    },
    /// A file was left out, because the program is about to write it.
    LeftOut {
        /// The source.
        root: PathBuf,
        /// The file's path in it.
        path: PathBytes,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmatched { root, pattern } => {
                let root = root.display();
                write!(
                    formatter,
                    "{root}: exclude pattern '{pattern}' matches nothing"
                )
            }
            Self::LeftOut { root, path } => {
                let root = root.display();
                write!(
                    formatter,
                    "{root}: {path} is an output of this run, and left out"
                )
            }
        }
    }
}
