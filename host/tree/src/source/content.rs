//! Where the bytes of files are: places in stores.

use super::directory::Walked;
use super::error::SourceError;
use crate::Timestamp;
use cellblock_text::PathBytes;
use rustix::fs::{AtFlags, Statx, StatxFlags};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Something opened that holds the bytes of files.
#[derive(Debug)]
pub(crate) enum Store {
    /// A source directory.
    Directory(Walked),
    /// A file of the host, which others may write to: a plain archive, or a single file.
    Shared {
        path: PathBuf,
        file: File,
        stamp: Stamp,
        size: u64,
    },
    /// An unnamed temporary file, which only this process can reach.
    Private { path: PathBuf, file: File },
    /// Bytes in memory.
    Memory(Vec<u8>),
}

/// A file's bytes: where in which store.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    /// Index into the tree's stores.
    pub(crate) store: u32,
    pub(crate) place: Place,
}

/// Where in a store.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A file of a source directory.
    Walked {
        /// The directory's number in the walk.
        directory: u32,
        /// Its name there, where that may differ from the node's: a file with several links.
        name: Option<Box<[u8]>>,
        stamp: Stamp,
    },
    /// A stretch of an opened file, or of memory, from this byte on.
    At(u64),
    /// Pieces of an opened file, ascending; the rest are holes.
    Pieces(Box<[Piece]>),
}

/// A stretch of data in a file with holes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// First byte in the file.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) length: u64,
    /// First byte in the store.
    pub(crate) position: u64,
}

/// What tells that a file is still the same one, and unchanged. The size is kept with the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, u32),
    /// Not for a file that is kept open: removing or renaming it, which does it no harm, sets this time.
    changed: Option<(i64, u32)>,
}

impl Stamp {
    pub(crate) fn new(status: &Statx) -> Self {
        Self {
            changed: Some((status.stx_ctime.tv_sec, status.stx_ctime.tv_nsec)),
            ..Self::of_open(status)
        }
    }

    /// For a file that is kept open.
    pub(crate) fn of_open(status: &Statx) -> Self {
        Self {
            device: device(status),
            inode: status.stx_ino,
            modified: (status.stx_mtime.tv_sec, status.stx_mtime.tv_nsec),
            changed: None,
        }
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
        let now = match self.changed {
            Some(_) => Self::new(&status),
            None => Self::of_open(&status),
        };
        if now == *self && status.stx_size == size {
            return Ok(());
        }
        let (what, was, is) = self.difference(size, &now, status.stx_size);
        let (root, path) = name();
        Err(SourceError::Changed {
            root,
            path,
            what,
            was,
            is,
        })
    }

    fn difference(&self, size: u64, now: &Self, size_now: u64) -> (&'static str, String, String) {
        let time = |(seconds, nanoseconds): (i64, u32)| format!("{seconds}.{nanoseconds:09}");
        if (self.device, self.inode) != (now.device, now.inode) {
            let identity = |stamp: &Self| format!("{} on device {}", stamp.inode, stamp.device);
            ("inode", identity(self), identity(now))
        } else if size != size_now {
            ("size", size.to_string(), size_now.to_string())
        } else if self.modified != now.modified {
            ("modification time", time(self.modified), time(now.modified))
        } else {
            let time = |stamp: &Self| stamp.changed.map(time).unwrap_or_default();
            ("change time", time(self), time(now))
        }
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
