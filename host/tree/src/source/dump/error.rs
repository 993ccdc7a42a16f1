//! What can be wrong with a dumpfile.

use cellblock_text::PathBytes;

/// What is wrong with a dumpfile.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// Nothing is in it.
    #[error("says nothing: a dumpfile begins with a line for /")]
    Empty,
    /// A line longer than any honest one.
    #[error("is longer than {limit} bytes")]
    LongLine {
        /// The bytes that it may have.
        limit: usize,
    },
    /// Too few fields.
    #[error(
        "has {found} fields; there are 11: path, size, mode, links, user, group, device, time, payload, content and digest"
    )]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// A field of no bytes.
    #[error(
        "has an empty {field}: one space is between two fields, and - is for one that says nothing"
    )]
    EmptyField {
        /// Which.
        field: &'static str,
    },
    /// A field that cannot be read.
    #[error("has the {field} '{value}', which {reason}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it says.
        value: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A node whose directory is not there.
    #[error("is for {path}, whose directory is in no line before it")]
    NoParent {
        /// The node.
        path: PathBytes,
    },
    /// A path that is there already.
    #[error("is for {path}, as a line before it is")]
    Twice {
        /// The path.
        path: PathBytes,
    },
    /// A hard link to nothing, or to a directory.
    #[error("is a hard link from {path} to {target}, which is {found}")]
    LinkTarget {
        /// The link.
        path: PathBytes,
        /// What it names.
        target: PathBytes,
        /// What that is.
        found: &'static str,
    },
    /// Content that has another length than is said.
    #[error("says that {path} has {said} bytes, and it has {found}")]
    Size {
        /// The file.
        path: PathBytes,
        /// The length that is said.
        said: u64,
        /// The length that it has.
        found: u64,
    },
    /// A file without content.
    #[error("says that {path} has {size} bytes, and gives neither its content nor a payload")]
    NoContent {
        /// The file.
        path: PathBytes,
        /// The length that is said.
        size: u64,
    },
    /// A payload, and no folder to look in.
    #[error("has the payload '{payload}', and no `basedir` says in which folder that is")]
    NoBasedir {
        /// The payload.
        payload: PathBytes,
    },
    /// An object, or content in the line, that is something else than was written down.
    #[error(
        "says that {payload} has the fs-verity digest {said}, and it has {found}; it is damaged, or another one"
    )]
    Digest {
        /// The object.
        payload: PathBytes,
        /// The digest that is said.
        said: String,
        /// The digest that it has.
        found: String,
    },
}
