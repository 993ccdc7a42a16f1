//! Why there is no file system. Each type is that of the contract, with the same words.

use crate::NodeId;

/// Why bytes of a file cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The id is none of a regular file in this tree.
    NotAFile,
    /// The range is not inside the file, or longer than 16 MiB.
    OutOfRange,
    /// The source failed or changed; the host knows the details.
    Source,
}

/// Why a batch of placements was refused; the number is the index in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceError {
    /// The placement names no regular file.
    NotAFile(u32),
    /// The placement reaches past the end of its file.
    OutsideFile(u32),
    /// The placement reaches past the end of the partition.
    OutsidePartition(u32),
    /// The placement covers bytes that hold content already.
    Overlap(u32),
    /// The source or the partition failed; the host knows the details.
    Failed,
}

/// Why the partition could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionError {
    /// The range is not inside the partition.
    OutOfRange,
    /// The range holds placed content.
    Placed,
    /// The host could not write it, and knows the details.
    Failed,
}

/// What is wrong with a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelProblem {
    /// Longer than this many bytes.
    TooLong(u32),
    /// It has this character, which the format does not take.
    Character(char),
}

/// What is wrong with an option.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// An option that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The option's name.
    pub name: String,
    /// What is wrong with it.
    pub problem: SettingProblem,
}

/// Why a format cannot store a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    NameCollision(NodeId),
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

/// A node that cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeError {
    /// The node.
    pub node: NodeId,
    /// Why it cannot.
    pub problem: NodeProblem,
}

/// A partition that does not hold its tree. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The smallest size that does.
    pub needed: u64,
    /// The size of the partition.
    pub available: u64,
}

/// Why there is no file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// The partition is too small.
    TooSmall(Shortage),
    /// The partition is larger than this many bytes, the most that the kind can have.
    TooLarge(u64),
    /// The kind is none of the description's.
    Kind,
    /// The label cannot be.
    Label(LabelProblem),
    /// An option cannot be.
    Setting(SettingError),
    /// A node cannot be stored.
    Node(NodeError),
    /// There are more nodes than this many.
    TooManyNodes(u64),
    /// Content could not be read.
    Tree(ReadError),
    /// Content could not be placed.
    Placement(PlaceError),
    /// The partition could not be written.
    Partition(PartitionError),
}

impl FormatError {
    /// The error that `node` cannot be stored.
    #[must_use]
    pub fn node(node: NodeId, problem: NodeProblem) -> Self {
        Self::Node(NodeError { node, problem })
    }

    /// The error that the option `name` cannot be.
    #[must_use]
    pub fn setting(name: &str, problem: SettingProblem) -> Self {
        Self::Setting(SettingError {
            name: name.to_owned(),
            problem,
        })
    }
}

impl From<ReadError> for FormatError {
    fn from(error: ReadError) -> Self {
        Self::Tree(error)
    }
}

impl From<PlaceError> for FormatError {
    fn from(error: PlaceError) -> Self {
        Self::Placement(error)
    }
}

impl From<PartitionError> for FormatError {
    fn from(error: PartitionError) -> Self {
        Self::Partition(error)
    }
}

impl std::fmt::Display for FormatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for FormatError {}
