//! What can be wrong with content, with the paths and numbers that say where.

use std::io;
use std::path::{Path, PathBuf};

use cellblock_text::PathBytes;

use super::contexts::ContextsError;
use super::dump::DumpError;
use super::mtree::MtreeError;
use super::oci::ImageError;
use crate::validate::fault::Fault;

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
            | Self::Large { path, .. }
            | Self::Contexts { path, .. }
            | Self::Metadata { path, .. }
            | Self::Dump { path, .. }
            | Self::Archive {
                path,
                error: ArchiveError::Empty | ArchiveError::NotAnArchive { .. },
            } => Some(path),
            _ => None,
        }
    }
}

/// What can be wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It has no bytes.
    #[error("the archive is empty (0 bytes), not even an end mark; make it again")]
    Empty,

    /// The first block is no tar header, and no known compression begins so.
    #[error(
        "not a tar archive, plain or compressed with gzip, zstd, xz, bzip2 or lz4{}",
        hint.map(|hint| format!(": it is {hint}")).unwrap_or_default()
    )]
    NotAnArchive {
        /// What it looks like, if that is known.
        hint: Option<&'static str>,
    },

    /// A header's checksum does not match it.
    #[error(
        "the header at byte {offset} has {}, its bytes sum to {computed}; the archive is damaged",
        stated.map_or("no checksum".to_owned(), |stated| format!("checksum {stated}"))
    )]
    Checksum {
        /// Where the header begins.
        offset: u64,
        /// The sum that it states, if that is a number.
        stated: Option<i64>,
        /// The sum of its bytes.
        computed: i64,
    },

    /// The archive ends too early.
    #[error(
        "truncated: the archive ends at byte {end}, but {what} of member '{member}' goes on to byte {needed}; \
         {} bytes are missing; make or fetch the archive again",
        needed - end
    )]
    Truncated {
        /// Length of the archive, decompressed.
        end: u64,
        /// What is cut: a header or the data.
        what: &'static str,
        /// The member concerned, or the last one before.
        member: PathBytes,
        /// The length that it would have to have at least.
        needed: u64,
    },

    /// A member's name is not a relative path that stays inside.
    #[error(
        "member '{member}': {reason}; make the archive with relative names (tar -C DIR -cf ARCHIVE .)"
    )]
    Name {
        /// The member's name.
        member: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A numeric field of a header does not hold a number that can be used.
    #[error("member '{member}': its {field} '{value}' {reason}")]
    Number {
        /// The member's name.
        member: PathBytes,
        /// The field.
        field: &'static str,
        /// What it contains.
        value: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A header is larger than any honest archive has.
    #[error("the {what} at byte {offset} has {length} bytes; the limit is {limit}")]
    TooLong {
        /// Which header.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// Its stated length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },

    /// A member is of a type that no file system stores.
    #[error("member '{member}' has the unknown type '{}'; leave it out of the archive", type_flag.escape_ascii())]
    UnknownType {
        /// The member's name.
        member: PathBytes,
        /// The header's type flag.
        type_flag: u8,
    },

    /// A hard link's target is not an earlier member.
    #[error(
        "member '{member}' is a hard link to '{target}', which is {found}; add the target before the link"
    )]
    LinkTarget {
        /// The member's name.
        member: PathBytes,
        /// The name that it links to.
        target: PathBytes,
        /// What was found there.
        found: &'static str,
    },

    /// A member lies below another that is no directory.
    #[error("member '{member}' lies below '{parent}', which is {found}")]
    BelowNonDirectory {
        /// The member's name.
        member: PathBytes,
        /// The other member.
        parent: PathBytes,
        /// What that is.
        found: &'static str,
    },

    /// A pax extended header is malformed.
    #[error("the pax header at byte {offset}: {reason}; the archive is damaged")]
    Pax {
        /// Where the header begins.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The map of a sparse member is malformed.
    #[error("member '{member}': its map of holes {reason}; the archive is damaged")]
    Sparse {
        /// The member's name.
        member: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// An access control list cannot be converted.
    #[error("member '{member}': access control list entry '{entry}' {reason}")]
    AccessControlList {
        /// The member's name.
        member: PathBytes,
        /// The entry.
        entry: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// More headers than one member has.
    #[error("more than {limit} headers before the member at byte {offset}; the archive is damaged")]
    TooManyHeaders {
        /// Where the first one too many begins.
        offset: u64,
        /// How many there may be.
        limit: usize,
    },

    /// Paths through more directories than the archive has.
    #[error(
        "member '{member}' is below directories that are no members: there are {implied} of those, and of {members} members \
         no more than {limit} are taken; make the archive with its directories"
    )]
    ImpliedDirectories {
        /// The member's name.
        member: PathBytes,
        /// How many directories there are so far that no member had been.
        implied: u64,
        /// How many members there are so far.
        members: u64,
        /// How many such directories there may be.
        limit: u64,
    },

    /// More than is kept of content in memory.
    #[error(
        "with member '{member}', attributes, names, link targets and maps of holes take {kept} bytes of memory, and {limit} are \
         allowed (14 MiB, and 640 bytes a node); make the archive without attributes, or split the content over several partitions"
    )]
    Kept {
        /// The member's name.
        member: PathBytes,
        /// The bytes that are kept.
        kept: u64,
        /// The bytes that may be.
        limit: u64,
    },

    /// More stretches of data between holes than are kept in memory.
    #[error(
        "with member '{member}', the maps of holes of the archive have more than {limit} stretches of data; make the archive \
         without tar's --sparse, or split the content over several partitions"
    )]
    Maps {
        /// The member's name.
        member: PathBytes,
        /// How many there may be.
        limit: usize,
    },

    /// A member with holes in a format that is not read.
    #[error(
        "member '{member}' is stored with its holes left out in a format that is not read ({format}); make the archive with GNU \
         tar, or without leaving holes out"
    )]
    SparseFormat {
        /// The member's name.
        member: PathBytes,
        /// The format.
        format: String,
    },

    /// A compressed archive has more content than its partition could hold.
    #[error(
        "its files, up to member '{member}', have {stored} bytes, and the partition has {partition}; make the partition \
         larger, or if the archive is right, allow what it decompresses to with --archive-limit"
    )]
    BeyondPartition {
        /// The member with which it is too much.
        member: PathBytes,
        /// The bytes of all files up to there.
        stored: u64,
        /// The bytes that the partition has at the most.
        partition: u64,
    },

    /// A compressed archive is larger than allowed.
    #[error(
        "decompresses to more than the {limit} bytes that are allowed; if the archive is right, allow more with --archive-limit"
    )]
    SpoolLimit {
        /// The bytes that were left of the limit for this archive.
        limit: u64,
    },

    /// The compressed data is damaged.
    #[error(
        "damaged {format} data after {decompressed} decompressed bytes: {error}; make or fetch the archive again"
    )]
    Decompress {
        /// The compression.
        format: &'static str,
        /// Bytes that came out before.
        decompressed: u64,
        /// The decompressor's reason.
        error: io::Error,
    },

    /// The compressed data refers further back than memory is given for.
    #[error(
        "the {format} data needs a window of {} bytes, and {limit} are allowed; compress it again with a smaller one (xz -9, \
         zstd -19 or zstd --long=26 need no more)",
        wanted.map_or("more".to_owned(), |wanted| wanted.to_string())
    )]
    Window {
        /// The compression.
        format: &'static str,
        /// How far it refers back, in bytes, where it says so.
        wanted: Option<u64>,
        /// How far it may, in bytes.
        limit: u64,
    },

    /// The temporary file for decompressed data cannot be made or written.
    #[error("cannot write the decompressed archive to a temporary file: {0}")]
    Spool(io::Error),

    /// The archive cannot be read.
    #[error("cannot read: {0}")]
    Read(io::Error),

    /// It has more members than nodes can be numbered.
    #[error("more than {} members", u32::MAX)]
    TooManyMembers,
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
