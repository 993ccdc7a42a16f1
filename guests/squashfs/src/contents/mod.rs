//! What the files hold: each content once, cut into blocks and ends, in the order in which they stand in the image.

mod plan;
mod same;

use std::ops::Range;

use cellblock_guest::{NodeId, Span};

use crate::census::FileId;
use crate::options::Options;

/// A content, by its position among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ContentId(u32);

impl ContentId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// A fragment block, by its position among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FragmentId(pub(crate) u32);

/// Blocks in a row that have data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first of them.
    pub(crate) first: u32,
    /// How many there are, never 0.
    pub(crate) count: u32,
}

impl Run {
    /// The blocks.
    pub(crate) fn blocks(self) -> Range<u32> {
        self.first..self.first + self.count
    }
}

/// Where the end of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The fragment block.
    pub(crate) fragment: FragmentId,
    /// The first byte in there.
    pub(crate) offset: u32,
}

/// The content of one file or of several.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// The first file that has it.
    pub(crate) file: NodeId,
    /// Bytes.
    pub(crate) size: u64,
    /// The blocks of the inode, holes among them; without an end that is in a fragment block.
    pub(crate) blocks: u32,
    /// The bytes of the blocks that are holes.
    pub(crate) sparse: u64,
    /// Its end, if that is in a fragment block.
    pub(crate) tail: Option<Tail>,
    runs: Range<usize>,
    /// Where the first block is in the image, once that is known.
    pub(crate) start: u64,
    /// Where the lengths of its blocks with data begin among those of all.
    lengths: usize,
}

/// A fragment block: ends of files, one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    spans: Range<usize>,
    /// Its bytes before it is compressed.
    pub(crate) size: u32,
    /// Where it is in the image, once that is known.
    pub(crate) start: u64,
    /// Its length, as its entry has it, once that is known.
    pub(crate) length: u32,
}

/// What comes next in the image.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The blocks of a content.
    Content(ContentId),
    /// A fragment block.
    Fragment(FragmentId),
}

/// All contents of a tree.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    contents: Vec<Content>,
    /// The content of each file; none of an empty one.
    of_file: Vec<Option<ContentId>>,
    runs: Vec<Run>,
    /// The fragment blocks.
    pub(crate) fragments: Vec<Fragment>,
    /// The ends in fragment blocks.
    spans: Vec<Span>,
    /// In the order of the image.
    pub(crate) steps: Vec<Step>,
    /// The lengths of all blocks with data, as inodes have them, as far as they are known.
    lengths: Vec<u32>,
}

impl Contents {
    /// The content of a file; none of an empty one.
    pub(crate) fn of(&self, file: FileId) -> Option<&Content> {
        self.of_file[file.index()].map(|id| self.content(id))
    }

    /// The content with this id.
    pub(crate) fn content(&self, id: ContentId) -> &Content {
        &self.contents[id.index()]
    }

    /// The blocks of a content that have data.
    pub(crate) fn runs(&self, content: &Content) -> &[Run] {
        &self.runs[content.runs.clone()]
    }

    /// The bytes of a file that are in one of its blocks.
    pub(crate) fn block(options: &Options, content: &Content, block: u32) -> Span {
        let size = u64::from(options.block_size);
        let offset = u64::from(block) * size;
        Span {
            file: content.file,
            offset,
            length: size.min(content.size - offset),
        }
    }

    /// The fragment block with this id.
    pub(crate) fn fragment(&self, id: FragmentId) -> &Fragment {
        &self.fragments[id.0 as usize]
    }

    /// Notes where a fragment block is, and its length as its entry has it.
    pub(crate) fn settle_fragment(&mut self, id: FragmentId, start: u64, length: u32) {
        let fragment = &mut self.fragments[id.0 as usize];
        (fragment.start, fragment.length) = (start, length);
    }

    /// The ends in a fragment block.
    pub(crate) fn spans(&self, fragment: &Fragment) -> &[Span] {
        &self.spans[fragment.spans.clone()]
    }

    /// Notes where the next content begins: of [`Step::Content`], in the order of the steps.
    pub(crate) fn begin(&mut self, id: ContentId, start: u64) {
        let lengths = self.lengths.len();
        let content = &mut self.contents[id.index()];
        (content.start, content.lengths) = (start, lengths);
    }

    /// Notes the length of the next block with data, as inodes have it.
    pub(crate) fn push_length(&mut self, length: u32) {
        self.lengths.push(length);
    }

    /// The lengths of the blocks of a content that have data, as inodes have them.
    pub(crate) fn lengths(&self, content: &Content) -> &[u32] {
        let count: usize = self
            .runs(content)
            .iter()
            .map(|run| run.count as usize)
            .sum();
        &self.lengths[content.lengths..content.lengths + count]
    }
}
