//! An archive as a sequence of blocks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::super::error::ArchiveError;
use super::super::stamp::Stamp;
use super::super::store::{long, small};
use super::header::no_archive;
use cellblock_text::PathBytes;

/// Bytes of a block: everything in an archive begins at a multiple of it.
pub(super) const BLOCK: usize = 512;
pub(super) const BLOCK_BYTES: u64 = 512;

/// Bytes read ahead after a long skip: between headers is the data of files, so that more would mostly be wasted.
const WINDOW: usize = 4 * 1024;

/// Bytes read ahead among small files, where skipping would save less than another read costs: a read costs as much as copying
/// some 10 KiB. The kernel reads ahead of either from a disk.
const WIDE_WINDOW: usize = 16 * 1024;

/// A skip of at most so many bytes is short.
const SHORT_SKIP: u64 = 8 * 1024;

/// The bytes of an archive, which can be read anywhere.
pub(in super::super) trait ReadAt {
    /// Reads into the beginning of the buffer; 0 bytes at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// How many bytes there are: all of them, or, where that is not known yet, `end` of them or more.
    fn reach(&self, end: u64) -> Result<u64, ArchiveError>;
}

/// A file that is an archive as it is.
pub(in super::super) struct Plain {
    pub(in super::super) file: File,
    pub(in super::super) stamp: Stamp,
    /// In bytes.
    pub(in super::super) length: u64,
}

impl ReadAt for Plain {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(&self.file, buffer, offset)
    }

    fn reach(&self, _: u64) -> Result<u64, ArchiveError> {
        Ok(self.length)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // What does not fit is behind the end.
        let from = usize::try_from(offset).ok();
        let rest = from.and_then(|from| self.get(from..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn reach(&self, _: u64) -> Result<u64, ArchiveError> {
        Ok(u64::try_from(self.len()).expect("a length fits 64 bits"))
    }
}

pub(in super::super) struct Blocks<'a, R> {
    bytes: &'a R,
    /// Where the next block begins.
    offset: u64,
    window: Vec<u8>,
    /// Where the window's bytes begin.
    window_offset: u64,
    /// Name of the last member, for messages.
    member: PathBytes,
}

impl<'a, R: ReadAt> Blocks<'a, R> {
    pub(in super::super) fn new(bytes: &'a R) -> Self {
        Self {
            bytes,
            offset: 0,
            window: Vec::new(),
            window_offset: 0,
            member: PathBytes(b"(the first one)".to_vec()),
        }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Names the member that a truncation would concern.
    pub(super) fn set_member(&mut self, name: &[u8]) {
        self.member.0.clear();
        self.member.0.extend_from_slice(name);
    }

    /// The next block; `None` at the end of the archive.
    pub(super) fn header(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let length = self.bytes.reach(self.offset + BLOCK_BYTES)?;
        if self.offset == length {
            return Ok(None);
        }
        if length < BLOCK_BYTES {
            let mut head = vec![0; small(length)];
            read_exact(self.bytes, &mut head, 0)?;
            return Err(no_archive(&head, Some("shorter than one header")));
        }
        self.block("a header after the data").map(Some)
    }

    /// The block at an offset that is not gone to; `None` if the archive ends before its end.
    pub(super) fn peek(&self, offset: u64) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let end = offset.saturating_add(BLOCK_BYTES);
        if self.bytes.reach(end)? < end {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        read_exact(self.bytes, &mut block, offset)?;
        Ok(Some(block))
    }

    /// The next block, which must be there.
    pub(super) fn block(&mut self, what: &'static str) -> Result<[u8; BLOCK], ArchiveError> {
        self.require(BLOCK_BYTES, what)?;
        let mut block = [0; BLOCK];
        if self.in_window().is_none() {
            self.fill_window()?;
        }
        let from = self.in_window().expect("the window was just filled");
        block.copy_from_slice(&self.window[from..from + BLOCK]);
        self.offset += BLOCK_BYTES;
        Ok(block)
    }

    /// Where in the window the next block is, if all of it is there.
    fn in_window(&self) -> Option<usize> {
        let from = usize::try_from(self.offset.checked_sub(self.window_offset)?).ok()?;
        (from + BLOCK <= self.window.len()).then_some(from)
    }

    fn fill_window(&mut self) -> Result<(), ArchiveError> {
        let window_end = self.window_offset + long(self.window.len());
        let short = self.window_offset > 0 && self.offset.abs_diff(window_end) <= SHORT_SKIP;
        let window = if short { WIDE_WINDOW } else { WINDOW };
        let wanted = u64::try_from(window).expect("a small number");
        let there = self.bytes.reach(self.offset.saturating_add(wanted))?;
        // What does not fit is more than a window.
        let length = usize::try_from(there - self.offset).map_or(window, |left| left.min(window));
        self.window.resize(length, 0);
        self.window_offset = self.offset;
        read_exact(self.bytes, &mut self.window, self.offset)
    }

    /// The next `length` bytes, a header's data, of which there may be at most `limit`. The rest of the last block is skipped.
    pub(super) fn data(
        &mut self,
        length: u64,
        limit: u64,
        what: &'static str,
    ) -> Result<Vec<u8>, ArchiveError> {
        if length > limit {
            return Err(ArchiveError::TooLong {
                what,
                offset: self.offset,
                length,
                limit,
            });
        }
        self.require(length, what)?;
        let length = usize::try_from(length).expect("the limit is small");
        let mut data = Vec::with_capacity(length);
        while data.len() < length {
            let block = self.block(what)?;
            data.extend_from_slice(&block[..BLOCK.min(length - data.len())]);
        }
        Ok(data)
    }

    /// Skips `length` bytes of data and what fills up their last block. Returns where they begin.
    pub(super) fn skip(&mut self, length: u64, what: &'static str) -> Result<u64, ArchiveError> {
        // No archive has so many bytes: it is then found to be truncated.
        let padded = length
            .checked_next_multiple_of(BLOCK_BYTES)
            .unwrap_or(u64::MAX);
        self.require(padded, what)?;
        let start = self.offset;
        self.offset += padded;
        Ok(start)
    }

    fn require(&self, length: u64, what: &'static str) -> Result<(), ArchiveError> {
        let needed = self.offset.saturating_add(length);
        let end = self.bytes.reach(needed)?;
        if needed <= end {
            return Ok(());
        }
        Err(ArchiveError::Truncated {
            end,
            what,
            member: self.member.clone(),
            needed,
        })
    }
}

fn read_exact<R: ReadAt>(
    bytes: &R,
    mut buffer: &mut [u8],
    mut offset: u64,
) -> Result<(), ArchiveError> {
    while !buffer.is_empty() {
        match bytes.read_at(buffer, offset) {
            Ok(0) => {
                let error = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the archive became shorter while it was read",
                );
                return Err(ArchiveError::Read(error));
            }
            Ok(count) => {
                offset += u64::try_from(count).expect("a length fits 64 bits");
                buffer = &mut buffer[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ArchiveError::Read(error)),
        }
    }
    Ok(())
}
