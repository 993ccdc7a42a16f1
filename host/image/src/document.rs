//! A small file beside an image, such as its record.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::{Durability, Image, ImageError, Scratch, target};

/// A file whose place is looked at before anything is built, which is written before the image gets its name, and gets its
/// own name behind it: complete or not at all. A device of characters or a pipe is written as it is, and a block device never.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    file: File,
    /// Where the file has no name yet.
    scratch: Option<Scratch>,
}

impl Document {
    /// Looks whether there can be such a file.
    ///
    /// # Errors
    /// [`ImageError`] if its folder takes no files, or it is a directory or a block device.
    pub fn prepare(path: &Path) -> Result<Self, ImageError> {
        let found = fs::metadata(path);
        if found
            .as_ref()
            .is_ok_and(|it| it.file_type().is_block_device())
        {
            return Err(ImageError::NotAFile {
                path: path.to_owned(),
            });
        }
        let is_special = found.is_ok_and(|it| !it.is_file() && !it.is_dir());
        let (file, scratch) = if is_special {
            let opened = OpenOptions::new().write(true).open(path);
            let failed = |source| ImageError::Open {
                path: path.to_owned(),
                source,
            };
            (opened.map_err(failed)?, None)
        } else {
            let scratch = Scratch::beside(&target(path)?);
            (scratch.create()?, Some(scratch))
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            scratch,
        })
    }

    /// Its size in bytes and its SHA-256 digest; none of a device or a pipe, which keep nothing.
    ///
    /// # Errors
    /// [`ImageError`] if it cannot be read back.
    pub fn digest(&self) -> Result<Option<(u64, [u8; 32])>, ImageError> {
        let Some(scratch) = &self.scratch else {
            return Ok(None);
        };
        let failed = |source| ImageError::Document {
            path: self.path.clone(),
            source,
        };
        let size = self.file.metadata().map_err(failed)?.len();
        let file = self.file.try_clone().map_err(failed)?;
        let digest = Image::whole(scratch, file, size).digest(&|_| {})?;
        Ok(Some((size, digest)))
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// [`ImageError`] if the disk or the device does not take it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        self.file
            .write_all(bytes)
            .and_then(|()| self.file.flush())
            .map_err(|source| ImageError::Document {
                path: self.path.clone(),
                source,
            })
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// [`ImageError`] if the name cannot be given; what had it before is then as it was.
    pub fn publish(self) -> Result<(), ImageError> {
        self.publish_as(Durability::Written)
    }

    /// The same, where it may have to be on the disk before it gets its name.
    ///
    /// # Errors
    /// As [`Self::publish`], and if the disk does not take it.
    pub fn publish_as(self, durability: Durability) -> Result<(), ImageError> {
        let Some(scratch) = self.scratch else {
            return Ok(());
        };
        let size = self
            .file
            .metadata()
            .map_err(|source| ImageError::Document {
                path: self.path.clone(),
                source,
            })?;
        let image = Image::whole(&scratch, self.file, size.len());
        image.publish(&self.path, durability)
    }
}
