//! What the walk of a directory and the reading of its files say of a path.

use std::path::Path;

use super::beneath::{self, Record};
use super::error::SourceError;
use crate::join_path;
use cellblock_text::PathBytes;
use rustix::io::Errno;

/// The path below the root of a name in a directory.
pub(crate) fn path_of(records: &[Record], directory: u32, name: &[u8]) -> PathBytes {
    let mut names = beneath::names(records, directory);
    if !name.is_empty() {
        names.push(name);
    }
    PathBytes(join_path(names.into_iter()))
}

/// The error for a failed operation on a path in a source directory.
pub(crate) fn failure(
    root: &Path,
    path: PathBytes,
    action: &'static str,
    error: Errno,
) -> SourceError {
    let root = root.to_path_buf();
    match error {
        Errno::ACCESS | Errno::PERM => SourceError::Unreadable {
            root,
            path,
            error: error.into(),
        },
        // What the walk had listed is gone, or has become a link or another type.
        Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO => SourceError::Changed {
            root,
            path,
            what: "entry in its directory",
            was: "there".to_owned(),
            is: std::io::Error::from(error).to_string(),
        },
        _ => SourceError::Io {
            root,
            path,
            action,
            error: error.into(),
        },
    }
}
