//! What goes into a file system, and how the command line's `--content` says it.

use std::path::PathBuf;

use super::boot::KernelParts;
use cellblock_tree::source::{ModeRule, Source, What};

mod typed;

pub use typed::{LookError, TypedContent};

/// Something that goes into a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// As it is.
    Source(Source),
    /// With placeholders filled in.
    Template(Template),
    /// A unified kernel image, which is assembled.
    Kernel(Box<KernelContent>),
}

/// A unified kernel image that goes into a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelContent {
    /// What it is assembled from.
    pub parts: KernelParts,
    /// The path of the file that it becomes.
    pub to: Vec<u8>,
    /// The owner, if another one than root is to have it.
    pub owner: Option<(u32, u32)>,
}

impl Content {
    /// Gives all of it one owner.
    pub fn set_owner(&mut self, owner: (u32, u32)) {
        match self {
            Self::Source(source) => source.owner = Some(owner),
            Self::Template(template) => template.owner = Some(owner),
            Self::Kernel(kernel) => kernel.owner = Some(owner),
        }
    }

    /// The source that it is as it stands; none of what is made first.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        match self {
            Self::Source(source) => Some(source),
            Self::Template(_) | Self::Kernel(_) => None,
        }
    }

    /// Has its symbolic links replaced by what they lead to within it; a file or a text has none.
    pub fn set_follow(&mut self) {
        if let Self::Source(source) = self
            && matches!(
                source.what,
                What::Directory(_)
                    | What::Archive(_)
                    | What::Image(_)
                    | What::Composefs(_)
                    | What::Disk(_)
            )
        {
            source.follow = true;
        }
    }
}

impl From<Source> for Content {
    fn from(source: Source) -> Self {
        Self::Source(source)
    }
}

/// A text with placeholders, which becomes a file: root's and of mode 0644 where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The text.
    pub file: PathBuf,
    /// The path of the file that it becomes.
    pub to: Vec<u8>,
    /// The owner, if another one is to have it.
    pub owner: Option<(u32, u32)>,
    /// The mode, if it is to have another one.
    pub mode: Option<ModeRule>,
}

/// What becomes one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SingleFile {
    /// A file of the host.
    Host(PathBuf),
    /// These bytes.
    Text(Vec<u8>),
    /// A text with placeholders.
    Template(PathBuf),
}

impl SingleFile {
    /// The file as content. A text and a template need a path that they go `to`.
    #[must_use]
    pub fn content(
        self,
        to: Option<Vec<u8>>,
        owner: Option<(u32, u32)>,
        mode: Option<ModeRule>,
    ) -> Content {
        let what = match self {
            Self::Host(path) => What::File(path),
            Self::Text(bytes) => What::Bytes(bytes),
            Self::Template(file) => {
                return Content::Template(Template {
                    file,
                    to: to.unwrap_or_default(),
                    owner,
                    mode,
                });
            }
        };
        Content::Source(Source {
            to,
            owner,
            mode,
            ..Source::new(what)
        })
    }
}
