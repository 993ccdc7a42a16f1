//! An image in a directory. It is opened once, and files beneath it: a link that leads out of it is not followed.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{FileType, OFlags};

use super::super::super::error::SourceError;
use super::super::super::single::noun;
use super::super::super::stamp::{Stamp, status};
use super::super::error::ImageError;
use super::Blob;

#[derive(Debug)]
pub(in super::super) struct DirectoryLayout {
    root: Dir,
}

impl DirectoryLayout {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let root = Dir::open_ambient_dir(path, ambient_authority());
        let root = root.map_err(|error| SourceError::Open {
            path: path.into(),
            error,
        })?;
        Ok(Self { root })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.root.symlink_metadata(name).is_ok()
    }

    pub(super) fn blob(&self, name: &str) -> Result<Blob, ImageError> {
        let failed = |error: io::Error| ImageError::Open {
            name: name.as_bytes().into(),
            error,
        };
        // Should it be a fifo or a device, nothing waits for it.
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let opened = self.root.open_with(name, &options).map_err(failed)?;
        let file = opened.into_std();
        let status = status(file.as_fd()).map_err(|error| failed(error.into()))?;
        let found = FileType::from_raw_mode(status.stx_mode.into());
        if found != FileType::RegularFile {
            return Err(ImageError::NotAFile {
                name: name.as_bytes().into(),
                found: noun(found),
            });
        }
        Ok(Blob {
            name: name.as_bytes().into(),
            file,
            shared: Some((Stamp::of_open(&status), status.stx_size)),
            offset: 0,
            length: status.stx_size,
        })
    }
}
