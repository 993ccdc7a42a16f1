//! The inode tables.

use std::borrow::Cow;

use cellblock_guest::{FormatError, Timestamp};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::Writer;
use crate::attributes::InodeAttributes;
use crate::census::{self, Body, COUNTED_SUBDIRECTORIES};
use crate::checksum::{crc32c, crc32c_zeros};
use crate::directory::{Limits, inline_bytes};
use crate::extents::{high, low};
use crate::format::{Inode, InodeFlags, InodeNumber, file_kind};
use crate::layout::{is_slow_symlink, map_file};
use crate::mapping::Mapping;
use crate::options::Options;
use crate::space::Cursor;

/// The slot of an inode's map that leads to lists of lists of blocks.
const DOUBLE_INDIRECT_SLOT: usize = 13;

/// What the inodes amount to.
pub(super) struct Tally {
    /// Directories, by group.
    pub(super) directories: Vec<u32>,
    /// The journal's map.
    pub(super) journal_map: [u8; 60],
}

/// What the bytes of an inode are made of.
struct Content<'a> {
    mode: u16,
    links: u16,
    uid: u32,
    gid: u32,
    modified: Timestamp,
    size: u64,
    /// All its blocks, with those of its map and its attributes.
    blocks: u64,
    flags: InodeFlags,
    map: [u8; 60],
    /// What of the content stands in the inode, beyond what is in its map.
    beyond_map: Option<Cow<'a, [u8]>>,
    attributes: Option<InodeAttributes>,
    attribute_block: u64,
}

/// The places of what inodes refer to, in their order.
struct Cursors<'a> {
    directories: Cursor<'a>,
    symlinks: Cursor<'a>,
    files: Cursor<'a>,
    mapping: Mapping,
}

impl<'a> Writer<'a> {
    pub(super) fn write_inodes(&mut self) -> Result<Tally, FormatError> {
        let mut tally = Tally {
            directories: vec![0; self.layout.geometry.groups as usize],
            journal_map: [0; 60],
        };
        let mut cursors = Cursors {
            directories: self.after_content.directories,
            symlinks: self.after_content.symlinks,
            files: self.places.content,
            mapping: self.mapping(),
        };
        let attribute_blocks = self.attribute_blocks();
        let census = self.census;
        for (number, inode) in census.numbered() {
            let mut content = self.content(inode, &mut cursors)?;
            if let Some(block) = inode.attributes.and_then(|attributes| attributes.block) {
                content.attribute_block = attribute_blocks[block.0 as usize];
                content.blocks += 1;
            }
            self.write_inode(number, Some(&content))?;
            if matches!(inode.body, Body::Directory(_)) {
                let (group, _) = self.layout.geometry.inode_place(number);
                tally.directories[group as usize] += 1;
            }
            if number == InodeNumber::ROOT {
                self.write_reserved_inodes(&mut tally)?;
            }
        }
        let orphan_blocks = self.layout.geometry.orphan_blocks;
        if orphan_blocks > 0 {
            let content = self.own_file(&self.orphan_mapping(), orphan_blocks)?;
            self.write_inode(self.last_inode(), Some(&content))?;
        }
        Ok(tally)
    }

    /// The inodes before the first that is free to use, but for the root.
    fn write_reserved_inodes(&mut self, tally: &mut Tally) -> Result<(), FormatError> {
        let bad_blocks = self.own_content(0, 0);
        self.write_inode(InodeNumber::BAD_BLOCKS, Some(&bad_blocks))?;
        for number in InodeNumber::ROOT.0 + 1..InodeNumber::FIRST.0 {
            let number = InodeNumber(number);
            let content = match number {
                InodeNumber::RESIZE if self.layout.geometry.has_resize_inode => {
                    Some(self.resize_content())
                }
                InodeNumber::JOURNAL if self.layout.geometry.journal_blocks > 0 => {
                    let blocks = self.layout.geometry.journal_blocks;
                    let content = self.own_file(&self.journal_mapping(), blocks)?;
                    tally.journal_map = content.map;
                    Some(content)
                }
                _ => None,
            };
            self.write_inode(number, content.as_ref())?;
        }
        Ok(())
    }

    /// An inode that the format itself needs.
    fn own_content(&self, mode: u16, links: u16) -> Content<'static> {
        Content {
            mode,
            links,
            uid: 0,
            gid: 0,
            modified: self.options.own_time(),
            size: 0,
            blocks: 0,
            flags: InodeFlags::empty(),
            map: [0; 60],
            beyond_map: None,
            attributes: None,
            attribute_block: 0,
        }
    }

    /// The size of the resize inode, which is that of the largest file without a third level of lists. Bytes.
    pub(super) fn resize_size(&self) -> u64 {
        let slots = u64::from(self.options.block_size / 4);
        self.offset(slots * slots + slots + 12)
    }

    fn resize_content(&self) -> Content<'static> {
        let geometry = &self.layout.geometry;
        let superblocks = 1 + geometry.backup_groups().count() as u64;
        let mut content = self.own_content(file_kind::REGULAR | 0o600, 1);
        content.size = self.resize_size();
        content.blocks = 1 + u64::from(geometry.reserved_descriptor_blocks) * superblocks;
        let place = low(self.places.resize.clone().take(1).start).to_le_bytes();
        content.map.as_chunks_mut().0[DOUBLE_INDIRECT_SLOT] = place;
        content
    }

    /// The inode of a file of whole blocks that the format itself needs.
    fn own_file(&self, mapping: &Mapping, blocks: u32) -> Result<Content<'static>, FormatError> {
        let mut content = self.own_content(file_kind::REGULAR | 0o600, 1);
        content.size = self.offset(u64::from(blocks));
        set_map(&mut content, mapping)?;
        Ok(content)
    }

    /// Where the attribute blocks stand.
    fn attribute_blocks(&self) -> Vec<u64> {
        let mut cursor = self.after_content.attributes;
        (0..self.census.attributes.blocks())
            .map(|_| cursor.take(1).start)
            .collect()
    }

    fn content(
        &self,
        inode: &census::Inode,
        cursors: &mut Cursors<'a>,
    ) -> Result<Content<'a>, FormatError> {
        let mut content = Content {
            mode: inode.mode,
            links: inode.links,
            uid: inode.uid,
            gid: inode.gid,
            modified: inode.modified,
            size: 0,
            blocks: 0,
            flags: InodeFlags::empty(),
            map: [0; 60],
            beyond_map: None,
            attributes: inode.attributes,
            attribute_block: 0,
        };
        let mapping = &mut cursors.mapping;
        match inode.body {
            Body::Directory(position) => {
                let directory = &self.census.directories[position as usize];
                let shape = directory.shape;
                content.links = directory_links(directory.subdirectories);
                content.size = shape.size(self.options.block_size);
                if let Some(rest) = shape.inline_rest {
                    let (map, beyond) = self.inline_directory(directory, rest);
                    content.map = map;
                    content.beyond_map = Some(beyond.into());
                    return Ok(content);
                }
                mapping.map_all(&mut cursors.directories, u64::from(shape.blocks));
                content
                    .flags
                    .set(InodeFlags::INDEXED, shape.index.is_some());
                set_map(&mut content, mapping)?;
            }
            Body::File { size, .. } => {
                content.size = size;
                map_file(
                    self.options,
                    self.census,
                    inode,
                    &mut cursors.files,
                    mapping,
                );
                set_map(&mut content, mapping)?;
            }
            Body::Symlink { start, length } => {
                content.size = u64::from(length);
                if is_slow_symlink(inode) {
                    mapping.map_all(&mut cursors.symlinks, 1);
                    set_map(&mut content, mapping)?;
                } else {
                    let target = self.census.names.get(start, length);
                    content.map[..target.len()].copy_from_slice(target);
                }
            }
            Body::Inline { start, length } => {
                let bytes = self.census.names.get(start, length);
                let (in_map, beyond) = bytes.split_at(bytes.len().min(content.map.len()));
                content.size = u64::from(length);
                content.map[..in_map.len()].copy_from_slice(in_map);
                content.beyond_map = Some(beyond.into());
            }
            Body::Device { major, minor } => content.map = device_map(major, minor),
            Body::Empty => {}
        }
        Ok(content)
    }

    /// The map of a directory that stands in its inode, and the `rest` beyond it.
    fn inline_directory(&self, directory: &census::Directory, rest: u32) -> ([u8; 60], Vec<u8>) {
        let limits = Limits::new(self.options);
        let names = &self.census.names;
        let parent = directory.parent.number();
        inline_bytes(
            &limits,
            names,
            parent,
            self.census.children(directory),
            rest,
        )
    }

    /// Writes an inode; one without content is not in use, but has its checksum.
    fn write_inode(
        &mut self,
        number: InodeNumber,
        content: Option<&Content<'_>>,
    ) -> Result<(), FormatError> {
        let size = usize::from(self.options.inode_size);
        let (group, index) = self.layout.geometry.inode_place(number);
        let table = self.layout.space.tables[group as usize].inode_table;
        let place = self.offset(table) + u64::from(index) * size as u64;
        let seed = self.inode_seed(number);
        let (options, attributes) = (self.options, &self.census.attributes);
        let bytes = self.output.space(place, size)?;
        let (base, beyond) = bytes.split_at_mut(size_of::<Inode>().min(size));
        let beyond_is_zero = !content.is_some_and(|content| {
            attributes.write_inline(content.attributes, content.beyond_map.as_deref(), beyond)
        });
        let fill = |inode: &mut Inode| {
            if let Some(content) = content {
                fill(inode, content, options);
            }
        };
        let Ok(inode) = Inode::mut_from_bytes(base) else {
            // What is beyond the first fields has no room.
            let mut inode = empty();
            fill(&mut inode);
            if let Some(seed) = seed {
                inode.checksum_low = halves(crc32c(seed, &inode.as_bytes()[..size])).0.into();
            }
            base.copy_from_slice(&inode.as_bytes()[..size]);
            return Ok(());
        };
        fill(inode);
        if let Some(seed) = seed {
            let sum = crc32c(seed, inode.as_bytes());
            let sum = if beyond_is_zero {
                crc32c_zeros(sum, beyond.len())
            } else {
                crc32c(sum, beyond)
            };
            let (low, high) = halves(sum);
            inode.checksum_low = low.into();
            if inode.extra_size.get() > 0 {
                inode.checksum_high = high.into();
            }
        }
        Ok(())
    }
}

fn set_map(content: &mut Content<'_>, mapping: &Mapping) -> Result<(), FormatError> {
    content.flags |= mapping.flags();
    content.blocks = mapping.blocks();
    mapping.write_root(&mut content.map)
}

/// A directory has its name, its `.`, and the `..` of each directory in it; 1 stands for too many to count.
fn directory_links(subdirectories: u32) -> u16 {
    if subdirectories > COUNTED_SUBDIRECTORIES {
        return 1;
    }
    u16::try_from(subdirectories + 2).unwrap_or(1)
}

/// Small device numbers have 8 bits each, as long ago; others stand after them, with 12 and 20 bits.
fn device_map(major: u32, minor: u32) -> [u8; 60] {
    let mut map = [0; 60];
    let (slot, number) = if major < 256 && minor < 256 {
        (0, (major << 8) | minor)
    } else {
        (1, (minor & 0xFF) | (major << 8) | ((minor & !0xFF) << 12))
    };
    map.as_chunks_mut().0[slot] = number.to_le_bytes();
    map
}

fn empty() -> Inode {
    zerocopy::FromZeros::new_zeroed()
}

/// The low 32 bits of the seconds, and the word with the two bits above and the nanoseconds.
fn split_time(time: Timestamp) -> (u32, u32) {
    let seconds = low(time.seconds.cast_unsigned());
    let above = time.seconds - i64::from(seconds.cast_signed());
    let epoch = high(above.cast_unsigned()) & 3;
    (seconds, (time.nanoseconds << 2) | epoch)
}

fn halves(value: u32) -> (u16, u16) {
    let [a, b, c, d] = value.to_le_bytes();
    (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
}

/// Fills an inode of zeros.
fn fill(inode: &mut Inode, content: &Content<'_>, options: &Options) {
    let (uid_low, uid_high) = halves(content.uid);
    let (gid_low, gid_high) = halves(content.gid);
    let (time, time_extra) = split_time(content.modified);
    let sectors = content.blocks * u64::from(options.block_size / 512);
    inode.mode = content.mode.into();
    inode.uid_low = uid_low.into();
    inode.uid_high = uid_high.into();
    inode.gid_low = gid_low.into();
    inode.gid_high = gid_high.into();
    inode.size_low = low(content.size).into();
    inode.size_high = high(content.size).into();
    inode.read_time = time.into();
    inode.change_time = time.into();
    inode.write_time = time.into();
    inode.links = content.links.into();
    inode.sectors_low = low(sectors).into();
    inode.sectors_high = halves(high(sectors)).0.into();
    let mut flags = content.flags;
    flags.set(InodeFlags::INLINE_CONTENT, content.beyond_map.is_some());
    inode.flags = flags.bits().into();
    inode.map = content.map;
    inode.attribute_block_low = low(content.attribute_block).into();
    inode.attribute_block_high = halves(high(content.attribute_block)).0.into();
    if options.inode_size > Inode::BASE_SIZE && content.mode != 0 {
        let (creation, creation_extra) = split_time(options.own_time());
        inode.extra_size = Inode::EXTRA_SIZE.into();
        inode.read_time_extra = time_extra.into();
        inode.change_time_extra = time_extra.into();
        inode.write_time_extra = time_extra.into();
        inode.creation_time = creation.into();
        inode.creation_time_extra = creation_extra.into();
    }
}
