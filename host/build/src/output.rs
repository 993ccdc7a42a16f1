//! Where what is made goes.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use cellblock_image::{Durability, Image, ImageError, Scratch, Stream, target};

/// Where an image goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Under this name, complete or not at all.
    File(PathBuf),
    /// To standard output, once it is complete.
    Stdout,
}

impl Output {
    /// What was typed: `-` is standard output.
    #[must_use]
    pub fn parse(path: &Path) -> Self {
        if path == Path::new("-") {
            Self::Stdout
        } else {
            Self::File(path.to_owned())
        }
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stdout => None,
        }
    }

    /// Whether the bytes would be written to a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        *self == Self::Stdout && io::stdout().is_terminal()
    }

    /// Where files are made without a name: beside the image, or in the folder for temporary files.
    pub(crate) fn scratch(&self) -> Result<Scratch, ImageError> {
        match self {
            Self::File(path) => Ok(Scratch::beside(&target(path)?)),
            Self::Stdout => Ok(Scratch::beside(&std::env::temp_dir().join("image"))),
        }
    }

    pub(crate) fn deliver(&self, image: Image, durability: Durability) -> Result<(), ImageError> {
        match self {
            Self::File(path) => image.publish(path, durability),
            Self::Stdout => image.drain(&mut Stream(io::stdout().lock())),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Stdout => f.write_str("-"),
        }
    }
}
