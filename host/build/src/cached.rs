//! File systems that come from a cache, if it has what would be made, and go there if it has not.
//!
//! ```text
//!     key ──> asked ──> there: chunks, each with its digest ──────────────────> partition
//!               └─────> not there: lock ──> asked again ──> made ──> stored ──> partition
//! ```

use std::fs::File;
use std::io;
use std::time::Instant;

use cellblock_cache::{Cache, Hit, Key, Stored, Target};
use cellblock_contract::{Request, Setting};
use cellblock_image::{ImageError, PartitionFile};
use sha2::{Digest as _, Sha256};

use crate::error::PartitionError;
use crate::filesystem::{Formed, Preparation, Prepared, Slot};
use crate::key::FillKey;
use crate::notes::Notes;
use crate::progress::{Phase, watched};

/// What tells the key of a measured size from that of a fill.
const MEASURED: &[u8] = b"cellblock measure 1\n";

/// The bytes of the blocks of file systems whose content lies in blocks, unless they say otherwise.
const BLOCK: u32 = 4096;

/// The bytes by which content moves when something before it grows. Where that may be fewer than [`BLOCK`], chunks that end with blocks would
/// let two versions of a partition share little.
pub(crate) fn block_of(request: &Request) -> u32 {
    let is_kept = |Setting { name, value }: &Setting| match name.as_str() {
        "block-size" => *value == BLOCK.to_string(),
        // Some have smaller blocks in smaller file systems.
        "profile" => false,
        _ => true,
    };
    match request.kind.as_str() {
        "ext2" | "ext3" | "ext4" if request.settings.iter().all(is_kept) => BLOCK,
        "erofs" => BLOCK,
        _ => 1,
    }
}

/// A partition that comes from a cache.
struct Restored<'a> {
    partition: &'a PartitionFile,
    /// Whether its disk can have files share blocks.
    can_share: bool,
}

impl Target for Restored<'_> {
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let written = self.partition.write(offset, bytes);
        written.map_err(io::Error::other)
    }

    fn shares(&self, file: &File, length: u64, offset: u64) -> bool {
        self.can_share && self.partition.share(file, length, offset)
    }
}

impl Preparation<'_> {
    /// Has a cache give a file system, or the formatter make it.
    pub(crate) fn formed_through(
        &self,
        cache: &Cache,
        prepared: &Prepared,
        place: &Slot,
    ) -> Result<Formed, PartitionError> {
        let tree = watched(
            &*self.options.progress,
            Phase::Hashing,
            prepared.name(),
            None,
            |_| prepared.tree_digests_with(self.options.known.as_deref()),
        )?;
        let key = Key(prepared.key(place, tree).0);
        let recalled = |it: &Hit<'_>| self.recalled(cache, prepared, place, it).transpose();
        let mut formed = cache.find(&key, recalled).transpose()?;
        let mut lock = None;
        if formed.is_none() {
            let making = cache.begin(&key);
            if making.is_locked() {
                formed = cache.find(&key, recalled).transpose()?;
            }
            lock = Some(making);
        }
        let mut formed = match formed {
            Some(formed) => formed,
            None => {
                let formed = self.formed(prepared, place)?;
                self.stored(cache, &key, prepared, place, &formed)?;
                formed
            }
        };
        drop(lock);
        formed.warnings = cache.take_warnings();
        Ok(formed)
    }

    /// What a hit brings; nothing if it is not what would be made.
    fn recalled(
        &self,
        cache: &Cache,
        prepared: &Prepared,
        place: &Slot,
        hit: &Hit<'_>,
    ) -> Result<Option<Formed>, PartitionError> {
        let begun = Instant::now();
        let notes = postcard::from_bytes::<Notes>(hit.notes());
        let Ok(notes) = notes else {
            return Ok(None);
        };
        if hit.size() != place.size {
            return Ok(None);
        }
        let partition = PartitionFile::within(self.scratch, place.base, place.size)?;
        let (name, size) = (prepared.name(), Some(place.size));
        let is_whole = watched(&*self.options.progress, Phase::Copying, name, size, |_| {
            hit.restore(&Restored {
                partition: &partition,
                can_share: partition.can_share(),
            })
        });
        if !is_whole {
            return Ok(None);
        }
        if cache.verifies() {
            let recalled = partition.digest()?;
            let made = self.formed_here(prepared, place)?;
            if made.partition.digest()? != recalled {
                hit.refute(&format!(
                    "'{name}' has other bytes there than its formatter makes, which are used"
                ));
            }
            return Ok(Some(made));
        }
        Ok(Some(Formed {
            cache: Some(hit.place()),
            ..notes.formed(partition, begun.elapsed())
        }))
    }

    fn stored(
        &self,
        cache: &Cache,
        key: &Key,
        prepared: &Prepared,
        place: &Slot,
        formed: &Formed,
    ) -> Result<(), ImageError> {
        let notes = Notes::of(&formed.outcome, formed.encoded);
        let Ok(notes) = postcard::to_allocvec(&notes) else {
            return Ok(());
        };
        let partition = &formed.partition;
        let data = partition.data()?;
        let read = |offset: u64, buffer: &mut [u8]| {
            partition.read(offset, buffer).map_err(io::Error::other)
        };
        let stored = Stored {
            size: partition.size(),
            data: &data,
            block: block_of(&prepared.request(place)),
            read: &read,
            notes,
        };
        let (name, size) = (prepared.name(), Some(partition.size()));
        watched(&*self.options.progress, Phase::Copying, name, size, |_| {
            cache.store(key, &stored);
        });
        Ok(())
    }

    /// Has a cache tell the smallest size, or the formatter measure it.
    pub(crate) fn smallest_through(
        &self,
        cache: &Cache,
        prepared: &Prepared,
        request: &Request,
        place: &Slot,
    ) -> Result<u64, PartitionError> {
        let tree = prepared.tree_digests_with(self.options.known.as_deref())?;
        let FillKey(fill) = prepared.key(place, tree);
        let key = Sha256::new_with_prefix(MEASURED).chain_update(fill);
        let key = Key(key.finalize().into());
        let told = cache.find(&key, |hit| {
            let size = hit.notes().try_into().ok();
            size.filter(|_| hit.size() == 0).map(u64::from_le_bytes)
        });
        if let Some(size) = told {
            return Ok(size);
        }
        let size = self.measured(prepared, request, place)?;
        let stored = Stored {
            size: 0,
            data: &[],
            block: 1,
            read: &|_, _| Ok(()),
            notes: size.to_le_bytes().to_vec(),
        };
        cache.store(&key, &stored);
        Ok(size)
    }
}
