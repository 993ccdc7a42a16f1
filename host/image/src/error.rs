//! What can go wrong on the disk.

use std::io;
use std::path::PathBuf;

use super::Obstacle;
use cellblock_text::{exact, grouped};
use cellblock_tree::source::SourceError;

/// Why an image cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The image's name is that of a directory.
    #[error("{}: is a directory; name the image's file in it", path.display())]
    IsDirectory {
        /// The name.
        path: PathBuf,
    },
    /// The image's name is that of a device, a fifo or a socket.
    #[error(
        "{}: is no regular file, and only those are replaced; \
         build into a file, then copy it there", path.display()
    )]
    NotAFile {
        /// The name.
        path: PathBuf,
    },
    /// The file that has the image's name cannot be replaced.
    #[error("{}: cannot be replaced: {obstacle}", path.display())]
    Held {
        /// The name.
        path: PathBuf,
        /// Why.
        obstacle: Obstacle,
    },
    /// A folder that is to be made is there, and not empty.
    #[error("{}: is there already and not empty; name another folder, or remove it", path.display())]
    FolderTaken {
        /// The folder.
        path: PathBuf,
    },
    /// No thread can be started that copies content.
    #[error(
        "no thread can be started that copies content ({0}): allow more processes, as with ulimit -u"
    )]
    Thread(io::Error),
    /// What was compressed cannot be read back.
    #[error("reading what was compressed from its temporary file: {0}")]
    Spool(io::Error),
    /// The folder for the image does not take files.
    #[error("{}: no file can be made there: {source}", folder.display())]
    Create {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The image's name is a link to nothing.
    #[error(
        "{}: it is a link to {}, which is not there: name what it should lead to, or `-` for standard output", path.display(), to.display()
    )]
    Dangling {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// No file can be so long.
    #[error("a file of {} is longer than the file system of the folder {} holds one, or than `ulimit -f` allows", exact(*length), folder.display())]
    TooLong {
        /// The folder.
        folder: PathBuf,
        /// The length in bytes.
        length: u64,
    },
    /// The disk is full.
    #[error(
        "{}: the disk is full: {} are free, and {} more are to be written; \
         free some space, or build somewhere else", folder.display(), exact(*free), grouped(*length)
    )]
    Full {
        /// The folder of the image.
        folder: PathBuf,
        /// The bytes that are left on its disk.
        free: u64,
        /// The bytes of the write that failed.
        length: u64,
    },
    /// A read or write failed.
    #[error("{}: {action} {} at {offset} failed: {source}", folder.display(), exact(*length))]
    Transfer {
        /// The folder of the image.
        folder: PathBuf,
        /// `reading` or `writing`.
        action: &'static str,
        /// Where in the file.
        offset: u64,
        /// How much.
        length: u64,
        /// The reason.
        source: io::Error,
    },
    /// The image cannot be read again.
    #[error("reading the disk at byte {} failed: {source}", grouped(*offset))]
    Read {
        /// Where, in bytes.
        offset: u64,
        /// The reason.
        source: io::Error,
    },
    /// Nothing compresses for an output format.
    #[error("compressing the disk failed: {reason}")]
    Compress {
        /// What happened.
        reason: String,
    },
    /// The disk cannot be had in an output format.
    #[error("the disk cannot be written as {format}: {reason}")]
    Unfit {
        /// The format.
        format: &'static str,
        /// Why.
        reason: String,
    },
    /// What an output is to differ from cannot be that.
    #[error("{}: {is} is no disk to differ from: name a raw disk or a qcow2, and say with backing_fmt which of them", path.display())]
    Base {
        /// The file.
        path: PathBuf,
        /// What it is.
        is: &'static str,
    },
    /// The finished image does not get its name.
    #[error("{}: the finished image cannot be given this name: {source}", path.display())]
    Publish {
        /// The name.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The bytes of the image are not taken where they go.
    #[error("the image cannot be written to standard output: {source}")]
    Sink {
        /// The reason.
        source: io::Error,
    },
    /// A file beside the image cannot be written.
    #[error("{}: cannot be written: {source}; no image has been replaced", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// An image that should exist cannot be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The name.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// What should be changed is a device, a directory, a fifo or a socket.
    #[error("{}: is no regular file, and only those are changed; change the image's file, then copy it there", path.display())]
    NotChangeable {
        /// The name.
        path: PathBuf,
    },
    /// An image cannot be locked.
    #[error("{}: cannot be locked against a change by somebody else: {source}", path.display())]
    Lock {
        /// The name.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The image cannot be changed in a copy.
    #[error(
        "{}: cannot be replaced by a changed copy: {reason}; use --atomic auto or never", path.display()
    )]
    NotReplaceable {
        /// The name.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A write in place failed in the middle.
    #[error(
        "{}: writing the partition in place failed: {source}; its content is now undefined, \
         the table and all other partitions are as they were", path.display()
    )]
    Torn {
        /// The name of the image.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Writing in place, or having it on the disk, failed.
    #[error("{}: writing in place at byte {} failed: {source}", path.display(), grouped(*offset))]
    InPlace {
        /// The name of the image.
        path: PathBuf,
        /// Where, in bytes.
        offset: u64,
        /// The reason.
        source: io::Error,
    },
    /// A raw file cannot be read.
    #[error("{}: {source}", path.display())]
    Raw {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A raw file is not what it was when it was planned, or when it was begun to be copied.
    #[error("{}: changed while the image was built: {how}", path.display())]
    RawChanged {
        /// The file.
        path: PathBuf,
        /// What of it has changed.
        how: String,
    },
    /// Content cannot be read.
    #[error(transparent)]
    Source(#[from] Box<SourceError>),
}

impl ImageError {
    /// Whether what somebody has named is not there, or is nothing that could be an image.
    #[must_use]
    pub fn is_of_what_was_named(&self) -> bool {
        match self {
            Self::Open { source, .. } if source.kind() == io::ErrorKind::InvalidInput => true,
            Self::Open { source, .. } | Self::Create { source, .. } => leads_nowhere(source),
            Self::IsDirectory { .. }
            | Self::NotAFile { .. }
            | Self::Held { .. }
            | Self::FolderTaken { .. }
            | Self::Dangling { .. }
            | Self::NotChangeable { .. }
            | Self::Base { .. } => true,
            _ => false,
        }
    }
}

/// Whether the system found no file under a name: there is none, or a folder, or the way to it leads through a file.
#[must_use]
pub fn leads_nowhere(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

impl From<SourceError> for ImageError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}
