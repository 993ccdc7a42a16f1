//! Compiled guests, kept from one run to the next: native code, so that nothing is used that this user's own host did not
//! write.
//!
//! ```text
//!     cache folder        opened once, by descriptor, after every folder above it was checked
//!       key               32 random bytes, mode 0600
//!       ab12…             a compiled guest: HMAC-SHA-256 (32 bytes), code
//!       cd34…
//! ```
//!
//! An entry is named after the guest, the compiler's settings and the process that compiled it; the code is authenticated
//! with the name. What a walled process has compiled is run in walled processes only.

mod folder;
mod kept;

pub use kept::Kept;

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, fstat, linkat, openat, renameat,
    statat, unlinkat, utimensat,
};
use sha2::{Digest as _, Sha256};

use super::engine::Home;
use cellblock_text::hexadecimal;
use folder::is_own_file;

/// The most guests that are kept; beyond, those go whose last use is the longest ago.
const KEPT: usize = 64;
/// The most bytes that they take together.
const KEPT_BYTES: u64 = 2 << 30;
/// The largest entry in bytes that is read.
const ENTRY_LIMIT: u64 = 1 << 30;
/// The length in bytes of the key, and of what authenticates an entry.
const KEY: usize = 32;
/// The name of the key's file.
const KEY_NAME: &str = "key";

/// When a file was written or used last: seconds and nanoseconds.
type Age = (i64, u32);

/// A folder of compiled guests.
pub(super) struct Cache {
    folder: OwnedFd,
    key: [u8; KEY],
}

/// The name of what one kind of process makes of a guest with one set of settings.
pub(super) struct Entry(String);

impl Entry {
    /// The entry of the guest with the digest `guest`, as a process of the kind `home` compiles it with settings that hash
    /// as `settings`.
    pub(super) fn new(home: Home, guest: &[u8; 32], settings: &impl Hash) -> Self {
        let label: &[u8] = match home {
            Home::Host => b"cellblock 1 host\0",
            Home::Own => b"cellblock 1 cell\0",
        };
        let mut hasher = Sha256Hasher(Sha256::new_with_prefix(label));
        hasher.0.update(guest);
        settings.hash(&mut hasher);
        Self(hexadecimal(&hasher.0.finalize()))
    }
}

/// Hands what is hashed to SHA-256, so that names are the same in every process.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the digest is taken instead")
    }
}

impl Cache {
    /// Opens the cache in the folder `path`.
    ///
    /// # Errors
    /// Why it cannot be used: whoever could write to it could have the host run what they like.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let folder = folder::open(path).map_err(|error| error.to_string())?;
        let key =
            key(&folder).map_err(|error| format!("{}: {error}", path.join(KEY_NAME).display()))?;
        Ok(Self { folder, key })
    }

    /// The code of `entry`, if this user's host has written it.
    pub(super) fn get(&self, entry: &Entry) -> Option<Vec<u8>> {
        let mut bytes = read_own(&self.folder, &entry.0, ENTRY_LIMIT).ok()?;
        let (tag, code) = bytes.split_at_checked(KEY)?;
        self.mac(entry, code).verify_slice(tag).ok()?;
        bytes.drain(..KEY);
        self.touch(&entry.0);
        Some(bytes)
    }

    /// Notes that an entry is used. Where that fails, it goes earlier than it might.
    fn touch(&self, name: &str) {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: now,
            last_modification: now,
        };
        let _ = utimensat(&self.folder, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }

    /// Keeps `code` for `entry`. Where that fails, the next run compiles anew.
    pub(super) fn put(&self, entry: &Entry, code: &[u8]) {
        self.prune(code.len() as u64);
        let tag = self.mac(entry, code).finalize().into_bytes();
        // Nobody waits for it, and the build is no worse without.
        let _ = self.write(&entry.0, &[&tag, code]);
    }

    fn mac(&self, entry: &Entry, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(entry.0.as_bytes());
        mac.update(code);
        mac
    }

    fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let temporary = write_new(&self.folder, parts)?;
        let renamed = renameat(&self.folder, &temporary, &self.folder, name);
        if renamed.is_err() {
            remove(&self.folder, &temporary);
        }
        Ok(renamed?)
    }

    /// Makes room for `bytes` more.
    fn prune(&self, bytes: u64) {
        let Ok(files) = self.files() else {
            return;
        };
        let mut count = files.len() + 1;
        let mut total = files.iter().map(|(_, size, _)| size).sum::<u64>() + bytes;
        for (_, size, name) in files {
            if count <= KEPT && total <= KEPT_BYTES {
                return;
            }
            remove(&self.folder, &name);
            count -= 1;
            total -= size;
        }
    }

    /// The files of entries, and those that a host which was killed has left, from the oldest on: when they were written
    /// or used, their sizes in bytes, and their names.
    fn files(&self) -> io::Result<BTreeSet<(Age, u64, String)>> {
        let mut files = BTreeSet::new();
        for entry in Dir::read_from(&self.folder)? {
            let Ok(name) = entry?.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            if !is_digest(&name) && !name.starts_with(TEMPORARY) {
                continue;
            }
            let Ok(stat) = statat(&self.folder, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if is_own_file(&stat) {
                let size = u64::try_from(stat.st_size).expect("a file has no negative size");
                let nanoseconds = u32::try_from(stat.st_mtime_nsec).expect("less than a second");
                files.insert(((stat.st_mtime, nanoseconds), size, name));
            }
        }
        Ok(files)
    }
}

fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The key, which is made if there is none.
fn key(folder: &OwnedFd) -> io::Result<[u8; KEY]> {
    match read_key(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    let mut key = [0; KEY];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    let temporary = write_new(folder, &[&key])?;
    let linked = linkat(folder, &temporary, folder, KEY_NAME, AtFlags::empty());
    remove(folder, &temporary);
    match linked {
        // Another host may have been faster: its key is everybody's.
        Ok(()) | Err(rustix::io::Errno::EXIST) => read_key(folder),
        Err(error) => Err(error.into()),
    }
}

fn read_key(folder: &OwnedFd) -> io::Result<[u8; KEY]> {
    let file = open_own(folder, KEY_NAME)?;
    if fstat(&file)?.st_mode & 0o077 != 0 {
        return Err(io::Error::other("others may read it; remove it"));
    }
    let mut key = Vec::new();
    file.take(KEY as u64 + 1).read_to_end(&mut key)?;
    key.try_into()
        .map_err(|_| io::Error::other(format!("it does not have {KEY} bytes; remove it")))
}

/// How the names of files begin that are not complete.
const TEMPORARY: &str = "new-";

/// Writes a file under a name of its own, for this user alone: the name.
fn write_new(folder: &OwnedFd, parts: &[&[u8]]) -> io::Result<String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{TEMPORARY}{}-{number}", std::process::id());
    // One that a host with this process id has left.
    remove(folder, &name);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, &name, flags, Mode::RUSR | Mode::WUSR)?);
    let written = parts.iter().try_for_each(|part| file.write_all(part));
    if written.is_err() {
        remove(folder, &name);
    }
    written.map(|()| name)
}

fn remove(folder: &OwnedFd, name: &str) {
    // Somebody else may have removed it.
    let _ = unlinkat(folder, name, AtFlags::empty());
}

fn open_own(folder: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty())?;
    if !is_own_file(&fstat(&file)?) {
        return Err(io::Error::other("it is no file of this user alone"));
    }
    Ok(file.into())
}

fn read_own(folder: &OwnedFd, name: &str, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_own(folder, name)?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn entry(number: u8) -> Entry {
        Entry::new(Home::Own, &[number; 32], &"settings")
    }

    #[test]
    fn what_was_kept_is_found_by_another_host_of_the_same_user() {
        let base = tempfile::tempdir().unwrap();
        let cache = Cache::open(base.path()).unwrap();
        assert_eq!(cache.get(&entry(1)), None);
        cache.put(&entry(1), b"code");
        cache.put(&entry(1), b"newer code");
        let again = Cache::open(base.path()).unwrap();
        assert_eq!(again.get(&entry(1)).unwrap(), b"newer code");
        assert_eq!(again.get(&entry(2)), None);
        let key = fs::metadata(base.path().join(KEY_NAME)).unwrap();
        assert_eq!(key.permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn each_kind_of_process_has_its_own_entries() {
        let base = tempfile::tempdir().unwrap();
        let cache = Cache::open(base.path()).unwrap();
        cache.put(&entry(1), b"code of a walled process");
        let [other_home, other_settings] = [
            Entry::new(Home::Host, &[1; 32], &"settings"),
            Entry::new(Home::Own, &[1; 32], &"other settings"),
        ];
        // Nor where somebody gives the one's file the other's name.
        for other in [other_home, other_settings] {
            fs::copy(base.path().join(&entry(1).0), base.path().join(&other.0)).unwrap();
            assert_eq!(cache.get(&other), None);
        }
    }

    #[test]
    fn what_this_host_did_not_write_is_not_used() {
        let base = tempfile::tempdir().unwrap();
        let cache = Cache::open(base.path()).unwrap();
        cache.put(&entry(1), b"code");
        let file = base.path().join(&entry(1).0);
        let genuine = fs::read(&file).unwrap();
        for position in 0..genuine.len() {
            let mut forged = genuine.clone();
            forged[position] ^= 1;
            fs::write(&file, forged).unwrap();
            assert_eq!(cache.get(&entry(1)), None, "{position}");
        }
        for forged in [&genuine[..KEY], &genuine[..KEY - 1], &[]] {
            fs::write(&file, forged).unwrap();
            assert_eq!(cache.get(&entry(1)), None);
        }
        fs::write(&file, &genuine).unwrap();
        assert!(cache.get(&entry(1)).is_some());
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(cache.get(&entry(1)), None);
        // Another key, as in a folder that came from elsewhere.
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        fs::write(base.path().join(KEY_NAME), [7; KEY]).unwrap();
        assert_eq!(Cache::open(base.path()).unwrap().get(&entry(1)), None);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let base = tempfile::tempdir().unwrap();
        drop(Cache::open(base.path()).unwrap());
        let key = base.path().join(KEY_NAME);
        fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        let refused = Cache::open(base.path()).map(|_| ()).unwrap_err();
        assert!(
            refused.ends_with("others may read it; remove it"),
            "{refused}"
        );
        fs::remove_file(&key).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &key).unwrap();
        assert!(Cache::open(base.path()).is_err());
    }

    #[test]
    fn what_was_used_stays() {
        let base = tempfile::tempdir().unwrap();
        let cache = Cache::open(base.path()).unwrap();
        let long_ago = |number: u8| {
            let file = File::options()
                .write(true)
                .open(base.path().join(&entry(number).0));
            let written = UNIX_EPOCH + Duration::from_secs(number.into());
            file.unwrap().set_modified(written).unwrap();
        };
        cache.put(&entry(0), b"used");
        for number in 1..100 {
            long_ago(0);
            assert!(cache.get(&entry(0)).is_some(), "{number}");
            cache.put(&entry(number), b"code");
            long_ago(number);
        }
        assert!(cache.get(&entry(1)).is_none());
    }

    #[test]
    fn the_oldest_make_room() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("somebody's")).unwrap();
        let cache = Cache::open(base.path()).unwrap();
        for number in 0..100 {
            cache.put(&entry(number), b"code");
            let file = File::options()
                .write(true)
                .open(base.path().join(&entry(number).0));
            let written = UNIX_EPOCH + Duration::from_secs(number.into());
            file.unwrap().set_modified(written).unwrap();
        }
        let names = fs::read_dir(base.path()).unwrap().count();
        assert_eq!(names, KEPT + ["somebody's", KEY_NAME].len());
        assert!(cache.get(&entry(99)).is_some());
        assert!(cache.get(&entry(0)).is_none());
        assert!(base.path().join("somebody's").is_dir());
    }
}
