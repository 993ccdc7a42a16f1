//! Which bytes of its partition a cell has taken, and the rules that hold for the next ones: the same on both sides of the
//! second wall, so that a cell knows what its host will say.

use super::bindings::cellblock::format::placement::{PlaceError, Placement};
use super::files::ErrorCode;
use super::limiter::Exceeded;
use super::occupied::Occupied;

/// More separate ranges than any file system writes or places.
const SCATTERED_LIMIT: usize = 4_000_000;

/// What of a partition is taken.
#[derive(Default)]
pub(super) struct Ledger {
    /// What the guest wrote.
    pub(super) written: Occupied,
    /// What holds placed content.
    pub(super) placed: Occupied,
}

impl Ledger {
    /// Takes what `batch` asks for of a partition of `size` bytes; nothing of it is taken if one of them is refused.
    /// `file_size` tells the size of a file in bytes; none of what is no file.
    ///
    /// # Errors
    /// Why the first that is refused is.
    pub(super) fn place(
        &mut self,
        batch: &[Placement],
        size: u64,
        file_size: impl Fn(u32) -> Option<u64>,
    ) -> Result<(), PlaceError> {
        for (position, (index, asked)) in (0..).zip(batch).enumerate() {
            if let Err(error) = self.place_one(asked, index, size, file_size(asked.file)) {
                for taken in &batch[..position] {
                    let start = taken.partition_offset;
                    let end = start + taken.length + u64::from(taken.padding);
                    self.placed.remove(start, end);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes what the host has placed: where a cell knows less than its host.
    pub(super) fn take(&mut self, placed: &[Placement]) {
        for one in placed {
            let end = one.partition_offset + one.length + u64::from(one.padding);
            // It was free, or the host would not have placed it.
            self.placed.insert(one.partition_offset, end);
        }
    }

    fn place_one(
        &mut self,
        asked: &Placement,
        index: u32,
        size: u64,
        file_size: Option<u64>,
    ) -> Result<(), PlaceError> {
        let file_size = file_size.ok_or(PlaceError::NotAFile(index))?;
        let end = asked.file_offset.checked_add(asked.length);
        if end.is_none_or(|end| end > file_size) {
            return Err(PlaceError::OutsideFile(index));
        }
        let all = asked.length.checked_add(u64::from(asked.padding));
        let all = all.ok_or(PlaceError::OutsidePartition(index))?;
        self.claim(index, asked.partition_offset, all, size)
    }

    /// Takes a range of a partition of `size` bytes for the placement at `index`.
    pub(super) fn claim(
        &mut self,
        index: u32,
        start: u64,
        length: u64,
        size: u64,
    ) -> Result<(), PlaceError> {
        let end = start.checked_add(length).filter(|end| *end <= size);
        let end = end.ok_or(PlaceError::OutsidePartition(index))?;
        if self.written.overlaps(start, end) || !self.placed.insert(start, end) {
            return Err(PlaceError::Overlap(index));
        }
        Ok(())
    }

    /// Where a write of `length` bytes at `offset` ends, in a partition of `size` bytes. It takes nothing yet.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn end_of_write(
        &self,
        offset: u64,
        length: usize,
        size: u64,
    ) -> Result<u64, ErrorCode> {
        let end = offset
            .checked_add(length as u64)
            .filter(|end| *end <= size)
            .ok_or(ErrorCode::InsufficientSpace)?;
        if self.placed.overlaps(offset, end) {
            return Err(ErrorCode::Busy);
        }
        Ok(end)
    }

    /// Bounds what is remembered for a cell.
    ///
    /// # Errors
    /// [`Exceeded`] with the number.
    pub(super) fn check_scattering(&self) -> wasmtime::Result<()> {
        if self.placed.len() + self.written.len() > SCATTERED_LIMIT {
            let what = format!(
                "it scattered writes and placements over more than {SCATTERED_LIMIT} ranges"
            );
            return Err(Exceeded(what).into());
        }
        Ok(())
    }
}
