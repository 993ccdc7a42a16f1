//! Emission: content is placed, then metadata is written from the tree's blocks to the superblocks.

mod content;
mod groups;
mod inodes;
mod orphans;
mod superblock;

use cellblock_guest::{Buffered, FormatError, Property, Summary};
use zerocopy::IntoBytes as _;

use crate::census::{Body, Census, Directory};
use crate::checksum;
use crate::directory::{DirectoryWriter, Identity, Limits};
use crate::format::{InodeNumber, JournalSuperblock};
use crate::layout::{Layout, Places, PlacesAfterContent, is_slow_symlink};
use crate::mapping::Mapping;
use crate::options::Options;

pub(crate) use content::Contents;

/// Writes a file system, of which some of the `contents` may have been placed already.
///
/// # Errors
/// [`FormatError`] if the host fails.
pub(crate) fn write<'a>(
    options: &'a Options,
    census: &'a Census,
    layout: &'a Layout,
    mut contents: Contents<'a>,
) -> Result<Summary, FormatError> {
    let end_of_content = contents.finish(census)?;
    // The host copies while the metadata is made.
    let mut writer = Writer {
        options,
        census,
        layout,
        places: contents.places,
        after_content: PlacesAfterContent::new(options, census, end_of_content),
        seed: contents.seed,
        output: contents.output,
    };
    writer.write_directories()?;
    writer.write_symlinks()?;
    writer.write_attribute_blocks()?;
    writer.write_journal()?;
    writer.write_orphan_file()?;
    writer.write_resize_map()?;
    let tally = writer.write_inodes()?;
    let summary = writer.write_groups(tally)?;
    writer.output.finish()?;
    Ok(summary)
}

/// A file system that is being written.
struct Writer<'a> {
    options: &'a Options,
    census: &'a Census,
    layout: &'a Layout,
    places: Places<'a>,
    after_content: PlacesAfterContent<'a>,
    /// The seed of the file system's checksums, if there are any.
    seed: Option<u32>,
    output: Buffered<'a>,
}

impl Writer<'_> {
    /// The byte at which a block begins.
    fn offset(&self, block: u64) -> u64 {
        block * u64::from(self.options.block_size)
    }

    fn last_inode(&self) -> InodeNumber {
        self.layout.last_inode(self.census)
    }

    /// The seed of an inode's checksums.
    fn inode_seed(&self, inode: InodeNumber) -> Option<u32> {
        self.seed.map(|seed| checksum::inode_seed(seed, inode.0, 0))
    }

    fn mapping(&self) -> Mapping {
        Mapping::new(self.options)
    }

    /// Writes the blocks of the map of an inode.
    fn write_nodes(&mut self, inode: InodeNumber, mapping: &Mapping) -> Result<(), FormatError> {
        content::write_nodes(self.options, self.seed, &mut self.output, inode, mapping)
    }

    fn write_directories(&mut self) -> Result<(), FormatError> {
        let mut mapping = self.mapping();
        let mut cursor = self.after_content.directories;
        let mut writer = DirectoryWriter::new(
            Limits::new(self.options),
            &self.census.names,
            self.options.name_hash(),
        );
        let block_size = u64::from(self.options.block_size);
        let in_blocks = |directory: &&Directory| directory.shape.inline_rest.is_none();
        for directory in self.census.directories.iter().filter(in_blocks) {
            mapping.map_all(&mut cursor, u64::from(directory.shape.blocks));
            let inode = directory.inode.number();
            let identity = Identity {
                inode,
                parent: directory.parent.number(),
                seed: self.inode_seed(inode),
            };
            let children = self.census.children(directory);
            let mut places = mapping.places();
            let output = &mut self.output;
            writer.write(identity, directory.shape, children, &mut |bytes| {
                let place = places.next().expect("every block has its place");
                output.write(place * block_size, bytes)
            })?;
            if mapping.has_nodes() {
                self.write_nodes(inode, &mapping)?;
            }
        }
        Ok(())
    }

    fn write_symlinks(&mut self) -> Result<(), FormatError> {
        let mut cursor = self.after_content.symlinks;
        let mut block = vec![0; self.options.block_size as usize];
        for inode in self
            .census
            .inodes
            .iter()
            .filter(|inode| is_slow_symlink(inode))
        {
            if let Body::Symlink { start, length } = inode.body {
                let target = self.census.names.get(start, length);
                block.fill(0);
                block[..target.len()].copy_from_slice(target);
                let place = self.offset(cursor.take(1).start);
                self.output.write(place, &block)?;
            }
        }
        Ok(())
    }

    fn write_attribute_blocks(&mut self) -> Result<(), FormatError> {
        let mut cursor = self.after_content.attributes;
        let mut bytes = vec![0; self.options.block_size as usize];
        for block in self.census.attributes.block_ids() {
            let place = cursor.take(1).start;
            self.census
                .attributes
                .write_block(block, place, self.seed, &mut bytes);
            self.output.write(self.offset(place), &bytes)?;
        }
        Ok(())
    }

    /// Writes an empty journal. Its features are the kernel's to turn on.
    fn write_journal(&mut self) -> Result<(), FormatError> {
        let blocks = self.layout.geometry.journal_blocks;
        if blocks == 0 {
            return Ok(());
        }
        let superblock = JournalSuperblock {
            magic: JournalSuperblock::MAGIC.into(),
            block_type: JournalSuperblock::VERSION_2.into(),
            block_sequence: 0.into(),
            block_size: self.options.block_size.into(),
            blocks: blocks.into(),
            first_block: 1.into(),
            sequence: 1.into(),
            start: 0.into(),
            error: 0.into(),
            features: [0.into(); 3],
            uuid: self.options.uuid,
            users: 1.into(),
            unused: [0; 188],
            user_identifiers: [0; 768],
        };
        let mapping = self.journal_mapping();
        let place = self.offset(mapping.block(0).expect("a journal has blocks"));
        self.output.write(place, superblock.as_bytes())?;
        if mapping.has_nodes() {
            self.write_nodes(InodeNumber::JOURNAL, &mapping)?;
        }
        Ok(())
    }

    fn journal_mapping(&self) -> Mapping {
        let mut mapping = self.mapping();
        let blocks = u64::from(self.layout.geometry.journal_blocks);
        mapping.map_all(&mut self.places.journal.clone(), blocks);
        mapping
    }

    /// Writes the map of the resize inode: to the blocks kept after the group descriptors, each of which lists its
    /// counterparts after the backups.
    fn write_resize_map(&mut self) -> Result<(), FormatError> {
        let geometry = &self.layout.geometry;
        if !geometry.has_resize_inode {
            return Ok(());
        }
        let block_size = self.options.block_size as usize;
        let slots = block_size / 4;
        let mut map = vec![0; block_size];
        let mut reserved = Vec::new();
        let backups: Vec<u64> = geometry
            .backup_groups()
            .map(|group| geometry.group_start(group))
            .collect();
        let kept = geometry.reserved_descriptor_blocks;
        for (index, block) in (geometry.descriptor_blocks..)
            .take(kept as usize)
            .enumerate()
        {
            let place = geometry.group_start(0) + 1 + u64::from(block);
            let slot = block as usize % slots * 4;
            map[slot..slot + 4].copy_from_slice(&crate::extents::low(place).to_le_bytes());
            let mut list = vec![0; block_size];
            for (entry, backup) in list.as_chunks_mut().0.iter_mut().zip(&backups) {
                *entry = crate::extents::low(backup + 1 + u64::from(block)).to_le_bytes();
            }
            debug_assert_eq!(reserved.len(), index * block_size);
            reserved.extend_from_slice(&list);
        }
        let first = geometry.group_start(0) + 1 + u64::from(geometry.descriptor_blocks);
        self.output.write(self.offset(first), &reserved)?;
        let place = self.places.resize.clone().take(1).start;
        self.output.write(self.offset(place), &map)
    }
}

/// What a user may want to know.
fn properties(options: &Options, layout: &Layout) -> Vec<Property> {
    let geometry = &layout.geometry;
    let property = |name, value: u64| Property {
        name,
        value: value.to_string(),
    };
    vec![
        property("block size", u64::from(options.block_size)),
        property("blocks", geometry.blocks),
        property("inodes", u64::from(geometry.inodes())),
        property("groups", u64::from(geometry.groups)),
        property("journal blocks", u64::from(geometry.journal_blocks)),
    ]
}
