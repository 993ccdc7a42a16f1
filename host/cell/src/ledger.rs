//! Which bytes of its partition a cell has taken, and the rules that hold for the next ones: the same on both sides of the
//! second wall, so that a cell knows what its host will say.

use super::bindings::cellblock::format::placement::{PlaceError, Placement};
use super::files::ErrorCode;
use super::limiter::Exceeded;
use super::occupied::Occupied;

/// More separate ranges than any file system writes or places.
const SCATTERED_LIMIT: usize = 4_000_000;

/// A placement that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Its number in its batch; how many there are for a run as a whole.
    pub(super) index: u32,
    /// The byte of the partition that it was to begin at.
    pub(super) start: u64,
    pub(super) cause: Cause,
}

/// Why a placement is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    NotAFile,
    /// The file has so many bytes.
    OutsideFile(u64),
    OutsidePartition,
    /// The run has fewer bytes of its own than there are to fill before the placement.
    FewBytes {
        own: u64,
        gap: u64,
    },
    /// What stands before it in its run ends at this byte of the partition.
    BeforeItsTurn(u64),
    Taken(Taken),
}

/// Bytes of a partition that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Written, not placed.
    pub(super) is_written: bool,
}

impl Refused {
    fn of(asked: &Placement, index: u32, cause: Cause) -> Self {
        Self {
            index,
            start: asked.partition_offset,
            cause,
        }
    }

    /// The contract's word for it.
    pub(super) fn error(&self) -> PlaceError {
        match self.cause {
            Cause::NotAFile => PlaceError::NotAFile(self.index),
            Cause::OutsideFile(_) => PlaceError::OutsideFile(self.index),
            Cause::OutsidePartition | Cause::FewBytes { .. } => {
                PlaceError::OutsidePartition(self.index)
            }
            Cause::BeforeItsTurn(_) | Cause::Taken(_) => PlaceError::Overlap(self.index),
        }
    }
}

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
    ) -> Result<(), Refused> {
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
    ) -> Result<(), Refused> {
        let all = length_of(asked, index, file_size)?;
        self.claim(index, asked.partition_offset, all, size)
    }

    /// Takes a run of a partition of `size` bytes: `batch`, with so many `own` bytes around it.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn compose(
        &mut self,
        offset: u64,
        own: usize,
        batch: &[Placement],
        size: u64,
        file_size: impl Fn(u32) -> Option<u64>,
    ) -> Result<(), Refused> {
        let (mut end, mut own) = (offset, own as u64);
        let mut count = 0;
        for asked in batch {
            let length = length_of(asked, count, file_size(asked.file))?;
            let gap = asked.partition_offset.checked_sub(end);
            let refused = |cause| Refused::of(asked, count, cause);
            let gap = gap.ok_or_else(|| refused(Cause::BeforeItsTurn(end)))?;
            let rest = own.checked_sub(gap);
            own = rest.ok_or_else(|| refused(Cause::FewBytes { own, gap }))?;
            end = asked
                .partition_offset
                .checked_add(length)
                .ok_or_else(|| refused(Cause::OutsidePartition))?;
            count += 1;
        }
        let end = end.checked_add(own).ok_or(Refused {
            index: count,
            start: offset,
            cause: Cause::OutsidePartition,
        })?;
        self.claim(count, offset, end - offset, size)
    }

    /// Takes a range of a partition of `size` bytes for the placement at `index`.
    pub(super) fn claim(
        &mut self,
        index: u32,
        start: u64,
        length: u64,
        size: u64,
    ) -> Result<(), Refused> {
        let refused = |cause| Refused {
            index,
            start,
            cause,
        };
        let end = start.checked_add(length).filter(|end| *end <= size);
        let end = end.ok_or_else(|| refused(Cause::OutsidePartition))?;
        let taken = |(start, end), is_written| {
            refused(Cause::Taken(Taken {
                start,
                end,
                is_written,
            }))
        };
        if let Some(range) = self.written.overlap(start, end) {
            return Err(taken(range, true));
        }
        match self.placed.overlap(start, end) {
            Some(range) => Err(taken(range, false)),
            None => {
                self.placed.insert(start, end);
                Ok(())
            }
        }
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

    /// Takes a run that the host has composed: where a cell knows less than its host.
    pub(super) fn take_run(&mut self, offset: u64, own: usize, batch: &[Placement]) {
        let content = batch.iter().map(|one| one.length + u64::from(one.padding));
        let length = content.sum::<u64>() + own as u64;
        self.placed.insert(offset, offset + length);
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

/// The bytes that a placement takes of the partition.
fn length_of(asked: &Placement, index: u32, file_size: Option<u64>) -> Result<u64, Refused> {
    let refused = |cause| Refused::of(asked, index, cause);
    let file_size = file_size.ok_or_else(|| refused(Cause::NotAFile))?;
    let end = asked.file_offset.checked_add(asked.length);
    if end.is_none_or(|end| end > file_size) {
        return Err(refused(Cause::OutsideFile(file_size)));
    }
    let all = asked.length.checked_add(u64::from(asked.padding));
    all.ok_or_else(|| refused(Cause::OutsidePartition))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 4096;

    fn placement(partition_offset: u64, length: u64, padding: u32) -> Placement {
        Placement {
            file: 1,
            file_offset: 0,
            partition_offset,
            length,
            padding,
        }
    }

    fn compose(
        ledger: &mut Ledger,
        offset: u64,
        own: usize,
        batch: &[Placement],
    ) -> Result<(), Refused> {
        ledger.compose(offset, own, batch, SIZE, |file| (file == 1).then_some(100))
    }

    #[test]
    fn a_run_is_taken_as_a_whole_or_not_at_all() {
        use PlaceError::{NotAFile, OutsideFile, OutsidePartition, Overlap};
        let mut ledger = Ledger::default();
        ledger.written.cover(3000, 3100);
        let no_file = Placement {
            file: 2,
            ..placement(10, 1, 0)
        };
        let behind_its_end = Placement {
            file_offset: 91,
            ..placement(10, 10, 0)
        };
        let batches: [(u64, usize, &[Placement], PlaceError); 12] = [
            (0, 10, &[no_file], NotAFile(0)),
            (0, 10, &[behind_its_end], OutsideFile(0)),
            (0, 9, &[placement(10, 5, 0)], OutsidePartition(0)),
            (10, 9, &[placement(9, 5, 0)], Overlap(0)),
            (
                0,
                20,
                &[placement(10, 5, 3), placement(17, 1, 0)],
                Overlap(1),
            ),
            (
                0,
                12,
                &[placement(10, 5, 0), placement(18, 1, 0)],
                OutsidePartition(1),
            ),
            (0, 4096, &[placement(u64::MAX, 5, 0)], OutsidePartition(0)),
            (
                u64::MAX - 9,
                0,
                &[placement(u64::MAX - 9, 9, 9)],
                OutsidePartition(0),
            ),
            (0, 4092, &[placement(10, 5, 0)], OutsidePartition(1)),
            (u64::MAX, 1, &[], OutsidePartition(0)),
            (2990, 10, &[placement(2995, 1, 0)], Overlap(1)),
            (3099, 1, &[], Overlap(0)),
        ];
        for (offset, own, batch, refused) in batches {
            let answer = compose(&mut ledger, offset, own, batch).map_err(|it| it.error());
            assert_eq!(
                format!("{answer:?}"),
                format!("{:?}", Err::<(), _>(refused)),
                "{offset} {own} {batch:?}"
            );
            assert_eq!(ledger.placed.len(), 0);
        }
        let batch = [placement(10, 5, 3), placement(19, 100, 0)];
        assert!(compose(&mut ledger, 8, 4, &batch).is_ok());
        assert_eq!((ledger.placed.len(), ledger.placed.total()), (1, 112));
        assert!(ledger.placed.overlaps(119, 120) && !ledger.placed.overlaps(120, 121));
        assert!(compose(&mut ledger, 119, 1, &[]).is_err());
        let mut other = Ledger::default();
        other.take_run(8, 4, &batch);
        assert_eq!(other.placed.total(), 112);
    }
}
