//! What can be wrong with an archive.

use std::io;

use cellblock_text::PathBytes;

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

    /// What comes out of the compression is compressed.
    #[error("compressed twice: what it decompresses to is {name}; decompress it once")]
    CompressedTwice {
        /// What it is.
        name: &'static str,
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
    #[error("member '{member}': {reason}; {advice}")]
    Name {
        /// The member's name.
        member: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
        /// What helps.
        advice: &'static str,
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

    /// A member that goes on from another volume.
    #[error(
        "member '{member}' has the type 'M': it is the rest of a file that begins in another volume of a multi-volume archive, and those are \
         not read; unpack all volumes with GNU tar, and make one archive"
    )]
    OtherVolume {
        /// The member's name.
        member: PathBytes,
    },

    /// A hard link with a size, and readers do not agree whether that many bytes of data follow.
    #[error(
        "member '{member}' is a hard link with a size of {size} bytes, and {reading}: by POSIX and bsdtar that many bytes of data may follow \
         a link, for GNU tar and Go's archive/tar the next header always does; make the archive with GNU tar, which writes no size"
    )]
    DataOfLink {
        /// The member's name.
        member: PathBytes,
        /// The size in bytes.
        size: u64,
        /// What is in doubt.
        reading: &'static str,
    },

    /// A member of a layer that is a directory by its name, and a file with data by its type.
    #[error(
        "member '{member}' has the type of a file, {size} bytes, and a name that ends in '/': for Go's archive/tar it is a file, for GNU \
         tar and bsdtar a directory, and its data are headers; make the layer again"
    )]
    DataOfDirectory {
        /// The member's name.
        member: PathBytes,
        /// The size in bytes.
        size: u64,
    },

    /// Two headers of a member name it, or its target, differently.
    #[error(
        "one header of a member has the name '{one}' and another '{other}', and readers do not agree which one holds; make the layer \
         again"
    )]
    TwoNames {
        /// One name.
        one: PathBytes,
        /// The other one.
        other: PathBytes,
    },

    /// A global pax header says of all members of a layer what only one can have.
    #[error(
        "the global pax header at byte {offset} has '{key}' for all members, which Go's archive/tar gives to none; make the layer \
         again without it"
    )]
    GlobalRecord {
        /// Where the header begins.
        offset: u64,
        /// The record's key.
        key: PathBytes,
    },

    /// Behind one block of zeros is something else.
    #[error(
        "at byte {offset} is a lone block of zeros, and behind it something else: an end mark has two, and readers do not agree whether \
         members that follow count; make the layer again"
    )]
    LoneZeroBlock {
        /// Where the block begins.
        offset: u64,
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

    /// A hard link's target is named through a symbolic link, which is not followed.
    #[error(
        "member '{member}' is a hard link to '{target}', and '{link}' is a symbolic link, which is not followed; name the target by \
         the directory that it is in"
    )]
    LinkThroughSymlink {
        /// The member's name.
        member: PathBytes,
        /// The name that it links to.
        target: PathBytes,
        /// The beginning of that which is a symbolic link.
        link: PathBytes,
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

    /// A member would replace a directory that has members in it.
    #[error(
        "member '{member}' is no directory, and an earlier one, which has '{kept}', is: that would be lost; leave one of them out of \
         the archive"
    )]
    OverDirectory {
        /// The member's name.
        member: PathBytes,
        /// What lies in the directory: its first name.
        kept: PathBytes,
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

    /// What is compressed is nothing.
    #[error(
        "the {format} data decompresses to nothing (0 bytes), not even an end mark; make the archive again"
    )]
    Nothing {
        /// The compression.
        format: &'static str,
    },

    /// Behind the compressed data is something else.
    #[error(
        "something follows the {format} data at byte {offset}, and it is no more of that, and no zeros; cut it off, or make or fetch \
         the archive again"
    )]
    Follows {
        /// The compression.
        format: &'static str,
        /// Where it begins in the compressed archive.
        offset: u64,
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
