//! Members with holes: GNU's old format, and its three in pax headers (GNU tar manual, "Storing Sparse Files").

use super::super::error::ArchiveError;
use super::super::store::{Piece, Span};
use super::blocks::{BLOCK, BLOCK_BYTES, Blocks, ReadAt};
use super::header::field;
use super::pax::{Extensions, decimal};
use cellblock_text::PathBytes;
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

/// Bytes that the map of one member may take in the archive.
const MAP_LIMIT: u64 = 16 * 1024 * 1024;
/// Stretches of data that the maps of an archive may have together: 8 MiB of memory.
pub(super) const STRETCHES: usize = (8 << 20) / size_of::<Piece>();
/// Digits of a number in a map.
const DIGITS: usize = 4096;

/// A member's map: stretches of data, checked one by one.
#[derive(Debug)]
pub(super) struct Map {
    /// The file's length, holes included.
    size: u64,
    /// Their positions count from where the member's data begins.
    pieces: Vec<Piece>,
    /// Where the last stretch ended in the file.
    end: u64,
    /// Bytes of data.
    stored: u64,
    /// Pieces that there may be.
    most: usize,
}

impl Map {
    /// How many stretches of data it has.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    fn new(size: u64, most: usize) -> Self {
        Self {
            size,
            pieces: Vec::new(),
            end: 0,
            stored: 0,
            most,
        }
    }

    fn add(&mut self, offset: u64, length: u64, member: &[u8]) -> Result<(), ArchiveError> {
        let refuse = |reason| ArchiveError::Sparse {
            member: member.into(),
            reason,
        };
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= self.size)
            .ok_or_else(|| refuse("goes beyond the file's size"))?;
        if offset < self.end {
            return Err(refuse("is not in order, or overlaps"));
        }
        self.end = end;
        let position = self.stored;
        self.stored += length;
        let is_full = self.pieces.len() >= self.most;
        match self.pieces.last_mut() {
            _ if length == 0 => {}
            Some(last) if last.offset + last.length == offset => last.length += length,
            _ if is_full => {
                return Err(ArchiveError::Maps {
                    member: member.into(),
                    limit: STRETCHES,
                });
            }
            _ => self.pieces.push(Piece {
                offset,
                length,
                position,
            }),
        }
        Ok(())
    }

    /// Places its data, which is `stored` bytes from `position` on.
    pub(super) fn place(
        mut self,
        position: u64,
        stored: u64,
        member: &[u8],
    ) -> Result<(u64, bool, Span), ArchiveError> {
        let refuse = |reason| ArchiveError::Sparse {
            member: member.into(),
            reason,
        };
        if self.stored > stored {
            return Err(refuse("names more data than the archive has for it"));
        }
        if self.stored < stored {
            return Err(refuse("names less data than the archive has for it"));
        }
        for piece in &mut self.pieces {
            piece.position += position;
        }
        Ok(match self.pieces[..] {
            [whole] if whole.length == self.size => (self.size, false, Span::From(whole.position)),
            _ => (self.size, self.size > 0, Span::Pieces(self.pieces.into())),
        })
    }
}

/// The old format: four stretches in the header, more in blocks that follow it.
pub(super) fn old<R: ReadAt>(
    header: &Header,
    blocks: &mut Blocks<'_, R>,
    member: &[u8],
    most: usize,
) -> Result<Map, ArchiveError> {
    let gnu = header.as_gnu().ok_or_else(|| ArchiveError::Sparse {
        member: member.into(),
        reason: "is missing: the header is not GNU's",
    })?;
    let mut map = Map::new(field(&gnu.realsize, "real size", member)?, most);
    add_old(&mut map, &gnu.sparse, member)?;
    let first = blocks.offset();
    let mut extended = gnu.is_extended();
    while extended {
        if blocks.offset() - first >= MAP_LIMIT {
            return Err(too_long(first, blocks.offset() - first + BLOCK_BYTES));
        }
        let mut extension = GnuExtSparseHeader::new();
        extension
            .as_mut_bytes()
            .copy_from_slice(&blocks.block("the map of holes")?);
        add_old(&mut map, &extension.sparse, member)?;
        extended = extension.is_extended();
    }
    Ok(map)
}

fn too_long(offset: u64, length: u64) -> ArchiveError {
    ArchiveError::TooLong {
        what: "map of holes",
        offset,
        length,
        limit: MAP_LIMIT,
    }
}

fn add_old(map: &mut Map, entries: &[GnuSparseHeader], member: &[u8]) -> Result<(), ArchiveError> {
    for entry in entries.iter().take_while(|entry| entry.offset[0] != 0) {
        map.add(
            field(&entry.offset, "hole map offset", member)?,
            field(&entry.numbytes, "hole map length", member)?,
            member,
        )?;
    }
    Ok(())
}

/// The formats in pax headers. For the last one, whose map comes before the data, `stored` becomes less by it.
pub(super) fn pax<R: ReadAt>(
    extensions: &Extensions,
    blocks: &mut Blocks<'_, R>,
    stored: &mut u64,
    member: &[u8],
    most: usize,
) -> Result<Option<Map>, ArchiveError> {
    let refuse = |reason| ArchiveError::Sparse {
        member: member.into(),
        reason,
    };
    let unknown = |format| ArchiveError::SparseFormat {
        member: member.into(),
        format,
    };
    let number = |key| extensions.number(key).map_err(refuse);
    let version = (number(b"GNU.sparse.major")?, number(b"GNU.sparse.minor")?);
    match version {
        (Some(1), None | Some(0)) => {
            let size = number(b"GNU.sparse.realsize")?.ok_or_else(|| refuse("has no real size"))?;
            let mut map = Map::new(size, most);
            leading_map(&mut map, blocks, stored, member)?;
            return Ok(Some(map));
        }
        (None | Some(0), None | Some(0 | 1)) => {}
        (major, minor) => {
            let (major, minor) = (major.unwrap_or(0), minor.unwrap_or(0));
            return Err(unknown(format!("GNU.sparse {major}.{minor}")));
        }
    }
    let Some(size) = number(b"GNU.sparse.size")? else {
        let keys = extensions.local().iter().map(|(key, _)| &key[..]);
        return match keys.into_iter().find(|key| is_of_other_format(key)) {
            Some(key) => Err(unknown(PathBytes(key.to_vec()).to_string())),
            None => Ok(None),
        };
    };
    let mut map = Map::new(size, most);
    match extensions.get(b"GNU.sparse.map") {
        Some(list) => {
            let mut numbers = list.split(|byte| *byte == b',').map(decimal);
            while let Some(offset) = numbers.next() {
                let length = numbers
                    .next()
                    .ok_or_else(|| refuse("has an offset without its length"))?;
                map.add(offset.map_err(refuse)?, length.map_err(refuse)?, member)?;
            }
        }
        None => repeated(&mut map, extensions, member)?,
    }
    Ok(Some(map))
}

/// Whether a key says that holes are left out, in a way that is not read where the keys that are read are missing.
fn is_of_other_format(key: &[u8]) -> bool {
    let is_gnu = key.starts_with(b"GNU.sparse.") && key != b"GNU.sparse.name";
    // Of star, and of Solaris' tar.
    is_gnu || key == b"SCHILY.realsize" || key == b"SUN.holesdata"
}

/// Version 0.0: records `GNU.sparse.offset` and `GNU.sparse.numbytes` in turn.
fn repeated(map: &mut Map, extensions: &Extensions, member: &[u8]) -> Result<(), ArchiveError> {
    let refuse = |reason| ArchiveError::Sparse {
        member: member.into(),
        reason,
    };
    let mut offset = None;
    for (key, value) in extensions.local() {
        let is_offset = match &key[..] {
            b"GNU.sparse.offset" => true,
            b"GNU.sparse.numbytes" => false,
            _ => continue,
        };
        let number = decimal(value).map_err(refuse)?;
        match (offset.take(), is_offset) {
            (None, true) => offset = Some(number),
            (Some(offset), false) => map.add(offset, number, member)?,
            _ => return Err(refuse("has offsets and lengths that do not alternate")),
        }
    }
    match offset {
        Some(_) => Err(refuse("has an offset without its length")),
        None => Ok(()),
    }
}

/// Version 1.0: decimal numbers, one a line, before the data: how many stretches, then offset and length of each.
fn leading_map<R: ReadAt>(
    map: &mut Map,
    blocks: &mut Blocks<'_, R>,
    stored: &mut u64,
    member: &[u8],
) -> Result<(), ArchiveError> {
    let mut lines = Lines {
        blocks,
        stored,
        member,
        read: 0,
        block: [0; BLOCK],
        next: BLOCK,
    };
    let count = lines.number()?;
    for _ in 0..count {
        let (offset, length) = (lines.number()?, lines.number()?);
        map.add(offset, length, member)?;
    }
    Ok(())
}

/// The lines of numbers that a member's data begins with. They fill up their last block.
struct Lines<'l, 'b, R> {
    blocks: &'l mut Blocks<'b, R>,
    /// Bytes of the member that have not been read.
    stored: &'l mut u64,
    member: &'l [u8],
    /// Bytes that have.
    read: u64,
    block: [u8; BLOCK],
    /// The next byte of the block.
    next: usize,
}

impl<R: ReadAt> Lines<'_, '_, R> {
    fn number(&mut self) -> Result<u64, ArchiveError> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return decimal(&line).map_err(|reason| self.refuse(reason)),
                _ if line.len() > DIGITS => return Err(self.refuse("does not fit 64 bits")),
                byte => line.push(byte),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, ArchiveError> {
        if self.next == BLOCK {
            if self.read >= MAP_LIMIT {
                let begin = self.blocks.offset() - self.read;
                return Err(too_long(begin, self.read + BLOCK_BYTES));
            }
            *self.stored = self
                .stored
                .checked_sub(BLOCK_BYTES)
                .ok_or_else(|| self.refuse("is longer than the data that it begins"))?;
            self.block = self.blocks.block("the map of holes")?;
            self.read += BLOCK_BYTES;
            self.next = 0;
        }
        self.next += 1;
        Ok(self.block[self.next - 1])
    }

    fn refuse(&self, reason: &'static str) -> ArchiveError {
        ArchiveError::Sparse {
            member: self.member.into(),
            reason,
        }
    }
}
