//! What no tree can be.

use cellblock_text::PathBytes;

use super::builder::{MEMORY, PATH_LIMIT};
use crate::validate::Fault;

/// What a reader told that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeFault {
    /// The first node is no directory without a name.
    #[error("the first node is not the root directory")]
    Root,
    /// A column of a batch has not as many values as its nodes ask for.
    #[error("a batch of nodes has columns that do not fit together")]
    Columns,
    /// A node is in no directory.
    #[error("'{name}' is in node {parent}, which is no directory that was told before")]
    Parent {
        /// Its name.
        name: PathBytes,
        /// The number that was told.
        parent: u32,
    },
    /// No file has such a name.
    #[error("a file in {directory} is called '{name}', which no file can be")]
    Name {
        /// The directory.
        directory: PathBytes,
        /// The name.
        name: PathBytes,
    },
    /// A path is too long.
    #[error("a path below {directory} has more than {PATH_LIMIT} bytes")]
    Deep {
        /// The directory's first bytes.
        directory: PathBytes,
    },
    /// A name is there already.
    #[error("{path} is there twice")]
    Twice {
        /// The path.
        path: PathBytes,
    },
    /// A hard link to what has no other name.
    #[error("{path} is another name of node {node}, which is a directory, a link or nothing")]
    Link {
        /// The link.
        path: PathBytes,
        /// The number that was told.
        node: u64,
    },
    /// A link's target cannot be.
    #[error(
        "the target of {path} has {length} bytes, a NUL byte among them, or none or more than 4095"
    )]
    Target {
        /// The link.
        path: PathBytes,
        /// Its length.
        length: usize,
    },
    /// A size, a mode, a time or a device number is beyond what there is.
    #[error("{path} has a size, a mode, a time or a device number that there is not")]
    Metadata {
        /// The path.
        path: PathBytes,
    },
    /// An owner that nobody is.
    #[error("{path}: {}", .fault.problem())]
    Invalid {
        /// The path.
        path: PathBytes,
        /// What no system takes.
        fault: Fault,
    },
    /// An extent of what is no file.
    #[error("bytes are told of node {0}, which is no file")]
    NotAFile(u32),
    /// An extent is not in its file, or before one that came earlier.
    #[error("{length} bytes at {offset} are told of {path}, which has {size}, {told} of them told")]
    Extent {
        /// The file.
        path: PathBytes,
        /// The first byte in the file.
        offset: u64,
        /// The number of bytes.
        length: u64,
        /// The file's size.
        size: u64,
        /// Where the extent before ends.
        told: u64,
    },
    /// An extent is not in the partition.
    #[error("{path} has bytes from {offset} on, beyond the {size} bytes of the partition")]
    Outside {
        /// The file.
        path: PathBytes,
        /// Where they are to be.
        offset: u64,
        /// The size of the partition.
        size: u64,
    },
    /// More bytes than come out of a block, or than stand inline.
    #[error("{path} has {length} bytes of a place that holds {holds}")]
    Short {
        /// The file.
        path: PathBytes,
        /// The bytes that are asked for.
        length: u64,
        /// The bytes that there are.
        holds: u64,
    },
    /// There are too many nodes.
    #[error("it has more nodes than a tree can have")]
    Nodes,
    /// It is more than is kept.
    #[error("its tree takes more than {MEMORY} bytes of memory")]
    Memory,
}
