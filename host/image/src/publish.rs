//! The image's file: spliced together without a name, then published.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::{ImageError, PartitionFile, Scratch, copy, scratch};

/// An image that is being put together. It has no name until [`Image::publish`].
#[derive(Debug)]
pub struct Image {
    file: File,
    size: u64,
    scratch: Scratch,
}

impl Image {
    /// An image of `size` zero bytes.
    ///
    /// # Errors
    /// [`ImageError`] if its file cannot be made.
    pub fn new(scratch: &Scratch, size: u64) -> Result<Self, ImageError> {
        Self::from_file(scratch, scratch.create()?, size)
    }

    /// An image of `size` bytes that `partition`'s file becomes: the partition stands in it already.
    ///
    /// # Errors
    /// [`ImageError`] if the file cannot be extended.
    pub fn around(
        scratch: &Scratch,
        partition: PartitionFile,
        size: u64,
    ) -> Result<Self, ImageError> {
        Self::from_file(scratch, partition.file, size)
    }

    /// An image whose file is `file`, whole and as long as it is.
    pub(super) fn whole(scratch: &Scratch, file: File, size: u64) -> Self {
        Self {
            file,
            size,
            scratch: scratch.clone(),
        }
    }

    fn from_file(scratch: &Scratch, file: File, size: u64) -> Result<Self, ImageError> {
        file.set_len(size)
            .map_err(|source| scratch.transfer_error("making room", 0, size, source))?;
        Ok(Self::whole(scratch, file, size))
    }

    /// The size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file, for reading.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// [`ImageError`] if the disk does not take them.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), ImageError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|source| self.error(offset, bytes.len() as u64, source))
    }

    /// Moves `partition` to `offset`, where the image has zeros: clones it, or copies its data. Holes stay holes.
    ///
    /// # Errors
    /// [`ImageError`] if the disk does not take it.
    pub fn splice(&self, partition: &PartitionFile, offset: u64) -> Result<(), ImageError> {
        let size = partition.size();
        copy::data(&partition.file, partition.base, &self.file, offset, size)
            .map_err(|source| self.error(offset, size, source))
    }

    /// Copies the file at `path`, which has `length` bytes, to `offset`, where the image has zeros.
    ///
    /// # Errors
    /// [`ImageError`] if it cannot be read or has another length, or the disk does not take it.
    pub fn splice_file(&self, path: &Path, offset: u64, length: u64) -> Result<(), ImageError> {
        let raw = |source| ImageError::Raw {
            path: path.to_owned(),
            source,
        };
        let source = File::open(path).map_err(raw)?;
        let is = source.metadata().map_err(raw)?.len();
        if is != length {
            return Err(ImageError::RawChanged {
                path: path.to_owned(),
                was: length,
                is,
            });
        }
        copy::data(&source, 0, &self.file, offset, length).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                raw(error)
            } else {
                self.error(offset, length, error)
            }
        })
    }

    /// Gives the image its name: at once and complete. What had the name before is replaced.
    ///
    /// # Errors
    /// [`ImageError`] if the name cannot be given; what had it before is then as it was.
    pub fn publish(self, path: &Path) -> Result<(), ImageError> {
        let target = target(path)?;
        let failed = |source| ImageError::Publish {
            path: path.to_owned(),
            source,
        };
        match scratch::link(&self.file, &target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.replace(&target).map_err(failed)
            }
            Err(_) => self.copy_to_name(&target).map_err(failed),
        }
    }

    /// `link(2)` does not replace: a name beside the target is linked, and renamed over it at once.
    fn replace(&self, target: &Path) -> io::Result<()> {
        let beside = beside(target);
        scratch::remove(&beside)?;
        match scratch::link(&self.file, &beside) {
            Ok(()) => rename(&beside, target),
            Err(_) => self.copy_to_name(target),
        }
    }

    /// For file systems that cannot name an unnamed file.
    fn copy_to_name(&self, target: &Path) -> io::Result<()> {
        let beside = beside(target);
        scratch::remove(&beside)?;
        let named = scratch::create_named(&beside)?;
        let copied = named
            .set_len(self.size)
            .and_then(|()| named.set_permissions(self.file.metadata()?.permissions()))
            .and_then(|()| copy::data(&self.file, 0, &named, 0, self.size));
        match copied {
            Ok(()) => rename(&beside, target),
            Err(error) => {
                scratch::remove(&beside)?;
                Err(error)
            }
        }
    }

    fn error(&self, offset: u64, length: u64, source: io::Error) -> ImageError {
        self.scratch
            .transfer_error("writing", offset, length, source)
    }
}

/// Checks before anything is built that an image can have the name `path`, and gives the name itself: a symbolic link's
/// target.
///
/// # Errors
/// [`ImageError`] if it is a directory's or a device's, or its folder is not there.
pub fn target(path: &Path) -> Result<PathBuf, ImageError> {
    let create_error = |source| ImageError::Create {
        folder: Scratch::beside(path).folder().to_owned(),
        source,
    };
    let target = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => path.canonicalize().map_err(create_error)?,
        _ => path.to_owned(),
    };
    match fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => Err(ImageError::IsDirectory { path: target }),
        Ok(metadata) if !metadata.is_file() => Err(ImageError::NotAFile { path: target }),
        Ok(_) => Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.file_name().is_none() {
                return Err(ImageError::IsDirectory { path: target });
            }
            let folder = Scratch::beside(&target);
            fs::metadata(folder.folder()).map_err(create_error)?;
            Ok(target)
        }
        Err(error) => Err(create_error(error)),
    }
}

/// The name beside `target` that exists between a link and a rename only; one that a killed process left is replaced.
fn beside(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".cellblock");
    target.with_file_name(name)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to).inspect_err(|_| {
        // The error that is returned says more than one of the removal.
        let _ = scratch::remove(from);
    })
}
