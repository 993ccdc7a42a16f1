//! Inodes and listings, and the tables of owners, fragments and inodes by number.

mod body;
mod listing;

use cellblock_guest::{FormatError, NodeId};
use zerocopy::IntoBytes as _;

use crate::census::Census;
use crate::contents::Contents;
use crate::format::{FragmentEntry, Reference};
use crate::image::Image;
use crate::metadata::{Packer, Position, Table};
use crate::options::{Options, Plain};

use listing::Listing;

/// What is compressed of a tree beside content and attributes.
pub(crate) struct Inodes<'a> {
    options: &'a Options,
    census: &'a Census,
    contents: &'a Contents,
    /// Where each node's inode is in the table; what a link leads to has one.
    positions: Vec<Position>,
    inodes: Table,
    listings: Table,
    /// Where the table of inodes begins in the image, and how much of it is there.
    start: u64,
    written: u64,
}

impl<'a> Inodes<'a> {
    /// Makes all inodes and listings. The inodes go into `image` from `start` on, since they may be many; the listings stay
    /// in memory until the inodes are complete.
    ///
    /// # Errors
    /// [`FormatError`] if there are too many, or the host fails.
    pub(crate) fn make(
        options: &'a Options,
        census: &'a Census,
        contents: &'a Contents,
        packer: &mut Packer<'_>,
        image: &mut Image<'_>,
        start: u64,
    ) -> Result<Self, FormatError> {
        let is_plain = options.plain.contains(Plain::INODES);
        let mut made = Self {
            options,
            census,
            contents,
            positions: vec![Position::default(); census.len()],
            inodes: Table::new(is_plain),
            listings: Table::new(is_plain),
            start,
            written: 0,
        };
        for leaf in census.leaves() {
            made.add_leaf(*leaf, packer, image)?;
        }
        made.settle(packer, image)?;
        for level in census.levels() {
            made.add_level(level, packer, image)?;
        }
        made.inodes.finish(packer)?;
        made.write_inodes(image)?;
        made.listings.finish(packer)?;
        Ok(made)
    }

    fn add_leaf(
        &mut self,
        leaf: NodeId,
        packer: &mut Packer<'_>,
        image: &mut Image<'_>,
    ) -> Result<(), FormatError> {
        self.positions[leaf.index()] = self.inodes.position();
        let (inodes, census) = (&mut self.inodes, self.census);
        match body::leaf(inodes, census, self.contents, leaf) {
            None => {}
            // The lengths of blocks may be very many.
            Some(content) => {
                let lengths = body::Lengths::new(self.contents, content);
                for chunk in lengths {
                    self.inodes.push(&chunk);
                    self.settle_if_ripe(packer, image)?;
                }
            }
        }
        self.settle_if_ripe(packer, image)
    }

    /// Adds the directories of one depth: first what is in them, then their inodes.
    fn add_level(
        &mut self,
        level: &[NodeId],
        packer: &mut Packer<'_>,
        image: &mut Image<'_>,
    ) -> Result<(), FormatError> {
        let mut listings: Vec<Listing> = Vec::with_capacity(level.len());
        for directory in level {
            let names = self.census.children(*directory);
            let reference = |node: NodeId| self.inodes.reference(self.positions[node.index()]);
            let listing = Listing::push(&mut self.listings, self.census, names, reference);
            listings.push(listing);
            if self.listings.is_ripe() {
                self.listings.settle(packer)?;
            }
        }
        self.listings.settle(packer)?;
        for (directory, listing) in level.iter().zip(listings) {
            self.positions[directory.index()] = self.inodes.position();
            body::directory(
                &mut self.inodes,
                &self.listings,
                self.census,
                *directory,
                &listing,
            )?;
            self.settle_if_ripe(packer, image)?;
        }
        self.settle(packer, image)
    }

    fn settle_if_ripe(
        &mut self,
        packer: &mut Packer<'_>,
        image: &mut Image<'_>,
    ) -> Result<(), FormatError> {
        if self.inodes.is_ripe() {
            self.settle(packer, image)?;
        }
        Ok(())
    }

    fn settle(
        &mut self,
        packer: &mut Packer<'_>,
        image: &mut Image<'_>,
    ) -> Result<(), FormatError> {
        self.inodes.settle(packer)?;
        self.write_inodes(image)
    }

    fn write_inodes(&mut self, image: &mut Image<'_>) -> Result<(), FormatError> {
        let blocks = self.inodes.take();
        image.write(self.start + self.written, &blocks)?;
        self.written += blocks.len() as u64;
        // What listings refer by has 32 bits.
        if self.written > u64::from(u32::MAX) {
            return Err(FormatError::TooManyNodes(self.census.len() as u64));
        }
        Ok(())
    }

    /// Where the inodes end.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.written
    }

    /// The listings of all directories.
    pub(crate) fn listings(&mut self) -> &mut Table {
        &mut self.listings
    }

    /// Where a node's inode is.
    pub(crate) fn reference(&self, node: NodeId) -> Reference {
        self.inodes.reference(self.positions[node.index()])
    }

    /// The table of inodes by number.
    ///
    /// # Errors
    /// [`FormatError`] if the host fails.
    pub(crate) fn export(&self, packer: &mut Packer<'_>) -> Result<Table, FormatError> {
        let mut table = Table::new(self.options.plain.contains(Plain::INODES));
        for node in self.census.numbered() {
            table.push(self.reference(node).as_bytes());
            if table.is_ripe() {
                table.settle(packer)?;
            }
        }
        table.finish(packer)?;
        Ok(table)
    }
}

/// The table of fragment blocks.
///
/// # Errors
/// [`FormatError`] if the host fails.
pub(crate) fn fragments(
    options: &Options,
    contents: &Contents,
    packer: &mut Packer<'_>,
) -> Result<Table, FormatError> {
    let mut table = Table::new(options.plain.contains(Plain::INODES));
    for fragment in &contents.fragments {
        let entry = FragmentEntry {
            start: fragment.start.into(),
            length: fragment.length.into(),
            unused: 0.into(),
        };
        table.push(entry.as_bytes());
        if table.is_ripe() {
            table.settle(packer)?;
        }
    }
    table.finish(packer)?;
    Ok(table)
}

/// The table of owners.
///
/// # Errors
/// [`FormatError`] if the host fails.
pub(crate) fn owners(
    options: &Options,
    census: &Census,
    packer: &mut Packer<'_>,
) -> Result<Table, FormatError> {
    let mut table = Table::new(options.plain.contains(Plain::OWNERS));
    for number in census.owners.numbers() {
        table.push(&number.to_le_bytes());
    }
    table.finish(packer)?;
    Ok(table)
}
