//! What goes where: a geometry that holds the tree, and the place of each kind of block in it.
//!
//! The tree's blocks fill the free blocks from the first on: the resize inode's map, the journal, the orphan file, the content
//! of files, directories, targets of symbolic links, attributes. Content comes first of what depends on the tree, so that it
//! can be placed while the tree is still read. Within a kind the blocks follow the inodes, so that a cursor at the start of
//! each kind finds every place again, and nothing is kept for a file.

use cellblock_guest::{FormatError, Shortage, Totals};

use crate::census::{Body, Census, Inode};
use crate::forecast::Forecast;
use crate::format::InodeNumber;
use crate::geometry::{Geometry, fewest_blocks, most_blocks, next_usage_type};
use crate::mapping::Mapping;
use crate::options::Options;
use crate::space::{Cursor, Space};

/// A symbolic link with a target shorter than this keeps it in the inode. Bytes.
pub(crate) const FAST_SYMLINK_LIMIT: u16 = 60;

/// Where the blocks begin that do not depend on the tree, and where content begins after them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    pub(crate) resize: Cursor<'a>,
    pub(crate) journal: Cursor<'a>,
    pub(crate) orphans: Cursor<'a>,
    pub(crate) content: Cursor<'a>,
}

impl<'a> Places<'a> {
    fn new(options: &Options, geometry: &Geometry, start: Cursor<'a>) -> Self {
        let mut mapping = Mapping::new(options);
        let mut cursor = start;
        let resize = cursor;
        take_all(&mut cursor, u64::from(geometry.has_resize_inode));

        let journal = cursor;
        mapping.map_all(&mut cursor, u64::from(geometry.journal_blocks));

        let orphans = cursor;
        mapping.map_all(&mut cursor, u64::from(geometry.orphan_blocks));
        Self {
            resize,
            journal,
            orphans,
            content: cursor,
        }
    }
}

/// Where each kind of block begins that stands after the content of files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlacesAfterContent<'a> {
    pub(crate) directories: Cursor<'a>,
    pub(crate) symlinks: Cursor<'a>,
    pub(crate) attributes: Cursor<'a>,
    /// After all.
    pub(crate) end: Cursor<'a>,
}

impl<'a> PlacesAfterContent<'a> {
    pub(crate) fn new(options: &Options, census: &Census, start: Cursor<'a>) -> Self {
        let mut mapping = Mapping::new(options);
        let mut cursor = start;
        let directories = cursor;
        for directory in &census.directories {
            mapping.map_all(&mut cursor, u64::from(directory.shape.blocks));
        }
        let symlinks = cursor;
        let slow_symlinks = census.inodes.iter().filter(|inode| is_slow_symlink(inode));
        take_all(&mut cursor, slow_symlinks.count() as u64);

        let attributes = cursor;
        take_all(&mut cursor, census.attributes.blocks());
        Self {
            directories,
            symlinks,
            attributes,
            end: cursor,
        }
    }
}

/// The place after all that the tree takes from `start` on.
pub(crate) fn end_of_tree<'a>(options: &Options, census: &Census, start: Cursor<'a>) -> Cursor<'a> {
    let mut mapping = Mapping::new(options);
    let mut cursor = start;
    for inode in &census.inodes {
        map_file(options, census, inode, &mut cursor, &mut mapping);
    }
    PlacesAfterContent::new(options, census, cursor).end
}

/// Takes blocks that need not be consecutive.
fn take_all(cursor: &mut Cursor<'_>, blocks: u64) {
    let mut left = blocks;
    while left > 0 {
        left -= cursor.take(left).count;
    }
}

/// Whether an inode is a symbolic link whose target has a block.
pub(crate) fn is_slow_symlink(inode: &Inode) -> bool {
    matches!(inode.body, Body::Symlink { length, .. } if length >= FAST_SYMLINK_LIMIT)
}

/// Maps the blocks of an inode if it is a regular file; false if it is none.
pub(crate) fn map_file(
    options: &Options,
    census: &Census,
    inode: &Inode,
    cursor: &mut Cursor<'_>,
    mapping: &mut Mapping,
) -> bool {
    let Body::File { size, ranges, .. } = inode.body else {
        return false;
    };
    match census.ranges(ranges) {
        Some(ranges) => mapping.map(cursor, ranges),
        None => mapping.map_all(cursor, options.blocks_for(size)),
    }
    true
}

/// A file system that holds its tree.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Blocks of the partition, of which the file system may leave a few.
    pub(crate) partition_blocks: u64,
    pub(crate) geometry: Geometry,
    pub(crate) space: Space,
}

impl Layout {
    /// The smallest layout.
    ///
    /// # Errors
    /// [`FormatError::TooLarge`] if none is large enough.
    pub(crate) fn smallest(options: &Options, census: &Census) -> Result<Self, FormatError> {
        Search::new(options, census).smallest()
    }

    /// A layout for a partition of `size` bytes, if that is so large that it holds any tree of these `totals`.
    pub(crate) fn foreseen(options: &Options, totals: &Totals, size: u64) -> Option<Self> {
        let forecast = Forecast::new(options, totals)?;
        let blocks = size / u64::from(options.block_size);
        if blocks > most_blocks(options) {
            return None;
        }
        let geometry = Geometry::new(options, blocks, blocks, forecast.inodes)?;
        let space = Space::new(&geometry)?;
        let interruptions = space.fixed.len() as u64;
        let needed = forecast.blocks(options, &geometry, interruptions);
        (needed <= geometry.blocks).then_some(Self {
            partition_blocks: blocks,
            geometry,
            space,
        })
    }

    /// A layout for a partition of `size` bytes.
    ///
    /// # Errors
    /// [`FormatError::TooSmall`] with the smallest size; [`FormatError::TooLarge`].
    pub(crate) fn for_size(
        options: &Options,
        census: &Census,
        size: u64,
    ) -> Result<Self, FormatError> {
        let blocks = size / u64::from(options.block_size);
        let most = most_blocks(options);
        if blocks > most {
            return Err(FormatError::TooLarge(most * u64::from(options.block_size)));
        }
        let layout = Self::for_blocks(options, census, blocks, size)?;
        Ok(Self {
            partition_blocks: blocks,
            ..layout
        })
    }

    fn for_blocks(
        options: &Options,
        census: &Census,
        blocks: u64,
        size: u64,
    ) -> Result<Self, FormatError> {
        let search = Search::new(options, census);
        if let Some(layout) = search.layout(blocks, blocks) {
            return Ok(layout);
        }
        let smallest = search.smallest()?;
        let needed = smallest.geometry.bytes();
        if smallest.geometry.blocks > blocks {
            return Err(FormatError::TooSmall(Shortage {
                needed,
                available: size,
            }));
        }
        // Inodes and journal grow by steps, and just above a step the tree may not fit any more. The smallest layout's fit.
        let larger = search.layout(blocks, smallest.geometry.blocks);
        Ok(larger.unwrap_or(smallest))
    }

    /// The last inode in use: the tree's, or the orphan file's after it.
    pub(crate) fn last_inode(&self, census: &Census) -> InodeNumber {
        let of_tree = census.last_inode();
        InodeNumber(of_tree.0 + u32::from(self.geometry.orphan_blocks > 0))
    }

    pub(crate) fn places(&self, options: &Options) -> Places<'_> {
        Places::new(options, &self.geometry, self.space.cursor())
    }
}

/// What came of trying a size.
enum Attempt {
    Fits(Layout),
    /// The geometry, and the blocks that it would have to have.
    Short {
        geometry: Geometry,
        needed: u64,
    },
}

/// Looks for sizes that hold a tree.
struct Search<'a> {
    options: &'a Options,
    census: &'a Census,
    inodes: u32,
    /// The tree's blocks if nothing interrupts a file: a lower bound, blocks without fragmentation.
    tree_blocks: u64,
}

impl<'a> Search<'a> {
    fn new(options: &'a Options, census: &'a Census) -> Self {
        let inodes = census.last_inode().0 + u32::from(options.has_orphan_file());
        Self {
            options,
            census,
            inodes,
            tree_blocks: end_of_tree(options, census, Cursor::endless()).position(),
        }
    }

    fn geometry(&self, blocks: u64, nominal: u64) -> Option<Geometry> {
        Geometry::new(self.options, blocks, nominal, self.inodes)
    }

    /// The layout of one size, if it fits.
    fn layout(&self, blocks: u64, nominal: u64) -> Option<Layout> {
        match self.attempt(self.geometry(blocks, nominal)?) {
            Attempt::Fits(layout) => Some(layout),
            Attempt::Short { .. } => None,
        }
    }

    fn attempt(&self, geometry: Geometry) -> Attempt {
        let needed = geometry.overhead()
            + u64::from(geometry.has_resize_inode)
            + u64::from(geometry.journal_blocks)
            + u64::from(geometry.orphan_blocks)
            + self.tree_blocks;
        if needed > geometry.blocks {
            return Attempt::Short { geometry, needed };
        }
        let Some(space) = Space::new(&geometry) else {
            return Attempt::Short { geometry, needed };
        };
        let layout = Layout {
            partition_blocks: geometry.blocks,
            geometry,
            space,
        };
        let content = layout.places(self.options).content;
        let needed = end_of_tree(self.options, self.census, content).position();
        if needed > layout.geometry.blocks {
            let geometry = layout.geometry;
            return Attempt::Short { geometry, needed };
        }
        Attempt::Fits(layout)
    }

    /// The next size to try, when a file system of so many `blocks` has to have `needed`.
    ///
    /// A larger one needs hardly ever less for itself: inodes are rounded up in each group, so that one group more may
    /// save a few blocks in each of the others; and a larger usage type has fewer inodes.
    fn step(&self, geometry: &Geometry, blocks: u64, needed: u64) -> u64 {
        let mut saving = 2 * u64::from(geometry.groups) + 16;
        if u64::from(geometry.blocks_per_group) < 8 * u64::from(geometry.block_size) {
            // Larger groups may be fewer, and one backup less.
            saving += geometry.head_blocks(0);
        }
        let block_size = u64::from(self.options.block_size);
        let next_type = next_usage_type(blocks.saturating_mul(block_size)).div_ceil(block_size);
        needed.saturating_sub(saving).min(next_type).max(blocks + 1)
    }

    fn smallest(&self) -> Result<Layout, FormatError> {
        let most = most_blocks(self.options);
        let inode_blocks = self
            .options
            .blocks_for(u64::from(self.inodes) * u64::from(self.options.inode_size));
        let mut blocks = fewest_blocks(self.options).max(self.tree_blocks + inode_blocks);
        let mut failed = None;
        while blocks <= most {
            let geometry = self.geometry(blocks, blocks);
            if geometry.is_none() || geometry == failed {
                blocks += 1;
                continue;
            }
            match geometry.map(|geometry| self.attempt(geometry)) {
                Some(Attempt::Fits(layout)) => return Ok(layout),
                Some(Attempt::Short { geometry, needed }) => {
                    blocks = self.step(&geometry, blocks, needed);
                    failed = Some(geometry);
                }
                None => blocks += 1,
            }
        }
        let limit = most.saturating_mul(u64::from(self.options.block_size));
        Err(FormatError::TooLarge(limit))
    }
}
