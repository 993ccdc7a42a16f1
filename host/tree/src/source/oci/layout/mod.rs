//! Where the files of an image are: in a directory, or in a tar.

mod directory;
mod tar;

pub use tar::looks_like_image;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use cellblock_text::PathBytes;

use super::super::error::SourceError;
use super::super::stamp::Stamp;
use super::super::store::{Reach, small};
use super::Means;
use super::document::LARGEST;
use super::error::ImageError;
use directory::DirectoryLayout;
use tar::TarLayout;

/// The entry points of an image.
pub(super) const INDEX: &str = "index.json";
/// What tells a layout.
pub(super) const MARK: &str = "oci-layout";
/// The entry point of what `docker save` writes.
pub(super) const SAVED: &str = "manifest.json";

/// The files of an image.
#[derive(Debug)]
pub(super) enum Layout {
    Directory(DirectoryLayout),
    Tar(TarLayout),
}

/// A layout that was found.
pub(super) struct Found {
    pub(super) layout: Layout,
    /// Bytes that it was decompressed to.
    pub(super) expanded: u64,
}

/// A file of a layout.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) name: PathBytes,
    pub(super) file: File,
    /// The file's stamp and its length, where others may write to it.
    pub(super) shared: Option<(Stamp, u64)>,
    /// Where it begins in the file, in bytes.
    pub(super) offset: u64,
    /// In bytes.
    pub(super) length: u64,
}

impl Blob {
    /// Who may write to it.
    pub(super) fn reach(&self) -> Reach {
        match self.shared {
            Some((stamp, size)) => Reach::Shared { stamp, size },
            None => Reach::Private,
        }
    }

    /// The same, opened once more.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self {
            name: self.name.clone(),
            file: self.file.try_clone()?,
            shared: self.shared,
            offset: self.offset,
            length: self.length,
        })
    }

    /// All of a document.
    pub(super) fn document(&self) -> Result<Vec<u8>, ImageError> {
        if self.length > LARGEST {
            return Err(ImageError::TooLarge {
                name: self.name.clone(),
                length: self.length,
                limit: LARGEST,
            });
        }
        let mut bytes = vec![0; small(self.length)];
        let read = self.file.read_exact_at(&mut bytes, self.offset);
        read.map_err(|error| ImageError::Read {
            name: self.name.clone(),
            error,
        })?;
        Ok(bytes)
    }
}

/// Finds out what the layout at `path` is.
pub(super) fn find(path: &Path, means: &Means<'_>) -> Result<Found, SourceError> {
    let is_directory = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let found = if is_directory {
        Found {
            layout: Layout::Directory(DirectoryLayout::open(path)?),
            expanded: 0,
        }
    } else {
        let (layout, expanded) = TarLayout::open(path, means)?;
        Found {
            layout: Layout::Tar(layout),
            expanded,
        }
    };
    Ok(found)
}

impl Layout {
    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(directory) => directory.has(name),
            Self::Tar(tar) => tar.has(name),
        }
    }

    /// Whether it is an OCI layout.
    pub(super) fn is_oci(&self) -> bool {
        self.has(INDEX) && (self.has(MARK) || self.has("blobs") || !self.has(SAVED))
    }

    /// Whether skopeo has written it to a `dir:`, with the manifest and the blobs side by side.
    pub(super) fn is_skopeos_folder(&self) -> bool {
        const MOST: u64 = 128;
        let version = self.open("version").ok();
        version
            .filter(|version| version.length <= MOST)
            .and_then(|version| version.document().ok())
            .is_some_and(|text| text.starts_with(b"Directory Transport Version"))
    }

    /// Opens the file of this name.
    pub(super) fn open(&self, name: &str) -> Result<Blob, ImageError> {
        match self {
            Self::Directory(directory) => directory.blob(name),
            Self::Tar(tar) => tar.blob(name),
        }
    }
}
