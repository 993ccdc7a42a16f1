//! The inodes, with all that stands behind them.

use cellblock_guest::{FormatError, NodeId, Placement, ReadError};
use zerocopy::IntoBytes as _;

use super::{Sequence, Writer, index_of};
use crate::census::{Body, Inode, InodeIndex};
use crate::contents::{Clusters, Content, Tail};
use crate::format::{CompactInode, ExtendedInode, HOLE, InodeFormat, Layout as DataLayout};
use crate::index::{self, Form};
use crate::inodes::{head_bytes, is_compact};
use crate::layout::{Place, data_layout};

/// What stands among the metadata.
#[derive(Clone, Copy)]
enum Item {
    Inode(InodeIndex),
    SharedAttributes,
    PackedInode,
}

impl Writer<'_> {
    pub(super) fn write_inodes(&mut self, sequence: &mut Sequence<'_>) -> Result<(), FormatError> {
        let start = self.layout.metadata_block << self.options.block_bits;
        let mut items: Vec<(u64, Item)> = (0..)
            .map(InodeIndex)
            .take(self.census.inodes.len())
            .map(|index| (self.layout.place(index).offset, Item::Inode(index)))
            .collect();
        if self.census.attributes.shared_bytes() > 0 {
            items.push((self.layout.shared, Item::SharedAttributes));
        }
        if let Some((_, place)) = &self.layout.packed {
            items.push((place.offset, Item::PackedInode));
        }
        items.sort_unstable_by_key(|(offset, _)| *offset);
        let mut bytes = Vec::new();
        for (offset, item) in items {
            bytes.clear();
            let mut tail = None;
            match item {
                Item::Inode(index) => tail = self.inode(index, &mut bytes)?,
                Item::PackedInode => self.packed_inode(&mut bytes),
                Item::SharedAttributes => {
                    for attribute in self.census.attributes.shared() {
                        bytes.extend_from_slice(attribute);
                    }
                }
            }
            sequence.write(start + offset, &bytes)?;
            if let Some(tail) = tail {
                sequence.place(Placement {
                    partition_offset: start + offset + bytes.len() as u64,
                    ..tail
                })?;
            }
        }
        Ok(())
    }

    /// Writes an inode; the content that is placed behind it, if any is.
    fn inode(
        &mut self,
        index: InodeIndex,
        to: &mut Vec<u8>,
    ) -> Result<Option<Placement>, FormatError> {
        let inode = &self.census.inodes[index.position()];
        let place = *self.layout.place(index);
        let number = index.0.saturating_add(1);
        let inline = index_of(place.inline);
        match inode.body {
            Body::File(position) => {
                let contents = self.contents;
                let content = contents.of_file(position);
                self.content_inode(inode, number, &place, content, to);
                let file = self.census.files[position as usize];
                self.inline_content(content, file.node, &place, to)
            }
            body => {
                let (value, layout) = match body {
                    Body::Device(number) => (number, DataLayout::Plain),
                    _ if inline > 0 => (self.first_block(&place), DataLayout::Inline),
                    _ => (self.first_block(&place), DataLayout::Plain),
                };
                self.head(inode, number, &place, layout, value, to);
                match body {
                    Body::Directory(position) if inline > 0 => {
                        let bytes = self.directory(position);
                        to.extend_from_slice(&bytes[bytes.len() - inline..]);
                    }
                    Body::Symlink { start, length } if inline > 0 => {
                        let target = self.census.text(start, length);
                        to.extend_from_slice(&target[target.len() - inline..]);
                    }
                    _ => {}
                }
                Ok(None)
            }
        }
    }

    fn packed_inode(&self, to: &mut Vec<u8>) {
        let (Some((inode, place)), Some(packed)) = (&self.layout.packed, &self.contents.packed)
        else {
            return;
        };
        // Its number is behind those of all others.
        let number = u32::try_from(self.census.inodes.len()).unwrap_or(u32::MAX);
        let number = number.saturating_add(1);
        self.content_inode(inode, number, place, &packed.content, to);
    }

    /// An inode of content that is placed, with its index.
    fn content_inode(
        &self,
        inode: &Inode,
        number: u32,
        place: &Place,
        content: &Content,
        to: &mut Vec<u8>,
    ) {
        let head = head_bytes(self.options, self.census, inode, place.size);
        let form = match content {
            Content::Clusters(clusters) => {
                Some(Form::new(self.options, head, place.size, clusters.tail))
            }
            Content::Fragment(_) => Some(Form::fragment()),
            Content::Plain(_) | Content::Chunks(_) => None,
        };
        let value = match content {
            Content::Plain(_) => self.first_block(place),
            Content::Chunks(chunks) => chunks.format.bits(),
            Content::Clusters(Clusters { blocks, .. }) => number_of(*blocks),
            Content::Fragment(_) => 0,
        };
        let layout = data_layout(content, form.as_ref(), place.inline);
        self.head(inode, number, place, layout, value, to);
        match (content, &form) {
            (Content::Chunks(chunks), _) => {
                for block in chunks.places() {
                    let block = block.map_or(HOLE, number_of);
                    to.extend_from_slice(&block.to_le_bytes());
                }
            }
            (Content::Clusters(clusters), Some(form)) => {
                let extents = self.contents.extents(clusters);
                index::write(self.options, form, clusters, extents, to);
            }
            (Content::Fragment(place), _) => index::write_fragment(*place, to),
            _ => {}
        }
    }

    /// The block where content begins that has blocks of its own.
    fn first_block(&self, place: &Place) -> u32 {
        if place.size > place.inline {
            number_of(place.block)
        } else {
            0
        }
    }

    /// An inode and its attributes.
    fn head(
        &self,
        inode: &Inode,
        number: u32,
        place: &Place,
        layout: DataLayout,
        content: u32,
        to: &mut Vec<u8>,
    ) {
        let compact = is_compact(self.options, inode, place.size);
        let format = InodeFormat {
            extended: !compact,
            layout,
        };
        let body = self.census.attributes.body_bytes(inode.attributes);
        // One more than the words behind the header, which has three.
        let words = if body == 0 { 0 } else { body / 4 - 2 };
        let words = u16::try_from(words).expect("the size of attributes is checked");
        if compact {
            let short = |value: u32| u16::try_from(value).expect("a compact inode has small ones");
            let seconds = if self.options.features.wide {
                u32::try_from(inode.modified.seconds).expect("a compact inode has such a time")
            } else {
                0
            };
            let compact = CompactInode {
                format: format.bits().into(),
                attribute_words: words.into(),
                mode: inode.mode.into(),
                links: short(inode.links).into(),
                size: number_of(place.size).into(),
                seconds: seconds.into(),
                content: content.into(),
                number: number.into(),
                uid: short(inode.uid).into(),
                gid: short(inode.gid).into(),
                reserved: 0.into(),
            };
            to.extend_from_slice(compact.as_bytes());
        } else {
            let extended = ExtendedInode {
                format: format.bits().into(),
                attribute_words: words.into(),
                mode: inode.mode.into(),
                content_high: 0.into(),
                size: place.size.into(),
                content: content.into(),
                number: number.into(),
                uid: inode.uid.into(),
                gid: inode.gid.into(),
                seconds: inode.modified.seconds.cast_unsigned().into(),
                nanoseconds: inode.modified.nanoseconds.into(),
                links: inode.links.into(),
                reserved: [0; 16],
            };
            to.extend_from_slice(extended.as_bytes());
        }
        if let Some(set) = inode.attributes {
            let shared = number_of(self.layout.shared / 4);
            self.census.attributes.write(set, shared, to);
        }
    }

    /// What of a file's content stands behind its inode: a piece is written, and content placed where what is written ends.
    fn inline_content(
        &mut self,
        content: &Content,
        file: NodeId,
        place: &Place,
        to: &mut Vec<u8>,
    ) -> Result<Option<Placement>, FormatError> {
        if place.inline == 0 {
            return Ok(None);
        }
        if let Content::Clusters(Clusters {
            tail: Tail::InlinePiece { piece, .. },
            ..
        }) = content
        {
            let bytes = self.encoder.bytes(*piece)?;
            if bytes.len() as u64 != place.inline {
                return Err(ReadError::Source.into());
            }
            to.extend_from_slice(&bytes);
            return Ok(None);
        }
        Ok(Some(Placement {
            file,
            file_offset: place.size - place.inline,
            partition_offset: 0,
            length: place.inline,
            padding: 0,
        }))
    }
}

/// A number that the layout keeps within 32 bits.
fn number_of(value: u64) -> u32 {
    u32::try_from(value).expect("the layout keeps it within 32 bits")
}
