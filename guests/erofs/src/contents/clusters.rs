//! Content that is compressed.

use cellblock_guest::{FormatError, Piece, PieceId, Placement, ReadError, Span};

use super::encoding::{Encoding, Work};
use super::{Clusters, Content, Extent, Packed, Planner, Stage, Tail};
use crate::census::File;
use crate::index;
use crate::inodes;
use crate::options::Compression;

/// A piece that is not placed yet.
type Told = (PieceId, Piece);

impl Planner<'_> {
    /// Stores a file in clusters, unless it takes no less room than as it is.
    pub(super) fn store_clusters(
        &mut self,
        file: &File,
        compression: Compression,
        encoding: &mut Encoding<impl Iterator<Item = Work>>,
        stage: &mut Stage<'_>,
    ) -> Result<Content, FormatError> {
        let mut pieces = take(file.size, encoding, stage)?;
        if self.options.features.fragments && self.leaves_room(&pieces) {
            let (_, last) = pieces.pop().expect("a file that is compressed has a byte");
            let length = u64::from(last.consumed);
            let offset = file.size - length;
            let place = self.pack(file.node, offset, length);
            if offset == 0 {
                return Ok(Content::Fragment(place));
            }
            let tail = Tail::Fragment(place);
            let clusters = self.keep_extents(&pieces, compression, Some(last), tail)?;
            return self.place(file, &pieces, clusters, stage);
        }
        let tail = match pieces.last() {
            Some((id, last)) if self.options.features.tail_packing => self.inline_tail(*id, *last),
            _ => Tail::Blocks,
        };
        let last = if tail == Tail::Blocks {
            None
        } else {
            pieces.pop().map(|(_, last)| last)
        };
        if !self.saves(file, &pieces, tail) {
            return self.store_plain(file, stage);
        }
        let clusters = self.keep_extents(&pieces, compression, last, tail)?;
        self.place(file, &pieces, clusters, stage)
    }

    /// Stores a file of at most a block behind its inode if it is shorter there.
    pub(super) fn store_tail(
        &mut self,
        file: &File,
        compression: Compression,
        encoding: &mut Encoding<impl Iterator<Item = Work>>,
        stage: &mut Stage<'_>,
    ) -> Result<Content, FormatError> {
        let pieces = take(file.size, encoding, stage)?;
        let [(id, piece)] = pieces.as_slice() else {
            return Err(ReadError::Source.into());
        };
        let tail = Tail::InlinePiece {
            piece: *id,
            bytes: piece.produced,
        };
        if piece.produced == 0 || !self.saves(file, &[], tail) {
            return self.store_plain(file, stage);
        }
        let clusters = self.keep_extents(&[], compression, Some(*piece), tail)?;
        Ok(Content::Clusters(clusters))
    }

    /// Compresses what was packed, and stores it.
    pub(super) fn store_packed(&mut self, stage: &mut Stage<'_>) -> Result<(), FormatError> {
        let (size, spans) = (self.fragment_end, std::mem::take(&mut self.fragments));
        let Some(compression) = self.options.rules.shared() else {
            return Ok(());
        };
        if size == 0 {
            return Ok(());
        }
        let work = Work {
            settings: compression.settings(self.block_size()),
            segment: compression.segment(),
            spans: spans.clone(),
        };
        let mut encoding = Encoding::new(std::iter::once(work));
        let first_extent = self.contents.extents.len();
        let start = self.contents.end;
        let mut parts = Parts {
            spans: &spans,
            index: 0,
            offset: 0,
        };
        let mut done = 0;
        while done < size {
            let (id, piece) = encoding.next(stage)?;
            done += u64::from(piece.consumed);
            let extent = self.extent(piece);
            let place = self.allot(extent.blocks.into())? << self.options.block_bits;
            self.contents.extents.push(extent);
            if extent.compressed {
                let bytes = u64::from(extent.blocks) << self.options.block_bits;
                stage.place_piece(id, piece, place, bytes)?;
                parts.take(piece.consumed.into(), |_, _| Ok(()))?;
                continue;
            }
            parts.take(piece.consumed.into(), |span, before| {
                stage.place(Placement {
                    file: span.file,
                    file_offset: span.offset,
                    partition_offset: place + before,
                    length: span.length,
                    padding: 0,
                })
            })?;
        }
        let content = Content::Clusters(Clusters {
            start,
            blocks: self.contents.end - start,
            extents: first_extent..self.contents.extents.len(),
            compression,
            tail: Tail::Blocks,
        });
        self.contents.packed = Some(Packed { size, content });
        Ok(())
    }

    /// Whether the last piece leaves room in its cluster, so that it is better packed.
    fn leaves_room(&self, pieces: &[Told]) -> bool {
        let Some((_, last)) = pieces.last() else {
            return false;
        };
        let block = self.options.block_size();
        match last.produced {
            0 => u64::from(last.consumed) < block,
            produced => !u64::from(produced).is_multiple_of(block),
        }
    }

    /// Where the last piece goes if tails go behind inodes.
    fn inline_tail(&self, id: PieceId, last: Piece) -> Tail {
        // The index before it begins anywhere in a slot.
        let room = self.options.block_size() - crate::format::SLOT;
        let fits = |bytes: u32| u64::from(bytes) <= room;
        match last.produced {
            0 if fits(last.consumed) => Tail::InlinePlain {
                bytes: last.consumed,
            },
            produced if produced > 0 && fits(produced) => Tail::InlinePiece {
                piece: id,
                bytes: produced,
            },
            _ => Tail::Blocks,
        }
    }

    /// Whether a file takes less room compressed, with its index, than as it is.
    fn saves(&self, file: &File, pieces: &[Told], tail: Tail) -> bool {
        let blocks: u64 = pieces
            .iter()
            .map(|(_, piece)| u64::from(self.extent(*piece).blocks))
            .sum();
        let inode = &self.census.inodes[file.inode.position()];
        let head = inodes::head_bytes(self.options, self.census, inode, file.size);
        let index = index::bytes(self.options, head, file.size, tail);
        let compressed =
            (blocks << self.options.block_bits) + index + u64::from(tail.inline_bytes());
        let inline = inodes::inline_bytes_of_file(self.options, self.census, file);
        let as_it_is =
            (self.options.blocks_for(file.size - inline) << self.options.block_bits) + inline;
        compressed < as_it_is
    }

    fn extent(&self, piece: Piece) -> Extent {
        let (bytes, compressed) = match piece.produced {
            0 => (piece.consumed, false),
            produced => (produced, true),
        };
        let blocks = self.options.blocks_for(bytes.into());
        Extent {
            length: piece.consumed,
            blocks: u16::try_from(blocks).expect("a cluster has at most a mebibyte"),
            compressed,
        }
    }

    /// Notes the extents of some pieces, and of the last one that is elsewhere.
    fn keep_extents(
        &mut self,
        pieces: &[Told],
        compression: Compression,
        last: Option<Piece>,
        tail: Tail,
    ) -> Result<Clusters, FormatError> {
        let first = self.contents.extents.len();
        let mut blocks = 0;
        for (_, piece) in pieces {
            let extent = self.extent(*piece);
            blocks += u64::from(extent.blocks);
            self.contents.extents.push(extent);
        }
        if let Some(last) = last {
            let is_fragment = matches!(tail, Tail::Fragment(_));
            self.contents.extents.push(Extent {
                length: last.consumed,
                blocks: u16::from(!is_fragment),
                compressed: is_fragment || last.produced > 0,
            });
        }
        Ok(Clusters {
            start: self.allot(blocks)?,
            blocks,
            extents: first..self.contents.extents.len(),
            compression,
            tail,
        })
    }

    /// Has the pieces of a file placed, one behind the other.
    fn place(
        &self,
        file: &File,
        pieces: &[Told],
        clusters: Clusters,
        stage: &mut Stage<'_>,
    ) -> Result<Content, FormatError> {
        let mut offset = 0;
        let mut place = clusters.start << self.options.block_bits;
        for (id, piece) in pieces {
            let extent = self.extent(*piece);
            let bytes = u64::from(extent.blocks) << self.options.block_bits;
            let length = u64::from(piece.consumed);
            if extent.compressed {
                stage.place_piece(*id, *piece, place, bytes)?;
            } else {
                stage.place(Placement {
                    file: file.node,
                    file_offset: offset,
                    partition_offset: place,
                    length,
                    padding: self.padding(length),
                })?;
            }
            place += bytes;
            offset += length;
        }
        Ok(Content::Clusters(clusters))
    }
}

/// All pieces of `size` bytes.
fn take(
    size: u64,
    encoding: &mut Encoding<impl Iterator<Item = Work>>,
    stage: &mut Stage<'_>,
) -> Result<Vec<Told>, FormatError> {
    let mut pieces = Vec::new();
    let mut done = 0;
    while done < size {
        let piece = encoding.next(stage)?;
        done += u64::from(piece.1.consumed);
        pieces.push(piece);
    }
    Ok(pieces)
}

/// What stands in the packed inode, taken bit by bit.
struct Parts<'a> {
    spans: &'a [Span],
    index: usize,
    /// What is taken of the span at `index`.
    offset: u64,
}

impl Parts<'_> {
    /// Shows the spans of the next `length` bytes, and how many are before each.
    fn take(
        &mut self,
        length: u64,
        mut show: impl FnMut(Span, u64) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let mut before = 0;
        while before < length {
            let span = self.spans.get(self.index).ok_or(ReadError::Source)?;
            let step = (span.length - self.offset).min(length - before);
            let part = Span {
                file: span.file,
                offset: span.offset + self.offset,
                length: step,
            };
            show(part, before)?;
            before += step;
            self.offset += step;
            if self.offset == span.length {
                self.index += 1;
                self.offset = 0;
            }
        }
        Ok(())
    }
}
