//! What can be wrong with content, with the paths and numbers that say where.

use std::io;
use std::path::{Path, PathBuf};

use cellblock_text::PathBytes;

use super::contexts::ContextsError;
use super::dump::DumpError;
use super::mtree::MtreeError;
use super::oci::ImageError;
use crate::validate::fault::Fault;

mod archive;

pub use archive::ArchiveError;

/// Why content could not become a tree, or a file of the tree could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A source named in the spec cannot be opened.
    #[error("cannot open {}: {error}", path.display())]
    Open {
        /// The source as it was named.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },

    /// A disk image among the sources, where nothing reads file systems.
    #[error("{}: no file system is read here", path.display())]
    Unread {
        /// The image.
        path: PathBuf,
    },

    /// A source is something else than it was said to be.
    #[error("{} is {found}, but {expected} is needed", path.display())]
    WrongType {
        /// The source as it was named.
        path: PathBuf,
        /// What the spec says it is.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },

    /// An output has the name of a file of the content, which is none of an earlier run.
    #[error(
        "{}: {path} is content and an output of this run, which would replace it: name the output elsewhere, or leave the file out \
         of the content (exclude); nothing has been written", root.display()
    )]
    OutputInContent {
        /// The source as it was named.
        root: PathBuf,
        /// The file's path in the source.
        path: PathBytes,
    },

    /// The user may not read something in a source directory.
    #[error(
        "{}: may not read {path}: {error}; build as a user who may, exclude it, or give the content as a tar archive",
        root.display()
    )]
    Unreadable {
        /// The source directory.
        root: PathBuf,
        /// The path in it.
        path: PathBytes,
        /// The system's reason.
        error: io::Error,
    },

    /// Some other operation on a source failed.
    #[error("{}: cannot {action} {path}: {error}", root.display())]
    Io {
        /// The source.
        root: PathBuf,
        /// The path in it.
        path: PathBytes,
        /// What was to be done.
        action: &'static str,
        /// The system's reason.
        error: io::Error,
    },

    /// A file is no longer what it was when the tree was made.
    #[error(
        "{}: {path} changed while it was read: its {what} was {was}, now {is}; build from content that nothing writes to",
        root.display()
    )]
    Changed {
        /// The source.
        root: PathBuf,
        /// The path in it.
        path: PathBytes,
        /// Which of its properties.
        what: &'static str,
        /// The value that the tree was made with.
        was: String,
        /// The value found later.
        is: String,
    },

    /// More bytes of a file were asked for than it has.
    #[error("{path} has {size} bytes; {length} bytes at {offset} are not in it")]
    OutOfRange {
        /// The file's path in the tree.
        path: PathBytes,
        /// First byte asked for.
        offset: u64,
        /// Number of bytes asked for.
        length: u64,
        /// Number of bytes that there are.
        size: u64,
    },

    /// Bytes were asked for of a node that has none.
    #[error("{path} is {found}: only files have content")]
    NotAFile {
        /// The node's path in the tree.
        path: PathBytes,
        /// What it is.
        found: &'static str,
    },

    /// A node has something that no Linux system takes, or would not read again.
    #[error("{source_name}: {path}: {fault}")]
    Invalid {
        /// The source.
        source_name: PathBytes,
        /// The path in it.
        path: PathBytes,
        /// What is wrong.
        fault: Fault,
    },

    /// A source's destination cannot be used.
    #[error("destination '{to}': {reason}")]
    Destination {
        /// What `to` says.
        to: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A destination, or an archive's member, lies below something that is no directory.
    #[error(
        "{path} cannot be put below {parent}, which is {found}; links are never followed: name the real directory"
    )]
    BelowNonDirectory {
        /// What was to be added.
        path: PathBytes,
        /// The part of its path that is in the way.
        parent: PathBytes,
        /// What that is.
        found: &'static str,
    },

    /// A source has a directory where an earlier one has a symbolic link.
    #[error(
        "{path} is a directory here, and a symbolic link to {target} in an earlier source; \
         links are never followed: put its content into the real directory"
    )]
    DirectoryOverSymlink {
        /// The path of both, from where the later source goes.
        path: PathBytes,
        /// The link's target.
        target: PathBytes,
    },

    /// An `exclude` pattern is malformed.
    #[error("exclude pattern '{pattern}': {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A directory within a source, from which it is to be taken, is not there.
    #[error("{}: from '{from}' is to be taken, which is {found}", root.display())]
    From {
        /// The source.
        root: PathBuf,
        /// The path in it.
        from: PathBytes,
        /// What was found there.
        found: &'static str,
    },

    /// A symbolic link cannot be replaced by what it leads to.
    #[error(
        "{}: {path}, a symbolic link to '{target}', {reason}; exclude it, or store links as they are, without `follow`",
        root.display()
    )]
    Follow {
        /// The source.
        root: PathBuf,
        /// The link.
        path: PathBytes,
        /// Where it leads.
        target: PathBytes,
        /// Why that is no content.
        reason: &'static str,
    },

    /// A file whose length is not known before it is read.
    #[error(
        "{}: {path} is a file of {filesystem}, which has no length before it is read; exclude it, or copy what it says into a file",
        root.display()
    )]
    WithoutLength {
        /// The source.
        root: PathBuf,
        /// The file.
        path: PathBytes,
        /// The file system that it is in.
        filesystem: &'static str,
    },

    /// More than is kept of content in memory.
    #[error(
        "{}: with {path}, attributes, names and link targets take {kept} bytes of memory, and {limit} are allowed (14 MiB, and 640 \
         bytes a node); leave attributes out, or split the content over several partitions",
        root.display()
    )]
    Kept {
        /// The source.
        root: PathBuf,
        /// The node with which it is too much.
        path: PathBytes,
        /// The bytes that are kept.
        kept: u64,
        /// The bytes that may be.
        limit: u64,
    },

    /// A file that says what content is like is longer than any honest one.
    #[error("{}: has more than the {limit} bytes that {what} may have", path.display())]
    Large {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
        /// The bytes that it may have.
        limit: u64,
    },

    /// A policy's file of contexts is malformed.
    #[error("{}: line {line} {error}", path.display())]
    Contexts {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: ContextsError,
    },

    /// Something else is given for a composefs dumpfile.
    #[error("{} is {found}, and no composefs dumpfile: {advice}", path.display())]
    NotADump {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What to do.
        advice: &'static str,
    },

    /// A composefs dumpfile is malformed, or its objects are others.
    #[error("{}: line {line} {error}", path.display())]
    Dump {
        /// The dumpfile.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: DumpError,
    },

    /// A specification of owners and modes is malformed, or not one of this source.
    #[error("{}: line {line} {error}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: MtreeError,
    },

    /// The tree does not fit a node's number.
    #[error(
        "the content has more than {} nodes; split it over several partitions",
        u32::MAX
    )]
    TooManyNodes,

    /// An archive is malformed, or cannot be read.
    #[error("{}: {error}", path.display())]
    Archive {
        /// The archive as it was named.
        path: PathBuf,
        /// What is wrong with it.
        error: ArchiveError,
    },

    /// A container image is malformed, cannot be read, or cannot be told from others.
    #[error("{}: {error}", path.display())]
    Image {
        /// The layout as it was named.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<ImageError>,
    },
}

impl SourceError {
    /// The source as it was named, if what names it is wrong: it is not there, or it is not what it was said to be, or has
    /// not in it what is to be taken.
    #[must_use]
    pub fn misnamed(&self) -> Option<&Path> {
        match self {
            Self::Open { path, .. }
            | Self::WrongType { path, .. }
            | Self::From { root: path, .. }
            | Self::OutputInContent { root: path, .. }
            | Self::Large { path, .. }
            | Self::Contexts { path, .. }
            | Self::Metadata { path, .. }
            | Self::Dump { path, .. }
            | Self::NotADump { path, .. }
            | Self::Archive {
                path,
                error:
                    ArchiveError::Empty
                    | ArchiveError::Nothing { .. }
                    | ArchiveError::NotAnArchive { .. },
            } => Some(path),
            Self::Image { path, error } if error.is_of_what_was_named() => Some(path),
            _ => None,
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_on_one_line_and_a_long_one_by_its_ends() {
        let shown = |path: &[u8]| PathBytes(path.to_vec()).to_string();
        assert_eq!(shown("a/ü\n\u{9b}".as_bytes()), "a/ü\\n\\u{9b}");
        assert_eq!(shown(b"\xff"), "\\xff");
        assert_eq!(shown(&[b'a'; 4096]).len(), 4096);
        let (start, end) = ("b".repeat(256), "c".repeat(256));
        let long = [&[b'b'; 3000][..], &[b'c'; 3000]].concat();
        assert_eq!(shown(&long), format!("{start}…{end} (6000 bytes)"));
    }
}
