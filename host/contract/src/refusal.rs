//! Why a formatter says that there can be no file system: data, which the cell's `Refusal` puts into words.

use serde::{Deserialize, Serialize};

/// Why there is no file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FormatError {
    /// The partition is too small.
    TooSmall(Shortage),
    /// The partition is larger than this many bytes, the most that the kind can have.
    TooLarge(u64),
    /// The kind is none that the formatter describes.
    Kind,
    /// The label cannot be.
    Label(LabelProblem),
    /// An option cannot be.
    Setting(SettingError),
    /// A node cannot be stored.
    Node(NodeError),
    /// There are more nodes than this many, the most that the kind or its options allow.
    TooManyNodes(u64),
    /// Content could not be read.
    Tree(ReadError),
    /// Content could not be placed.
    Placement(PlaceError),
    /// The partition could not be read or written: WASI's name of the error.
    Partition(String),
}

/// A partition that does not hold its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The smallest size that does.
    pub needed: u64,
    /// The size of the partition.
    pub available: u64,
}

/// What is wrong with a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LabelProblem {
    /// Longer than this many bytes.
    TooLong(u32),
    /// It has this character, which the format does not take.
    Character(char),
}

/// An option that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingError {
    /// The option's name.
    pub name: String,
    /// What is wrong with it.
    pub problem: SettingProblem,
}

/// What is wrong with an option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SettingProblem {
    /// No option has this name.
    Unknown,
    /// The value is not of the form that the description gives.
    Malformed,
    /// The value is outside these bounds, inclusive.
    OutOfRange(u64, u64),
    /// The option excludes this other one, or needs it otherwise.
    Conflict(String),
}

/// A node that cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeError {
    /// The node.
    pub node: u32,
    /// Why it cannot.
    pub problem: NodeProblem,
}

/// Why a format cannot store a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeProblem {
    /// It has no symbolic links, devices, fifos or sockets, whichever this is.
    Kind,
    /// It has no hard links.
    HardLink,
    /// It has no owners, and this one differs from that of other files.
    Owner,
    /// It has no such permission bits.
    Permissions,
    /// It has no extended attributes.
    Attributes,
    /// The name has this character, which the format does not take.
    NameCharacter(char),
    /// The name is not UTF-8, and the format has only Unicode names.
    NameEncoding,
    /// The name is longer than this many of the format's units.
    NameTooLong(u32),
    /// The name is reserved by the format.
    NameReserved,
    /// The name is equal, for the format, to that of this node in the same directory.
    NameCollision(u32),
    /// The file is larger than this many bytes.
    FileTooLarge(u64),
    /// The target is longer than this many bytes.
    TargetTooLong(u32),
    /// The file has more names than this many.
    TooManyLinks(u32),
    /// The directory has more entries than this many.
    DirectoryTooLarge(u64),
    /// The attributes take more than this many bytes.
    AttributesTooLarge(u64),
    /// The time is outside what the format counts.
    Time,
    /// The device number is outside what the format counts.
    Device,
}

/// Why bytes of a file cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadError {
    /// The id is none of a regular file in this tree.
    NotAFile,
    /// The range is not inside the file, or too long.
    OutOfRange,
    /// The source failed or changed while it was read; the host knows the details.
    Source,
}

/// Why a batch of placements was refused. The index of the placement is counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlaceError {
    /// It names no regular file of this tree.
    NotAFile(u32),
    /// It reaches past the end of its file.
    OutsideFile(u32),
    /// It reaches past the end of the partition.
    OutsidePartition(u32),
    /// It covers bytes of the partition that were written or placed before.
    Overlap(u32),
    /// The source or the partition failed; the host knows the details.
    Failed,
}
