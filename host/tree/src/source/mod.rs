//! Content of the host, as a tree: directories, archives, single files and bytes, merged in order.
//!
//! Content is data. Symbolic links are stored and never followed, archives are read and never unpacked, and ownership
//! is what the directory or the archive says, or what the spec sets.
//!
//! What no Linux system would take, owners and attributes above all, is refused before anything is made of it: the crate's
//! room `validate`.
//!
//! # Capabilities
//!
//! The root of a source is opened once, with `cap-std`. Below it `rustix` is called with descriptors alone, because a walk needs
//! what `cap-std` does not offer: several names at once with `openat2(2)`, `statx(2)` and lists of attributes without opening,
//! and listings by descriptor. Either way no link is followed, and nothing outside the root is opened.

pub(crate) mod acl;
pub(crate) mod attributes;
pub(crate) mod beneath;
pub(crate) mod budget;
pub(crate) mod directory;
pub(crate) mod forest;
pub(crate) mod store;

mod archive;
mod contexts;
mod count;
mod disk;
mod dump;
mod earlier;
mod error;
mod follow;
mod input;
mod merging;
mod mode;
mod mtree;
mod oci;
mod pattern;
mod single;
pub(crate) mod stamp;
pub(crate) mod walked;
mod warning;

pub use archive::{BeyondWindow, Decompressors, InProcess, decompressor};
pub use contexts::{ContextsError, FileContexts};
pub use count::Counter;
pub use disk::{Disk, OpenedDisk};
pub use dump::{Dump, DumpError};
pub use error::{ArchiveError, SourceError};
pub use merging::{OpenedSources, open_images, read_opened, read_sources};
pub use mode::{Clause, ModeRule, ModeRuleError};
pub use mtree::MtreeError;
pub use oci::{
    Image, ImageConfig, ImageError, ImageInfo, ImagePlatform, NotAPlatform, OpenedImage,
    looks_like_image,
};
pub use stamp::{FileId, Seen};
pub use warning::Warning;

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Timestamp, Tree};
use cellblock_text::PathBytes;

/// One piece of content and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The content.
    pub what: What,
    /// Where it goes in the file system; its root where this is `None`. For a file or bytes it is the full path, or with
    /// a trailing `/` the directory that a file keeps its name in. No part of it may be a symbolic link.
    pub to: Option<Vec<u8>>,
    /// User and group of everything in it.
    pub owner: Option<(u32, u32)>,
    /// What becomes of the modes.
    pub mode: Option<ModeRule>,
    /// Patterns of paths in a directory or an archive that are left out.
    ///
    /// `*`, `?` and `[a-z]` match within a name, `**` any number of names. A leading `/` anchors the pattern at the root of
    /// what is taken, otherwise it matches at any depth; a trailing `/` restricts it to directories.
    pub exclude: Vec<String>,
    /// Whether attributes that no Linux system takes are left out, as the file system may lose attributes; otherwise they
    /// are an error.
    pub drop_attributes: bool,
    /// What becomes of times that are later than [`ReadOptions::time`].
    pub times: Times,
    /// The directory in a directory or an archive that is taken in its place. No part of it may be a symbolic link.
    pub from: Option<Vec<u8>>,
    /// How many names are taken off the beginning of each path of a directory or an archive, after `from`; what has no more
    /// is left out.
    pub strip: u32,
    /// Whether symbolic links are replaced by what they lead to, which must be in the source. Absolute targets begin at its
    /// root.
    pub follow: bool,
    /// What becomes of hard links in a directory or an archive.
    pub hard_links: HardLinks,
    /// A specification in the words of mtree(5), whose owners, modes, times and link targets are those of a directory, an archive
    /// or an image, by the paths that are left after `from` and `strip`. It goes over [`Source::owner`] and [`Source::mode`], which
    /// are for what it does not tell of.
    pub metadata: Option<PathBuf>,
}

/// What becomes of hard links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HardLinks {
    /// They stay.
    #[default]
    Keep,
    /// Each name becomes a file of its own, so that the tree is the same whether a store has linked equal files or not.
    Break,
}

/// What becomes of times that are later than the one that is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// They become it, so that two checkouts of one commit are the same content.
    #[default]
    Clamp,
    /// They stay.
    Keep,
}

/// The content of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A directory of the host and everything in it.
    Directory(PathBuf),
    /// A tar archive, plain or compressed with gzip, zstd, xz, bzip2 or lz4, which its first bytes tell.
    Archive(PathBuf),
    /// The root file system of a container image.
    Image(Image),
    /// What a composefs dumpfile describes.
    Composefs(Dump),
    /// The file system in a partition of a disk image, or alone.
    Disk(Disk),
    /// One regular file, with its owner, mode, time and attributes.
    File(PathBuf),
    /// A file made of these bytes, root's and of mode 0644. `to` must name it.
    Bytes(Vec<u8>),
}

impl Source {
    /// The content at the root of the file system, as found.
    #[must_use]
    pub fn new(what: What) -> Self {
        Self {
            what,
            to: None,
            owner: None,
            mode: None,
            exclude: Vec::new(),
            drop_attributes: false,
            times: Times::Clamp,
            from: None,
            strip: 0,
            follow: false,
            hard_links: HardLinks::Keep,
            metadata: None,
        }
    }

    /// What it is called in messages: its path on the host, or for bytes the path that they get.
    fn name(&self) -> PathBytes {
        match &self.what {
            What::Directory(path) | What::Archive(path) | What::File(path) => {
                PathBytes(path.as_os_str().as_bytes().to_vec())
            }
            What::Composefs(dump) => PathBytes(dump.file.as_os_str().as_bytes().to_vec()),
            What::Image(image) => PathBytes(image.path.as_os_str().as_bytes().to_vec()),
            What::Disk(disk) => PathBytes(disk.path.as_os_str().as_bytes().to_vec()),
            What::Bytes(_) => PathBytes(self.to.clone().unwrap_or_default()),
        }
    }
}

/// What compressed archives may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The bytes that all of them together may be decompressed to.
    pub expanded: u64,
    /// The bytes of the partition that they go into. An archive whose files have more than twice as many is refused with the
    /// header that says so, and nothing of what follows is decompressed; not if some of it is excluded.
    pub partition: Option<u64>,
}

impl From<u64> for Room {
    /// So many bytes in all.
    fn from(expanded: u64) -> Self {
        Self {
            expanded,
            partition: None,
        }
    }
}

/// How sources are read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// What compressed archives may come to.
    pub room: Room,
    /// The time of what no source describes, and the latest that anything has whose source does not keep its times.
    pub time: Option<Timestamp>,
    /// Files that are left out of directories: those that the program is about to write.
    pub leave_out: BTreeSet<FileId>,
    /// Counts the nodes of directories and archives as they are found.
    pub found: Counter,
    /// Who decompresses archives.
    pub decompressors: Arc<dyn Decompressors>,
    /// The `file_contexts` of the policy that labels all of it; attributes of that name from sources go.
    pub contexts: Option<PathBuf>,
    /// The format has a folder `lost+found`, which a policy labels whether a source has it or not.
    pub lost_and_found: bool,
}

impl ReadOptions {
    /// So much room, and nothing else: archives are decompressed in this process.
    #[must_use]
    pub fn within(room: impl Into<Room>) -> Self {
        Self {
            room: room.into(),
            time: None,
            leave_out: BTreeSet::new(),
            found: Counter::default(),
            decompressors: Arc::new(InProcess),
            contexts: None,
            lost_and_found: false,
        }
    }
}

/// What sources have come to.
#[derive(Debug)]
pub struct Gathered {
    /// The tree.
    pub tree: Tree,
    /// What the user should know, in the order of the sources.
    pub warnings: Vec<Warning>,
}
#[cfg(test)]
mod tests;
