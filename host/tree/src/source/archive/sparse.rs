//! Members with holes: GNU's old format, and its three in pax headers (GNU tar manual, "Storing Sparse Files").

use super::super::error::ArchiveError;
use super::super::store::{Piece, Span};
use super::blocks::{BLOCK, BLOCK_BYTES, Blocks, ReadAt};
use super::header::field;
use super::pax::{Extensions, decimal};
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

/// Bytes that the map of one member may take: half a million stretches.
const MAP_LIMIT: u64 = 16 * 1024 * 1024;

/// A member's map: stretches of data, by offset and length.
#[derive(Debug)]
pub(super) struct Map {
    /// The file's length, holes included.
    size: u64,
    stretches: Vec<(u64, u64)>,
}

impl Map {
    /// Checks the map and places its data, which is `stored` bytes from `position` on.
    pub(super) fn place(
        self,
        position: u64,
        stored: u64,
        member: &[u8],
    ) -> Result<(u64, bool, Span), ArchiveError> {
        let refuse = |reason| ArchiveError::Sparse {
            member: member.into(),
            reason,
        };
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut end, mut used) = (0, 0);
        for (offset, length) in self.stretches {
            let next_end = offset
                .checked_add(length)
                .filter(|end| *end <= self.size)
                .ok_or_else(|| refuse("goes beyond the file's size"))?;
            if offset < end {
                return Err(refuse("is not in order, or overlaps"));
            }
            end = next_end;
            let next = Piece {
                offset,
                length,
                position: position + used,
            };
            used += length;
            if used > stored {
                return Err(refuse("names more data than the archive has for it"));
            }
            match pieces.last_mut() {
                _ if length == 0 => {}
                Some(last) if last.offset + last.length == offset => last.length += length,
                _ => pieces.push(next),
            }
        }
        if used != stored {
            return Err(refuse("names less data than the archive has for it"));
        }
        Ok(match pieces[..] {
            [whole] if whole.length == self.size => (self.size, false, Span::From(whole.position)),
            _ => (self.size, self.size > 0, Span::Pieces(pieces.into())),
        })
    }
}

/// The old format: four stretches in the header, more in blocks that follow it.
pub(super) fn old<R: ReadAt>(
    header: &Header,
    blocks: &mut Blocks<'_, R>,
    member: &[u8],
) -> Result<Map, ArchiveError> {
    let gnu = header.as_gnu().ok_or_else(|| ArchiveError::Sparse {
        member: member.into(),
        reason: "is missing: the header is not GNU's",
    })?;
    let mut map = Map {
        size: field(&gnu.realsize, "real size", member)?,
        stretches: Vec::new(),
    };
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
        map.stretches.push((
            field(&entry.offset, "hole map offset", member)?,
            field(&entry.numbytes, "hole map length", member)?,
        ));
    }
    Ok(())
}

/// The formats in pax headers. For the last one, whose map comes before the data, `stored` becomes less by it.
pub(super) fn pax<R: ReadAt>(
    extensions: &Extensions,
    blocks: &mut Blocks<'_, R>,
    stored: &mut u64,
    member: &[u8],
) -> Result<Option<Map>, ArchiveError> {
    let refuse = |reason| ArchiveError::Sparse {
        member: member.into(),
        reason,
    };
    let number = |key| extensions.number(key).map_err(refuse);
    let (major, size) = (number(b"GNU.sparse.major")?, number(b"GNU.sparse.size")?);
    if major == Some(1) {
        let size = number(b"GNU.sparse.realsize")?.ok_or_else(|| refuse("has no real size"))?;
        let stretches = leading_map(blocks, stored, member)?;
        return Ok(Some(Map { size, stretches }));
    }
    let Some(size) = size else {
        return Ok(None);
    };
    let stretches = match extensions.get(b"GNU.sparse.map") {
        Some(map) => {
            let numbers = map.split(|byte| *byte == b',').map(decimal);
            pairs(numbers.collect::<Result<_, _>>().map_err(refuse)?).map_err(refuse)?
        }
        None => repeated(extensions).map_err(refuse)?,
    };
    Ok(Some(Map { size, stretches }))
}

/// Version 0.0: records `GNU.sparse.offset` and `GNU.sparse.numbytes` in turn.
fn repeated(extensions: &Extensions) -> Result<Vec<(u64, u64)>, &'static str> {
    let mut numbers = Vec::new();
    for (key, value) in extensions.local() {
        let place = match &key[..] {
            b"GNU.sparse.offset" => 0,
            b"GNU.sparse.numbytes" => 1,
            _ => continue,
        };
        if numbers.len() % 2 != place {
            return Err("has offsets and lengths that do not alternate");
        }
        numbers.push(decimal(value)?);
    }
    pairs(numbers)
}

/// Version 1.0: decimal numbers, one a line, before the data: how many stretches, then offset and length of each.
fn leading_map<R: ReadAt>(
    blocks: &mut Blocks<'_, R>,
    stored: &mut u64,
    member: &[u8],
) -> Result<Vec<(u64, u64)>, ArchiveError> {
    let refuse = |reason| ArchiveError::Sparse {
        member: member.into(),
        reason,
    };
    let first = blocks.offset();
    let mut numbers: Vec<u64> = Vec::new();
    let mut line = Vec::new();
    let wanted = |numbers: &[u64]| {
        numbers
            .first()
            .map_or(1, |count| count.saturating_mul(2).saturating_add(1))
    };
    while u64::try_from(numbers.len()).expect("a length fits 64 bits") < wanted(&numbers) {
        if blocks.offset() - first >= MAP_LIMIT {
            return Err(too_long(first, blocks.offset() - first + BLOCK_BYTES));
        }
        *stored = stored
            .checked_sub(BLOCK_BYTES)
            .ok_or_else(|| refuse("is longer than the data that it begins"))?;
        let block: [u8; BLOCK] = blocks.block("the map of holes")?;
        for byte in block {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            numbers.push(decimal(&line).map_err(refuse)?);
            line.clear();
            if u64::try_from(numbers.len()).expect("a length fits 64 bits") == wanted(&numbers) {
                break;
            }
        }
    }
    pairs(numbers.split_off(1)).map_err(refuse)
}

fn pairs(numbers: Vec<u64>) -> Result<Vec<(u64, u64)>, &'static str> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("has an offset without its length");
    }
    Ok(pairs
        .iter()
        .map(|[offset, length]| (*offset, *length))
        .collect())
}
