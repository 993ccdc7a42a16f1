//! The contract's `placement`: every request is checked here, on the cell's thread, before it is handed on.

use super::bindings::cellblock::format::placement::{Host, PlaceError, Placement as Requested};
use super::limiter::Exceeded;
use super::local::Local;
use cellblock_contract::Placement;
use cellblock_tree::{Kind, NodeId};

/// More separate ranges than any file system writes or places.
const SCATTERED_LIMIT: usize = 4_000_000;
/// The most placements that are handed on at once; between two such parts the guest's time is looked at.
const HANDED_ON: usize = 4096;

impl Host for Local {
    fn place(&mut self, batch: Vec<Requested>) -> wasmtime::Result<Result<(), PlaceError>> {
        let Some(partition) = self.partition.clone() else {
            return Ok(Err(PlaceError::Failed));
        };
        let mut checked = Vec::with_capacity(batch.len());
        for (index, requested) in (0..).zip(&batch) {
            match self.check(requested, index, partition.size()) {
                Ok(placement) => checked.push(placement),
                Err(error) => {
                    self.give_back(&checked);
                    return Ok(Err(error));
                }
            }
        }
        self.check_scattering()?;
        for part in checked.chunks(HANDED_ON) {
            self.check_deadline()?;
            if partition.place(part.to_vec()).is_err() {
                return Ok(Err(PlaceError::Failed));
            }
        }
        Ok(Ok(()))
    }
}

impl Local {
    fn check(
        &mut self,
        requested: &Requested,
        index: u32,
        partition_size: u64,
    ) -> Result<Placement, PlaceError> {
        let file = NodeId(requested.file);
        let file_size = match (requested.file < self.tree.len()).then(|| self.tree.node(file).kind)
        {
            Some(Kind::File { size, .. }) => *size,
            _ => return Err(PlaceError::NotAFile(index)),
        };
        let end = requested.file_offset.checked_add(requested.length);
        if end.is_none_or(|end| end > file_size) {
            return Err(PlaceError::OutsideFile(index));
        }
        let all = requested.length.checked_add(u64::from(requested.padding));
        let all = all.ok_or(PlaceError::OutsidePartition(index))?;
        self.claim(index, requested.partition_offset, all, partition_size)?;
        Ok(Placement {
            file,
            file_offset: requested.file_offset,
            partition_offset: requested.partition_offset,
            length: requested.length,
            padding: requested.padding,
        })
    }

    /// Takes a range of the partition for the placement at `index`.
    pub(super) fn claim(
        &mut self,
        index: u32,
        start: u64,
        length: u64,
        partition_size: u64,
    ) -> Result<(), PlaceError> {
        let end = start
            .checked_add(length)
            .filter(|end| *end <= partition_size);
        let end = end.ok_or(PlaceError::OutsidePartition(index))?;
        if self.written.overlaps(start, end) || !self.placed.insert(start, end) {
            return Err(PlaceError::Overlap(index));
        }
        Ok(())
    }

    /// Bounds what the host remembers for a cell.
    pub(super) fn check_scattering(&mut self) -> wasmtime::Result<()> {
        if self.placed.len() + self.written.len() > SCATTERED_LIMIT {
            let what = format!(
                "it scattered writes and placements over more than {SCATTERED_LIMIT} ranges"
            );
            return Err(Exceeded(what).into());
        }
        Ok(())
    }

    fn give_back(&mut self, refused: &[Placement]) {
        for placement in refused {
            let start = placement.partition_offset;
            let end = start + placement.length + u64::from(placement.padding);
            self.placed.remove(start, end);
        }
    }
}
