//! What a cache has of what was made before, and how it is taken from there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::entry::{self, Chunk, MOST_LIST, Payload};
use crate::store::{Blob, Kind, StoreError};
use crate::{Cache, SLOWEST_BYTES_A_SECOND, Shelf, Target, cut};

/// An entry that may be used.
#[derive(Debug)]
pub struct Hit<'a> {
    pub(super) cache: &'a Cache,
    pub(super) shelf: &'a Shelf,
    pub(super) payload: Payload,
}

impl Hit<'_> {
    /// The bytes of the partition.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.payload.size
    }

    /// What whoever stored it wanted to know of it.
    #[must_use]
    pub fn notes(&self) -> &[u8] {
        &self.payload.notes
    }

    /// Which cache has it.
    #[must_use]
    pub fn place(&self) -> String {
        self.shelf.place.to_string()
    }

    /// Says that it turned out to be wrong: the cache is not used any more.
    pub fn refute(&self, why: &str) {
        let error = StoreError::Wrong(why.to_owned());
        self.cache.give_up(self.shelf, &error);
    }

    /// Hands all data of the partition to `target`, by its offset and from several threads, each chunk once its digest is right.
    /// Whether it all came; if not, some of it may be written.
    #[must_use]
    pub fn restore(&self, target: &dyn Target) -> bool {
        let Some(chunks) = self.chunks() else {
            return false;
        };
        let data: u64 = chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
        let deadline = Instant::now()
            + self.cache.options.patience * 3
            + Duration::from_secs(data / SLOWEST_BYTES_A_SECOND);
        let groups = groups(&chunks, self.shelf.store.together());
        let next = AtomicUsize::new(0);
        let work = || {
            let mut buffer = Vec::new();
            loop {
                let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    return true;
                };
                let came = match self.shelf.store.as_folder() {
                    Some(folder) => {
                        self.restore_files(folder, group, deadline, target, &mut buffer)
                    }
                    None => self.restore_group(group, deadline, target),
                };
                if !came {
                    next.store(groups.len(), Ordering::Relaxed);
                    return false;
                }
            }
        };
        thread::scope(|scope| {
            // Where no more threads may be started, those that there are do all of it.
            let others: Vec<_> = (1..self.cache.options.jobs.min(groups.len()))
                .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
                .collect();
            let own = work();
            let joined = others.into_iter().map(|other| {
                let joined = other.join();
                joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            joined.fold(own, |all, one| all && one)
        })
    }

    /// Whether the chunks all came.
    fn restore_group(&self, group: &[Chunk], deadline: Instant, target: &dyn Target) -> bool {
        let blobs = match group {
            [chunk] => self
                .blob(&chunk.digest, chunk.length as usize, deadline)
                .map(|bytes| vec![bytes]),
            group => self.blobs(group, deadline),
        };
        let blobs = blobs.unwrap_or_default();
        blobs.len() == group.len()
            && group
                .iter()
                .zip(&blobs)
                .all(|(chunk, bytes)| target.write(chunk.offset, bytes).is_ok())
    }

    /// What is under this name has not this digest.
    pub(crate) fn reject(&self, name: &[u8; 32]) {
        let (cache, shelf) = (self.cache, self.shelf);
        let text = "it has other bytes than the entry says";
        if shelf.store.mends(Kind::Blob, name) {
            let what = format!("a chunk is not used: {text}");
            cache.say_once(shelf, &what, Some((Kind::Blob, name)));
        } else {
            self.refute(text);
        }
    }

    /// Several blobs with one call.
    fn blobs(&self, group: &[Chunk], deadline: Instant) -> Option<Vec<Vec<u8>>> {
        if !self.shelf.is_up() {
            return None;
        }
        let named = group.iter().map(|chunk| Blob {
            name: chunk.digest,
            length: chunk.length as usize,
        });
        let named: Vec<Blob> = named.collect();
        match self.shelf.store.get_blobs(&named, deadline) {
            Ok(blobs) => {
                let blobs = blobs?;
                let is_right = |(blob, bytes): (&Blob, &Vec<u8>)| self.is_right(blob, bytes);
                if blobs.len() == named.len() && named.iter().zip(&blobs).all(is_right) {
                    return Some(blobs);
                }
                self.refute("it has other bytes than the entry says");
                None
            }
            Err(error) => {
                self.cache.give_up(self.shelf, &error);
                None
            }
        }
    }

    /// Whether these are the bytes of a blob; they are hashed once.
    fn is_right(&self, blob: &Blob, bytes: &[u8]) -> bool {
        let is_known = self.shelf.store.holds_to_digests();
        bytes.len() == blob.length && (is_known || entry::digest(bytes) == blob.name)
    }

    fn chunks(&self) -> Option<Vec<Chunk>> {
        let length = self.payload.list_length as usize;
        if length == 0 {
            return Some(Vec::new());
        }
        let deadline = Instant::now()
            + self.cache.options.patience * 3
            + Duration::from_secs(length as u64 / SLOWEST_BYTES_A_SECOND);
        let list = self.blob(&self.payload.list, length.min(MOST_LIST), deadline)?;
        let chunks = entry::decode_list(&list, self.payload.size, cut::MOST);
        if chunks.is_none() {
            self.refute("a list of chunks that cannot be: whoever signed it is no cellblock");
        }
        chunks
    }

    /// What has this digest and this length; the store is not asked again if it answers anything else.
    fn blob(&self, name: &[u8; 32], length: usize, deadline: Instant) -> Option<Vec<u8>> {
        let (cache, shelf) = (self.cache, self.shelf);
        if !shelf.is_up() {
            return None;
        }
        match shelf.store.get(Kind::Blob, name, length, deadline) {
            Ok(Some(bytes))
                if self.is_right(
                    &Blob {
                        name: *name,
                        length,
                    },
                    &bytes,
                ) =>
            {
                Some(bytes)
            }
            Ok(Some(_)) => {
                self.reject(name);
                None
            }
            // It was removed to make room: what is missing is made and stored again.
            Ok(None) => None,
            Err(error) => {
                cache.give_up(shelf, &error);
                None
            }
        }
    }
}

/// Neighbours of at most `most` bytes together; each alone if `most` has no room for two.
#[must_use]
pub fn groups(chunks: &[Chunk], most: usize) -> Vec<&[Chunk]> {
    let mut bytes = 0;
    chunks
        .chunk_by(|_, next| {
            let length = next.length as usize;
            bytes += length;
            let fits = bytes + cut::MOST as usize <= most;
            if !fits {
                bytes = 0;
            }
            fits
        })
        .collect()
}
