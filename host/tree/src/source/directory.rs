//! A directory of the host as a source.
//!
//! The walk opens the directory once, as a capability, and reaches everything else from there. Several threads take
//! directories from one list; what each one finds is sorted before it is used, so the order of the work shows nowhere.
//! A node costs one `statx` and one `llistxattr`. Mounted file systems below the directory are content like any other.
//! Ownership, modes, times, hard links (same device and inode) and holes are taken as found.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::attributes::{self, AttributeAccess, Target, memory};
use super::beneath::{self, OpenDirectories, ROOT, Record, Route};
use super::budget::{self, Kept, OverBudget};
use super::count::Counter;
use super::error::SourceError;
use super::forest::{Body, Children, Forest, Full, Inode, InodeId, Metadata};
use super::pattern::Patterns;
use super::stamp::{FileId, Stamp, device, modified, status};
use super::store::{StoredFile, WalkedFile, WalkedStore, long};
use crate::{Attribute, Kind, Timestamp, index, join_path};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cellblock_text::PathBytes;
use rustix::fs::{
    Access, AtFlags, FileType, FsWord, RawDir, SeekFrom, Statx, StatxFlags, accessat, readlinkat,
    statx,
};
use rustix::io::Errno;

/// Bytes of names that one `getdents64` may return.
const LISTING_BYTES: usize = 64 * 1024;

/// More threads than this only wait for the kernel's locks.
const THREADS: usize = 4;

/// A symbolic link's target of more bytes than this counts for the memory that the walk may take.
const LONG_TARGET: usize = 256;

/// What of a directory is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    /// The directory in it that is taken in its place, by its names.
    pub(crate) from: &'a [&'a [u8]],
    /// How many names will be taken off every path: patterns mean what is left.
    pub(crate) strip: usize,
    pub(crate) exclude: &'a Patterns,
    /// Whether files may get other names than they have there.
    pub(crate) renames: bool,
    /// Regular files that are left out.
    pub(crate) leave_out: &'a BTreeSet<FileId>,
}

/// A directory that has been read.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) forest: Forest,
    pub(crate) store: WalkedStore,
    /// The paths of the files that were left out, sorted.
    pub(crate) left_out: Vec<PathBytes>,
}

/// The path below the root of a name in a directory.
pub(crate) fn path_of(records: &[Record], directory: u32, name: &[u8]) -> PathBytes {
    let mut names = beneath::names(records, directory);
    if !name.is_empty() {
        names.push(name);
    }
    PathBytes(join_path(names.into_iter()))
}

/// A node as it was found.
struct Found {
    name: Box<[u8]>,
    metadata: FoundMetadata,
    /// Device and inode, where there may be more names for it.
    identity: Option<(u64, u64)>,
    body: FoundBody,
}

struct FoundMetadata {
    mode: u16,
    uid: u32,
    gid: u32,
    modified: Timestamp,
    attributes: Arc<[Attribute]>,
}

enum FoundBody {
    Directory {
        /// Once it has one.
        number: u32,
        stamp: Stamp,
    },
    File {
        size: u64,
        sparse: bool,
        stamp: Stamp,
    },
    Other(Kind),
}

/// What the threads share.
struct Walk<'a> {
    path: &'a Path,
    root: &'a Dir,
    selection: Selection<'a>,
    access: AttributeAccess,
    state: Mutex<WalkState>,
    changed: Condvar,
    memory: Mutex<Memory>,
}

/// What is kept of the nodes until they are in the forest.
#[derive(Default)]
struct Memory {
    /// Equal ones once.
    sets: BTreeSet<Arc<[Attribute]>>,
    nodes: u64,
    bytes: u64,
    found: Counter,
}

impl Memory {
    /// Counts a node of these attributes and so many bytes beside them.
    fn keep(
        &mut self,
        attributes: Vec<Attribute>,
        bytes: usize,
    ) -> Result<Arc<[Attribute]>, OverBudget> {
        let set: Arc<[Attribute]> = attributes.into();
        self.nodes += 1;
        self.found.add();
        self.bytes += long(bytes);
        let set = match self.sets.get(&set) {
            Some(known) => Arc::clone(known),
            None => {
                self.bytes += memory(&set);
                self.sets.insert(Arc::clone(&set));
                set
            }
        };
        budget::within(self.nodes, self.bytes)?;
        Ok(set)
    }
}

struct WalkState {
    directories: Vec<Record>,
    /// What each directory was when it was found.
    stamps: Vec<Stamp>,
    left_out: Vec<PathBytes>,
    /// What was found in each directory.
    listings: Vec<Vec<Found>>,
    /// Directories yet to be read, taken from the end: neighbours follow each other.
    pending: Vec<u32>,
    /// Threads that are reading a directory, and may find more.
    active: usize,
    failure: Option<SourceError>,
}

/// Reads the directory at `path`. A symbolic link there is followed: the path is the user's, not content.
pub(crate) fn read(
    path: &Path,
    selection: Selection<'_>,
    store: u32,
    kept: &mut Kept,
) -> Result<Directory, SourceError> {
    let root =
        Dir::open_ambient_dir(path, ambient_authority()).map_err(
            |error| match rustix::fs::stat(path) {
                Ok(status) if FileType::from_raw_mode(status.st_mode) != FileType::Directory => {
                    SourceError::WrongType {
                        path: path.into(),
                        expected: "a directory",
                        found: "something else",
                    }
                }
                _ => SourceError::Open {
                    path: path.into(),
                    error,
                },
            },
        )?;
    // What cap-std gives may only be good for opening what is in it; this one can be listed.
    let mut root = beneath::open_directory(root.as_fd(), b".")
        .map(Dir::from)
        .map_err(|error| failure(path, PathBytes(b"/".to_vec()), "open", error))?;
    let mut full_path = path.to_path_buf();
    for name in selection.from {
        root = beneath::open_directory(root.as_fd(), name)
            .map(Dir::from)
            .map_err(|error| from_failure(path, selection.from, error))?;
        full_path.push(OsStr::from_bytes(name));
    }
    let access = AttributeAccess::detect(root.as_fd());
    read_opened(&full_path, root, selection, access, store, kept, || ())
}

/// The error for a directory that content is taken from and that cannot be opened.
fn from_failure(root: &Path, from: &[&[u8]], error: Errno) -> SourceError {
    let path = PathBytes(join_path(from.iter().copied()));
    let found = match error {
        Errno::NOENT => "not in it",
        Errno::NOTDIR | Errno::LOOP => "no directory, or behind one that is a link",
        _ => return failure(root, path, "open", error),
    };
    SourceError::From {
        root: root.into(),
        from: path,
        found,
    }
}

/// Walks the directory. `walked` is called before it is looked whether the directories are still what they were.
pub(super) fn read_opened(
    path: &Path,
    root: Dir,
    selection: Selection<'_>,
    access: AttributeAccess,
    store: u32,
    kept: &mut Kept,
    walked: impl FnOnce(),
) -> Result<Directory, SourceError> {
    let status_error = |error| failure(path, PathBytes(b"/".to_vec()), "inspect", error);
    let root_status = status(&root).map_err(status_error)?;
    let walk = Walk {
        path,
        root: &root,
        selection,
        access,
        state: Mutex::new(WalkState {
            directories: vec![Record {
                parent: ROOT,
                depth: 0,
                name: Box::default(),
            }],
            stamps: vec![Stamp::new(&root_status)],
            left_out: Vec::new(),
            listings: vec![Vec::new()],
            pending: vec![ROOT],
            active: 0,
            failure: None,
        }),
        changed: Condvar::new(),
        memory: Mutex::new(Memory {
            found: kept.found.clone(),
            ..Memory::default()
        }),
    };
    let attributes = attributes::of_open(&root).map_err(status_error)?;
    let attributes = walk
        .keep(attributes, 0)
        .map_err(|failure| walk.explain(ROOT, b"", failure))?;
    let root_metadata = metadata(&root_status, attributes);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..threads.min(THREADS) {
            let started =
                std::thread::Builder::new().spawn_scoped(scope, || Worker::new(&walk).run());
            // Where no more threads may be started, those that there are do all of it.
            if started.is_err() {
                break;
            }
        }
        Worker::new(&walk).run();
    });
    walked();
    let state = walk.state.into_inner().expect("no thread panicked");
    if let Some(failure) = state.failure {
        return Err(failure);
    }
    check_again(path, &root, &state.directories, &state.stamps)?;
    let mut planting = Planting {
        path,
        directories: &state.directories,
        store,
        kept,
        renames: selection.renames,
        files: Vec::new(),
    };
    let forest = planting.plant(root_metadata, state.listings)?;
    let files = planting.files;
    let mut left_out = state.left_out;
    left_out.sort();
    Ok(Directory {
        forest,
        store: WalkedStore {
            path: path.into(),
            root,
            directories: state.directories,
            files,
        },
        left_out,
    })
}

/// Looks at every directory again: one that has changed may have lost what was renamed from a directory that was read later
/// into one that was read before, or the other way round.
fn check_again(
    path: &Path,
    root: &Dir,
    directories: &[Record],
    stamps: &[Stamp],
) -> Result<(), SourceError> {
    let mut open = OpenDirectories::default();
    for (number, (record, stamp)) in directories.iter().zip(stamps).enumerate() {
        let name_of = || {
            (
                path.to_path_buf(),
                path_of(directories, record.parent, &record.name),
            )
        };
        let fail = |error| failure(path, name_of().1, "inspect", error);
        let status = if number == 0 {
            status(root)
        } else {
            let route = open.route(directories, record.parent);
            let parent = open.follow(root.as_fd(), &route).map_err(fail)?;
            statx(
                parent,
                &record.name[..],
                STATUS_FLAGS,
                StatxFlags::BASIC_STATS,
            )
        };
        stamp.compare(None, &status.map_err(fail)?, name_of)?;
    }
    Ok(())
}

/// A link at the end is not followed, and nothing is mounted.
const STATUS_FLAGS: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT);

impl Walk<'_> {
    fn state(&self) -> MutexGuard<'_, WalkState> {
        self.state.lock().expect("no thread panicked")
    }

    /// Whether a pattern means this path, whose names are known if there are patterns.
    fn excludes(&self, path: &[Box<[u8]>], status: &Statx) -> bool {
        let Selection { strip, exclude, .. } = self.selection;
        let is_directory = file_type(status) == FileType::Directory;
        !exclude.is_empty() && path.len() > strip && exclude.exclude(&path[strip..], is_directory)
    }

    fn leaves_out(&self, status: &Statx) -> bool {
        let leave_out = self.selection.leave_out;
        file_type(status) == FileType::RegularFile
            && !leave_out.is_empty()
            && leave_out.contains(&FileId::of(status))
    }

    /// Counts a node for the memory that may be kept.
    fn keep(&self, attributes: Vec<Attribute>, bytes: usize) -> Result<Arc<[Attribute]>, Failure> {
        let mut memory = self.memory.lock().expect("no thread panicked");
        memory.keep(attributes, bytes).map_err(Failure::Kept)
    }

    /// The error for what could not be done with a name in a directory.
    fn explain(&self, directory: u32, name: &[u8], failure: Failure) -> SourceError {
        let (root, path) = (
            self.path.to_path_buf(),
            path_of(&self.state().directories, directory, name),
        );
        match failure {
            Failure::Io(action, error) => self::failure(&root, path, action, error),
            Failure::WithoutLength(filesystem) => SourceError::WithoutLength {
                root,
                path,
                filesystem,
            },
            Failure::Kept(OverBudget { kept, limit }) => SourceError::Kept {
                root,
                path,
                kept,
                limit,
            },
        }
    }

    fn failure(
        &self,
        directory: u32,
        name: &[u8],
        action: &'static str,
        error: Errno,
    ) -> SourceError {
        let path = path_of(&self.state().directories, directory, name);
        failure(self.path, path, action, error)
    }
}

/// The error for a failed operation on a path in a source directory.
pub(crate) fn failure(
    root: &Path,
    path: PathBytes,
    action: &'static str,
    error: Errno,
) -> SourceError {
    let root = root.to_path_buf();
    match error {
        Errno::ACCESS | Errno::PERM => SourceError::Unreadable {
            root,
            path,
            error: error.into(),
        },
        // What the walk had listed is gone, or has become a link or another type.
        Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO => SourceError::Changed {
            root,
            path,
            what: "entry in its directory",
            was: "there".to_owned(),
            is: std::io::Error::from(error).to_string(),
        },
        _ => SourceError::Io {
            root,
            path,
            action,
            error: error.into(),
        },
    }
}

fn metadata(status: &Statx, attributes: Arc<[Attribute]>) -> FoundMetadata {
    FoundMetadata {
        mode: status.stx_mode & 0o7777,
        uid: status.stx_uid,
        gid: status.stx_gid,
        modified: modified(status),
        attributes,
    }
}

/// A directory to be read.
struct Task {
    directory: u32,
    /// The way there from the directories that are open.
    route: Route,
    /// Its path, if there are patterns to match it with.
    names: Vec<Box<[u8]>>,
}

/// One thread of the walk.
struct Worker<'a> {
    walk: &'a Walk<'a>,
    open: OpenDirectories,
    listing_buffer: Vec<MaybeUninit<u8>>,
}

impl<'a> Worker<'a> {
    fn new(walk: &'a Walk<'a>) -> Self {
        Self {
            walk,
            open: OpenDirectories::default(),
            listing_buffer: vec![MaybeUninit::uninit(); LISTING_BYTES],
        }
    }

    fn run(&mut self) {
        while let Some(task) = self.take() {
            let result = self.list(&task);
            let mut state = self.walk.state();
            state.active -= 1;
            match result {
                Ok(found) => state.record(task.directory, found),
                Err(failure) => {
                    state.failure.get_or_insert(failure);
                    state.pending.clear();
                }
            }
            drop(state);
            self.walk.changed.notify_all();
        }
    }

    /// The next directory; `None` when all are done.
    fn take(&mut self) -> Option<Task> {
        let mut state = self.walk.state();
        loop {
            if state.failure.is_some() {
                return None;
            }
            if let Some(directory) = state.pending.pop() {
                state.active += 1;
                let route = self.open.route(&state.directories, directory);
                let mut names = Vec::new();
                if !self.walk.selection.exclude.is_empty() {
                    let found = beneath::names(&state.directories, directory);
                    names.extend(found.into_iter().map(Box::from));
                }
                return Some(Task {
                    directory,
                    route,
                    names,
                });
            }
            if state.active == 0 {
                return None;
            }
            state = self.walk.changed.wait(state).expect("no thread panicked");
        }
    }

    fn list(&mut self, task: &Task) -> Result<Vec<Found>, SourceError> {
        let walk = self.walk;
        let directory = task.directory;
        let fd = self
            .open
            .follow(walk.root.as_fd(), &task.route)
            .map_err(|error| walk.failure(directory, b"", "open", error))?;
        let mut inspection = Inspection {
            walk,
            fd,
            proc_path: match &walk.access {
                AttributeAccess::Proc(descriptors) => {
                    format!("{descriptors}/{}/", fd.as_raw_fd()).into()
                }
                AttributeAccess::Open => Vec::new(),
            },
            without_attributes: None,
            with_lengths: None,
        };
        // Its names are known if there are patterns.
        let mut path = task.names.clone();
        let mut found = Vec::new();
        let mut entries = RawDir::new(fd, &mut self.listing_buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| walk.failure(directory, b"", "list", error))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let fail = |failure| walk.explain(directory, name.to_bytes(), failure);
            let status = inspection.status(name).map_err(fail)?;
            path.push(name.to_bytes().into());
            let is_excluded = walk.excludes(&path, &status);
            path.pop();
            if is_excluded {
                continue;
            }
            if walk.leaves_out(&status) {
                let path = path_of(&walk.state().directories, directory, name.to_bytes());
                walk.state().left_out.push(path);
                continue;
            }
            found.push(inspection.inspect(name, &status).map_err(fail)?);
        }
        found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }
}

impl WalkState {
    fn record(&mut self, directory: u32, mut found: Vec<Found>) {
        let depth = self.directories[index(directory)].depth + 1;
        let first_pending = self.pending.len();
        for node in &mut found {
            let FoundBody::Directory { number, stamp } = &mut node.body else {
                continue;
            };
            let Ok(next) = u32::try_from(self.directories.len()) else {
                self.failure.get_or_insert(SourceError::TooManyNodes);
                return;
            };
            *number = next;
            self.stamps.push(*stamp);
            self.pending.push(next);
            self.listings.push(Vec::new());
            self.directories.push(Record {
                parent: directory,
                depth,
                name: node.name.clone(),
            });
        }
        self.pending[first_pending..].reverse();
        found.shrink_to_fit();
        self.listings[index(directory)] = found;
    }
}

fn file_type(status: &Statx) -> FileType {
    FileType::from_raw_mode(status.stx_mode.into())
}

/// The looking at names in one open directory.
struct Inspection<'a> {
    walk: &'a Walk<'a>,
    fd: BorrowedFd<'a>,
    /// `/proc/PID/fd/N/`, where there is `/proc`.
    proc_path: Vec<u8>,
    /// A device whose file system was found to have no attributes.
    without_attributes: Option<u64>,
    /// A device whose file system was found to say how long files are.
    with_lengths: Option<u64>,
}

/// What could not be done, and why.
enum Failure {
    Io(&'static str, Errno),
    /// A file of such a file system.
    WithoutLength(&'static str),
    Kept(OverBudget),
}

impl Inspection<'_> {
    fn status(&self, name: &CStr) -> Result<Statx, Failure> {
        statx(self.fd, name, STATUS_FLAGS, StatxFlags::BASIC_STATS)
            .map_err(|error| Failure::Io("inspect", error))
    }

    fn inspect(&mut self, name: &CStr, status: &Statx) -> Result<Found, Failure> {
        let body = match file_type(status) {
            FileType::Directory => FoundBody::Directory {
                number: ROOT,
                stamp: Stamp::new(status),
            },
            FileType::RegularFile => self.file(name, status)?,
            FileType::Symlink => {
                let target = readlinkat(self.fd, name, Vec::new())
                    .map_err(|error| Failure::Io("read the link", error))?;
                FoundBody::Other(Kind::Symlink(target.into_bytes().into()))
            }
            FileType::CharacterDevice => FoundBody::Other(Kind::CharacterDevice {
                major: status.stx_rdev_major,
                minor: status.stx_rdev_minor,
            }),
            FileType::BlockDevice => FoundBody::Other(Kind::BlockDevice {
                major: status.stx_rdev_major,
                minor: status.stx_rdev_minor,
            }),
            FileType::Fifo => FoundBody::Other(Kind::Fifo),
            FileType::Socket => FoundBody::Other(Kind::Socket),
            FileType::Unknown => return Err(Failure::Io("tell the type of", Errno::OPNOTSUPP)),
        };
        let may_have_links = status.stx_nlink > 1 && !matches!(body, FoundBody::Directory { .. });
        let attributes = self.attributes(name, status, &body)?;
        let long_target = match &body {
            FoundBody::Other(Kind::Symlink(target)) if target.len() > LONG_TARGET => target.len(),
            _ => 0,
        };
        let attributes = if attributes.is_empty() && long_target == 0 {
            Arc::default()
        } else {
            self.walk.keep(attributes, long_target)?
        };
        Ok(Found {
            name: name.to_bytes().into(),
            metadata: metadata(status, attributes),
            identity: may_have_links.then(|| (device(status), status.stx_ino)),
            body,
        })
    }

    fn file(&mut self, name: &CStr, status: &Statx) -> Result<FoundBody, Failure> {
        let size = status.stx_size;
        self.check_length(name, status)?;
        // A mode that lets everybody read needs no question; for others it is better asked now than found out
        // when half of the image is written.
        if size > 0 && status.stx_mode & 0o444 != 0o444 {
            // Not every kernel can answer; then reading will.
            let answer = accessat(self.fd, name, Access::READ_OK, AtFlags::EACCESS);
            if answer == Err(Errno::ACCESS) {
                return Err(Failure::Io("read", Errno::ACCESS));
            }
        }
        // Fewer blocks than bytes may also mean compression or inline data: only the file system knows.
        let sparse = status.stx_blocks.saturating_mul(512) < size
            && has_holes(self.fd, name, size).map_err(|error| Failure::Io("read", error))?;
        Ok(FoundBody::File {
            size,
            sparse,
            stamp: Stamp::new(status),
        })
    }

    /// Refuses a file whose length is not known before it is read, as those of `/proc`.
    fn check_length(&mut self, name: &CStr, status: &Statx) -> Result<(), Failure> {
        // Every file system of the kind has a device number without a device.
        if status.stx_dev_major != 0 {
            return Ok(());
        }
        if self.with_lengths != Some(device(status)) {
            let found = beneath::open_path(self.fd, name).and_then(without_lengths);
            if let Ok(Some(filesystem)) = found {
                return Err(Failure::WithoutLength(filesystem));
            }
            self.with_lengths = Some(device(status));
        }
        // Others, such as those of user space, can do it too.
        if status.stx_size == 0
            && let Ok(file) = beneath::open_file(self.fd, name)
            && rustix::io::read(file, &mut [0]).is_ok_and(|count| count > 0)
        {
            return Err(Failure::WithoutLength(
                "a file system that does not tell lengths",
            ));
        }
        Ok(())
    }

    fn attributes(
        &mut self,
        name: &CStr,
        status: &Statx,
        body: &FoundBody,
    ) -> Result<Vec<Attribute>, Failure> {
        if self.without_attributes == Some(device(status)) {
            return Ok(Vec::new());
        }
        let result = match (&self.walk.access, body) {
            (AttributeAccess::Proc(_), _) => self.attributes_through_proc(name),
            (AttributeAccess::Open, FoundBody::Directory { .. } | FoundBody::File { .. }) => {
                beneath::open_file(self.fd, name).and_then(attributes::of_open)
            }
            (AttributeAccess::Open, FoundBody::Other(_)) => Ok(Vec::new()),
        };
        match result {
            Err(Errno::OPNOTSUPP) => {
                self.without_attributes = Some(device(status));
                Ok(Vec::new())
            }
            result => result.map_err(|error| Failure::Io("read the attributes of", error)),
        }
    }

    fn attributes_through_proc(&mut self, name: &CStr) -> Result<Vec<Attribute>, Errno> {
        let directory_length = self.proc_path.len();
        self.proc_path.extend_from_slice(name.to_bytes_with_nul());
        let path = CStr::from_bytes_with_nul(&self.proc_path).expect("the name ends in NUL");
        let result = Target::Path(path).attributes();
        self.proc_path.truncate(directory_length);
        result
    }
}

fn has_holes(directory: BorrowedFd<'_>, name: &CStr, size: u64) -> Result<bool, Errno> {
    let file = beneath::open_file(directory, name)?;
    Ok(first_hole(&file).is_some_and(|hole| hole < size))
}

/// The first hole of an open file; `None` where the file system cannot tell.
pub(crate) fn first_hole(file: impl AsFd) -> Option<u64> {
    rustix::fs::seek(file, SeekFrom::Hole(0)).ok()
}

/// What the file system of an open file is called, if its files have no length before they are read.
pub(crate) fn without_lengths(file: impl AsFd) -> Result<Option<&'static str>, Errno> {
    // Their numbers (linux/magic.h).
    const FILESYSTEMS: [(FsWord, &str); 8] = [
        (0x9fa0, "procfs"),
        (0x6265_6572, "sysfs"),
        (0x0027_e0eb, "cgroupfs"),
        (0x6367_7270, "cgroupfs"),
        (0x6462_6720, "debugfs"),
        (0x7472_6163, "tracefs"),
        (0x7363_6673, "securityfs"),
        (0x6265_6570, "configfs"),
    ];
    let found = rustix::fs::fstatfs(file)?.f_type;
    let known = FILESYSTEMS.iter().find(|(number, _)| *number == found);
    Ok(known.map(|(_, name)| *name))
}

/// The making of a forest out of all listings, in the order of names.
struct Planting<'a> {
    path: &'a Path,
    directories: &'a [Record],
    store: u32,
    kept: &'a mut Kept,
    renames: bool,
    files: Vec<WalkedFile>,
}

impl Planting<'_> {
    fn plant(
        &mut self,
        root: FoundMetadata,
        mut listings: Vec<Vec<Found>>,
    ) -> Result<Forest, SourceError> {
        let mut forest = Forest::new();
        forest.set_metadata(InodeId::ROOT, root.intern(self.kept));
        let mut links: HashMap<(u64, u64), InodeId> = HashMap::new();
        let mut pending = vec![(ROOT, InodeId::ROOT)];
        while let Some((number, directory)) = pending.pop() {
            let mut children = Vec::new();
            let first_pending = pending.len();
            for found in std::mem::take(&mut listings[index(number)]) {
                let known = found.identity.and_then(|identity| links.get(&identity));
                if let Some(known) = known {
                    children.push((found.name, *known));
                    continue;
                }
                let subdirectory = match found.body {
                    FoundBody::Directory { number, .. } => Some(number),
                    _ => None,
                };
                let identity = found.identity;
                let (name, inode) = self.inode(number, found)?;
                let inode = forest.add(inode)?;
                links.extend(identity.map(|identity| (identity, inode)));
                pending.extend(subdirectory.map(|number| (number, inode)));
                children.push((name, inode));
            }
            pending[first_pending..].reverse();
            forest.set_children(directory, Children::from_iter(children));
        }
        Ok(forest)
    }

    fn inode(&mut self, directory: u32, found: Found) -> Result<(Box<[u8]>, Inode), SourceError> {
        let Found {
            name,
            metadata,
            identity,
            body,
        } = found;
        let target = match &body {
            FoundBody::Other(Kind::Symlink(target)) => target.len(),
            _ => 0,
        };
        let metadata = metadata.intern(self.kept);
        self.kept
            .node(long(name.len() + target))
            .map_err(|OverBudget { kept, limit }| SourceError::Kept {
                root: self.path.into(),
                path: path_of(self.directories, directory, &name),
                kept,
                limit,
            })?;
        let other_name = (self.renames || identity.is_some()).then(|| name.clone());
        let inode = Inode {
            metadata: Some(metadata),
            body: body.settle(self.store, directory, other_name, &mut self.files)?,
        };
        Ok((name, inode))
    }
}

impl FoundMetadata {
    fn intern(self, kept: &mut Kept) -> Metadata {
        Metadata {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            modified: Some(self.modified),
            attributes: kept.sets.number(self.attributes.to_vec()),
        }
    }
}

impl FoundBody {
    fn settle(
        self,
        store: u32,
        directory: u32,
        name: Option<Box<[u8]>>,
        files: &mut Vec<WalkedFile>,
    ) -> Result<Body, Full> {
        Ok(match self {
            Self::Directory { .. } => Body::Directory(Children::new()),
            Self::Other(kind) => Body::Other(kind),
            Self::File {
                size,
                sparse,
                stamp,
            } => {
                let number = u32::try_from(files.len()).map_err(|_| Full)?;
                files.push(WalkedFile {
                    directory,
                    name,
                    stamp,
                });
                Body::File {
                    size,
                    sparse,
                    content: StoredFile { store, number },
                }
            }
        })
    }
}
