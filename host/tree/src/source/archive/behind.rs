//! What is behind the block of zeros at which an archive ends.

use super::super::error::ArchiveError;
use super::blocks::{BLOCK, BLOCK_BYTES, Blocks, ReadAt};
use super::header::is_one;

/// How far behind the end is looked: zeros fill up a record, of which the largest that are usual have 1 MiB.
const REACH: u64 = 2 * 1024 * 1024;

/// A header behind the end of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Behind {
    /// Where the zeros begin, in bytes of the archive.
    pub(in super::super) end: u64,
    /// Where the header is.
    pub(in super::super) header: u64,
}

/// Looks for a header behind the zeros at `end`. Anything else that is there is nothing that an archive would have.
pub(super) fn look<R: ReadAt>(
    blocks: &Blocks<'_, R>,
    end: u64,
) -> Result<Option<Behind>, ArchiveError> {
    let mut at = end;
    while at - end < REACH {
        at += BLOCK_BYTES;
        match blocks.peek(at)? {
            None => return Ok(None),
            Some(block) if block == [0; BLOCK] => {}
            Some(block) => return Ok(is_one(&block).then_some(Behind { end, header: at })),
        }
    }
    Ok(None)
}
