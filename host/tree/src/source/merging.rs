//! Sources into one tree.
//!
//! Directories of the same path merge, and the later one's metadata holds. Otherwise the later source replaces what was
//! there, be it a directory over a file or, with a warning, a file over a directory with all that is in it; only a directory over a
//! symbolic link is refused, because what lies behind the link would be lost to its users. Hard links outlive
//! it: when one name is replaced, the others still share their file. Missing parents are root's, of mode 0755, with the
//! default time, or else the newest time of the tree, or else 1980-01-01.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::budget::Kept;
use super::contexts::{self, FileContexts};
use super::directory::{self, Selection};
use super::earlier::may_be_an_output;
use super::forest::{Blocked, Body, Forest, Hidden, Inode, InodeId, Metadata};
use super::pattern::Patterns;
use super::store::{MemoryStore, Store};
use super::{
    Disk, Gathered, HardLinks, Image, OpenedDisk, OpenedImage, ReadOptions, Room, Source,
    SourceError, Times, Warning, What,
};
use super::{archive, disk, dump, follow, mtree, oci, single};
use crate::{Timestamp, index, validate};
use cellblock_text::PathBytes;

/// The folder in which `e2fsck` puts what has no name.
const LOST_AND_FOUND: &[u8] = b"lost+found";

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
                self.stores.push(Box::new(read.written));
                let mut forest = self.selected(&dump.file, source, read.forest, &patterns)?;
                if let Some(objects) = read.objects.find(&mut forest)? {
                    self.stores.push(Box::new(objects));
                }
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
        for file in &read.left_out {
            let own = path.join(OsStr::from_bytes(
                file.0.strip_prefix(b"/").unwrap_or(&file.0),
            ));
            let may_be_lost = may_be_an_output(&own).map_err(|error| SourceError::Io {
                root: path.into(),
                path: file.clone(),
                action: "read",
                error,
            })?;
            if !may_be_lost {
                return Err(SourceError::OutputInContent {
                    root: path.into(),
                    path: file.clone(),
                });
            }
        }
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
        self.warnings.extend(read.warnings);
        self.warn_of_unknown(path, read.unknown);
        self.selected(path, source, read.forest, &patterns)
    }

    fn warn_of_unknown(&mut self, path: &Path, keywords: BTreeSet<String>) {
        if !keywords.is_empty() {
            self.warnings.push(Warning::UnknownRecords {
                root: path.into(),
                keywords: keywords.into_iter().collect(),
            });
        }
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
        let hidden = forest.strip(source.strip)?;
        self.warn_of_hidden(source, &[], hidden);
        if forest.is_bare() && !was_empty {
            self.warnings.push(Warning::Stripped {
                root: path.into(),
                strip: source.strip,
            });
        }
        Ok(forest)
    }

    /// Tells of what something of a source has taken the place of, below the directory of these names.
    fn warn_of_hidden(&mut self, source: &Source, at: &[&[u8]], hidden: Hidden) {
        let names = at.iter().copied();
        let path: Vec<u8> = names.flat_map(|name| [b"/", name].concat()).collect();
        let full = |below: &[u8]| PathBytes([&path, below].concat());
        let others = hidden.directories.len().saturating_sub(1);
        let first = hidden.directories.into_iter();
        if let Some(first) = first.min_by(|one, other| one.path.cmp(&other.path)) {
            self.warnings.push(Warning::DirectoriesHidden {
                root: source.name(),
                path: full(&first.path),
                by: first.by,
                entries: first.entries,
                others,
            });
        }
        self.warnings
            .extend(Warning::of_files(hidden.files, |first| {
                (source.name(), full(first))
            }));
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
        self.own(source, &mut forest);
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
        let names = destination(to)?;
        let at = self.directory_at(to, &names)?;
        let hidden = self.forest.graft(at, forest)?;
        self.warn_of_hidden(source, &names, hidden);
        Ok(())
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
        self.own(source, &mut single);
        self.settle(source, &mut single)?;
        let parent = self.directory_at(to, parents)?;
        let hidden = self.forest.graft(parent, single)?;
        self.warn_of_hidden(source, parents, hidden);
        Ok(())
    }

    /// Gives a source's nodes the owner and the modes that all of it is to have.
    fn own(&mut self, source: &Source, forest: &mut Forest) {
        forest.apply(source.owner, source.mode.as_ref(), &mut self.kept.sets);
    }

    /// Gives a source's nodes no later times than they may have, and holds them against the kernel's rules.
    fn settle(&mut self, source: &Source, forest: &mut Forest) -> Result<(), SourceError> {
        if let Some(latest) = self.latest(source) {
            forest.clamp(latest);
        }
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
        if self.options.lost_and_found && self.forest.lookup(&[LOST_AND_FOUND]).is_none() {
            let folder = self.directory_at(LOST_AND_FOUND, &[LOST_AND_FOUND])?;
            let metadata = Metadata {
                mode: 0o700,
                ..Metadata::IMPLIED
            };
            self.forest.set_metadata(folder, metadata);
        }
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
