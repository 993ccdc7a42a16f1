//! Partitions that were made before. A partition is a pure function of what it is made from; the key of that is all that is known of
//! it here. Keys lead to entries, entries to chunks of data, and holes stay holes.
//!
//! ```text
//!     key ──> /ac/KEY: size, notes, signature ──> /cas/LIST: offset, length, digest ──> /cas/CHUNK …
//! ```
//!
//! Nothing that a store answers is believed: an entry is used if it is signed by a key that is trusted (or lies in a folder
//! that nobody else can write to), and what it names is used if it has the digest that the entry says. A store that fails, lies or is slow is not asked
//! again, [one line](Cache::take_warnings) says so, and the partition is made.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use cellblock_hash::sha256_of_each;
use cellblock_sign::{SigningKey, VerifyingKey};
use cellblock_text::hexadecimal;
use thiserror::Error;

mod cut;
mod entry;
mod files;
mod hit;
mod place;
mod registry;
mod store;
#[cfg(test)]
mod tests;

pub use cellblock_reapi as reapi;
pub use cut::{MOST as MOST_CHUNK, cut};
pub use entry::{Chunk, MOST_LIST, decode_list, encode_list};
use entry::{EntryFault, MOST_ENTRY, Payload, Trust};
pub use files::Target;
pub use hit::{Hit, groups};
pub use place::{Address, Place, PlaceError};
pub use registry::{Registry, RegistryError};
pub use store::{Collected, Counts};
use store::{Directory, Folder, Grpc, Http, Kind, Store, StoreError};

#[doc(hidden)]
pub use entry::fuzz;

/// The most bytes that a folder holds unless somebody says otherwise: 20 GiB.
pub const DEFAULT_LIMIT: u64 = 20 << 30;
/// How long a server may take for an answer unless somebody says otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);
/// What restoring a partition may take, beside three times the patience: at least so many bytes come in a second.
const SLOWEST_BYTES_A_SECOND: u64 = 1 << 20;
/// How long somebody else may make a partition before it is made here too.
const LONGEST_LOCK: Duration = Duration::from_secs(30 * 60);

/// What decides the bytes of a partition: a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub [u8; 32]);

/// What is done with caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Entries are used, and what was made is stored.
    #[default]
    ReadWrite,
    /// Entries are used.
    Read,
    /// What was made is stored.
    Write,
}

impl Mode {
    fn reads(self) -> bool {
        self != Self::Write
    }

    fn writes(self) -> bool {
        self != Self::Read
    }
}

/// Which caches there are, and how they are used.
#[derive(Debug)]
pub struct Options {
    /// The caches; the first that has an entry is used.
    pub places: Vec<Place>,
    /// What is done with them.
    pub mode: Mode,
    /// The key that signs what is stored.
    pub signer: Option<SigningKey>,
    /// Whose entries are used, beside those of private folders.
    pub trusted: Vec<VerifyingKey>,
    /// The most bytes that each folder holds.
    pub limit: u64,
    /// How long a server may take for an answer.
    pub patience: Duration,
    /// Of a hundred hits, how many are made all the same and compared.
    pub verify_percent: u8,
    /// How many chunks are moved at a time.
    pub jobs: usize,
    /// Where locks are if no place is a folder.
    pub locks: Option<PathBuf>,
}

/// Why caches cannot be used as they are meant to be: mistakes of whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CacheError {
    /// Anybody could have put something there.
    #[error(
        "others can write to the cache {place}: name the keys whose entries are used with --cache-trust, or only write to \
         it with --cache-mode write"
    )]
    Trust {
        /// The cache.
        place: String,
    },
    /// Nobody would use what is stored there.
    #[error(
        "what is stored in the cache {place} has to be signed, or nobody uses it: name a key with --cache-key, or only \
         read with --cache-mode read"
    )]
    Key {
        /// The cache.
        place: String,
    },
}

/// Caches, in the order in which they are asked.
#[derive(Debug)]
pub struct Cache {
    shelves: Vec<Shelf>,
    options: Options,
    locks: Option<Arc<Directory>>,
    warnings: Mutex<Vec<String>>,
}

/// A store, and what has become of it in this run.
#[derive(Debug)]
struct Shelf {
    place: Place,
    store: Box<dyn Store>,
    /// Whether its entries need no signature.
    is_private: bool,
    /// Whether it has failed: it is not asked again.
    is_down: AtomicBool,
    /// What has been said of it.
    said: Mutex<BTreeSet<String>>,
}

/// The right to make what a key stands for; nobody else on this machine makes it meanwhile.
#[derive(Debug)]
pub struct Making {
    lock: Option<File>,
}

/// What a partition is, for [`Cache::store`].
pub struct Stored<'a> {
    /// Its bytes.
    pub size: u64,
    /// Where it has data, ascending; the rest is zeros.
    pub data: &'a [Range<u64>],
    /// The bytes of the blocks that its content lies in and moves by, a divisor of 64 KiB; 1 if it moves by any number of bytes.
    pub block: u32,
    /// Fills a buffer with what is at an offset.
    pub read: &'a dyn Fn(u64, &mut [u8]) -> io::Result<()>,
    /// What comes back with it.
    pub notes: Vec<u8>,
}

impl Cache {
    /// Opens the caches. A folder that cannot be used is said in a warning.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn open(options: Options) -> Result<Self, CacheError> {
        let mut cache = Self {
            shelves: Vec::new(),
            locks: options
                .locks
                .as_ref()
                .and_then(|path| Directory::open(path).ok())
                .map(Arc::new),
            warnings: Mutex::default(),
            options,
        };
        for place in cache.options.places.clone() {
            if let Some(shelf) = cache.shelf(&place)? {
                cache.shelves.push(shelf);
            }
        }
        Ok(cache)
    }

    fn shelf(&mut self, place: &Place) -> Result<Option<Shelf>, CacheError> {
        let options = &self.options;
        let (store, is_private): (Box<dyn Store>, bool) = match place {
            Place::Folder(path) => match Folder::open(path, options.limit, options.mode.writes()) {
                Ok(folder) => {
                    if options.mode.writes() {
                        self.locks = folder.locks();
                    }
                    let is_private = folder.is_private();
                    (Box::new(folder), is_private)
                }
                Err(error) => {
                    self.warn(format!("the cache {place} cannot be used: {error}"));
                    return Ok(None);
                }
            },
            Place::Http(address) => {
                let is_written = options.mode.writes();
                let http = Http::new(address, options.jobs, options.patience, is_written);
                (Box::new(http), false)
            }
            Place::Grpc(address) => match Grpc::new(address, options.patience) {
                Ok(grpc) => (Box::new(grpc), false),
                Err(error) => {
                    self.warn(format!("the cache {place} cannot be used: {error}"));
                    return Ok(None);
                }
            },
        };
        let shown = || place.to_string();
        if !is_private && options.mode.reads() && options.trusted.is_empty() {
            return Err(CacheError::Trust { place: shown() });
        }
        if !is_private && options.mode.writes() && options.signer.is_none() {
            return Err(CacheError::Key { place: shown() });
        }
        Ok(Some(Shelf {
            place: place.clone(),
            store,
            is_private,
            is_down: AtomicBool::new(false),
            said: Mutex::default(),
        }))
    }

    /// Whether a hit is to be made all the same and compared: each time anew by chance, which decides no byte.
    #[must_use]
    pub fn verifies(&self) -> bool {
        let chance = RandomState::new().build_hasher().finish() % 100;
        chance < u64::from(self.options.verify_percent)
    }

    /// What has gone wrong since this was asked for, for the user. It may hold what a server said.
    #[must_use]
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.warnings))
    }

    fn warn(&self, text: String) {
        locked(&self.warnings).push(text);
    }

    /// Asks the caches in their order; `make_use` says whether a hit served.
    pub fn find<T>(&self, key: &Key, mut make_use: impl FnMut(&Hit<'_>) -> Option<T>) -> Option<T> {
        if !self.options.mode.reads() {
            return None;
        }
        self.shelves
            .iter()
            .filter(|shelf| shelf.is_up())
            .find_map(|shelf| make_use(&self.hit(shelf, key)?))
    }

    fn hit<'a>(&'a self, shelf: &'a Shelf, key: &Key) -> Option<Hit<'a>> {
        let deadline = Instant::now() + self.options.patience * 2;
        let found = shelf.store.get(Kind::Entry, &key.0, MOST_ENTRY, deadline);
        let bytes = match found {
            Ok(found) => found?,
            Err(error) => {
                self.give_up(shelf, &error);
                return None;
            }
        };
        let trust = match shelf.is_private {
            true => Trust::Store,
            false => Trust::Keys(&self.options.trusted),
        };
        match Payload::decode(&bytes, key, trust) {
            Ok(payload) => Some(Hit {
                cache: self,
                shelf,
                payload,
            }),
            Err(fault) => {
                if fault == EntryFault::Damaged {
                    shelf.store.mends(Kind::Entry, &key.0);
                }
                let what = format!("an entry is not used: {fault}");
                self.say_once(shelf, &what, Some((Kind::Entry, &key.0)));
                None
            }
        }
    }

    /// The store is not asked again.
    fn give_up(&self, shelf: &Shelf, error: &StoreError) {
        if !shelf.is_down.swap(true, Ordering::Relaxed) {
            let place = &shelf.place;
            self.warn(format!(
                "the cache {place} is not used any more, and what is missing is made: {error}"
            ));
        }
    }

    /// Says what has happened for the first time, and with which file; that it happened with another is no news.
    fn say_once(&self, shelf: &Shelf, what: &str, file: Option<(Kind, &[u8; 32])>) {
        if locked(&shelf.said).insert(what.to_owned()) {
            let file =
                file.map(|(kind, name)| format!(" ({}/{})", kind.folder(), hexadecimal(name)));
            let file = file.unwrap_or_default();
            self.warn(format!("the cache {}: {what}{file}", shelf.place));
        }
    }

    /// Waits until nobody else on this machine makes what `key` stands for.
    #[must_use]
    pub fn begin(&self, key: &Key) -> Making {
        // One in 256 partitions waits for another one, and no file is left for each.
        let (folder, name) = match (&self.locks, self.options.mode) {
            (Some(folder), Mode::ReadWrite) => (folder, hexadecimal(&key.0[..1])),
            _ => return Making { lock: None },
        };
        Making {
            lock: folder.lock(&name, LONGEST_LOCK),
        }
    }

    /// Stores what was made. What cannot be stored is said in a warning.
    pub fn store(&self, key: &Key, stored: &Stored<'_>) {
        if !self.options.mode.writes() {
            return;
        }
        for shelf in self.shelves.iter().filter(|shelf| shelf.is_up()) {
            match self.store_in(shelf, key, stored) {
                Ok(true) => {}
                Ok(false) => self.say_once(
                    shelf,
                    "a partition has too many chunks, or too much was said of it, to be stored",
                    None,
                ),
                Err(error) => self.give_up(shelf, &error),
            }
        }
    }

    /// Whether it fits.
    fn store_in(&self, shelf: &Shelf, key: &Key, stored: &Stored<'_>) -> Result<bool, StoreError> {
        let store = &*shelf.store;
        let chunks = self.store_chunks(store, stored)?;
        let Some(list) = encode_list(&chunks) else {
            return Ok(false);
        };
        let payload = Payload {
            key: key.0,
            size: stored.size,
            list: entry::digest(&list),
            list_length: u32::try_from(list.len()).expect("a list has at most 64 MiB"),
            notes: stored.notes.clone(),
        };
        let Some(bytes) = payload.encode(self.options.signer.as_ref()) else {
            return Ok(false);
        };
        if !list.is_empty() {
            store.put_blob(&payload.list, &list)?;
        }
        // The entry comes last: what it names is there.
        store.put_entry(&key.0, &bytes)?;
        store.settle()?;
        Ok(true)
    }

    fn store_chunks(
        &self,
        store: &dyn Store,
        stored: &Stored<'_>,
    ) -> Result<Vec<Chunk>, StoreError> {
        let (sender, receiver) = mpsc::sync_channel::<(u64, Vec<u8>)>(self.options.jobs);
        let receiver = Mutex::new(receiver);
        let work =
            || -> Result<Vec<Chunk>, StoreError> {
                let mut chunks = Vec::new();
                loop {
                    let taken = taken_together(&locked(&receiver), store.together());
                    if taken.is_empty() {
                        return Ok(chunks);
                    }
                    let pieces: Vec<&[u8]> = taken.iter().map(|(_, bytes)| &**bytes).collect();
                    let named = sha256_of_each(&pieces).into_iter().zip(pieces);
                    let named: Vec<([u8; 32], &[u8])> = named.collect();
                    store.put_missing(&named)?;
                    chunks.extend(taken.iter().zip(&named).map(
                        |((offset, bytes), (digest, _))| Chunk {
                            offset: *offset,
                            length: u32::try_from(bytes.len()).expect("a chunk has at most 1 MiB"),
                            digest: *digest,
                        },
                    ));
                }
            };
        let is_failed = AtomicBool::new(false);
        let worker = || {
            let done = work();
            if done.is_err() {
                is_failed.store(true, Ordering::Relaxed);
                // Whoever sends must not wait for one who has gone.
                while locked(&receiver).recv().is_ok() {}
            }
            done
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.options.jobs.max(1))
                .map_while(|_| thread::Builder::new().spawn_scoped(scope, worker).ok())
                .collect();
            if workers.is_empty() {
                return Err(io::Error::from(io::ErrorKind::OutOfMemory).into());
            }
            let mut take = |offset: u64, bytes: &[u8]| {
                let is_over = is_failed.load(Ordering::Relaxed)
                    || sender.send((offset, bytes.to_vec())).is_err();
                if is_over {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Ok(())
            };
            let mut ranges = stored.data.iter();
            let cut = ranges
                .try_for_each(|range| cut(range.clone(), stored.block, stored.read, &mut take));
            drop(sender);
            let mut chunks = Vec::new();
            let mut failure = None;
            for worker in workers {
                match worker.join() {
                    Ok(Ok(done)) => chunks.extend(done),
                    Ok(Err(error)) => failure = Some(error),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            // What a store says is the better reason than that nobody took the chunk.
            if let Some(error) = failure {
                return Err(error);
            }
            cut?;
            chunks.sort();
            Ok(chunks)
        })
    }

    /// The folders among the caches, with what each holds.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn stats(places: &[Place]) -> io::Result<Vec<(PathBuf, Counts)>> {
        on_folders(places, Folder::counts)
    }

    /// Removes what was used longest ago from the folders among the caches, until each holds at most `limit` bytes.
    ///
    /// # Errors
    /// If one cannot be read, or something in it cannot be removed.
    pub fn collect(places: &[Place], limit: u64) -> io::Result<Vec<(PathBuf, Collected)>> {
        on_folders(places, |folder| folder.collect(limit))
    }
}

fn on_folders<T>(
    places: &[Place],
    work: impl Fn(&Folder) -> io::Result<T>,
) -> io::Result<Vec<(PathBuf, T)>> {
    let folders = places.iter().filter_map(|place| match place {
        Place::Folder(path) => Some(path),
        Place::Http(_) | Place::Grpc(_) => None,
    });
    folders
        .map(|path| {
            let in_it = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            };
            let folder = Folder::open(path, 0, false).map_err(in_it)?;
            if !folder.is_cache() {
                let what = "it is no cache: it has files, and no folder `ac` or `cas`";
                return Err(in_it(io::Error::new(io::ErrorKind::InvalidInput, what)));
            }
            Ok((path.clone(), work(&folder).map_err(in_it)?))
        })
        .collect()
}

/// A chunk and those behind it, as long as they have at most `most` bytes together; nothing once there are no more.
fn taken_together(receiver: &mpsc::Receiver<(u64, Vec<u8>)>, most: usize) -> Vec<(u64, Vec<u8>)> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    while bytes + cut::MOST as usize <= most || taken.is_empty() {
        let Ok(chunk) = receiver.recv() else {
            break;
        };
        bytes += chunk.1.len();
        taken.push(chunk);
    }
    taken
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    fn is_up(&self) -> bool {
        !self.is_down.load(Ordering::Relaxed)
    }
}

impl Making {
    /// Whether others would have waited for this. What they made before it could be had is in the cache now.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}
