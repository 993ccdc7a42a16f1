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
//!
//! # Merging
//!
//! Directories of the same path merge, and the later one's metadata holds. Otherwise the later source replaces what was
//! there, be it a directory over a file or a file over a directory with all that is in it; only a directory over a
//! symbolic link is refused, because what lies behind the link would be lost to its users. Hard links outlive
//! it: when one name is replaced, the others still share their file. Missing parents are root's, of mode 0755, with the
//! default time, or else the newest time of the tree, or else 1980-01-01.

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
mod error;
mod follow;
mod mode;
mod mtree;
mod oci;
mod pattern;
mod single;
mod stamp;
pub(crate) mod walked;
mod warning;

pub use archive::{BeyondWindow, Decompressors, InProcess, decompressor};
pub use contexts::{ContextsError, FileContexts};
pub use count::Counter;
pub use disk::{Disk, OpenedDisk};
pub use dump::{Dump, DumpError};
pub use error::{ArchiveError, SourceError};
pub use mode::{Clause, ModeRule, ModeRuleError};
pub use mtree::MtreeError;
pub use oci::{
    Image, ImageConfig, ImageError, ImageInfo, ImagePlatform, NotAPlatform, OpenedImage,
    looks_like_image,
};
pub use stamp::FileId;
pub use warning::Warning;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Timestamp, Tree, index, validate};
use budget::Kept;
use cellblock_text::PathBytes;
use directory::Selection;
use forest::{Blocked, Body, Forest, Inode, InodeId};
use pattern::Patterns;
use store::{MemoryStore, Store};

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
    /// or an image, by the paths that are left after `from` and `strip`. [`Source::owner`] and [`Source::mode`] go over it.
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

/// Reads and merges sources, in order, into one tree. Without sources that is an empty root directory.
///
/// `spool` makes an unnamed temporary file, into which a compressed archive is decompressed once, as far as there is room.
///
/// ```
/// use cellblock_tree::NodeId;
/// use cellblock_tree::source::{ReadOptions, Source, What, read_sources};
///
/// let greeting = Source {
///     to: Some(b"/etc/motd".to_vec()),
///     ..Source::new(What::Bytes(b"hello\n".to_vec()))
/// };
/// let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
/// let gathered = read_sources(&[greeting], &no_spool, &ReadOptions::within(0))?;
/// let paths: Vec<_> = gathered.tree.nodes().map(|node| gathered.tree.path(node.id)).collect();
/// assert_eq!(paths, [&b"/"[..], b"/etc", b"/etc/motd"]);
///
/// let mut bytes = [0; 5];
/// gathered.tree.reader().read(NodeId(2), 0, &mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok::<(), cellblock_tree::source::SourceError>(())
/// ```
///
/// # Errors
/// When a source cannot be read or is malformed, or its destination is not usable.
pub fn read_sources(
    sources: &[Source],
    spool: &dyn Fn() -> io::Result<File>,
    options: &ReadOptions,
) -> Result<Gathered, SourceError> {
    let images = open_images(sources.iter(), spool, options)?;
    let opened = OpenedSources {
        images,
        disks: Vec::new(),
    };
    read_opened(sources, opened, spool, options)
}

/// Finds the container images among sources, in their order, and reads what they say of themselves, but not their layers.
///
/// # Errors
/// When one cannot be read or is malformed, or it is not clear which one is meant.
pub fn open_images<'s>(
    sources: impl Iterator<Item = &'s Source>,
    spool: &dyn Fn() -> io::Result<File>,
    options: &ReadOptions,
) -> Result<Vec<OpenedImage>, SourceError> {
    let images = sources.filter_map(|source| match &source.what {
        What::Image(image) => Some(image),
        _ => None,
    });
    let means = oci::Means {
        spool,
        decompressors: &*options.decompressors,
        expanded: options.room.expanded,
    };
    images.map(|image| oci::open(image, &means)).collect()
}

/// What was opened of sources before they are merged, in their order.
#[derive(Debug, Default)]
pub struct OpenedSources {
    /// The container images.
    pub images: Vec<OpenedImage>,
    /// The file systems of disk images, which this crate does not read.
    pub disks: Vec<OpenedDisk>,
}

/// As [`read_sources`], with images and disks among the sources opened before.
///
/// # Errors
/// As [`read_sources`].
///
/// # Panics
/// If there are other images among the sources.
pub fn read_opened(
    sources: &[Source],
    opened: OpenedSources,
    spool: &dyn Fn() -> io::Result<File>,
    options: &ReadOptions,
) -> Result<Gathered, SourceError> {
    let mut merging = Merging {
        images: opened.images.into_iter(),
        disks: opened.disks.into_iter(),
        forest: Forest::new(),
        stores: Vec::new(),
        kept: Kept::new(options.found.clone()),
        spool,
        expanded: options.room.expanded,
        options,
        warnings: Vec::new(),
    };
    for source in sources {
        merging.add(source)?;
    }
    merging.label()?;
    let Merging {
        forest,
        stores,
        kept,
        warnings,
        ..
    } = merging;
    let tree = forest.into_tree(stores, kept.sets, options.time)?;
    Ok(Gathered { tree, warnings })
}

struct Merging<'a> {
    /// Those that are still to be read.
    images: std::vec::IntoIter<OpenedImage>,
    disks: std::vec::IntoIter<OpenedDisk>,
    forest: Forest,
    stores: Vec<Box<dyn Store>>,
    kept: Kept,
    spool: &'a dyn Fn() -> io::Result<File>,
    options: &'a ReadOptions,
    /// The bytes that archives may still be decompressed to.
    expanded: u64,
    warnings: Vec<Warning>,
}

impl Merging<'_> {
    fn add(&mut self, source: &Source) -> Result<(), SourceError> {
        match &source.what {
            What::Directory(path) => {
                let forest = self.directory(path, source)?;
                self.graft(source, path, forest)
            }
            What::Archive(path) => {
                let forest = self.archive(path, source)?;
                self.graft(source, path, forest)
            }
            What::Image(image) => {
                let forest = self.image(image, source)?;
                self.graft(source, &image.path, forest)
            }
            What::Composefs(dump) => {
                let patterns = Patterns::parse(&source.exclude)?;
                let read = dump::read(dump, self.next_store()?, &mut self.kept)?;
                self.stores.extend(read.stores);
                let forest = self.selected(&dump.file, source, read.forest, &patterns)?;
                self.graft(source, &dump.file, forest)
            }
            What::Disk(disk) => {
                let forest = self.disk(disk, source)?;
                self.graft(source, &disk.path, forest)
            }
            What::File(path) => {
                let store = self.next_store()?;
                let (inode, opened) = single::file(path, store, &mut self.kept)?;
                self.stores.push(Box::new(opened));
                let name = path.file_name().map(OsStrExt::as_bytes);
                self.plant(source, name, inode)
            }
            What::Bytes(bytes) => {
                let store = self.next_store()?;
                let inode = single::bytes(bytes, store);
                self.stores.push(Box::new(MemoryStore(vec![bytes.clone()])));
                self.plant(source, None, inode)
            }
        }
    }

    fn next_store(&self) -> Result<u32, SourceError> {
        u32::try_from(self.stores.len()).map_err(|_| SourceError::TooManyNodes)
    }

    fn directory(&mut self, path: &Path, source: &Source) -> Result<Forest, SourceError> {
        let patterns = Patterns::parse(&source.exclude)?;
        let from = source.from.as_deref().map_or(Ok(Vec::new()), destination)?;
        let selection = Selection {
            from: &from,
            strip: index(source.strip),
            exclude: &patterns,
            renames: source.follow,
            leave_out: &self.options.leave_out,
        };
        let store = self.next_store()?;
        let read = directory::read(path, selection, store, &mut self.kept)?;
        let left_out = read.left_out.into_iter().map(|file| Warning::LeftOut {
            root: path.into(),
            path: file,
        });
        self.warnings.extend(left_out);
        self.stores.push(Box::new(read.store));
        self.warn_of_unmatched(path, &patterns);
        self.strip(path, source, read.forest)
    }

    fn archive(&mut self, path: &Path, source: &Source) -> Result<Forest, SourceError> {
        let patterns = Patterns::parse(&source.exclude)?;
        let store = self.next_store()?;
        let opened = archive::open(path)?;
        let takes_all = patterns.is_empty() && source.from.is_none() && source.strip == 0;
        let room = Room {
            expanded: self.expanded,
            partition: self.options.room.partition.filter(|_| takes_all),
        };
        let decompressors = &*self.options.decompressors;
        let read = archive::read(
            path,
            opened,
            self.spool,
            decompressors,
            room,
            store,
            &mut self.kept,
        );
        let read = read.map_err(|error| SourceError::Archive {
            path: path.into(),
            error,
        })?;
        self.expanded -= read.expanded;
        self.stores.push(Box::new(read.store));
        self.selected(path, source, read.forest, &patterns)
    }

    /// The image that comes next, with what is taken of it.
    fn image(&mut self, image: &Image, source: &Source) -> Result<Forest, SourceError> {
        let patterns = Patterns::parse(&source.exclude)?;
        let store = self.next_store()?;
        let opened = self.images.next().expect("every image was opened");
        let means = oci::Means {
            spool: self.spool,
            decompressors: &*self.options.decompressors,
            expanded: self.expanded,
        };
        let read = oci::read(&opened, &means, store, &mut self.kept)?;
        self.expanded = self.expanded.saturating_sub(read.expanded);
        for store in read.stores {
            self.stores.push(Box::new(store));
        }
        self.warnings.extend(read.warnings);
        self.selected(&image.path, source, read.forest, &patterns)
    }

    /// The disk that comes next, with what is taken of it.
    fn disk(&mut self, disk: &Disk, source: &Source) -> Result<Forest, SourceError> {
        let patterns = Patterns::parse(&source.exclude)?;
        let opened = self.disks.next().ok_or_else(|| SourceError::Unread {
            path: disk.path.clone(),
        })?;
        let store = self.next_store()?;
        let (forest, stores) = disk::forest(&disk.path, opened.tree, store, &mut self.kept)?;
        self.stores.extend(stores);
        let warnings = opened.warnings.into_iter().map(|text| Warning::OfReader {
            root: disk.path.clone(),
            text,
        });
        self.warnings.extend(warnings);
        self.selected(&disk.path, source, forest, &patterns)
    }

    /// What a source takes of an archive, an image or a disk.
    fn selected(
        &mut self,
        path: &Path,
        source: &Source,
        mut forest: Forest,
        patterns: &Patterns,
    ) -> Result<Forest, SourceError> {
        if let Some(from) = &source.from {
            let found = forest.descend(&destination(from)?);
            found.map_err(|found| SourceError::From {
                root: path.into(),
                from: from.as_slice().into(),
                found,
            })?;
        }
        let mut forest = self.strip(path, source, forest)?;
        if !patterns.is_empty() {
            forest.prune(|path, is_directory| patterns.exclude(path, is_directory));
        }
        self.warn_of_unmatched(path, patterns);
        Ok(forest)
    }

    /// Takes off every path the names that the source says. Where nothing is left of it, somebody should know.
    fn strip(
        &mut self,
        path: &Path,
        source: &Source,
        mut forest: Forest,
    ) -> Result<Forest, SourceError> {
        let was_empty = forest.is_bare();
        forest.strip(source.strip)?;
        if forest.is_bare() && !was_empty {
            self.warnings.push(Warning::Stripped {
                root: path.into(),
                strip: source.strip,
            });
        }
        Ok(forest)
    }

    fn warn_of_unmatched(&mut self, path: &Path, patterns: &Patterns) {
        let unmatched = patterns.unmatched().map(|pattern| Warning::Unmatched {
            root: path.into(),
            pattern: pattern.to_owned(),
        });
        self.warnings.extend(unmatched);
    }

    /// The latest time that anything of a source may have.
    fn latest(&self, source: &Source) -> Option<Timestamp> {
        self.options.time.filter(|_| source.times == Times::Clamp)
    }

    /// Merges a source that has a root directory.
    fn graft(
        &mut self,
        source: &Source,
        path: &Path,
        mut forest: Forest,
    ) -> Result<(), SourceError> {
        if source.follow {
            forest = follow::follow(&forest).map_err(|failed| SourceError::Follow {
                root: path.into(),
                path: PathBytes(failed.path),
                target: PathBytes(failed.target),
                reason: failed.reason,
            })?;
        }
        if source.hard_links == HardLinks::Break {
            forest.break_links()?;
        }
        if let Some(metadata) = &source.metadata {
            let excluded = Patterns::parse(&source.exclude)?;
            let unheeded = mtree::overlay(metadata, &mut forest, &excluded, &mut self.kept.sets)?;
            if !unheeded.keywords.is_empty() {
                self.warnings.push(Warning::Unheeded {
                    metadata: metadata.clone(),
                    keywords: unheeded.keywords.into_iter().collect(),
                });
            }
        }
        self.settle(source, &mut forest)?;
        let to = source.to.as_deref().unwrap_or(b"/");
        let at = self.directory_at(to, &destination(to)?)?;
        Ok(self.forest.graft(at, forest)?)
    }

    /// Adds a single file.
    fn plant(
        &mut self,
        source: &Source,
        own_name: Option<&[u8]>,
        inode: Inode,
    ) -> Result<(), SourceError> {
        let to = source.to.as_deref().unwrap_or(b"/");
        let refuse = |reason| SourceError::Destination {
            to: to.into(),
            reason,
        };
        let mut names = destination(to)?;
        if to.ends_with(b"/") {
            names.push(own_name.ok_or_else(|| refuse("names a directory; name the file"))?);
        }
        let (name, parents) = names.split_last().ok_or_else(|| refuse("names no file"))?;
        if let Some(existing) = self.forest.lookup(&names)
            && matches!(self.forest.body(existing), Body::Directory(_))
        {
            return Err(refuse(
                "is a directory; end it with '/' to put the file into it",
            ));
        }
        let mut single = Forest::new();
        single.insert(InodeId::ROOT, name, inode)?;
        self.settle(source, &mut single)?;
        let parent = self.directory_at(to, parents)?;
        Ok(self.forest.graft(parent, single)?)
    }

    /// Gives a source's nodes the owners and modes that it is to have, and holds them against the kernel's rules.
    fn settle(&mut self, source: &Source, forest: &mut Forest) -> Result<(), SourceError> {
        forest.apply(
            source.owner,
            source.mode.as_ref(),
            self.latest(source),
            &mut self.kept.sets,
        );
        validate::check(forest, &mut self.kept.sets, source.drop_attributes).map_err(
            |(path, fault)| SourceError::Invalid {
                source_name: source.name(),
                path: PathBytes(path),
                fault,
            },
        )
    }

    /// Labels what all sources have come to.
    fn label(&mut self) -> Result<(), SourceError> {
        let Some(path) = &self.options.contexts else {
            return Ok(());
        };
        let contexts = FileContexts::read(path)?;
        if let Some(torn) = contexts::label(&contexts, &mut self.forest, &mut self.kept.sets) {
            self.warnings.push(Warning::LabelsDiffer {
                contexts: path.clone(),
                first: PathBytes(torn.first),
                second: PathBytes(torn.second),
                others: torn.others,
            });
        }
        Ok(())
    }

    fn directory_at(&mut self, to: &[u8], names: &[&[u8]]) -> Result<InodeId, SourceError> {
        self.forest
            .directory_at(names)
            .map_err(|blocked| match blocked {
                Blocked::Full => SourceError::TooManyNodes,
                Blocked::By {
                    names: count,
                    found,
                } => SourceError::BelowNonDirectory {
                    path: to.into(),
                    parent: PathBytes(crate::join_path(names[..count].iter().copied())),
                    found,
                },
            })
    }
}

/// The names of a destination path.
fn destination(to: &[u8]) -> Result<Vec<&[u8]>, SourceError> {
    let names: Vec<&[u8]> = to
        .split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .collect();
    let reason = if names.contains(&&b".."[..]) {
        "has '..' in it; name the directory itself"
    } else if to.contains(&0) {
        "has a NUL byte in it"
    } else {
        return Ok(names);
    };
    Err(SourceError::Destination {
        to: to.into(),
        reason,
    })
}

#[cfg(test)]
mod tests;
