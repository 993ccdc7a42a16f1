//! A folder: `ac/HEX` has entries, `cas/HEX` chunks, as a web server could hand them out.
//!
//! A file appears under its name once it is complete. What was used last is told by its time of modification, to the hour; the rest goes
//! first when there is too much.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use cellblock_text::hexadecimal;
use rustix::fs::{FileType, Mode, Stat};
use rustix::process::geteuid;

use super::directory::{Directory, Found};
use super::lent::{Lending, Lent, stat, touch};
use super::{Kind, Store, StoreError};
use crate::cut;

/// Where files are written before they have their names.
const UNFINISHED: &str = "new";
/// Where locks are.
const LOCKS: &str = "lock";
/// How long somebody else may collect before it is done here too.
const LONGEST_COLLECTION: Duration = Duration::from_secs(60);
/// The bytes of chunks that a thread reads before it hashes them side by side.
const TOGETHER: usize = 2 * cut::MOST as usize;
/// What a killed process has left there is removed after this time.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// Whoever may write to a folder besides its owner.
const OTHERS_WRITE: Mode = Mode::WGRP.union(Mode::WOTH);

/// A cache in a folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    root: Directory,
    entries: Option<Directory>,
    blobs: Option<Directory>,
    unfinished: Option<Directory>,
    locks: Option<Arc<Directory>>,
    /// The most bytes that it may hold.
    limit: u64,
    has_grown: AtomicBool,
    /// The number of the next file that is begun.
    next: AtomicU64,
    /// Whether something that an entry names was missing or wrong: what is there may be wrong too.
    is_suspect: AtomicBool,
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The partitions and measured sizes.
    pub entries: u64,
    /// The chunks, and the lists of them.
    pub chunks: u64,
    /// The bytes of all of it.
    pub bytes: u64,
}

/// What was removed from a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// What was there.
    pub before: Counts,
    /// What is left.
    pub after: Counts,
}

/// A file of the cache.
struct Kept {
    kind: Kind,
    name: String,
    bytes: u64,
    /// In seconds and nanoseconds since 1970.
    used: (i64, u64),
}

impl Folder {
    /// The folder at `path`, which is made if it is missing and `writes` says so.
    pub(crate) fn open(path: &Path, limit: u64, writes: bool) -> io::Result<Self> {
        let root = if writes {
            Directory::make(path)?
        } else {
            Directory::open(path)?
        };
        if writes {
            let names = [Kind::Entry.folder(), Kind::Blob.folder(), UNFINISHED, LOCKS];
            names
                .into_iter()
                .try_for_each(|name| root.make_inner(name))?;
        }
        Ok(Self {
            path: path.canonicalize()?,
            entries: root.inner(Kind::Entry.folder())?,
            blobs: root.inner(Kind::Blob.folder())?,
            unfinished: root.inner(UNFINISHED)?,
            locks: root.inner(LOCKS)?.map(Arc::new),
            root,
            limit,
            has_grown: AtomicBool::new(false),
            next: AtomicU64::new(0),
            is_suspect: AtomicBool::new(false),
        })
    }

    /// Whether it has the folders of a cache, or nothing.
    pub(crate) fn is_cache(&self) -> bool {
        self.entries.is_some()
            || self.blobs.is_some()
            || self.root.names().is_ok_and(|names| names.is_empty())
    }

    /// Where its locks are.
    pub(crate) fn locks(&self) -> Option<Arc<Directory>> {
        self.locks.clone()
    }

    /// Whether nobody but this user and root can have put anything there. What is written begins among the unfinished, and whoever can
    /// put a lock there decides who waits.
    pub(crate) fn is_private(&self) -> bool {
        let locks = self.locks.as_deref();
        let inner = [&self.entries, &self.blobs, &self.unfinished].map(Option::as_ref);
        let mut all = inner.into_iter().chain([locks, Some(&self.root)]).flatten();
        let is_own = |found: io::Result<Stat>, sticky_is_enough| {
            found.is_ok_and(|found| is_own(&found, sticky_is_enough))
        };
        let mut ancestors = self.path.ancestors().skip(1);
        all.all(|directory| is_own(directory.stat(), false))
            && ancestors.all(|path| {
                let found = rustix::fs::lstat(path);
                is_own(found.map_err(io::Error::from), true)
            })
    }

    fn directory(&self, kind: Kind) -> io::Result<&Directory> {
        let found = match kind {
            Kind::Entry => self.entries.as_ref(),
            Kind::Blob => self.blobs.as_ref(),
        };
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn write(&self, kind: Kind, name: &[u8; 32], bytes: &[u8]) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let called = format!("{}.{number}", std::process::id());
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let unfinished = self.unfinished.as_ref().ok_or_else(missing)?;
        let directory = self.directory(kind)?;
        let _ = unfinished.remove(&called);
        let written = unfinished
            .create(&called)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| unfinished.rename(&called, directory, &hexadecimal(name)));
        if written.is_err() {
            let _ = unfinished.remove(&called);
        }
        written
    }

    fn all(&self) -> io::Result<Vec<Kept>> {
        let mut all = Vec::new();
        for kind in [Kind::Entry, Kind::Blob] {
            let Ok(directory) = self.directory(kind) else {
                continue;
            };
            for name in directory.names()? {
                // Files of others are nobody's business.
                if !is_ours(name.as_bytes()) {
                    continue;
                }
                // Whoever else collects may have removed it meanwhile.
                let Ok(found) = directory.stat_of(&name) else {
                    continue;
                };
                if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile {
                    let number = |size: i64| u64::try_from(size).unwrap_or(0);
                    all.push(Kept {
                        kind,
                        name,
                        // What a small file takes of the disk counts, and an empty one is a file too.
                        bytes: number(found.st_size)
                            .max(number(found.st_blocks).saturating_mul(512))
                            .max(1),
                        used: (found.st_mtime, found.st_mtime_nsec),
                    });
                }
            }
        }
        Ok(all)
    }

    /// What it holds.
    pub(crate) fn counts(&self) -> io::Result<Counts> {
        Ok(count(&self.all()?))
    }

    /// Removes what was used longest ago until at most `limit` bytes are left.
    pub(crate) fn collect(&self, limit: u64) -> io::Result<Collected> {
        // Where it cannot be locked, two may collect at a time: each file is removed once all the same.
        let locks = self.locks.as_ref();
        let _lock = locks.and_then(|locks| locks.lock("gc", LONGEST_COLLECTION));
        self.remove_abandoned();
        let mut all = self.all()?;
        let before = count(&all);
        let mut bytes = before.bytes;
        all.sort_by(|a, b| (a.used, &a.name).cmp(&(b.used, &b.name)));
        let mut kept = Vec::new();
        for file in all {
            if bytes <= limit {
                kept.push(file);
                continue;
            }
            match self.directory(file.kind)?.remove(&file.name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => bytes -= file.bytes,
            }
        }
        Ok(Collected {
            before,
            after: count(&kept),
        })
    }

    fn remove_abandoned(&self) {
        let Some(unfinished) = &self.unfinished else {
            return;
        };
        let names = unfinished.names().unwrap_or_default();
        let is_unfinished = |name: &String| {
            let mut bytes = name.bytes();
            bytes.all(|byte| byte.is_ascii_digit() || byte == b'.')
        };
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        for name in names.into_iter().filter(is_unfinished) {
            let modified = unfinished.stat_of(&name).ok();
            let modified = modified.and_then(|it| u64::try_from(it.st_mtime).ok());
            let age = modified.map(|modified| since.saturating_sub(Duration::from_secs(modified)));
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = unfinished.remove(&name);
            }
        }
    }
}

/// Whether a directory is this user's or root's, and nobody else writes to it.
fn is_own(found: &Stat, sticky_is_enough: bool) -> bool {
    let mode = Mode::from_raw_mode(found.st_mode);
    let is_owned = [geteuid().as_raw(), 0].contains(&found.st_uid);
    let is_directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
    // In a sticky folder only its owner may rename or remove an entry.
    let is_sticky = sticky_is_enough && mode.contains(Mode::SVTX);
    is_directory && is_owned && (is_sticky || !mode.intersects(OTHERS_WRITE))
}

/// Whether a file has the name of an entry or a chunk, 64 hexadecimal digits.
fn is_ours(name: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.len() == 64 && name.iter().all(is_digit)
}

fn count(all: &[Kept]) -> Counts {
    let of = |kind| all.iter().filter(|it| it.kind == kind).count() as u64;
    Counts {
        entries: of(Kind::Entry),
        chunks: of(Kind::Blob),
        bytes: all.iter().map(|it| it.bytes).sum(),
    }
}

impl Folder {
    fn has(&self, kind: Kind, name: &[u8; 32]) -> Result<bool, StoreError> {
        let found = self.directory(kind)?.stat_of(&hexadecimal(name));
        match found {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a blob is there: looked at where there is reason to, and else as its name says.
    fn keeps(&self, name: &[u8; 32], bytes: &[u8]) -> Result<bool, StoreError> {
        if !self.is_suspect.load(Ordering::Relaxed) {
            return self.has(Kind::Blob, name);
        }
        let found = self.read(Kind::Blob, name, bytes.len())?;
        Ok(found.is_some_and(|found| found == bytes))
    }

    fn put(&self, kind: Kind, name: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        self.has_grown.store(true, Ordering::Relaxed);
        match self.write(kind, name, bytes) {
            // Somebody's folder has the name: that one is not kept.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(()),
            written => Ok(written?),
        }
    }

    /// What is under a name, or the first `most` bytes of it and one more; nothing of what is no file.
    fn read(
        &self,
        kind: Kind,
        name: &[u8; 32],
        most: usize,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Ok(directory) = self.directory(kind) else {
            return Ok(None);
        };
        let file = match directory.read(&hexadecimal(name))? {
            Found::File(file) => file,
            Found::Nothing => return Ok(None),
            // Damage, as other bytes are, and no reason to leave all else alone.
            Found::Other => return Ok(Some(Vec::new())),
        };
        let mut bytes = Vec::new();
        // One byte too many has no right digest.
        (&file).take(most as u64 + 1).read_to_end(&mut bytes)?;
        touch(&file, &stat(&file)?);
        Ok(Some(bytes))
    }

    /// Fills `buffer` with the bytes of a blob, which has as many.
    pub(crate) fn lend(
        &self,
        name: &[u8; 32],
        buffer: &mut [u8],
        deadline: Instant,
    ) -> Result<Lending, StoreError> {
        super::left(deadline, Duration::MAX)?;
        let found = match self.directory(Kind::Blob) {
            Ok(directory) => directory.read(&hexadecimal(name))?,
            Err(_) => Found::Nothing,
        };
        let file = match found {
            Found::File(file) => file,
            Found::Other => return Ok(Lending::Wrong),
            Found::Nothing => {
                self.is_suspect.store(true, Ordering::Relaxed);
                return Ok(Lending::Nothing);
            }
        };
        let lent = Lent::read(file, buffer)?;
        Ok(lent.map_or(Lending::Wrong, Lending::Lent))
    }
}

impl Store for Folder {
    fn as_folder(&self) -> Option<&Folder> {
        Some(self)
    }

    fn together(&self) -> usize {
        TOGETHER
    }

    fn get(
        &self,
        kind: Kind,
        name: &[u8; 32],
        most: usize,
        deadline: Instant,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        super::left(deadline, Duration::MAX)?;
        let found = self.read(kind, name, most)?;
        if found.is_none() && kind == Kind::Blob {
            self.is_suspect.store(true, Ordering::Relaxed);
        }
        Ok(found)
    }

    fn put_entry(&self, key: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        self.put(Kind::Entry, key, bytes)
    }

    fn put_blob(&self, name: &[u8; 32], bytes: &[u8]) -> Result<(), StoreError> {
        if self.keeps(name, bytes)? {
            return Ok(());
        }
        self.put(Kind::Blob, name, bytes)
    }

    fn mends(&self, kind: Kind, name: &[u8; 32]) -> bool {
        // Restoring stops at the first that is wrong: storing looks for the others.
        self.is_suspect.store(true, Ordering::Relaxed);
        let Ok(directory) = self.directory(kind) else {
            return false;
        };
        let name = hexadecimal(name);
        match directory.remove(&name) {
            // Somebody else has found the same, or was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            // A folder in its place stays, and nothing else of the cache is worse for it.
            removed => {
                let is_directory =
                    |found: Stat| FileType::from_raw_mode(found.st_mode) == FileType::Directory;
                removed.is_ok() || directory.stat_of(&name).is_ok_and(is_directory)
            }
        }
    }

    fn settle(&self) -> Result<(), StoreError> {
        if self.has_grown.swap(false, Ordering::Relaxed) && self.counts()?.bytes > self.limit {
            // Not just below the limit, or the next build would collect again.
            self.collect(self.limit / 10 * 9)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn path(folder: &Folder, kind: Kind, name: u8) -> PathBuf {
        let name = hexadecimal(&[name; 32]);
        folder.path.join(kind.folder()).join(name)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(&base.path().join("cache"), 50_000, true).unwrap();
        for name in 0..10 {
            folder.put(Kind::Blob, &[name; 32], &[name; 8192]).unwrap();
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(name));
            let file = File::open(path(&folder, Kind::Blob, name)).unwrap();
            file.set_modified(used).unwrap();
        }
        // The oldest is used once more.
        let found = folder.get(Kind::Blob, &[0; 32], 8192, later()).unwrap();
        assert_eq!(found, Some(vec![0; 8192]));
        folder.settle().unwrap();
        let left: Vec<u8> = (0..10)
            .filter(|name| folder.has(Kind::Blob, &[*name; 32]).unwrap())
            .collect();
        assert_eq!(left, [0, 6, 7, 8, 9]);
        assert_eq!(folder.counts().unwrap().bytes, 5 * 8192);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_private() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("cache");
        let folder = Folder::open(&path, 0, true).unwrap();
        assert!(folder.is_private());
        let inner = ["ac", "cas", "new", "lock"].map(|name| path.join(name));
        for open in inner
            .into_iter()
            .chain([path.clone(), base.path().to_owned()])
        {
            fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
            assert!(!folder.is_private(), "{}", open.display());
            fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_too_long_is_damaged_and_a_link_is_not_followed() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path(), 0, true).unwrap();
        folder.put(Kind::Entry, &[1; 32], &[0; 100]).unwrap();
        let found = folder.get(Kind::Entry, &[1; 32], 10, later());
        assert_eq!(found.unwrap(), Some(vec![0; 11]));
        std::os::unix::fs::symlink("/etc/passwd", path(&folder, Kind::Entry, 2)).unwrap();
        fs::create_dir(path(&folder, Kind::Entry, 4)).unwrap();
        for name in [2, 4] {
            let found = folder.get(Kind::Entry, &[name; 32], 1 << 20, later());
            assert_eq!(found.unwrap(), Some(Vec::new()));
            assert!(folder.mends(Kind::Entry, &[name; 32]));
            folder.put(Kind::Entry, &[name; 32], b"new").unwrap();
        }
        let found = folder.get(Kind::Entry, &[2; 32], 10, later());
        assert_eq!(found.unwrap(), Some(b"new".to_vec()));
        assert!(matches!(
            folder.get(Kind::Entry, &[3; 32], 10, later()),
            Ok(None)
        ));
    }

    #[test]
    fn files_of_others_are_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path(), 0, true).unwrap();
        folder.put(Kind::Blob, &[1; 32], &[0; 100]).unwrap();
        let long = "A".repeat(64);
        let theirs = [
            "ac/precious.txt",
            "cas/x",
            &format!("cas/{long}"),
            "new/notes",
        ];
        for name in theirs {
            let file = File::create(base.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        // As a power cut may leave one.
        File::create(path(&folder, Kind::Blob, 2)).unwrap();
        assert_eq!(folder.counts().unwrap().chunks, 2);
        assert_eq!(folder.collect(0).unwrap().after, Counts::default());
        for name in theirs {
            assert!(base.path().join(name).exists(), "{name}");
        }
        assert!(!folder.has(Kind::Blob, &[1; 32]).unwrap());
        assert!(!folder.has(Kind::Blob, &[2; 32]).unwrap());
        // What is gone already was mended by somebody else.
        assert!(folder.mends(Kind::Blob, &[1; 32]));
    }

    #[test]
    fn a_folder_in_which_links_lead_elsewhere_is_not_used() {
        for name in ["ac", "cas", "new", "lock"] {
            let base = tempfile::tempdir().unwrap();
            let elsewhere = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink(elsewhere.path(), base.path().join(name)).unwrap();
            for writes in [false, true] {
                let error = Folder::open(base.path(), 0, writes).unwrap_err();
                let error = error.to_string();
                assert_eq!(error, format!("`{name}` in it is no directory"));
            }
            assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        }
    }
}
