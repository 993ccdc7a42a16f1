//! What is wrong with the files of a run.

use std::path::{Path, PathBuf};

use super::STREAM;

/// What a run would lose, or take in that it has made itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overlap {
    /// A file that would be lost.
    #[error(transparent)]
    File(#[from] SameFile),
    /// What comes through standard input comes once.
    #[error(
        "standard input is named twice, for {one} and for {other}: it can be read once; write one of them to a file, and name that"
    )]
    Twice {
        /// What is read from it.
        one: String,
        /// What would be.
        other: String,
    },
    /// A file in a folder that this run reads from.
    #[error(
        "{}: {what} lies in {}, a folder that this run reads; give it a name elsewhere; nothing has been written",
        .path.display(), .image.display()
    )]
    InImage {
        /// What goes there.
        what: String,
        /// Its name.
        path: PathBuf,
        /// The image's layout.
        image: PathBuf,
    },
    /// Files that would be content of the next run.
    #[error(
        "{}: {what} lies in {of} {}, which this run reads: what it writes now, the next would read; name a folder elsewhere; \
         nothing has been written",
        .path.display(), .other.display()
    )]
    Folder {
        /// What goes there.
        what: String,
        /// The folder.
        path: PathBuf,
        /// What is read.
        of: String,
        /// Its name.
        other: PathBuf,
    },
}

impl Overlap {
    /// Whether standard output is a file that the run reads: nothing may be said there, not even that this is so.
    #[must_use]
    pub fn is_of_stdout(&self) -> bool {
        matches!(self, Self::File(SameFile { path, .. }) if path == Path::new(STREAM))
    }
}

/// A file that would be lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; nothing has been written", said(self))]
pub struct SameFile {
    /// What would be written.
    pub output: String,
    /// Its name.
    pub path: PathBuf,
    /// What is there.
    pub other: String,
    /// Its name, which may be another one.
    pub other_path: PathBuf,
    /// Whether it is read, and not written too.
    pub is_read: bool,
}

fn said(same: &SameFile) -> String {
    let SameFile {
        output,
        path,
        other,
        other_path,
        is_read,
    } = same;
    let has_one_name = path == other_path;
    let (path, other_path) = (path.display(), other_path.display());
    match (output == other, is_read, has_one_name) {
        (true, false, true) => format!("{path}: is named twice for {output}; name it once"),
        (true, false, false) => format!(
            "{path}: is the same file as {other_path}, and each is named for {output}; leave one of them out"
        ),
        (true, true, _) => format!(
            "{path}: is both {output} that is read and {output} that is written; give the output another name"
        ),
        (false, _, true) => {
            format!("{path}: is both {output} and {other}; give one of them another name")
        }
        (false, _, false) => format!(
            "{path}: is both {output} and {other} ({other_path}); give one of them another name"
        ),
    }
}
