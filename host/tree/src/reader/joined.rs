//! Many small files at once: neighbours in an archive are read together, headers and all, and files of another store as that
//! store can, such as all blocks to decode at once.

use std::io::IoSliceMut;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::Reader;
use crate::NodeId;
use crate::source::SourceError;
use crate::source::store::{Stretch, long, shrunk, small};
use crate::source::walked::failure;

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
            let (mut count, span) = self.neighbours(rest)?;
            match span {
                Some(span) if count > 1 => self.read_span(&rest[..count], span, buffer)?,
                Some(_) => self.read(first.file, first.offset, &mut buffer[first.into.clone()])?,
                None => {
                    count = self.of_one_store(rest)?;
                    self.read_stretches(&rest[..count], buffer)?;
                }
            }
            rest = &rest[count..];
        }
        Ok(())
    }

    /// How many of `portions`, from the first on, can be read together, and from where to where in their archive.
    fn neighbours(
        &mut self,
        portions: &[Portion],
    ) -> Result<(usize, Option<Range<u64>>), SourceError> {
        let mut span: Option<(u32, Range<u64>)> = None;
        let mut count = 0;
        let mut filled = 0;
        for portion in portions.iter().take(FILES) {
            if portion.into.start < filled {
                break;
            }
            filled = portion.into.end;
            let wanted = self.locate(portion.file)?;
            let length = long(portion.into.len());
            self.check_range(wanted, portion.offset, length)?;
            let Some(start) = self.archived_at(portion)? else {
                break;
            };
            let end = start + length;
            let store = wanted.stored.store;
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

    /// How many of `portions`, of which the first is in no archive, are in one store, and their places one behind the other.
    fn of_one_store(&mut self, portions: &[Portion]) -> Result<usize, SourceError> {
        let mut store = None;
        let (mut count, mut filled, mut bytes) = (0, 0, 0);
        for portion in portions.iter().take(FILES) {
            let wanted = self.locate(portion.file)?;
            let length = long(portion.into.len());
            bytes += length;
            let is_same = store.is_none_or(|it| it == wanted.stored.store);
            if count > 0 && !(is_same && portion.into.start >= filled && bytes <= SPAN) {
                break;
            }
            self.check_range(wanted, portion.offset, length)?;
            store = Some(wanted.stored.store);
            filled = portion.into.end;
            count += 1;
        }
        Ok(count)
    }

    /// Reads what is in one store.
    fn read_stretches(
        &mut self,
        portions: &[Portion],
        buffer: &mut [u8],
    ) -> Result<(), SourceError> {
        let (mut rest, mut at) = (buffer, 0);
        let mut stretches = Vec::with_capacity(portions.len());
        for portion in portions.iter().filter(|it| !it.into.is_empty()) {
            let (_, behind) = rest.split_at_mut(portion.into.start - at);
            let (place, behind) = behind.split_at_mut(portion.into.len());
            (rest, at) = (behind, portion.into.end);
            stretches.push(Stretch {
                file: self.locate(portion.file)?,
                offset: portion.offset,
                buffer: place,
            });
        }
        match stretches.first() {
            Some(first) => self.store(first.file).read_together(stretches),
            None => Ok(()),
        }
    }

    /// Where a portion begins in its archive, if its file is there in one piece.
    fn archived_at(&mut self, portion: &Portion) -> Result<Option<u64>, SourceError> {
        let wanted = self.locate(portion.file)?;
        let position = self.store(wanted).position(wanted);
        Ok(position.map(|(_, start)| start + portion.offset))
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
        let wanted: u64 = portions
            .iter()
            .map(|portion| long(portion.into.len()))
            .sum();
        let mut between = std::mem::take(&mut self.gaps);
        between.resize(small(span.end - span.start - wanted), 0);
        let mut gaps = between.as_mut_slice();
        let mut buffer = &mut buffer[first.into.start..last.into.end];
        let mut filled = first.into.start;
        let mut position = span.start;
        let mut pieces = Vec::with_capacity(2 * portions.len());
        for portion in portions {
            let start = self
                .archived_at(portion)?
                .expect("only what is in one piece has neighbours");
            let (gap, other_gaps) = gaps.split_at_mut(small(start - position));
            let (_, unfilled) = buffer.split_at_mut(portion.into.start - filled);
            let (place, others) = unfilled.split_at_mut(portion.into.len());
            position = start + long(place.len());
            filled = portion.into.end;
            (gaps, buffer) = (other_gaps, others);
            pieces.extend([gap, place].map(IoSliceMut::new));
        }
        let (first, last) = (self.locate(first.file)?, self.locate(last.file)?);
        let store = self.store(first);
        let (fd, _) = store
            .position(first)
            .expect("only what is in one piece has neighbours");
        let complete = read_pieces(fd, &mut pieces, span.start).map_err(|error| {
            let (root, path) = store.name(first);
            failure(&root, path, "read", error)
        })?;
        store.verify(first)?;
        if !complete {
            return Err(shrunk(last, store.name(last), last.size));
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
                offset += long(count);
                IoSliceMut::advance_slices(&mut pieces, count);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
