//! Files of a tree into a directory of an ordinary user.
//!
//! Whoever made the tree may have meant harm, and somebody else may work in the directory at the same time. So nothing is done by
//! path: each directory is made new, opened beneath its parent without following a link, and what goes into it is made there
//! by its name alone, and must not exist. Links are made and never followed.
//!
//! One thread makes names, in the order of the tree; others fill the files that it has opened, which takes reading and decoding.

mod outcome;

pub use outcome::{Altered, ExtractError, Extracted, Left, Taking};

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid,
};
use rustix::io::Errno;

use crate::copy::room;
use cellblock_text::PathBytes;
use cellblock_tree::{Kind, Node, NodeId, Portion, Reader, Tree};

/// The bytes that are copied at once.
const PIECE: u64 = 1 << 20;
/// The most files that are open and wait for their bytes.
const WAITING: usize = 64;
/// The most small files that a thread fills at once.
const TOGETHER: usize = 32;

/// A directory that was made, and is not finished.
struct Open {
    node: NodeId,
    fd: OwnedFd,
}

/// Copies what is below `top`, if that is a directory, and else `top` itself, into the directory `folder`; so many threads fill files.
///
/// # Errors
/// [`ExtractError`] if something cannot be read or made, or is there already.
pub fn extract(
    tree: &Tree,
    top: NodeId,
    folder: &Path,
    taking: Taking,
    jobs: usize,
) -> Result<Extracted, ExtractError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, folder, flags, Mode::empty());
    let root = root.map_err(|source| ExtractError::Folder {
        folder: folder.to_owned(),
        source: source.into(),
    })?;
    let filling = Filling {
        tree,
        folder,
        taking,
        ended: Mutex::default(),
    };
    let (sender, receiver) = sync_channel(WAITING);
    let receiver = Mutex::new(receiver);
    let (made, extracted) = thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| filling.run(&receiver));
        }
        let mut extraction = Extraction {
            top,
            root,
            open: Vec::new(),
            extracted: Extracted::default(),
            sender,
            filling: &filling,
        };
        (extraction.all(), extraction.extracted)
    });
    let Ended {
        bytes,
        times,
        modes,
        failed,
        unfilled,
    } = filling
        .ended
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    // What fails first in the order of the tree is told: a name comes behind all files that were given to others.
    let error = match (failed, made) {
        (Some((_, error)), _) | (None, Err(error)) => error,
        (None, Ok(())) => {
            return Ok(Extracted {
                bytes,
                times: extracted.times.and(times),
                modes: extracted.modes.and(modes),
                ..extracted
            });
        }
    };
    if extracted.made == 0 {
        return Err(error);
    }
    Err(ExtractError::Stopped {
        error: Box::new(error),
        left: Left {
            made: extracted.made,
            empty: unfilled.count,
            first: unfilled.first.map(|first| PathBytes(tree.path(first))),
        },
    })
}

/// A file that was made, and has no bytes yet.
struct Empty {
    node: NodeId,
    file: File,
}

/// What threads that fill files share.
struct Filling<'t> {
    tree: &'t Tree,
    folder: &'t Path,
    taking: Taking,
    ended: Mutex<Ended>,
}

/// How far they have got.
#[derive(Default)]
struct Ended {
    bytes: u64,
    times: Altered,
    modes: Altered,
    /// The first file, in the order of the tree, that could not be filled.
    failed: Option<(NodeId, ExtractError)>,
    /// The files that were not filled.
    unfilled: Altered,
}

impl Filling<'_> {
    /// Fills files until no more come. After a failure those that still come are left empty.
    fn run(&self, receiver: &Mutex<Receiver<Empty>>) {
        let mut reader = self.tree.reader();
        let mut buffer = Vec::new();
        loop {
            let batch = self.batch(receiver);
            if batch.is_empty() {
                return;
            }
            // Of several, one fails: which one is told when each is read for itself.
            if !self.fill_together(&mut reader, &batch, &mut buffer) {
                for empty in &batch {
                    self.fill_one(&mut reader, empty, &mut buffer);
                }
            }
        }
    }

    /// The files that are filled next: one, or several small ones. None when no more come.
    fn batch(&self, receiver: &Mutex<Receiver<Empty>>) -> Vec<Empty> {
        let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(first) = receiver.recv() else {
            return Vec::new();
        };
        let mut bytes = self.small(&first);
        let mut batch = vec![first];
        while batch.len() < TOGETHER
            && bytes.is_some_and(|bytes| bytes < PIECE)
            && let Ok(next) = receiver.try_recv()
        {
            bytes = bytes.zip(self.small(&next)).map(|(all, one)| all + one);
            batch.push(next);
        }
        batch
    }

    /// The bytes of a file that may be filled with others.
    fn small(&self, empty: &Empty) -> Option<u64> {
        match *self.tree.node(empty.node).kind {
            Kind::File { size, sparse } if !sparse && size <= PIECE => Some(size),
            _ => None,
        }
    }

    /// Fills several small files, read at once; false if they are not that, or one of them fails.
    fn fill_together(
        &self,
        reader: &mut Reader<'_>,
        batch: &[Empty],
        buffer: &mut Vec<u8>,
    ) -> bool {
        let mut portions = Vec::with_capacity(batch.len());
        let mut at = 0;
        for empty in batch {
            let Some(size) = self.small(empty) else {
                return false;
            };
            let into = at..at + usize::try_from(size).expect("at most PIECE");
            at = into.end;
            portions.push(Portion {
                file: empty.node,
                offset: 0,
                into,
            });
        }
        if batch.len() == 1 || self.has_failed() {
            return false;
        }
        let buffer = room(buffer, at);
        if reader.read_joined(&portions, buffer).is_err() {
            return false;
        }
        for (Empty { node, file }, Portion { into, .. }) in batch.iter().zip(portions) {
            let bytes = &buffer[into];
            let written = file.write_all_at(bytes, 0);
            let finished = written.and_then(|()| self.finish(*node, file));
            let filled = finished.map(|took| (bytes.len() as u64, took));
            self.end(*node, filled.map_err(|error| self.failed(*node, error)));
        }
        true
    }

    fn fill_one(&self, reader: &mut Reader<'_>, empty: &Empty, buffer: &mut Vec<u8>) {
        if self.has_failed() {
            self.ended().unfilled.note(empty.node, true);
            return;
        }
        let filled = self.fill(reader, empty.node, &empty.file, buffer);
        self.end(empty.node, filled);
    }

    /// Counts the bytes of a file, or keeps why it was not filled.
    fn end(&self, node: NodeId, filled: Result<(u64, Took), ExtractError>) {
        let mut ended = self.ended();
        match filled {
            Ok((bytes, took)) => {
                ended.bytes += bytes;
                ended.times.note(node, !took.time);
                ended.modes.note(node, !took.mode);
            }
            Err(error) => {
                ended.unfilled.note(node, true);
                if ended.failed.as_ref().is_none_or(|(first, _)| node < *first) {
                    ended.failed = Some((node, error));
                }
            }
        }
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, node: NodeId, source: impl Into<io::Error>) -> ExtractError {
        ExtractError::Make {
            folder: self.folder.to_owned(),
            path: PathBytes(self.tree.path(node)),
            source: source.into(),
        }
    }

    fn has_failed(&self) -> bool {
        self.ended().failed.is_some()
    }

    /// Fills a file; `buffer` is of any bytes and length.
    fn fill(
        &self,
        reader: &mut Reader<'_>,
        id: NodeId,
        file: &File,
        buffer: &mut Vec<u8>,
    ) -> Result<(u64, Took), ExtractError> {
        let failed = |source: io::Error| self.failed(id, source);
        let (mut copied, mut end) = (0, 0);
        for range in reader.ranges(id)? {
            let mut done = 0;
            while done < range.length {
                let length = (range.length - done).min(PIECE);
                let length = usize::try_from(length).expect("at most PIECE");
                let bytes = room(buffer, length);
                let offset = range.offset + done;
                reader.read(id, offset, bytes)?;
                file.write_all_at(bytes, offset).map_err(failed)?;
                done += bytes.len() as u64;
            }
            copied += range.length;
            end = range.offset + range.length;
        }
        if let Kind::File { size, .. } = *self.tree.node(id).kind
            && end < size
        {
            // It ends with a hole.
            file.set_len(size).map_err(failed)?;
        }
        let took = self.finish(id, file).map_err(failed)?;
        Ok((copied, took))
    }

    fn finish(&self, id: NodeId, file: &File) -> io::Result<Took> {
        Ok(finish(file, &self.tree.node(id), self.taking)?)
    }
}

/// Whether something has what it was given. A file system that cannot hold a time keeps the nearest, and the kernel takes the
/// set-group-ID bit from whoever is not of the group, both without an error.
#[derive(Clone, Copy)]
struct Took {
    time: bool,
    mode: bool,
}

impl Took {
    fn of(node: &Node<'_>, mode: Option<Mode>, is: &Stat) -> Self {
        let Timespec { tv_sec, tv_nsec } = times(node).last_modification;
        Self {
            time: i128::from(is.st_mtime) == tv_sec.into()
                && i128::from(is.st_mtime_nsec) == tv_nsec.into(),
            mode: mode.is_none_or(|mode| Mode::from_raw_mode(is.st_mode) == mode),
        }
    }
}

/// Gives what is open its owner, mode and time.
fn finish(file: &impl std::os::fd::AsFd, node: &Node<'_>, taking: Taking) -> Result<Took, Errno> {
    if taking.owners {
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        rustix::fs::fchown(file, Some(uid), Some(gid))?;
    }
    let mode = Mode::from_raw_mode((node.mode & taking.bits()).into());
    rustix::fs::fchmod(file, mode)?;
    rustix::fs::futimens(file, &times(node))?;
    Ok(Took::of(node, Some(mode), &rustix::fs::fstat(file)?))
}

struct Extraction<'t> {
    top: NodeId,
    root: OwnedFd,
    open: Vec<Open>,
    extracted: Extracted,
    sender: SyncSender<Empty>,
    filling: &'t Filling<'t>,
}

impl<'t> Extraction<'t> {
    fn all(&mut self) -> Result<(), ExtractError> {
        let tree = self.filling.tree;
        if *tree.node(self.top).kind != Kind::Directory {
            let node = tree.node(self.top);
            return self.make(&node);
        }
        for id in self.top.0 + 1..tree.len() {
            // What failed is told when all have ended.
            if self.filling.has_failed() {
                return Ok(());
            }
            let node = tree.node(NodeId(id));
            while let Some(open) = self.open.last()
                && open.node != node.parent
            {
                self.leave()?;
            }
            // What follows the directory's own is not below it.
            if self.open.is_empty() && node.parent != self.top {
                break;
            }
            self.make(&node)?;
        }
        while !self.open.is_empty() {
            self.leave()?;
        }
        Ok(())
    }

    fn parent(&self) -> BorrowedFd<'_> {
        self.open
            .last()
            .map_or(self.root.as_fd(), |open| open.fd.as_fd())
    }

    fn failed(&self, node: NodeId, source: impl Into<io::Error>) -> ExtractError {
        self.filling.failed(node, source)
    }

    fn make(&mut self, node: &Node<'t>) -> Result<(), ExtractError> {
        let failed = |this: &Self, error: Errno| this.failed(node.id, error);
        let name = node.name;
        match node.kind {
            Kind::Directory => {
                let made = rustix::fs::mkdirat(self.parent(), name, Mode::RWXU);
                made.map_err(|error| failed(self, error))?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = rustix::fs::openat(self.parent(), name, flags, Mode::empty());
                let fd = fd.map_err(|error| failed(self, error))?;
                self.open.push(Open { node: node.id, fd });
            }
            Kind::File { .. } => self.file(node)?,
            Kind::Symlink(target) => {
                let made = rustix::fs::symlinkat(&**target, self.parent(), name);
                made.map_err(|error| failed(self, error))?;
                let times = times(node);
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::utimensat(self.parent(), name, &times, flags)
                    .map_err(|error| failed(self, error))?;
                if self.filling.taking.owners {
                    self.own(self.parent(), name, node)
                        .map_err(|error| failed(self, error))?;
                }
                let is = rustix::fs::statat(self.parent(), name, flags);
                let is = is.map_err(|error| failed(self, error))?;
                self.note(node.id, Took::of(node, None, &is));
            }
            Kind::HardLink(first) => return self.link(node, *first),
            Kind::CharacterDevice { major, minor } => {
                let device = rustix::fs::makedev(*major, *minor);
                return self.special(node, FileType::CharacterDevice, device);
            }
            Kind::BlockDevice { major, minor } => {
                let device = rustix::fs::makedev(*major, *minor);
                return self.special(node, FileType::BlockDevice, device);
            }
            Kind::Fifo => return self.special(node, FileType::Fifo, 0),
            Kind::Socket => return self.special(node, FileType::Socket, 0),
        }
        self.extracted.attributes += u64::from(!node.attributes.is_empty());
        self.extracted.made += 1;
        Ok(())
    }

    fn file(&mut self, node: &Node<'t>) -> Result<(), ExtractError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(self.parent(), node.name, flags, Mode::RUSR | Mode::WUSR);
        let file: File = made.map_err(|error| self.failed(node.id, error))?.into();
        self.count_special_bits(node);
        let empty = Empty {
            node: node.id,
            file,
        };
        // They take files until this end is gone.
        let sent = self.sender.send(empty);
        sent.map_err(|_| {
            self.failed(
                node.id,
                io::Error::other("the threads that fill files ended"),
            )
        })
    }

    fn note(&mut self, node: NodeId, took: Took) {
        self.extracted.times.note(node, !took.time);
        self.extracted.modes.note(node, !took.mode);
    }

    fn count_special_bits(&mut self, node: &Node<'_>) {
        let lost = node.mode & 0o7000 != 0 && !self.filling.taking.special_bits;
        self.extracted.special_bits += u64::from(lost);
    }

    fn own(&self, parent: BorrowedFd<'_>, name: &[u8], node: &Node<'_>) -> Result<(), Errno> {
        let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)
    }

    /// Another name of a file that was made, or the file itself if its first name was not.
    fn link(&mut self, node: &Node<'t>, first: NodeId) -> Result<(), ExtractError> {
        let original = self.filling.tree.node(first);
        let is_special = !matches!(original.kind, Kind::File { .. } | Kind::Symlink(_));
        if is_special && !self.filling.taking.special_files {
            self.extracted.special_files += 1;
            return Ok(());
        }
        let Some(path) = self.below_top(first) else {
            let copy = Node {
                id: first,
                name: node.name,
                ..original
            };
            return self.make(&copy);
        };
        let failed = |error: Errno| self.failed(node.id, error);
        // A directory that is finished may be one that its owner must not list.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b"."[..], &path[..]),
        };
        let parent = std::ffi::OsStr::from_bytes(parent);
        let from = rustix::fs::openat2(&self.root, parent, flags, Mode::empty(), resolve);
        let from = from.map_err(failed)?;
        rustix::fs::linkat(&from, name, self.parent(), node.name, AtFlags::empty())
            .map_err(failed)?;
        self.extracted.made += 1;
        Ok(())
    }

    /// The path of a node from the directory on that is copied; none if it is not below that.
    fn below_top(&self, node: NodeId) -> Option<Vec<u8>> {
        if node <= self.top || *self.filling.tree.node(self.top).kind != Kind::Directory {
            return None;
        }
        let (top, path) = (
            self.filling.tree.path(self.top),
            self.filling.tree.path(node),
        );
        let below = path.strip_prefix(&*top)?;
        match below.strip_prefix(b"/") {
            Some(below) => Some(below.to_vec()),
            None => (top == b"/").then(|| below.to_vec()),
        }
    }

    fn special(
        &mut self,
        node: &Node<'t>,
        kind: FileType,
        device: u64,
    ) -> Result<(), ExtractError> {
        if !self.filling.taking.special_files {
            self.extracted.special_files += 1;
            return Ok(());
        }
        let made = rustix::fs::mknodat(
            self.parent(),
            node.name,
            kind,
            Mode::RUSR | Mode::WUSR,
            device,
        );
        let took = made
            .and_then(|()| self.finish_special(node))
            .map_err(|error| self.failed(node.id, error))?;
        self.note(node.id, took);
        self.extracted.made += 1;
        Ok(())
    }

    /// Gives what cannot be opened its owner, mode and time. A link that somebody puts in its place is not followed.
    fn finish_special(&self, node: &Node<'_>) -> Result<Took, Errno> {
        let taking = self.filling.taking;
        if taking.owners {
            self.own(self.parent(), node.name, node)?;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(self.parent(), node.name, flags, Mode::empty())?;
        let mode = Mode::from_raw_mode((node.mode & taking.bits()).into());
        if Mode::from_raw_mode(rustix::fs::fstat(&made)?.st_mode) != mode {
            rustix::fs::chmod(format!("/proc/self/fd/{}", made.as_raw_fd()), mode)?;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(self.parent(), node.name, &times(node), flags)?;
        Ok(Took::of(node, Some(mode), &rustix::fs::fstat(&made)?))
    }

    /// Finishes the innermost directory.
    fn leave(&mut self) -> Result<(), ExtractError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let node = self.filling.tree.node(open.node);
        self.count_special_bits(&node);
        let took = finish(&open.fd, &node, self.filling.taking)
            .map_err(|error| self.failed(open.node, error))?;
        self.note(open.node, took);
        Ok(())
    }
}

/// The time of a node, for what was made of it.
fn times(node: &Node<'_>) -> Timestamps {
    let time = Timespec {
        tv_sec: node.modified.seconds,
        tv_nsec: node.modified.nanoseconds.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
