//! What a worker says that it has made, held against what was asked.

use cellblock_cache::{Chunk, MOST_CHUNK, decode_list};
use cellblock_cell::{CodecWall, Wall};

use super::described::Described;
use super::document::{MEASURE, MOST_MADE, Made};
use crate::notes::Notes;

/// What a worker has made.
pub(crate) struct Taken {
    /// The bytes of the partition, or of the smallest one if that was asked for.
    pub(crate) size: u64,
    /// The data of the partition, ascending.
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) notes: Notes,
    /// What stood around the formatter and the codecs there, as the worker says.
    pub(crate) walls: (Wall, Option<CodecWall>),
}

/// The most bytes that a worker's answer may have.
pub(crate) const MOST_ANSWER: u64 = MOST_MADE as u64;

/// Reads what a worker says that it has made of an action.
///
/// # Errors
/// In words, if it is not what was asked for.
pub(crate) fn taken(bytes: &[u8], asked: &Described) -> Result<Taken, String> {
    let made = Made::of_bytes(bytes).map_err(|fault| fault.to_string())?;
    if made.key != asked.key {
        return Err("it has made something else than was asked".to_owned());
    }
    if made.size != asked.size && asked.size != MEASURE {
        let (said, size) = (made.size, asked.size);
        return Err(format!(
            "it has made a partition of {said} bytes, and was asked for {size}"
        ));
    }
    let chunks = decode_list(&made.list, made.size, MOST_CHUNK);
    if asked.size == MEASURE && !made.list.is_empty() {
        return Err("it has made data where it was to measure".to_owned());
    }
    Ok(Taken {
        size: made.size,
        chunks: chunks.ok_or("its list of chunks is none")?,
        notes: made.notes,
        walls: made.walls.told(),
    })
}
