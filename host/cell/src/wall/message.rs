//! What is said across the wall.
//!
//! ```text
//!     host                                       cell
//!       Hello, with what it may use  ──────────>
//!                                    <──────────  Greeting: the first stage stands, or what is missing
//!       the component                ──────────>   ┐ to compile it: the process ends with that
//!                                    <──────────  its code
//!       or its code                  ──────────>   ┐ to run it
//!                                    <──────────  Loaded: the second stage stands, and the guest is ready
//!       Call                         ──────────>
//!       nodes                        ──────────>   before they are asked for
//!                                    <──────────  Asked      ┐ as long as
//!       its answer                   ──────────>             ┘ the guest asks
//!                                    <──────────  Asked, and not answered: what must succeed
//!                                    <──────────  Returned or stopped
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::calls::Stage;
use super::columns::Head;
use super::shared::WORD;
use crate::bindings::cellblock::format::placement::{PlaceError, Placement};
use crate::bindings::cellblock::format::progress::Level;
use crate::bindings::cellblock::format::tree::{Range, ReadError, Totals};
use crate::bindings::encoding::cellblock::format::encoding::{EncodeError, Settings};
use crate::bindings::reading::cellblock::format::decoding::DecodeError;
use crate::call::{Returned, Role, Stopped};
use crate::engine::LoadFailure;
use crate::files::ErrorCode;
use cellblock_codec::BLOCK_LIMIT;
use cellblock_contract::Limits;

/// What a cell may use, and what it is for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) limits: Limits,
    pub(super) purpose: Purpose,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Compiling a guest, whose bytes follow.
    Compile(Role),
    /// Running a guest, whose compiled code follows.
    Run(Role),
    /// Compressing what stands in shared memory.
    Encode,
    /// Decompressing an archive.
    Decompress,
    /// Decoding blocks of file systems, which stand in shared memory.
    Unpack,
    /// Trying, in place of a guest, to get out.
    Attempts {
        /// The number of the host's process, as the host knows it.
        host: u32,
    },
    /// Trying every system call, as one that was taken over could.
    Calls {
        /// In which stage.
        stage: Stage,
        /// The number of the host's process, as the host knows it.
        host: u32,
    },
}

impl Purpose {
    /// The bytes that a process shares with its host beyond the channel.
    pub(super) fn area(self) -> usize {
        match self {
            // A block, and what comes of it, which is never longer.
            Self::Encode | Self::Unpack => 2 * BLOCK_LIMIT,
            Self::Compile(_)
            | Self::Run(_)
            | Self::Decompress
            | Self::Attempts { .. }
            | Self::Calls { .. } => 0,
        }
    }
}

/// The most bytes of compiled code that cross the wall.
pub(super) const CODE_LIMIT: usize = 180 << 20;

/// A block that a codec worker is asked to compress: the first stands at the beginning of its area, each other behind the one
/// before it.
#[derive(Serialize, Deserialize)]
pub(super) struct Block {
    pub(super) settings: cellblock_codec::Settings,
    /// In bytes.
    pub(super) length: u32,
}

impl Block {
    pub(super) fn asked(&self) -> cellblock_codec::Block {
        cellblock_codec::Block {
            settings: self.settings,
            length: self.length as usize,
        }
    }
}

/// A block that a codec worker is asked to decode, among others.
#[derive(Serialize, Deserialize)]
pub(super) struct Packed {
    pub(super) form: cellblock_codec::Form,
    /// In bytes.
    pub(super) length: u32,
    pub(super) padded: bool,
    /// The most bytes that come out.
    pub(super) most: u32,
}

/// Where in a codec worker's area blocks stand, and where what comes out of them goes: one behind the other, in the first half and in the
/// second, each from a whole word on. None if they do not fit.
pub(super) fn places(blocks: &[Packed]) -> Option<Vec<(usize, usize)>> {
    let behind = |at: usize, length: u32| {
        let end = at.checked_add(usize::try_from(length).ok()?)?;
        (end <= BLOCK_LIMIT).then(|| end.next_multiple_of(WORD))
    };
    let (mut block, mut content) = (0, 0);
    let mut places = Vec::with_capacity(blocks.len());
    for one in blocks {
        places.push((block, BLOCK_LIMIT + content));
        block = behind(block, one.length)?;
        content = behind(content, one.most)?;
    }
    Some(places)
}

/// How many bytes came out of each block; or why none came out of the first that is damaged, by its number.
pub(super) type Unpacked = Result<Vec<u32>, (u32, String)>;

/// How many bytes came of all blocks, behind which their pieces follow, each in 8 bytes; or why none did.
pub(super) type Compressed = Result<u32, String>;

/// The bytes of an archive, and of what is in it, that cross the wall at once.
pub(super) const PIECE: usize = 256 << 10;

/// What a process says that decompresses an archive.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Decompressed {
    /// It has taken one more piece of the archive, and needs the next.
    Took,
    /// A piece of what is in the archive follows.
    Plain,
    /// That was all.
    End,
    /// It cannot go on.
    Failed(Trouble),
}

/// Why an archive cannot be decompressed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Trouble {
    /// It looks back further than is allowed: how far in bytes, if that is known.
    BeyondWindow(Option<u64>),
    EndedEarly(String),
    Other(String),
}

/// Whether a cell can lock itself up.
#[derive(Serialize, Deserialize)]
pub(super) enum Greeting {
    /// What stands, as the record names it.
    Ready(Vec<String>),
    /// What the kernel lacks. It is said before the cell has seen a byte of the guest.
    Missing(String),
}

/// Whether a cell has what it is to run.
#[derive(Serialize, Deserialize)]
pub(super) enum Loaded {
    /// The functions that the guest imports.
    Ready(Vec<String>),
    Failed(LoadFailure),
    /// The second stage does not stand: why.
    Open(String),
}

/// What a cell says while it is called.
#[derive(Serialize, Deserialize)]
pub(super) enum FromCell {
    Asked(Asked),
    Ended(Result<Returned, Stopped>),
}

/// Something that a cell asks of the host.
pub(super) trait Question: Into<Asked> {
    /// The head of what the host answers. Bytes may follow it.
    type Answer: Serialize + DeserializeOwned;
}

/// Questions, each with the type of its answer, and the one enum that they cross the wall in. What has no answer is told,
/// and not asked.
macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* } $(-> $answer:ty)?;)*) => {
        /// What a cell says to the host while it is called.
        #[derive(Serialize, Deserialize)]
        pub(super) enum Asked {
            $($name($name),)*
        }

        $(
            $(#[$doc])*
            #[derive(Serialize, Deserialize)]
            pub(super) struct $name {
                $(pub(super) $field: $type,)*
            }

            impl From<$name> for Asked {
                fn from(asked: $name) -> Self {
                    Self::$name(asked)
                }
            }

            $(impl Question for $name {
                type Answer = $answer;
            })?
        )*
    };
}

questions! {
    /// The next nodes, whose columns follow the answer. No answer comes if it was said ahead: nodes of the same stream, as
    /// many as are wished for.
    Next { limit: u32 } -> Head;
    /// The stream of nodes starts again.
    Rewind {};
    /// Where a file has data.
    Ranges { file: u32 } -> Result<Vec<Range>, ReadError>;
    /// Bytes of a file, which follow the answer.
    Read { file: u32, offset: u64, length: u32 } -> Result<(), ReadError>;
    /// Placements, which follow the question, each in [`PLACEMENT`] bytes.
    Place {} -> Result<(), PlaceError>;
    /// Placements, which follow, and which the host has no reason to refuse: whoever says others is no cell.
    Placed {};
    /// A line of the log.
    Log { level: Level, message: String };
    /// Bytes of the partition, which follow the answer: whether they reach its end.
    ReadPartition { length: u64, offset: u64 } -> Result<bool, ErrorCode>;
    /// Bytes for the partition, which follow the question: how many were written.
    WritePartition { offset: u64 } -> Result<u64, ErrorCode>;
    /// Bytes for the partition, which follow, and which the host has no reason to refuse: whoever says others is no cell.
    Written { offset: u64 };
    /// What the tree amounts to.
    Sum { unit: u32 } -> Totals;
    /// Blocks to encode, which follow the question: so many counts, and the spans.
    Encode { settings: Settings, counts: u32 } -> Result<(), EncodeError>;
    /// The next pieces, which follow the answer.
    Pieces { limit: u32 } -> Result<(), EncodeError>;
    /// The bytes of a piece, which follow the answer.
    PieceBytes { piece: u32 } -> Result<(), EncodeError>;
    /// Placements of pieces, which follow the question.
    PlacePieces {} -> Result<(), EncodeError>;
    /// Bytes to encode, of these lengths, which follow the question: the lengths of what follows the answer.
    EncodeBytes { settings: Settings, lengths: Vec<u32> } -> Result<Vec<u32>, EncodeError>;
    /// Digests of files, whose ids follow the question, and which follow the answer.
    DigestFiles {} -> Result<(), ReadError>;
    /// Nodes of a file system that is read, whose columns follow.
    TellNodes { head: Head };
    /// So many extents of its files, and the bytes of the inline ones, which follow.
    TellExtents { count: u32 };
    /// Blocks to decode, which follow the question: the lengths of what follows the answer.
    Decode {} -> Result<Vec<u32>, DecodeError>;
    /// Digests of a file's blocks, which follow the answer.
    DigestBlocks { file: u32, size: u32 } -> Result<(), ReadError>;
    /// A run with so many placements, which follow the question, and the bytes of the guest's own behind them.
    Compose { offset: u64, count: u32 } -> Result<(), PlaceError>;
    /// The same of a run that the host has no reason to refuse: whoever says another is no cell.
    Composed { offset: u64, count: u32 };
}

/// The bytes of a placement: little-endian, in the order of its fields.
pub(super) const PLACEMENT: usize = 32;

/// A batch of placements as bytes, which take no more memory once they are read.
pub(super) fn to_bytes(batch: &[Placement]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(batch.len() * PLACEMENT);
    for placement in batch {
        bytes.extend(placement.file.to_le_bytes());
        bytes.extend(placement.file_offset.to_le_bytes());
        bytes.extend(placement.partition_offset.to_le_bytes());
        bytes.extend(placement.length.to_le_bytes());
        bytes.extend(placement.padding.to_le_bytes());
    }
    bytes
}

/// The placements that were made into `bytes`; none if these are no whole number of them.
pub(super) fn from_bytes(bytes: &[u8]) -> Option<Vec<Placement>> {
    let (placements, rest) = bytes.as_chunks::<PLACEMENT>();
    let placement = |bytes: &[u8; PLACEMENT]| Placement {
        file: u32::from_le_bytes(field(bytes, 0)),
        file_offset: u64::from_le_bytes(field(bytes, 4)),
        partition_offset: u64::from_le_bytes(field(bytes, 12)),
        length: u64::from_le_bytes(field(bytes, 20)),
        padding: u32::from_le_bytes(field(bytes, 28)),
    };
    rest.is_empty()
        .then(|| placements.iter().map(placement).collect())
}

fn field<const N: usize>(bytes: &[u8; PLACEMENT], start: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[start..start + N]);
    field
}

/// What a cell tried in order to get out, and what the kernel said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What it tried.
    pub what: String,
    /// The kernel's refusal; none if it succeeded.
    pub refusal: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn placements_arrive_as_they_went() {
        let placement = |file, padding| Placement {
            file,
            file_offset: u64::MAX - 1,
            partition_offset: 1 << 40,
            length: 3,
            padding,
        };
        let bytes = to_bytes(&[placement(u32::MAX, 5), placement(7, u32::MAX)]);
        let batch = from_bytes(&bytes).unwrap();
        assert_eq!(to_bytes(&batch), bytes);
        let (first, last) = (&batch[0], &batch[1]);
        assert_eq!((first.file, first.padding), (u32::MAX, 5));
        assert_eq!(
            (first.file_offset, first.partition_offset),
            (u64::MAX - 1, 1 << 40)
        );
        assert_eq!((last.file, last.length, last.padding), (7, 3, u32::MAX));
        assert!(from_bytes(&bytes[1..]).is_none());
    }
}
