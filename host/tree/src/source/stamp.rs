//! What tells that a file or a directory of the host is still the one that was looked at, and unchanged.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use cellblock_text::PathBytes;
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags};

use super::error::SourceError;
use crate::Timestamp;

/// What tells that a file is still the same one, and unchanged. Its size is kept with its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, u32),
    changed: (i64, u32),
    /// How many names it has, for a file that is kept open: taking one away, or giving it another, does it no harm, but sets
    /// the change time. When this number is another one, the change time says nothing.
    names: Option<u32>,
}

impl Stamp {
    /// For what is opened again by its name, and for directories.
    pub(crate) fn new(status: &Statx) -> Self {
        Self {
            device: device(status),
            inode: status.stx_ino,
            modified: (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec),
            changed: (status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec),
            names: None,
        }
    }

    /// For a file that is kept open.
    pub(crate) fn of_open(status: &Statx) -> Self {
        Self {
            names: Some(status.stx_nlink),
            ..Self::new(status)
        }
    }

    /// Device and inode.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Compares with the open file `fd`, whose `size` was recorded too.
    pub(crate) fn verify(
        &self,
        size: u64,
        fd: impl AsFd,
        name: impl Fn() -> (PathBuf, PathBytes),
    ) -> Result<(), SourceError> {
        let status = status(fd).map_err(|error| {
            let (root, path) = name();
            SourceError::Io {
                root,
                path,
                action: "inspect",
                error: error.into(),
            }
        })?;
        self.compare(Some(size), &status, name)
    }

    /// Compares with what is found now. Of a directory the size says nothing.
    pub(crate) fn compare(
        &self,
        size: Option<u64>,
        status: &Statx,
        name: impl Fn() -> (PathBuf, PathBytes),
    ) -> Result<(), SourceError> {
        let now = Self::new(status);
        let Some((what, was, is)) = self.difference(size, &now, status) else {
            return Ok(());
        };
        let (root, path) = name();
        Err(SourceError::Changed {
            root,
            path,
            what,
            was,
            is,
        })
    }

    /// The first property that is another one now: what it is called, and both values.
    fn difference(
        &self,
        size: Option<u64>,
        now: &Self,
        status: &Statx,
    ) -> Option<(&'static str, String, String)> {
        let time = |(seconds, nanoseconds): (i64, u32)| format!("{seconds}.{nanoseconds:09}");
        let renamed = self.names.is_some_and(|names| names != status.stx_nlink);
        if (self.device, self.inode) != (now.device, now.inode) {
            let identity = |stamp: &Self| format!("{} on device {}", stamp.inode, stamp.device);
            Some(("inode", identity(self), identity(now)))
        } else if let Some(size) = size
            && size != status.stx_size
        {
            Some(("size", size.to_string(), status.stx_size.to_string()))
        } else if self.modified != now.modified {
            Some(("modification time", time(self.modified), time(now.modified)))
        } else if self.changed != now.changed && !renamed {
            Some(("change time", time(self.changed), time(now.changed)))
        } else {
            None
        }
    }
}

/// A file of the host as it was when somebody began to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    stamp: Stamp,
    size: u64,
}

impl Seen {
    /// The open file as it is now.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        let status = status(file)?;
        Ok(Self {
            stamp: Stamp::of_open(&status),
            size: status.stx_size,
        })
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Looks whether it is still the same; nothing if it is, and else what has changed, in words.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn change(&self, file: impl AsFd) -> io::Result<Option<String>> {
        let status = status(file)?;
        let now = Stamp::new(&status);
        let found = self.stamp.difference(Some(self.size), &now, &status);
        Ok(found.map(|(what, was, is)| format!("its {what} was {was}, and is {is}")))
    }
}

/// Bytes of a [`Mark`].
pub(crate) const MARK: usize = 56;

/// What tells that a stretch of a file of the host has the same bytes as when it was hashed: device, inode, size, times of
/// modification and of change, and where in it the bytes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) bytes: [u8; MARK],
    /// The device that the file is on.
    pub(crate) device: u64,
    /// The later one of its times, in seconds since 1970.
    pub(crate) latest: i64,
    /// The time of the change is one that a kernel sets, to a fraction of a second: who makes an image of a file system sets it to
    /// that of the modification, or to one time for all.
    pub(crate) is_exact: bool,
}

impl Mark {
    /// `size` bytes of the file that `stamp` was taken of, from `position` on; the whole file without one.
    pub(crate) fn new(stamp: &Stamp, size: u64, position: Option<u64>) -> Self {
        let Stamp {
            modified, changed, ..
        } = stamp;
        let (device, inode) = stamp.identity();
        let mut bytes = [0; MARK];
        let fields = [
            &device.to_le_bytes()[..],
            &inode.to_le_bytes(),
            &size.to_le_bytes(),
            &modified.0.to_le_bytes(),
            &modified.1.to_le_bytes(),
            &changed.0.to_le_bytes(),
            &changed.1.to_le_bytes(),
            &position.unwrap_or(u64::MAX).to_le_bytes(),
        ];
        let mut at = 0;
        for field in fields {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        }
        Self {
            bytes,
            device,
            latest: modified.0.max(changed.0),
            is_exact: changed.1 != 0,
        }
    }
}

/// A file of the host, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file at `path`, links followed.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        let flags = AtFlags::empty();
        let status = rustix::fs::statx(CWD, path, flags, StatxFlags::BASIC_STATS)?;
        Ok(Self::of(&status))
    }

    /// The file that is open, such as standard output.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of_open(file: impl AsFd) -> io::Result<Self> {
        Ok(Self::of(&status(file)?))
    }

    pub(crate) fn of(status: &Statx) -> Self {
        Self {
            device: device(status),
            inode: status.stx_ino,
        }
    }

    /// Device and inode.
    pub(crate) fn numbers(self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// The status of an open file.
pub(crate) fn status(fd: impl AsFd) -> rustix::io::Result<Statx> {
    rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
}

/// A device number as one key.
pub(crate) fn device(status: &Statx) -> u64 {
    (u64::from(status.stx_dev_major) << 32) | u64::from(status.stx_dev_minor)
}

/// The time of the last change of content.
pub(crate) fn modified(status: &Statx) -> Timestamp {
    Timestamp {
        seconds: status.stx_mtime.tv_sec,
        nanoseconds: status.stx_mtime.tv_nsec,
    }
}
