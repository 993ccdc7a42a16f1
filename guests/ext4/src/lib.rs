//! The formatter of ext2, ext3 and ext4: makes and fills a file system as mke2fs does, in one pass over the tree and one
//! over the partition.
//!
//! ```text
//! block 0      group 0                                                      group 1        ...
//! +--------+--------------------------------------------------------------+--------------+----
//! | 1 KiB  | super- | group        | kept  | block   | inode   | inode    | superblock   |
//! | unused | block  | descriptors  | for   | bitmaps | bitmaps | tables   | (in groups   |
//! |        |        |              | more  |   of 16 groups, together     |  0,1,3,5,7,9 |
//! |        |        |              |       |                              |  25,27 ...)  |
//! +--------+--------------------------------------------------------------+--------------+----
//!   then from the first free block on, broken only by the above:
//!   journal | orphan file | content of files, in the tree's order | directories | long link targets | attributes
//! ```
//!
//! Little-endian, but for the journal. Blocks have 1, 2 or 4 KiB, groups 8 blocks for each byte of a block. The layout
//! is the kernel's: Documentation/filesystems/ext4.
//!
//! The three differ in their features alone: ext2 and ext3 map files by lists of blocks and ext4 by extents, ext2 has no
//! journal, and only ext4 has checksums, 64-bit block numbers, flexible groups and directories of any size.

#![deny(unsafe_code)]

mod attributes;
mod census;
mod checksum;
mod directory;
mod extents;
mod forecast;
mod format;
mod geometry;
mod indirect;
mod layout;
mod mapping;
mod options;
mod space;
mod times;
mod usage;
mod write;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

use cellblock_guest::{
    Description, FormatError, Formatter, Identifier, KindDescription, Losses, Output, Request,
    Summary, Tree,
};

use crate::census::Census;
use crate::layout::Layout;
use crate::options::Options;
use crate::usage::Planned;
use crate::write::Contents;

const KINDS: &[KindDescription] = &[
    KindDescription::plain("ext2", Identifier::Uuid),
    KindDescription::plain("ext3", Identifier::Uuid),
    KindDescription::plain("ext4", Identifier::Uuid),
];

/// Makes ext2, ext3 and ext4 file systems.
pub struct Ext4;

impl Formatter for Ext4 {
    fn describe() -> Description {
        Description {
            name: "ext4",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Makes ext2, ext3 and ext4 file systems, with the features that mke2fs turns on.",
            kinds: KINDS,
            options: options::DESCRIPTIONS,
            label_limit: options::LABEL_LIMIT,
            lacks: Losses::empty(),
        }
    }

    fn measure(request: &Request, tree: &mut dyn Tree) -> Result<u64, FormatError> {
        request.check_settings(&Self::describe())?;
        usage::smallest(request, tree)
    }

    fn format(
        request: &Request,
        tree: &mut dyn Tree,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError> {
        request.check_settings(&Self::describe())?;
        let options = Options::new(request, request.size)?;
        if options.is_ext2_by_features {
            output.warn(
                "an ext3 without a journal is an ext2 by its features: blkid calls it that, and mount -t ext3 refuses it; \
                 leave out what turns the journal off, or ask for ext2",
            );
        }
        let totals = tree.totals(options.block_size);
        if let Some(layout) = Layout::foreseen(&options, &totals, request.size) {
            // Nothing that the tree may hold changes the layout: the host copies content while the tree is read.
            let mut contents = Contents::new(&options, &layout, output);
            let census = Census::take(&options, &totals, tree, |census| contents.follow(census))?;
            return write::write(&options, &census, &layout, contents);
        }
        let planned = Planned::new(options, request, tree)?;
        let contents = Contents::new(&planned.options, &planned.layout, output);
        write::write(&planned.options, &planned.census, &planned.layout, contents)
    }
}
