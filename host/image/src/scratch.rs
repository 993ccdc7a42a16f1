//! Files without a name, beside the image.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::ImageError;

/// The folder of the image, where files are made without a name.
#[derive(Clone, Debug)]
pub struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// The folder that will hold `image`.
    #[must_use]
    pub fn beside(image: &Path) -> Self {
        let folder = image
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An empty file that has no name and vanishes with the process.
    ///
    /// # Errors
    /// If the folder is not there or not writable.
    pub fn file(&self) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o666);
        let folder = rustix::fs::open(
            &self.folder,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        match rustix::fs::openat(&folder, ".", flags | OFlags::TMPFILE, mode) {
            Ok(file) => Ok(file.into()),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                named_and_unlinked(&folder)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// An empty file that has no name.
    ///
    /// # Errors
    /// [`ImageError::Create`] if the folder is not there or not writable.
    pub fn create(&self) -> Result<File, ImageError> {
        self.file().map_err(|source| ImageError::Create {
            folder: self.folder.clone(),
            source,
        })
    }

    /// The error for a transfer to or from a file of this folder that failed.
    pub(super) fn transfer_error(
        &self,
        action: &'static str,
        offset: u64,
        length: u64,
        source: io::Error,
    ) -> ImageError {
        let folder = self.folder.clone();
        if source.kind() == io::ErrorKind::StorageFull
            || source.kind() == io::ErrorKind::QuotaExceeded
        {
            let free = rustix::fs::statvfs(&self.folder)
                .map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
            return ImageError::Full {
                folder,
                free,
                length,
            };
        }
        if source.kind() == io::ErrorKind::FileTooLarge {
            return ImageError::TooLong { folder, length };
        }
        ImageError::Transfer {
            folder,
            action,
            offset,
            length,
            source,
        }
    }
}

/// For file systems without unnamed files: the name is gone before a byte is written.
fn named_and_unlinked(folder: &OwnedFd) -> io::Result<File> {
    for attempt in 0..1000_u32 {
        let name = format!(".cellblock.{}.{attempt}", std::process::id());
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
        match rustix::fs::openat(folder, &name, flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => {
                rustix::fs::unlinkat(folder, &name, AtFlags::empty())?;
                return Ok(file.into());
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::EXIST.into())
}

/// Gives the unnamed `file` the name `path`, which must be free.
pub(super) fn link(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let by_number = format!("/proc/self/fd/{}", file.as_raw_fd());
    let linked = rustix::fs::linkat(CWD, by_number, CWD, path, AtFlags::SYMLINK_FOLLOW);
    match linked {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(Errno::EXIST.into()),
        // Without /proc: newer kernels let the opener link by the descriptor alone.
        Err(first) => rustix::fs::linkat(file.as_fd(), "", CWD, path, AtFlags::EMPTY_PATH)
            .map_err(|second| match second {
                Errno::EXIST => Errno::EXIST,
                _ => first,
            })
            .map_err(io::Error::from),
    }
}

/// For file systems where an unnamed file cannot be given a name: a new file at `path`, which must be free.
pub(super) fn create_named(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}

/// Removes `path` if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
