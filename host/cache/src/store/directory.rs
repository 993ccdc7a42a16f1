//! A directory that was opened once, and files in it by name. Nothing is done through a link, and nobody at the other end of a pipe is
//! waited for: what is in a shared folder is whatever somebody else wants it to be.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

/// How long it is between two looks at a lock.
const LOOK: Duration = Duration::from_millis(20);
/// What a directory is opened with.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// What files are opened with, beside reading or writing.
const CAREFULLY: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

/// An open directory.
#[derive(Debug)]
pub(crate) struct Directory(OwnedFd);

/// What is under a name.
pub(super) enum Found {
    /// A regular file.
    File(File),
    /// A link, a directory, a pipe, a socket or a device.
    Other,
    /// Nothing.
    Nothing,
}

impl Directory {
    /// The directory at a path that somebody named, which may be a link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, DIRECTORY, Mode::empty())?))
    }

    /// The same; it is made if it is missing, with those above it, for its owner alone.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)?;
        Self::open(path)
    }

    /// A directory in it; nothing if there is none.
    ///
    /// # Errors
    /// What has the name is something else, or cannot be opened.
    pub(super) fn inner(&self, name: &str) -> io::Result<Option<Self>> {
        match rustix::fs::openat(&self.0, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(found) => Ok(Some(Self(found))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let why = format!("`{name}` in it is no directory");
                Err(io::Error::new(io::ErrorKind::NotADirectory, why))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a directory in it, for its owner alone, unless something has the name.
    pub(super) fn make_inner(&self, name: &str) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.0, name, Mode::RWXU) {
            Err(Errno::EXIST) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.0)?)
    }

    /// What a name stands for, a link for itself.
    pub(super) fn stat_of(&self, name: &str) -> io::Result<Stat> {
        Ok(rustix::fs::statat(
            &self.0,
            name,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// A file of it, for reading.
    pub(super) fn read(&self, name: &str) -> io::Result<Found> {
        match rustix::fs::openat(&self.0, name, OFlags::RDONLY | CAREFULLY, Mode::empty()) {
            Ok(found) => plain(found),
            Err(Errno::NOENT) => Ok(Found::Nothing),
            // A link, a socket.
            Err(Errno::LOOP | Errno::NXIO) => Ok(Found::Other),
            Err(error) => Err(error.into()),
        }
    }

    /// A new file of it, for writing, for its owner alone.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | CAREFULLY;
        let made = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(made.into())
    }

    /// Gives a file of it a name in another directory of the same file system, in the place of what has it.
    pub(super) fn rename(&self, name: &str, other: &Self, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, name, &other.0, to)?)
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// The names in it that are text, but for `.` and `..`.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            match entry?.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    /// Waits at most so long until nobody else has the lock of this name. Nothing if it cannot be had: it is somebody else's file, no
    /// file at all, or is held for longer.
    pub(crate) fn lock(&self, name: &str, longest: Duration) -> Option<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | CAREFULLY;
        let opened = rustix::fs::openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR).ok()?;
        let Ok(Found::File(file)) = plain(opened) else {
            return None;
        };
        let begun = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Some(file),
                Err(Errno::AGAIN) if begun.elapsed() < longest => thread::sleep(LOOK),
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}

/// What was opened, if it is a regular file.
fn plain(opened: OwnedFd) -> io::Result<Found> {
    let found = rustix::fs::fstat(&opened)?;
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Found::File(opened.into()),
        _ => Found::Other,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_lock_is_taken_of_a_file_and_of_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let precious = base.path().join("precious");
        fs::write(&precious, "kept").unwrap();
        let folder = Directory::make(&base.path().join("lock")).unwrap();
        let path = |name: &str| base.path().join("lock").join(name);
        symlink(&precious, path("link")).unwrap();
        symlink(base.path().join("absent"), path("dangling")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), mode).unwrap();
        for name in ["link", "dangling", "folder", "pipe"] {
            assert!(folder.lock(name, Duration::MAX).is_none(), "{name}");
        }
        assert_eq!(fs::read(&precious).unwrap(), b"kept");
        assert!(!base.path().join("absent").exists());
        // What is in a lock stays, and whoever comes second waits.
        fs::write(path("own"), "kept").unwrap();
        let held = folder.lock("own", Duration::ZERO).unwrap();
        assert!(folder.lock("own", Duration::from_millis(30)).is_none());
        drop(held);
        assert!(folder.lock("own", Duration::ZERO).is_some());
        assert_eq!(fs::read(path("own")).unwrap(), b"kept");
    }

    #[test]
    fn a_link_is_no_directory() {
        let base = tempfile::tempdir().unwrap();
        let folder = Directory::open(base.path()).unwrap();
        symlink("/tmp", base.path().join("cas")).unwrap();
        folder.make_inner("cas").unwrap();
        let error = folder.inner("cas").unwrap_err().to_string();
        assert_eq!(error, "`cas` in it is no directory");
        assert!(folder.inner("ac").unwrap().is_none());
        folder.make_inner("ac").unwrap();
        assert!(folder.inner("ac").unwrap().is_some());
    }
}
