//! Emission of a layout: all content is placed already.

mod inodes;
mod superblock;

use cellblock_guest::{Buffered, Encoder, FormatError, Placement};

use crate::census::{Body, Census, InodeIndex};
use crate::contents::Contents;
use crate::directory;
use crate::layout::Layout;
use crate::options::Options;

/// What emission needs.
pub(crate) struct Writer<'a> {
    pub(crate) options: &'a Options,
    pub(crate) census: &'a Census,
    pub(crate) contents: &'a Contents,
    pub(crate) layout: &'a Layout,
    pub(crate) encoder: &'a mut dyn Encoder,
}

impl Writer<'_> {
    /// Writes everything but content that is placed.
    pub(crate) fn write(mut self, output: Buffered<'_>) -> Result<(), FormatError> {
        let mut sequence = Sequence { output, end: None };
        superblock::write(
            self.options,
            self.census,
            self.contents,
            self.layout,
            &mut sequence,
        )?;
        self.write_blocks(&mut sequence)?;
        self.write_inodes(&mut sequence)?;
        sequence.output.finish()
    }

    /// Writes the targets and directories that have blocks of their own: as far as these blocks are full, or all of it if
    /// nothing is behind the inode.
    fn write_blocks(&self, sequence: &mut Sequence<'_>) -> Result<(), FormatError> {
        for (index, inode) in (0..).map(InodeIndex).zip(&self.census.inodes) {
            let place = self.layout.place(index);
            let length = place.size - place.inline;
            if length == 0 {
                continue;
            }
            let offset = place.block << self.options.block_bits;
            match inode.body {
                Body::Directory(position) => {
                    let bytes = self.directory(position);
                    sequence.write(offset, &bytes[..index_of(length)])?;
                }
                Body::Symlink { start, length } => {
                    sequence.write(offset, self.census.text(start, length))?;
                }
                Body::File(_) | Body::Device(_) | Body::Empty => {}
            }
        }
        Ok(())
    }

    /// The bytes of a directory.
    fn directory(&self, position: u32) -> Vec<u8> {
        let directory = &self.census.directories[position as usize];
        let block_size = index_of(self.options.block_size());
        directory::write(self.census, directory, block_size, |inode| {
            self.layout.number(inode)
        })
    }
}

/// Writes that go ever onwards. Small gaps are filled, so that they do not part what could be written at once.
pub(crate) struct Sequence<'a> {
    output: Buffered<'a>,
    /// The end of the last write. Bytes.
    end: Option<u64>,
}

impl Sequence<'_> {
    /// The largest gap that is filled. Bytes.
    const GAP: u64 = 64 << 10;

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        if let Some(end) = self.end
            && let Some(gap) = offset.checked_sub(end)
            && gap <= Self::GAP
        {
            self.output.space(end, index_of(gap))?;
        }
        self.end = Some(offset + bytes.len() as u64);
        self.output.write(offset, bytes)
    }

    /// Places content right behind what was written.
    fn place(&mut self, placement: Placement) -> Result<(), FormatError> {
        self.end = Some(placement.partition_offset + placement.length);
        self.output.place_among(placement)
    }

    /// Goes on from elsewhere: what lies between is not the formatter's own.
    fn leave(&mut self) {
        self.end = None;
    }
}

/// A length of something in memory.
fn index_of(length: u64) -> usize {
    usize::try_from(length).expect("it is in memory")
}
