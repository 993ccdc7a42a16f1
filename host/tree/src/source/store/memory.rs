//! One file of bytes in memory.

use std::ops::Range;
use std::path::PathBuf;

use cellblock_text::PathBytes;

use super::{Store, StoreReader, Wanted, long, small};
use crate::source::error::SourceError;
use crate::{Data, Extent};

/// A file whose bytes are in the spec.
#[derive(Debug)]
pub(crate) struct MemoryStore(pub(crate) Vec<u8>);

impl Store for MemoryStore {
    fn reader(&self) -> Box<dyn StoreReader + '_> {
        Box::new(self)
    }
}

impl MemoryStore {
    fn slice(&self, range: &Range<u64>) -> &[u8] {
        &self.0[small(range.start)..small(range.end)]
    }
}

impl StoreReader for &MemoryStore {
    fn read(&mut self, _: Wanted<'_>, offset: u64, buffer: &mut [u8]) -> Result<(), SourceError> {
        buffer.copy_from_slice(self.slice(&(offset..offset + long(buffer.len()))));
        Ok(())
    }

    fn extents(
        &mut self,
        _: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<Extent<'_>>, SourceError> {
        Ok(vec![Extent {
            offset: range.start,
            length: range.end - range.start,
            data: Data::Memory(self.slice(&range)),
        }])
    }

    fn verify(&mut self, _: Wanted<'_>) -> Result<(), SourceError> {
        Ok(())
    }

    fn name(&self, file: Wanted<'_>) -> (PathBuf, PathBytes) {
        (PathBuf::new(), file.path())
    }
}
