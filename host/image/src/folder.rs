//! A folder of files that belong together, such as an image layout.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{Durability, Image, ImageError, Scratch, target};

/// A folder whose files are all complete before any gets its name, in the order in which they were added: what the last one names is
/// there once that is.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    scratch: Scratch,
    files: Vec<(PathBuf, File)>,
}

impl Folder {
    /// Looks whether there can be such a folder: it is not there yet, or empty.
    ///
    /// # Errors
    /// [`ImageError`] if it has files, or is one.
    pub fn prepare(path: &Path) -> Result<Self, ImageError> {
        let failed = |source| ImageError::Create {
            folder: path.to_owned(),
            source,
        };
        let scratch = match fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(ImageError::FolderTaken {
                        path: path.to_owned(),
                    });
                }
                Scratch::beside(&path.join("file"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Without a `/` at its end, which would be a folder that is there.
                let path: PathBuf = path.components().collect();
                Scratch::beside(&target(&path)?)
            }
            Err(error) => return Err(failed(error)),
        };
        // Whether it takes files.
        scratch.create()?;
        Ok(Self {
            path: path.to_owned(),
            scratch,
            files: Vec::new(),
        })
    }

    /// An empty file that has no name yet.
    ///
    /// # Errors
    /// [`ImageError`] if none can be made.
    pub fn create(&self) -> Result<File, ImageError> {
        self.scratch.create()
    }

    /// Has a file get the name `name` in the folder, unless one has it: files of one name are the same file.
    pub fn add(&mut self, name: impl Into<PathBuf>, file: File) {
        let name = name.into();
        if !self.files.iter().any(|(other, _)| *other == name) {
            self.files.push((name, file));
        }
    }

    /// Gives all files their names.
    ///
    /// # Errors
    /// [`ImageError`] for the first that fails; those before it have theirs.
    pub fn publish(self, durability: Durability) -> Result<(), ImageError> {
        let failed = |path: &Path, source| ImageError::Publish {
            path: path.to_owned(),
            source,
        };
        for (name, file) in self.files {
            let path = self.path.join(name);
            let folder = path.parent().unwrap_or(&self.path);
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
            let metadata = file.metadata().map_err(|error| failed(&path, error))?;
            let image = Image::whole(&self.scratch, file, metadata.len());
            image.publish(&path, durability)?;
        }
        Ok(())
    }
}
