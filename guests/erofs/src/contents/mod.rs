//! Where the content of files goes: equal files once, and each as it is, in chunks with holes, or compressed.
//!
//! ```text
//!     files ──> equal ones are one ──> in the tree's order: plain, chunks, compressed clusters
//!                                      ──> compressed tails, which stand behind inodes
//!                                      ──> the packed inode: what is small, or left over
//! ```

mod chunks;
mod clusters;
mod encoding;
mod equal;
mod stage;

use std::ops::Range;

use cellblock_guest::{FormatError, NodeId, PieceId, Placement, Span, Tree};

use crate::census::{Census, File};
use crate::inodes;
use crate::options::{Compression, Options};

pub(crate) use chunks::Chunks;
pub(crate) use stage::Stage;

use encoding::{Encoding, Work};

/// The content of a file, or of several that are equal.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// As it is, from this block on; what stands behind the inode is not there.
    Plain(u64),
    /// In chunks, with holes.
    Chunks(Chunks),
    /// Compressed.
    Clusters(Clusters),
    /// All of it is in the packed inode, from this byte on.
    Fragment(u64),
}

/// Compressed content.
#[derive(Clone, Debug)]
pub(crate) struct Clusters {
    /// The first block.
    pub(crate) start: u64,
    /// The number of blocks.
    pub(crate) blocks: u64,
    /// The position of its first extent in [`Contents::extents`], and behind the last.
    pub(crate) extents: Range<usize>,
    pub(crate) compression: Compression,
    /// Where the last extent is.
    pub(crate) tail: Tail,
}

/// Where the last extent of compressed content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// In blocks, as the others.
    Blocks,
    /// Behind the inode, compressed.
    InlinePiece { piece: PieceId, bytes: u32 },
    /// Behind the inode, as it is.
    InlinePlain { bytes: u32 },
    /// In the packed inode, from this byte on.
    Fragment(u64),
}

impl Tail {
    /// The bytes behind the inode.
    pub(crate) fn inline_bytes(self) -> u32 {
        match self {
            Self::InlinePiece { bytes, .. } | Self::InlinePlain { bytes } => bytes,
            Self::Blocks | Self::Fragment(_) => 0,
        }
    }
}

/// A part of a file that is compressed at once, or stored as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes of the file.
    pub(crate) length: u32,
    /// Blocks on disk; 0 for a fragment.
    pub(crate) blocks: u16,
    /// Whether it is compressed.
    pub(crate) compressed: bool,
}

/// The inode that no directory has, in which parts of files stand together.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) content: Content,
}

/// The contents of all files.
#[derive(Debug)]
pub(crate) struct Contents {
    contents: Vec<Content>,
    /// The content of each file.
    of_files: Vec<u32>,
    pub(crate) extents: Vec<Extent>,
    pub(crate) packed: Option<Packed>,
    /// The first block behind all content.
    pub(crate) end: u64,
}

impl Contents {
    /// Decides where all content goes, from the block `start` on, and has it compressed and placed by the `stage`.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails, or there are more blocks than have numbers.
    pub(crate) fn plan(
        options: &Options,
        census: &Census,
        tree: &mut dyn Tree,
        stage: &mut Stage<'_>,
        start: u64,
    ) -> Result<Self, FormatError> {
        let mut planner = Planner {
            options,
            census,
            tree,
            contents: Self {
                contents: Vec::new(),
                of_files: Vec::new(),
                extents: Vec::new(),
                packed: None,
                end: start,
            },
            fragments: Vec::new(),
            fragment_end: 0,
        };
        planner.run(stage)?;
        Ok(planner.contents)
    }

    /// The content of the file at this position of the census.
    pub(crate) fn of_file(&self, file: u32) -> &Content {
        &self.contents[self.of_files[file as usize] as usize]
    }

    /// The extents of compressed content.
    pub(crate) fn extents(&self, clusters: &Clusters) -> &[Extent] {
        &self.extents[clusters.extents.clone()]
    }

    /// Whether any content has chunks.
    pub(crate) fn has_chunks(&self) -> bool {
        self.any(|content| matches!(content, Content::Chunks(_)))
    }

    /// Whether any compressed content ends behind its inode.
    pub(crate) fn has_inline_clusters(&self) -> bool {
        self.any(|content| {
            matches!(content, Content::Clusters(clusters) if clusters.tail.inline_bytes() > 0)
        })
    }

    fn any(&self, is_wanted: impl Fn(&Content) -> bool) -> bool {
        self.contents.iter().any(is_wanted)
    }
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It has no byte.
    Empty,
    /// It stands as it is, maybe with holes.
    Plain,
    /// It is compressed into clusters.
    Clusters(Compression),
    /// It is compressed, and stands behind its inode if that is shorter.
    Small(Compression),
    /// It goes into the packed inode.
    Packed,
}

struct Planner<'a> {
    options: &'a Options,
    census: &'a Census,
    tree: &'a mut dyn Tree,
    contents: Contents,
    /// What stands in the packed inode, in order.
    fragments: Vec<Span>,
    /// The bytes of these.
    fragment_end: u64,
}

impl Planner<'_> {
    fn run(&mut self, stage: &mut Stage<'_>) -> Result<(), FormatError> {
        let classes = self.classes()?;
        let firsts = self.firsts(&classes, stage)?;
        self.store_in_order(&classes, &firsts, stage)?;
        self.store_small(&classes, &firsts, stage)?;
        self.store_packed(stage)?;
        stage.finish()?;
        // The first of equal files comes before the others.
        for (position, first) in firsts.into_iter().enumerate() {
            self.contents.of_files[position] = self.contents.of_files[first as usize];
        }
        Ok(())
    }

    fn classes(&mut self) -> Result<Vec<Class>, FormatError> {
        let block_size = self.options.block_size();
        let features = self.options.features;
        let census = self.census;
        let mut classes = Vec::with_capacity(census.files.len());
        for file in &census.files {
            let compression = file
                .compression
                .map(|position| census.compressions[usize::from(position)]);
            classes.push(match compression {
                _ if file.size == 0 => Class::Empty,
                None => Class::Plain,
                Some(_) if file.sparse && !self.is_dense(file)? => Class::Plain,
                Some(compression) if features.fragments => {
                    if features.all_fragments || file.size <= compression.cluster.into() {
                        Class::Packed
                    } else {
                        Class::Clusters(compression)
                    }
                }
                Some(compression) if file.size > block_size => Class::Clusters(compression),
                Some(compression) if features.tail_packing => Class::Small(compression),
                Some(_) => Class::Plain,
            });
        }
        Ok(classes)
    }

    /// Whether a file with holes has so much data that it is treated as one without.
    fn is_dense(&mut self, file: &File) -> Result<bool, FormatError> {
        /// The most times that a file may be as large as its data.
        const MOST: u64 = 4;
        let ranges = self.tree.ranges(file.node)?;
        let data: u64 = ranges.iter().map(|range| range.length).sum();
        Ok(data.saturating_mul(MOST) >= file.size)
    }

    /// Stores what has blocks of its own: the requests run ahead, and what comes of them is placed in the tree's order.
    fn store_in_order(
        &mut self,
        classes: &[Class],
        firsts: &[u32],
        stage: &mut Stage<'_>,
    ) -> Result<(), FormatError> {
        let census = self.census;
        let block_size = self.block_size();
        let requests = owned(classes, firsts).filter_map(|position| {
            let file = &census.files[position as usize];
            match classes[position as usize] {
                Class::Clusters(compression) => Some(Work {
                    settings: compression.settings(block_size),
                    segment: compression.segment(),
                    spans: vec![whole(file.node, file.size)],
                }),
                _ => None,
            }
        });
        let mut encoding = Encoding::new(requests);
        self.contents.of_files = vec![0; census.files.len()];
        for position in owned(classes, firsts) {
            let file = &census.files[position as usize];
            let content = match classes[position as usize] {
                Class::Empty => Content::Plain(0),
                Class::Plain => self.store_plain(file, stage)?,
                Class::Clusters(compression) => {
                    self.store_clusters(file, compression, &mut encoding, stage)?
                }
                Class::Packed => Content::Fragment(self.pack(file.node, 0, file.size)),
                Class::Small(_) => continue,
            };
            self.keep(position, content)?;
        }
        Ok(())
    }

    /// Stores what goes behind its inode, if it is shorter there than as it is.
    fn store_small(
        &mut self,
        classes: &[Class],
        firsts: &[u32],
        stage: &mut Stage<'_>,
    ) -> Result<(), FormatError> {
        let census = self.census;
        let block_size = self.block_size();
        let small = || {
            owned(classes, firsts).filter_map(|position| match classes[position as usize] {
                Class::Small(compression) => Some((position, compression)),
                _ => None,
            })
        };
        let requests = small().map(|(position, compression)| {
            let file = &census.files[position as usize];
            Work {
                settings: compression.tail_settings(block_size),
                segment: compression.segment(),
                spans: vec![whole(file.node, file.size)],
            }
        });
        let mut encoding = Encoding::new(requests);
        for (position, compression) in small() {
            let file = &census.files[position as usize];
            let content = self.store_tail(file, compression, &mut encoding, stage)?;
            self.keep(position, content)?;
        }
        Ok(())
    }

    fn keep(&mut self, position: u32, content: Content) -> Result<(), FormatError> {
        let most = u64::from(u32::MAX);
        // A block is numbered by 32 bits, of which the last number stands for a hole.
        if self.contents.end >= most {
            return Err(FormatError::TooLarge(most << self.options.block_bits));
        }
        let count = u32::try_from(self.contents.contents.len());
        self.contents.of_files[position as usize] =
            count.expect("there are fewer contents than files");
        self.contents.contents.push(content);
        Ok(())
    }

    fn block_size(&self) -> u32 {
        u32::try_from(self.options.block_size()).expect("a block has at most 64 KiB")
    }

    /// Blocks for so many bytes.
    fn allot(&mut self, blocks: u64) -> Result<u64, FormatError> {
        let start = self.contents.end;
        let most = u64::from(u32::MAX);
        let too_large = FormatError::TooLarge(most << self.options.block_bits);
        let end = start.checked_add(blocks).ok_or(too_large)?;
        self.contents.end = end;
        Ok(start)
    }

    /// Stores a file as it is, with holes where it has some.
    fn store_plain(&mut self, file: &File, stage: &mut Stage<'_>) -> Result<Content, FormatError> {
        let inline = inodes::inline_bytes_of_file(self.options, self.census, file);
        let length = file.size - inline;
        let blocks = self.options.blocks_for(length);
        if !file.sparse {
            let start = self.allot(blocks)?;
            let place = start << self.options.block_bits;
            stage.place(Placement {
                file: file.node,
                file_offset: 0,
                partition_offset: place,
                length,
                padding: self.padding(length),
            })?;
            return Ok(Content::Plain(start));
        }
        let ranges = self.tree.ranges(file.node)?;
        if let Some(mut chunks) = Chunks::plan(self.options, file.size, &ranges) {
            let start = self.allot(chunks.blocks())?;
            chunks.begin_at(start);
            for range in ranges {
                if let Some(placement) = chunks.placement(self.options, file.node, range) {
                    stage.place(placement)?;
                }
            }
            return Ok(Content::Chunks(chunks));
        }
        let start = self.allot(blocks)?;
        for range in ranges {
            let end = (range.offset + range.length).min(length);
            stage.place(Placement {
                file: file.node,
                file_offset: range.offset,
                partition_offset: (start << self.options.block_bits) + range.offset,
                length: end.saturating_sub(range.offset),
                padding: 0,
            })?;
        }
        Ok(Content::Plain(start))
    }

    /// The zeros behind so many bytes, up to the end of their block.
    fn padding(&self, length: u64) -> u32 {
        let padding = length.next_multiple_of(self.options.block_size()) - length;
        u32::try_from(padding).expect("it is less than a block")
    }

    /// Puts a part of a file behind what is in the packed inode; where that is.
    fn pack(&mut self, file: NodeId, offset: u64, length: u64) -> u64 {
        let place = self.fragment_end;
        self.fragment_end += length;
        self.fragments.push(Span {
            file,
            offset,
            length,
        });
        place
    }
}

/// The positions of files whose content stands for itself, ascending.
fn owned<'a>(classes: &'a [Class], firsts: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    let all = (0..).zip(firsts).take(classes.len());
    all.filter(|(position, first)| position == *first)
        .map(|(position, _)| position)
}

fn whole(file: NodeId, size: u64) -> Span {
    Span {
        file,
        offset: 0,
        length: size,
    }
}
