//! Chunks that are files of a folder of this machine.
//!
//! ```text
//!     file ──> read ──> SHA-256, two side by side ──> written, neighbours at once
//!       └───────────────── shared ───────────────────> where the disk can have two files share blocks
//! ```
//!
//! What is shared has the bytes that were hashed if nobody has written to the file in between, which its times tell. Otherwise what was hashed is
//! written over it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::Instant;

use cellblock_hash::sha256_of_each;

use crate::Hit;
use crate::entry::Chunk;
use crate::store::{Folder, Lending, Lent};

#[cfg(test)]
mod tests;

/// What a partition is restored into; it has zeros before.
pub trait Target: Sync {
    /// Writes bytes at an offset.
    ///
    /// # Errors
    /// They cannot be written.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Has the disk share the first `length` bytes of `file` at an offset. Whether it did; if not, any of them may be there.
    fn shares(&self, _file: &File, _length: u64, _offset: u64) -> bool {
        false
    }
}

impl<W: Fn(u64, &[u8]) -> io::Result<()> + Sync> Target for W {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self(offset, bytes)
    }
}

impl Hit<'_> {
    /// Whether the chunks all came. `buffer` is for whoever is called again.
    pub(crate) fn restore_files(
        &self,
        folder: &Folder,
        group: &[Chunk],
        deadline: Instant,
        target: &dyn Target,
        buffer: &mut Vec<u8>,
    ) -> bool {
        if !self.shelf.is_up() {
            return false;
        }
        let places = places(group);
        let bytes = places.last().map_or(0, |last| last.end);
        if buffer.len() < bytes {
            buffer.resize(bytes, 0);
        }
        let mut files = Vec::with_capacity(group.len());
        for (chunk, place) in group.iter().zip(&places) {
            match folder.lend(&chunk.digest, &mut buffer[place.clone()], deadline) {
                Ok(Lending::Lent(file)) => files.push(file),
                Ok(Lending::Wrong) => {
                    self.reject(&chunk.digest);
                    return false;
                }
                // It was removed to make room: what is missing is made and stored again.
                Ok(Lending::Nothing) => return false,
                Err(error) => {
                    self.cache.give_up(self.shelf, &error);
                    return false;
                }
            }
        }
        let pieces: Vec<&[u8]> = places.iter().map(|place| &buffer[place.clone()]).collect();
        let digests = sha256_of_each(&pieces);
        let wrong = group.iter().zip(&digests);
        let mut wrong = wrong.filter(|(chunk, digest)| chunk.digest != **digest);
        if let Some((chunk, _)) = wrong.next() {
            self.reject(&chunk.digest);
            return false;
        }
        let mut written = Vec::new();
        for ((chunk, place), file) in group.iter().zip(&places).zip(&files) {
            if !is_shared(file, chunk, target) {
                written.push((chunk.offset, place.clone()));
            }
            file.touch();
        }
        let mut written = neighbours(&written).into_iter();
        written.all(|(offset, place)| target.write(offset, &buffer[place]).is_ok())
    }
}

/// Where chunks lie in a buffer, one behind another.
fn places(group: &[Chunk]) -> Vec<Range<usize>> {
    let ends = group.iter().scan(0, |end, chunk| {
        let start = *end;
        *end += chunk.length as usize;
        Some(start..*end)
    });
    ends.collect()
}

/// Whether the target has the bytes of a chunk that was hashed, without writing them.
fn is_shared(file: &Lent, chunk: &Chunk, target: &dyn Target) -> bool {
    file.is_settled()
        && target.shares(file.file(), chunk.length.into(), chunk.offset)
        && file.is_unchanged()
}

/// Ranges of a buffer by their offsets in a partition; those that follow one another in both are one.
fn neighbours(ranges: &[(u64, Range<usize>)]) -> Vec<(u64, Range<usize>)> {
    let runs = ranges.chunk_by(|(offset, place), (next, behind)| {
        offset + place.len() as u64 == *next && place.end == behind.start
    });
    runs.filter_map(|run| {
        let ((offset, first), (_, last)) = (run.first()?, run.last()?);
        Some((*offset, first.start..last.end))
    })
    .collect()
}
