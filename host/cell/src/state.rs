//! What a cell's store holds, and what it asks for.

use wasmtime::component::ResourceTable;

use super::bindings::cellblock::format::{placement, progress, tree};
use super::bindings::encoding::cellblock::format::{digests, encoding};
use super::bindings::reading::cellblock::format::{decoding, listing};
use super::files::ErrorCode;
use super::limiter::Limiter;
use cellblock_contract::Limits;

/// An answer to a guest; the outer error ends the cell.
pub(super) type Answer<T> = wasmtime::Result<Result<T, ErrorCode>>;

/// Who answers a guest: this process, or the one on the other side of the second wall.
pub(super) trait Services:
    tree::Host
    + placement::Host
    + progress::Host
    + encoding::Host
    + digests::Host
    + listing::Host
    + decoding::Host
    + 'static
{
    /// The size in bytes of the partition, if the guest has one.
    fn partition_size(&self) -> Option<u64>;

    /// The bytes at `offset`, at most `length`, and whether they reach the end of the partition.
    fn read_partition(&mut self, length: u64, offset: u64) -> Answer<(Vec<u8>, bool)>;

    /// Writes `bytes` at `offset`; their number.
    fn write_partition(&mut self, bytes: &[u8], offset: u64) -> Answer<u64>;
}

/// The data of a cell's store.
pub(super) struct State<S> {
    pub(super) table: ResourceTable,
    pub(super) limiter: Limiter,
    pub(super) services: S,
}

impl<S> State<S> {
    pub(super) fn new(services: S, limits: Limits) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self {
            table,
            limiter: Limiter::new(limits),
            services,
        }
    }
}
