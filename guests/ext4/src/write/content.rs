//! The content of files, which the host copies: it can begin while the tree is still read.

use cellblock_guest::{Buffered, FormatError, NodeId, Output, Placement};

use crate::census::{Body, Census, Inode, InodeIndex};
use crate::checksum::{self, crc32c};
use crate::format::InodeNumber;
use crate::layout::{Layout, Places, map_file};
use crate::mapping::{MappedRun, Mapping};
use crate::options::Options;
use crate::space::Cursor;

/// Places content in the order of the inodes.
pub(crate) struct Contents<'a> {
    options: &'a Options,
    pub(super) places: Places<'a>,
    /// The seed of the file system's checksums, if there are any.
    pub(super) seed: Option<u32>,
    pub(super) output: Buffered<'a>,
    mapping: Mapping,
    cursor: Cursor<'a>,
    /// The first inode whose content is not placed.
    next: InodeIndex,
}

impl<'a> Contents<'a> {
    /// Content of a file system of this `layout`, none of it placed so far.
    pub(crate) fn new(
        options: &'a Options,
        layout: &'a Layout,
        output: &'a mut dyn Output,
    ) -> Self {
        let places = layout.places(options);
        Self {
            options,
            places,
            seed: options
                .has_metadata_checksums()
                .then(|| crc32c(checksum::START, &options.uuid)),
            output: Buffered::new(output),
            mapping: Mapping::new(options),
            cursor: places.content,
            next: InodeIndex::ROOT,
        }
    }

    /// Places content as far as `census` has come, up to the first file with holes: where these are is known at the end.
    pub(crate) fn follow(&mut self, census: &Census) -> Result<(), FormatError> {
        while let Some(inode) = census.inode(self.next)
            && !has_holes(inode)
        {
            self.place_next(census, inode)?;
        }
        Ok(())
    }

    /// Places the rest of the content of a tree that has been read: the place after it.
    pub(super) fn finish(&mut self, census: &Census) -> Result<Cursor<'a>, FormatError> {
        while let Some(inode) = census.inode(self.next) {
            self.place_next(census, inode)?;
        }
        self.output.flush()?;
        Ok(self.cursor)
    }

    fn place_next(&mut self, census: &Census, inode: &Inode) -> Result<(), FormatError> {
        let number = self.next.number();
        self.next = self.next.next();
        let Body::File { node, size, .. } = inode.body else {
            return Ok(());
        };
        map_file(
            self.options,
            census,
            inode,
            &mut self.cursor,
            &mut self.mapping,
        );
        for mapped in self.mapping.runs() {
            self.output
                .place(placement(self.options, node, size, mapped))?;
        }
        if self.mapping.has_nodes() {
            write_nodes(
                self.options,
                self.seed,
                &mut self.output,
                number,
                &self.mapping,
            )?;
        }
        Ok(())
    }
}

fn has_holes(inode: &Inode) -> bool {
    matches!(
        inode.body,
        Body::File {
            ranges: Some(_),
            ..
        }
    )
}

/// A run of a file of `size` bytes.
fn placement(options: &Options, file: NodeId, size: u64, mapped: &MappedRun) -> Placement {
    let bytes = |blocks: u64| blocks * u64::from(options.block_size);
    let file_offset = bytes(u64::from(mapped.logical));
    let space = bytes(mapped.run.count);
    let length = space.min(size.saturating_sub(file_offset));
    Placement {
        file,
        file_offset,
        partition_offset: bytes(mapped.run.start),
        length,
        padding: u32::try_from(space - length).expect("data ends in the last block of its run"),
    }
}

/// Writes the blocks of the map of an inode.
pub(super) fn write_nodes(
    options: &Options,
    seed: Option<u32>,
    output: &mut Buffered<'_>,
    inode: InodeNumber,
    mapping: &Mapping,
) -> Result<(), FormatError> {
    let block_size = u64::from(options.block_size);
    let seed = seed.map(|seed| checksum::inode_seed(seed, inode.0, 0));
    mapping.write_nodes(seed, &mut |block, bytes| {
        output.write(block * block_size, bytes)
    })
}
