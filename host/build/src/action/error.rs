//! Why an action is not performed.

use std::io;
use std::path::PathBuf;

use cellblock_cell::CellError;
use cellblock_tree::source::SourceError;
use cellblock_tree::volume::VolumeFault;

use crate::error::PartitionError;

/// Why an action is not performed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// One of its files cannot be read.
    #[error("{}: it cannot be read: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// One of its files has too many bytes.
    #[error("{}: it has more than {limit} bytes", file.display())]
    Long {
        /// The file.
        file: PathBuf,
        /// The most bytes that it may have.
        limit: u64,
    },
    /// One of its files says what cannot be.
    #[error("{}: {fault}", file.display())]
    Fault {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: ActionFault,
    },
    /// What it is made from is not what its key stands for.
    #[error(
        "the action is of the key {said}, and what is in its folder has the key {found}: it was changed on the way, or comes \
         from another version of the program"
    )]
    Key {
        /// The key that it names, in hexadecimal.
        said: String,
        /// The key of what was found.
        found: String,
    },
    /// Its formatter cannot be run here.
    #[error("its formatter cannot be run here: {0}")]
    Guest(#[source] CellError),
    /// Its content cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Its partition cannot be made.
    #[error("the partition is not made: {0}")]
    Partition(#[from] PartitionError),
    /// What came of it cannot be written.
    #[error("{}: it cannot be written: {source}", path.display())]
    Write {
        /// The file or the folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The folder for what comes of it has something in it.
    #[error("{}: there is something in it: name a folder that is empty, or none yet", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// The partition has more chunks than a list holds.
    #[error("a partition of {size} bytes has more chunks than a list holds")]
    Chunks {
        /// The bytes of the partition.
        size: u64,
    },
}

/// What is wrong with a file of an action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionFault {
    /// It begins otherwise.
    #[error("it is no such file of this version of the program")]
    Form,
    /// It ends early, or says what no such file says.
    #[error("it is damaged before byte {at}, where {what} should be")]
    Damaged {
        /// Where reading ended, in bytes.
        at: usize,
        /// What should be there.
        what: &'static str,
    },
    /// It goes on.
    #[error("{bytes} bytes follow where it should end")]
    Longer {
        /// Their number.
        bytes: usize,
    },
    /// It has another digest.
    #[error("it has the SHA-256 digest {found}, and should have {said}")]
    Digest {
        /// The digest that it should have, in hexadecimal.
        said: String,
        /// The digest that it has.
        found: String,
    },
    /// A piece has no possible length.
    #[error("piece {piece} has {length} bytes, and can have 1 to {limit}")]
    PieceLength {
        /// Its number.
        piece: usize,
        /// Its bytes.
        length: u32,
        /// The most bytes of a piece.
        limit: u32,
    },
    /// A file is of a piece that there is not.
    #[error("node {node} is of piece {piece}, and there are {pieces}")]
    NoPiece {
        /// The node.
        node: usize,
        /// The number of the piece.
        piece: u32,
        /// How many pieces there are.
        pieces: usize,
    },
    /// The pieces of a range are not as long as it.
    #[error("node {node} has a range of {length} bytes, and its pieces have {pieces}")]
    Pieces {
        /// The node.
        node: usize,
        /// The bytes of the range.
        length: u64,
        /// The bytes of its pieces.
        pieces: u64,
    },
    /// No tree has these nodes.
    #[error(transparent)]
    Tree(#[from] VolumeFault),
    /// The program carries no such formatter.
    #[error("it names the built-in formatter '{name}', which this program does not carry")]
    NoGuest {
        /// The name.
        name: String,
    },
    /// The formatter's command line is none.
    #[error("it has a command line that is none: {why}")]
    Command {
        /// The reason.
        why: String,
    },
}
