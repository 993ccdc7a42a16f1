//! The bytes of inodes, in the basic form where that has room.

use cellblock_guest::{FormatError, NodeId, NodeProblem};
use zerocopy::{Immutable, IntoBytes};

use crate::attributes::SetId;
use crate::census::{Census, Entry, What};
use crate::contents::{Content, Contents, Run};
use crate::format::{
    BasicDirectory, BasicFile, BasicLinks, BasicNumbered, BasicSymlink, DirectoryIndex,
    ExtendedDirectory, ExtendedFile, InodeHeader, InodeType, NOTHING,
};
use crate::inodes::listing::Listing;
use crate::metadata::Table;

/// Added to the length of each listing: what `.` and `..` would take, which are not stored.
const DOTS: u64 = 3;

/// What an inode is.
pub(super) fn kind(what: What) -> InodeType {
    match what {
        What::Directory { .. } => InodeType::DIRECTORY,
        What::File(_) => InodeType::FILE,
        What::Symlink(_) => InodeType::SYMLINK,
        What::Device { kind, .. } | What::Plain(kind) => kind,
        What::Link(_) => unreachable!("a link has the inode of its target"),
    }
}

/// What is appended to, and what every inode says.
struct Writer<'a> {
    table: &'a mut Table,
    entry: &'a Entry,
    number: u32,
}

impl<'a> Writer<'a> {
    fn new(table: &'a mut Table, census: &'a Census, node: NodeId) -> Self {
        Self {
            table,
            entry: census.entry(node),
            number: census.number(node),
        }
    }

    fn has_attributes(&self) -> bool {
        self.entry.attributes != SetId::NONE
    }

    fn header(&mut self, is_extended: bool) {
        let kind = kind(self.entry.what);
        let header = InodeHeader {
            kind: if is_extended {
                kind.extended()
            } else {
                kind.basic()
            },
            mode: self.entry.mode.into(),
            user: self.entry.user.0.into(),
            group: self.entry.group.0.into(),
            modified: self.entry.modified.into(),
            number: self.number.into(),
        };
        self.table.push(header.as_bytes());
    }

    /// An inode whose extended form has the set of attributes behind the same body.
    fn simple(&mut self, body: &(impl IntoBytes + Immutable), behind: &[u8]) {
        let is_extended = self.has_attributes();
        self.header(is_extended);
        self.table.push(body.as_bytes());
        self.table.push(behind);
        if is_extended {
            let set = self.entry.attributes.number();
            self.table.push(&set.to_le_bytes());
        }
    }

    fn file(&mut self, size: u64, content: Option<&Content>) {
        let links = self.entry.links;
        let start = content.map_or(0, |content| content.start);
        let sparse = content.map_or(0, |content| content.sparse);
        let tail = content.and_then(|content| content.tail);
        let fragment = tail.map_or(NOTHING, |tail| tail.fragment.0);
        let fragment_offset = tail.map_or(0, |tail| tail.offset);
        let short = (u32::try_from(start), u32::try_from(size));
        match short {
            (Ok(start), Ok(size)) if links == 1 && sparse == 0 && !self.has_attributes() => {
                self.header(false);
                let body = BasicFile {
                    start: start.into(),
                    fragment: fragment.into(),
                    fragment_offset: fragment_offset.into(),
                    size: size.into(),
                };
                self.table.push(body.as_bytes());
            }
            _ => {
                self.header(true);
                let body = ExtendedFile {
                    start: start.into(),
                    size: size.into(),
                    sparse: sparse.into(),
                    links: links.into(),
                    fragment: fragment.into(),
                    fragment_offset: fragment_offset.into(),
                    attributes: self.entry.attributes.number().into(),
                };
                self.table.push(body.as_bytes());
            }
        }
    }
}

/// Appends the inode of what is no directory to `table`, and gives the content whose lengths are to follow.
pub(super) fn leaf<'a>(
    table: &mut Table,
    census: &Census,
    contents: &'a Contents,
    node: NodeId,
) -> Option<&'a Content> {
    let mut writer = Writer::new(table, census, node);
    let links = writer.entry.links;
    match writer.entry.what {
        What::File(file) => {
            let content = contents.of(file);
            writer.file(census.files[file.index()].size, content);
            return content;
        }
        What::Symlink(target) => {
            let target = census.target(target);
            let size = u32::try_from(target.len()).expect("longer ones were refused");
            let body = BasicSymlink {
                links: links.into(),
                size: size.into(),
            };
            writer.simple(&body, target);
        }
        What::Device { number, .. } => {
            let body = BasicNumbered {
                links: links.into(),
                device: number.into(),
            };
            writer.simple(&body, &[]);
        }
        What::Plain(_) => {
            let body = BasicLinks {
                links: links.into(),
            };
            writer.simple(&body, &[]);
        }
        What::Directory { .. } | What::Link(_) => unreachable!("a leaf is neither"),
    }
    None
}

/// Appends the inode of a directory to `table`; its listing is in `listings`, and settled.
///
/// # Errors
/// [`FormatError::Node`] if the listing is too long.
pub(super) fn directory(
    table: &mut Table,
    listings: &Table,
    census: &Census,
    node: NodeId,
    listing: &Listing,
) -> Result<(), FormatError> {
    let place = listings.reference(listing.start);
    let too_large = || {
        let limit = u64::from(u32::MAX) / 9;
        FormatError::node(node, NodeProblem::DirectoryTooLarge(limit))
    };
    let block = u32::try_from(place.block()).map_err(|_| too_large())?;
    let size = u32::try_from(listing.length + DOTS).map_err(|_| too_large())?;
    let mut writer = Writer::new(table, census, node);
    let (links, attributes) = (writer.entry.links, writer.entry.attributes.number());
    let parent = if node == NodeId::ROOT {
        census.inodes()? + 1
    } else {
        census.number(writer.entry.parent)
    };
    match u16::try_from(size) {
        Ok(size) if listing.index.is_empty() && !writer.has_attributes() => {
            writer.header(false);
            let body = BasicDirectory {
                block: block.into(),
                links: links.into(),
                size: size.into(),
                offset: place.offset().into(),
                parent: parent.into(),
            };
            table.push(body.as_bytes());
        }
        _ => {
            writer.header(true);
            let index_entries = u16::try_from(listing.index.len()).expect("no more are noted");
            let body = ExtendedDirectory {
                links: links.into(),
                size: size.into(),
                block: block.into(),
                parent: parent.into(),
                index_entries: index_entries.into(),
                offset: place.offset().into(),
                attributes: attributes.into(),
            };
            table.push(body.as_bytes());
            push_index(table, listings, census, listing, too_large)?;
        }
    }
    Ok(())
}

fn push_index(
    table: &mut Table,
    listings: &Table,
    census: &Census,
    listing: &Listing,
    too_large: impl Fn() -> FormatError,
) -> Result<(), FormatError> {
    for (position, first) in &listing.index {
        let narrow = |value: u64| u32::try_from(value).map_err(|_| too_large());
        let name = census.name(*first);
        let entry = DirectoryIndex {
            position: narrow(position.0 - listing.start.0)?.into(),
            block: narrow(listings.reference(*position).block())?.into(),
            length: narrow(name.len() as u64 - 1)?.into(),
        };
        table.push(entry.as_bytes());
        table.push(name);
    }
    Ok(())
}

/// The lengths of a content's blocks, as they follow its inode, in chunks of bytes; those of holes are 0.
pub(super) struct Lengths<'a> {
    runs: &'a [Run],
    lengths: &'a [u32],
    next: u32,
    end: u32,
}

impl<'a> Lengths<'a> {
    /// The most blocks of a chunk.
    const CHUNK: u32 = 1 << 16;

    pub(super) fn new(contents: &'a Contents, content: &Content) -> Self {
        Self {
            runs: contents.runs(content),
            lengths: contents.lengths(content),
            next: 0,
            end: content.blocks,
        }
    }
}

impl Iterator for Lengths<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let count = (self.end - self.next).min(Self::CHUNK);
        if count == 0 {
            return None;
        }
        let mut bytes = vec![0; count as usize * size_of::<u32>()];
        let chunk = self.next..self.next + count;
        for (number, length) in chunk.clone().zip(bytes.as_chunks_mut().0) {
            let Some(run) = self.runs.first() else {
                break;
            };
            if number < run.first {
                continue;
            }
            let (first, rest) = self.lengths.split_first().expect("each block has a length");
            *length = first.to_le_bytes();
            self.lengths = rest;
            if number + 1 == run.blocks().end {
                self.runs = &self.runs[1..];
            }
        }
        self.next = chunk.end;
        Some(bytes)
    }
}
