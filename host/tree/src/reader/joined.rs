//! Many small files at once: neighbours in an archive are read together, headers and all.

use super::{Located, Reader, small};
use crate::NodeId;
use crate::source::SourceError;
use crate::source::content::{Place, Store};
use rustix::io::Errno;
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

/// A stretch of a file, and where in a buffer its bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// The file.
    pub file: NodeId,
    /// First byte in the file.
    pub offset: u64,
    /// The place in the buffer, as long as the stretch.
    pub into: Range<usize>,
}

/// Bytes between two files in an archive that are read along with them: a few headers.
const GAP: u64 = 4096;
/// Bytes that are read together at the most.
const SPAN: u64 = 2 << 20;
/// Files that are read together at the most: each and the gap before it takes a place of a vector, of which Linux takes
/// 1024 (UIO_MAXIOV).
const FILES: usize = 512;

impl<'t> Reader<'t> {
    /// Fills the places of `portions` in `buffer`, and leaves the rest of it as it is.
    ///
    /// # Errors
    /// As [`Reader::read`], for any of them.
    pub fn read_joined(
        &mut self,
        portions: &[Portion],
        buffer: &mut [u8],
    ) -> Result<(), SourceError> {
        let mut rest = portions;
        while let Some(first) = rest.first() {
            let (count, span) = self.neighbours(rest)?;
            let (together, others) = rest.split_at(count);
            match span {
                Some(span) if count > 1 => self.read_span(together, span, buffer)?,
                _ => self.read(first.file, first.offset, &mut buffer[first.into.clone()])?,
            }
            rest = others;
        }
        Ok(())
    }

    /// How many of `portions`, from the first on, can be read together, and from where to where in their archive.
    fn neighbours(&self, portions: &[Portion]) -> Result<(usize, Option<Range<u64>>), SourceError> {
        let mut span: Option<(u32, Range<u64>)> = None;
        let mut count = 0;
        let mut filled = 0;
        for portion in portions.iter().take(FILES) {
            if portion.into.start < filled {
                break;
            }
            filled = portion.into.end;
            let located = self.locate(portion.file)?;
            let length = u64::try_from(portion.into.len()).expect("a length fits 64 bits");
            self.check_range(located, portion.offset, length)?;
            let Some(start) = archived_at(located) else {
                break;
            };
            let start = start + portion.offset;
            let end = start + length;
            let store = located.content.store;
            span = match span {
                None => Some((store, start..end)),
                Some((same, before))
                    if same == store
                        && start >= before.end
                        && start - before.end <= GAP
                        && end - before.start <= SPAN =>
                {
                    Some((store, before.start..end))
                }
                Some(_) => break,
            };
            count += 1;
        }
        Ok((count.max(1), span.map(|(_, range)| range)))
    }

    fn read_span(
        &mut self,
        portions: &[Portion],
        span: Range<u64>,
        buffer: &mut [u8],
    ) -> Result<(), SourceError> {
        let (Some(first), Some(last)) = (portions.first(), portions.last()) else {
            return Ok(());
        };
        let located = self.locate(first.file)?;
        let (Store::Shared { file, .. } | Store::Private { file, .. }) = located.store else {
            unreachable!("only archives have neighbours");
        };
        let wanted: u64 = portions
            .iter()
            .map(|portion| portion.into.len() as u64)
            .sum();
        let mut between = std::mem::take(&mut self.gaps);
        between.resize(small(span.end - span.start - wanted), 0);
        let mut gaps = between.as_mut_slice();
        let mut buffer = &mut buffer[first.into.start..last.into.end];
        let mut filled = first.into.start;
        let mut position = span.start;
        let mut pieces = Vec::with_capacity(2 * portions.len());
        for portion in portions {
            let start =
                archived_at(self.locate(portion.file)?).unwrap_or_default() + portion.offset;
            let (gap, other_gaps) = gaps.split_at_mut(small(start - position));
            let (_, unfilled) = buffer.split_at_mut(portion.into.start - filled);
            let (place, others) = unfilled.split_at_mut(portion.into.len());
            position = start + place.len() as u64;
            filled = portion.into.end;
            (gaps, buffer) = (other_gaps, others);
            pieces.extend([gap, place].map(IoSliceMut::new));
        }
        let complete = read_pieces(file.as_fd(), &mut pieces, span.start)
            .map_err(|error| self.failure(located, "read", error))?;
        self.verify_shared(located)?;
        if !complete {
            let last = self.locate(last.file)?;
            return Err(self.shrunk(last, last.size));
        }
        self.gaps = between;
        Ok(())
    }
}

/// Reads what stands one behind the other from `offset` on; false if the file ends before.
fn read_pieces(
    fd: BorrowedFd<'_>,
    mut pieces: &mut [IoSliceMut<'_>],
    mut offset: u64,
) -> Result<bool, Errno> {
    // What is empty at the front counts as read.
    IoSliceMut::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        match rustix::io::preadv(fd, pieces, offset) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                offset += count as u64;
                IoSliceMut::advance_slices(&mut pieces, count);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Where a file of an archive begins in it, if it is in one piece.
fn archived_at(located: Located<'_>) -> Option<u64> {
    match (located.store, &located.content.place) {
        (Store::Shared { .. } | Store::Private { .. }, Place::At(start)) => Some(*start),
        _ => None,
    }
}
