//! The orphan file, empty.

use cellblock_guest::FormatError;
use zerocopy::IntoBytes as _;

use super::Writer;
use crate::checksum::crc32c;
use crate::format::OrphanTail;
use crate::mapping::Mapping;

impl Writer<'_> {
    /// The blocks of the orphan file.
    pub(super) fn orphan_mapping(&self) -> Mapping {
        let mut mapping = self.mapping();
        let blocks = u64::from(self.layout.geometry.orphan_blocks);
        mapping.map_all(&mut self.places.orphans.clone(), blocks);
        mapping
    }

    pub(super) fn write_orphan_file(&mut self) -> Result<(), FormatError> {
        if self.layout.geometry.orphan_blocks == 0 {
            return Ok(());
        }
        let inode = self.last_inode();
        let seed = self.inode_seed(inode);
        let mapping = self.orphan_mapping();
        let mut block = vec![0; self.options.block_size as usize];
        let covered = block.len() - size_of::<OrphanTail>();
        for place in mapping.places() {
            let checksum = seed.map_or(0, |seed| {
                crc32c(crc32c(seed, &place.to_le_bytes()), &block[..covered])
            });
            let tail = OrphanTail {
                magic: OrphanTail::MAGIC.into(),
                checksum: checksum.into(),
            };
            block[covered..].copy_from_slice(tail.as_bytes());
            self.output.write(self.offset(place), &block)?;
        }
        if mapping.has_nodes() {
            self.write_nodes(inode, &mapping)?;
        }
        Ok(())
    }
}
