//! The contract's `placement`: every request is checked here, on the cell's thread, before it is handed on.

use super::bindings::cellblock::format::placement::{Host, PlaceError, Placement as Requested};
use super::denied;
use super::local::{HANDED_ON, Local};
use cellblock_contract::{Placement, Run};
use cellblock_tree::NodeId;

impl Host for Local {
    fn place(&mut self, batch: Vec<Requested>) -> wasmtime::Result<Result<(), PlaceError>> {
        let Some(partition) = self.partition.clone() else {
            return Ok(Err(PlaceError::Failed));
        };
        let tree = &self.tree;
        let taken = self.ledger.place(&batch, partition.size(), |file| {
            tree.file_size(NodeId(file))
        });
        if let Err(refused) = taken {
            let what = denied::placement(tree, &batch, &refused, partition.size());
            self.denied.placement(&refused, what);
            return Ok(Err(refused.error()));
        }
        self.ledger.check_scattering()?;
        for part in batch.chunks(HANDED_ON) {
            self.check_deadline()?;
            if partition
                .place(part.iter().map(to_place).collect())
                .is_err()
            {
                return Ok(Err(PlaceError::Failed));
            }
        }
        Ok(Ok(()))
    }

    fn compose(
        &mut self,
        offset: u64,
        own: Vec<u8>,
        batch: Vec<Requested>,
    ) -> wasmtime::Result<Result<(), PlaceError>> {
        let Some(partition) = self.partition.clone() else {
            return Ok(Err(PlaceError::Failed));
        };
        let tree = &self.tree;
        let size = partition.size();
        let taken = self
            .ledger
            .compose(offset, own.len(), &batch, size, |file| {
                tree.file_size(NodeId(file))
            });
        if let Err(refused) = taken {
            let what = denied::placement(tree, &batch, &refused, size);
            self.denied.placement(&refused, what);
            return Ok(Err(refused.error()));
        }
        self.ledger.check_scattering()?;
        let run = Run {
            offset,
            own,
            placements: batch.iter().map(to_place).collect(),
        };
        for run in run.split(HANDED_ON) {
            self.check_deadline()?;
            if partition.compose(run).is_err() {
                return Ok(Err(PlaceError::Failed));
            }
        }
        Ok(Ok(()))
    }
}

fn to_place(requested: &Requested) -> Placement {
    Placement {
        file: NodeId(requested.file),
        file_offset: requested.file_offset,
        partition_offset: requested.partition_offset,
        length: requested.length,
        padding: requested.padding,
    }
}
