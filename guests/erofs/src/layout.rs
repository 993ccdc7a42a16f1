//! What goes where, once all content has its place.
//!
//! ```text
//!     block 0                                              metadata
//!     +------+------------+---------+---------+-----------+--------------------------------------------+
//!     | free | superblock | content | targets | blocks of | free | root | shared     | inodes, each with |
//!     | 1024 | and what   |         |         | direc-    |  32  |      | attributes | attributes, index |
//!     |      | belongs to it        |         | tories    |      |      |            | and tail          |
//!     +------+------------+---------+---------+-----------+--------------------------------------------+
//! ```

use cellblock_guest::{FormatError, Request, Shortage, Timestamp};

use crate::census::{Body, Census, Inode, InodeIndex};
use crate::contents::{Clusters, Content, Contents, Packed};
use crate::directory;
use crate::format::{Layout as DataLayout, SLOT, file_kind};
use crate::index::Form;
use crate::inodes::{head_bytes, inline_bytes};
use crate::options::Options;
use crate::packer::Packer;

/// The block behind the superblock's, which is that of the first content.
pub(crate) const FIRST_CONTENT_BLOCK: u64 = 1;

/// Where an inode and its content stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Bytes from the beginning of the metadata.
    pub(crate) offset: u64,
    /// The bytes of its content.
    pub(crate) size: u64,
    /// The first block of what is in blocks of its own.
    pub(crate) block: u64,
    /// The bytes of its content behind it.
    pub(crate) inline: u64,
}

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Layout {
    /// By [`InodeIndex`].
    places: Vec<Place>,
    /// The packed inode and its place.
    pub(crate) packed: Option<(Inode, Place)>,
    /// Where the shared attributes begin. Bytes from the beginning of the metadata.
    pub(crate) shared: u64,
    /// The first block of the metadata.
    pub(crate) metadata_block: u64,
    /// All blocks.
    pub(crate) blocks: u64,
}

impl Layout {
    /// # Errors
    /// [`FormatError::TooLarge`] if blocks have no numbers.
    pub(crate) fn new(
        options: &Options,
        census: &Census,
        contents: &Contents,
    ) -> Result<Self, FormatError> {
        let mut planner = Planner {
            options,
            census,
            contents,
            packer: Packer::new(options),
            next_block: contents.end,
        };
        // No inode has the number 0, which systems take for none.
        planner.packer.take(SLOT, 0);
        let mut places = Vec::with_capacity(census.inodes.len());
        let mut shared = 0;
        for (index, inode) in (0..).map(InodeIndex).zip(&census.inodes) {
            places.push(planner.place(inode));
            if index == InodeIndex::ROOT && census.attributes.shared_bytes() > 0 {
                // The root's number has 16 bits, so that it goes first.
                shared = planner.packer.take(census.attributes.shared_bytes(), 0);
            }
        }
        let packed = contents.packed.as_ref().map(|packed| {
            let inode = packed_inode(options);
            let place = planner.place_packed(&inode, packed);
            (inode, place)
        });
        let metadata_block = planner.next_block;
        let blocks = metadata_block + (planner.packer.bytes() >> options.block_bits);
        let most = u64::from(u32::MAX);
        if blocks > most {
            return Err(FormatError::TooLarge(most << options.block_bits));
        }
        Ok(Self {
            places,
            packed,
            shared,
            metadata_block,
            blocks,
        })
    }

    /// The bytes that it takes.
    pub(crate) fn bytes(&self, options: &Options) -> u64 {
        self.blocks << options.block_bits
    }

    /// # Errors
    /// [`FormatError::TooSmall`] if the partition does not hold it.
    pub(crate) fn check_room(
        &self,
        options: &Options,
        request: &Request,
    ) -> Result<(), FormatError> {
        let needed = self.bytes(options);
        let available = request.size;
        if needed <= available {
            return Ok(());
        }
        Err(FormatError::TooSmall(Shortage { needed, available }))
    }

    pub(crate) fn place(&self, inode: InodeIndex) -> &Place {
        &self.places[inode.position()]
    }

    /// The number of an inode.
    pub(crate) fn number(&self, inode: InodeIndex) -> u64 {
        self.place(inode).number()
    }
}

impl Place {
    /// The number of the inode.
    pub(crate) fn number(&self) -> u64 {
        self.offset / SLOT
    }
}

/// The inode that no directory has.
fn packed_inode(options: &Options) -> Inode {
    let Timestamp { .. } = options.time;
    Inode {
        mode: file_kind::REGULAR,
        links: 1,
        uid: 0,
        gid: 0,
        modified: options.time,
        attributes: None,
        body: Body::Empty,
    }
}

struct Planner<'a> {
    options: &'a Options,
    census: &'a Census,
    contents: &'a Contents,
    packer: Packer,
    /// The first block behind those that are taken.
    next_block: u64,
}

impl Planner<'_> {
    fn place(&mut self, inode: &Inode) -> Place {
        match inode.body {
            Body::Directory(position) => {
                let directory = &self.census.directories[position as usize];
                let size = directory::size(self.census, directory, self.options.block_size());
                self.place_flat(inode, size)
            }
            Body::Symlink { length, .. } => self.place_flat(inode, length.into()),
            Body::Device(_) | Body::Empty => self.place_flat(inode, 0),
            Body::File(position) => {
                let size = self.census.files[position as usize].size;
                self.place_content(inode, size, self.contents.of_file(position))
            }
        }
    }

    fn place_packed(&mut self, inode: &Inode, packed: &Packed) -> Place {
        self.place_content(inode, packed.size, &packed.content)
    }

    /// Places an inode whose content is the formatter's own.
    fn place_flat(&mut self, inode: &Inode, size: u64) -> Place {
        let head = head_bytes(self.options, self.census, inode, size);
        let inline = inline_bytes(self.options, head, size);
        let blocks = self.options.blocks_for(size - inline);
        let block = self.next_block;
        self.next_block += blocks;
        Place {
            offset: self.packer.take(head, inline),
            size,
            block,
            inline,
        }
    }

    fn place_content(&mut self, inode: &Inode, size: u64, content: &Content) -> Place {
        let head = head_bytes(self.options, self.census, inode, size);
        let (block, body, inline) = match content {
            Content::Plain(start) => (*start, head, inline_bytes(self.options, head, size)),
            Content::Chunks(chunks) => (0, head + chunks.index_bytes(), 0),
            Content::Fragment(_) => (0, head + Form::fragment().bytes(head), 0),
            Content::Clusters(clusters) => {
                let Clusters { start, tail, .. } = clusters;
                let form = Form::new(self.options, head, size, *tail);
                (*start, head + form.bytes(head), tail.inline_bytes().into())
            }
        };
        Place {
            offset: self.packer.take(body, inline),
            size,
            block,
            inline,
        }
    }
}

/// How the content of a file is stored.
pub(crate) fn data_layout(content: &Content, form: Option<&Form>, inline: u64) -> DataLayout {
    match (content, form) {
        (Content::Chunks(_), _) => DataLayout::Chunks,
        (_, Some(form)) => form.layout,
        _ if inline > 0 => DataLayout::Inline,
        _ => DataLayout::Plain,
    }
}
