//! Files of bytes in memory.

use std::ops::Range;
use std::path::PathBuf;

use cellblock_text::PathBytes;

use super::{Store, StoreReader, Wanted, long, small};
use crate::source::error::SourceError;
use crate::{Data, Extent, index};

/// Files whose bytes are in the spec, or in a dumpfile.
#[derive(Debug)]
pub(crate) struct MemoryStore(pub(crate) Vec<Vec<u8>>);

impl Store for MemoryStore {
    fn reader(&self) -> Box<dyn StoreReader + '_> {
        Box::new(self)
    }
}

impl MemoryStore {
    fn slice(&self, file: Wanted<'_>, range: &Range<u64>) -> &[u8] {
        &self.0[index(file.stored.number)][small(range.start)..small(range.end)]
    }
}

impl StoreReader for &MemoryStore {
    fn read(
        &mut self,
        file: Wanted<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), SourceError> {
        buffer.copy_from_slice(self.slice(file, &(offset..offset + long(buffer.len()))));
        Ok(())
    }

    fn extents(
        &mut self,
        file: Wanted<'_>,
        range: Range<u64>,
    ) -> Result<Vec<Extent<'_>>, SourceError> {
        Ok(vec![Extent {
            offset: range.start,
            length: range.end - range.start,
            data: Data::Memory(self.slice(file, &range)),
        }])
    }

    fn verify(&mut self, _: Wanted<'_>) -> Result<(), SourceError> {
        Ok(())
    }

    fn name(&self, file: Wanted<'_>) -> (PathBuf, PathBytes) {
        (PathBuf::new(), file.path())
    }
}
