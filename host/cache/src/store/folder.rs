//! A folder: `ac/HEX` has entries, `cas/HEX` chunks, as a web server could hand them out.
//!
//! A file appears under its name once it is complete. What was used last is told by its time of modification; the rest goes first
//! when there is too much.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use cellblock_text::hexadecimal;
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{Kind, Store, StoreError};

/// Where files are written before they have their names.
const UNFINISHED: &str = "new";
/// Where locks are.
pub(crate) const LOCKS: &str = "lock";
/// What a killed process has left there is removed after this time.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);
/// Whoever may write to a folder besides its owner.
const OTHERS_WRITE: u32 = 0o022;
/// In such a folder only its owner may rename or remove an entry.
const STICKY: u32 = 0o1000;

/// A cache in a folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The most bytes that it may hold.
    limit: u64,
    has_grown: AtomicBool,
    unfinished: AtomicU64,
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
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Folder {
    /// The folder at `path`, which is made if it is missing and `writes` says so.
    pub(crate) fn open(path: &Path, limit: u64, writes: bool) -> io::Result<Self> {
        if writes {
            for name in [Kind::Entry.folder(), Kind::Blob.folder(), UNFINISHED, LOCKS] {
                let mut builder = fs::DirBuilder::new();
                builder.recursive(true).mode(0o700);
                builder.create(path.join(name))?;
            }
        }
        Ok(Self {
            path: path.canonicalize()?,
            limit,
            has_grown: AtomicBool::new(false),
            unfinished: AtomicU64::new(0),
            is_suspect: AtomicBool::new(false),
        })
    }

    /// Whether it has the folders of a cache, or nothing.
    pub(crate) fn is_cache(&self) -> bool {
        let mut folders = [Kind::Entry, Kind::Blob].into_iter();
        folders.any(|kind| self.path.join(kind.folder()).is_dir())
            || fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// Whether nobody but this user and root can have put anything there.
    pub(crate) fn is_private(&self) -> bool {
        let user = geteuid().as_raw();
        let folders = [Kind::Entry.folder(), Kind::Blob.folder()];
        let inner = folders.iter().map(|name| self.path.join(name));
        let ancestors = self.path.ancestors().skip(1).map(Path::to_owned);
        let own = |path: &Path, sticky_is_enough: bool| match fs::symlink_metadata(path) {
            Ok(found) => {
                let is_owned = [user, 0].contains(&found.uid());
                let is_closed = found.mode() & OTHERS_WRITE == 0;
                let is_sticky = sticky_is_enough && found.mode() & STICKY != 0;
                found.is_dir() && is_owned && (is_closed || is_sticky)
            }
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        own(&self.path, false)
            && inner.into_iter().all(|path| own(&path, false))
            && ancestors.into_iter().all(|path| own(&path, true))
    }

    fn file(&self, kind: Kind, name: &[u8; 32]) -> PathBuf {
        self.path.join(kind.folder()).join(hexadecimal(name))
    }

    fn write(&self, kind: Kind, name: &[u8; 32], bytes: &[u8]) -> io::Result<()> {
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.path.join(UNFINISHED);
        let unfinished = unfinished.join(format!("{}.{number}", std::process::id()));
        let _ = fs::remove_file(&unfinished);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&unfinished, self.file(kind, name)));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn all(&self) -> io::Result<Vec<Kept>> {
        let mut all = Vec::new();
        for kind in [Kind::Entry, Kind::Blob] {
            let entries = match fs::read_dir(self.path.join(kind.folder())) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                // Files of others are nobody's business.
                if !is_ours(entry.file_name().as_encoded_bytes()) {
                    continue;
                }
                // Whoever else collects may have removed it meanwhile.
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if metadata.is_file() {
                    all.push(Kept {
                        kind,
                        path: entry.path(),
                        // What a small file takes of the disk counts.
                        bytes: metadata.len().max(metadata.blocks() * 512),
                        used: metadata.modified()?,
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
        let lock = File::create(self.path.join(LOCKS).join("gc"));
        // Where it cannot be locked, two may collect at a time: each file is removed once all the same.
        let _lock = lock.and_then(|file| {
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        });
        self.remove_abandoned();
        let mut all = self.all()?;
        let before = count(&all);
        let mut bytes = before.bytes;
        all.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        let mut kept = Vec::new();
        for file in all {
            if bytes <= limit {
                kept.push(file);
                continue;
            }
            match fs::remove_file(&file.path) {
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
        let Ok(entries) = fs::read_dir(self.path.join(UNFINISHED)) else {
            return;
        };
        let is_unfinished = |entry: &fs::DirEntry| {
            let name = entry.file_name();
            let mut bytes = name.as_encoded_bytes().iter();
            bytes.all(|byte| byte.is_ascii_digit() || *byte == b'.')
        };
        for entry in entries.flatten().filter(is_unfinished) {
            let modified = entry.metadata().and_then(|it| it.modified());
            let age = modified.ok().and_then(|it| it.elapsed().ok());
            if age.is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
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
        Ok(self.file(kind, name).try_exists()?)
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
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).expect("flags of open(2) are an int");
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(self.file(kind, name));
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // A link is damage, as other bytes are, and no reason to leave all else alone.
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                return Ok(Some(Vec::new()));
            }
            opened => opened?,
        };
        if !file.metadata()?.is_file() {
            return Ok(Some(Vec::new()));
        }
        let mut bytes = Vec::new();
        // One byte too many has no right digest.
        (&file).take(most as u64 + 1).read_to_end(&mut bytes)?;
        // It is used: it stays longer. Of a folder that may only be read, nobody keeps account.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(bytes))
    }
}

impl Store for Folder {
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
        let removed = fs::remove_file(self.file(kind, name));
        // A folder in its place stays, and nothing else of the cache is worse for it.
        removed.is_ok() || self.file(kind, name).is_dir()
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
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

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
            let file = File::open(folder.file(Kind::Blob, &[name; 32])).unwrap();
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
        for open in [path.clone(), path.join("cas"), base.path().to_owned()] {
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
        std::os::unix::fs::symlink("/etc/passwd", folder.file(Kind::Entry, &[2; 32])).unwrap();
        fs::create_dir(folder.file(Kind::Entry, &[4; 32])).unwrap();
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
        assert_eq!(folder.counts().unwrap().chunks, 1);
        assert_eq!(folder.collect(0).unwrap().after, Counts::default());
        for name in theirs {
            assert!(base.path().join(name).exists(), "{name}");
        }
        assert!(!folder.has(Kind::Blob, &[1; 32]).unwrap());
    }
}
