//! A directory of the host as a source.
//!
//! The walk opens the directory once, as a capability, and reaches everything else from there. Several threads take
//! directories from one list; what each one finds is sorted before it is used, so the order of the work shows nowhere.
//! A node costs one `statx` and one `llistxattr`. Mounted file systems below the directory are content like any other.
//! Ownership, modes, times, hard links (same device and inode) and holes are taken as found.

use super::attributes::{self, Access, AttributeSets, Target};
use super::beneath::{self, OpenDirectories, ROOT, Record, Route};
use super::error::SourceError;
use super::forest::{Body, Children, Forest, Full, Inode, InodeId, Metadata};
use super::pattern::Patterns;
use super::stamp::{Stamp, device, modified, status};
use super::store::{StoredFile, WalkedFile, WalkedStore};
use crate::{Attribute, Kind, Timestamp, index, join_path};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cellblock_text::PathBytes;
use rustix::fs::{
    Access as Permission, AtFlags, FileType, RawDir, SeekFrom, Statx, StatxFlags, accessat,
    readlinkat, statx,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard};

/// Bytes of names that one `getdents64` may return.
const LISTING_BYTES: usize = 64 * 1024;

/// More threads than this only wait for the kernel's locks.
const THREADS: usize = 4;

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
    attributes: Vec<Attribute>,
}

enum FoundBody {
    /// With its number, once it has one.
    Directory(u32),
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
    exclude: &'a Patterns,
    access: Access,
    state: Mutex<WalkState>,
    changed: Condvar,
}

struct WalkState {
    directories: Vec<Record>,
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
    exclude: &Patterns,
    store: u32,
    sets: &mut AttributeSets,
) -> Result<(Forest, WalkedStore), SourceError> {
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
    let root = beneath::open_directory(root.as_fd(), b".")
        .map(Dir::from)
        .map_err(|error| failure(path, PathBytes(b"/".to_vec()), "open", error))?;
    let access = Access::detect(root.as_fd());
    read_opened(path, root, exclude, access, store, sets)
}

pub(super) fn read_opened(
    path: &Path,
    root: Dir,
    exclude: &Patterns,
    access: Access,
    store: u32,
    sets: &mut AttributeSets,
) -> Result<(Forest, WalkedStore), SourceError> {
    let walk = Walk {
        path,
        root: &root,
        exclude,
        access,
        state: Mutex::new(WalkState {
            directories: vec![Record {
                parent: ROOT,
                depth: 0,
                name: Box::default(),
            }],
            listings: vec![Vec::new()],
            pending: vec![ROOT],
            active: 0,
            failure: None,
        }),
        changed: Condvar::new(),
    };
    let root_metadata = walk.root_metadata()?;
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
    let state = walk.state.into_inner().expect("no thread panicked");
    if let Some(failure) = state.failure {
        return Err(failure);
    }
    let (forest, files) = plant(root_metadata, state.listings, store, sets)?;
    let walked = WalkedStore {
        path: path.into(),
        root,
        directories: state.directories,
        files,
    };
    Ok((forest, walked))
}

impl Walk<'_> {
    fn state(&self) -> MutexGuard<'_, WalkState> {
        self.state.lock().expect("no thread panicked")
    }

    fn root_metadata(&self) -> Result<FoundMetadata, SourceError> {
        let inspect = || {
            let status = status(self.root)?;
            Ok(metadata(&status, attributes::of_open(self.root)?))
        };
        inspect().map_err(|error| self.failure(ROOT, b"", "inspect", error))
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

fn metadata(status: &Statx, attributes: Vec<Attribute>) -> FoundMetadata {
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
                if !self.walk.exclude.is_empty() {
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
                Access::Proc(descriptors) => format!("{descriptors}/{}/", fd.as_raw_fd()).into(),
                Access::Open => Vec::new(),
            },
            without_attributes: None,
        };
        let mut path = task.names.clone();
        let mut found = Vec::new();
        let mut entries = RawDir::new(fd, &mut self.listing_buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| walk.failure(directory, b"", "list", error))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let fail = |(action, error)| walk.failure(directory, name.to_bytes(), action, error);
            let status = inspection.status(name).map_err(fail)?;
            if !walk.exclude.is_empty() {
                let is_directory = file_type(&status) == FileType::Directory;
                path.push(name.to_bytes().into());
                let excluded = walk.exclude.exclude(&path, is_directory);
                path.pop();
                if excluded {
                    continue;
                }
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
            let FoundBody::Directory(number) = &mut node.body else {
                continue;
            };
            let Ok(next) = u32::try_from(self.directories.len()) else {
                self.failure.get_or_insert(SourceError::TooManyNodes);
                return;
            };
            *number = next;
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
}

/// What could not be done, and why.
type Failure = (&'static str, Errno);

impl Inspection<'_> {
    fn status(&self, name: &CStr) -> Result<Statx, Failure> {
        statx(
            self.fd,
            name,
            AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT,
            StatxFlags::BASIC_STATS,
        )
        .map_err(|error| ("inspect", error))
    }

    fn inspect(&mut self, name: &CStr, status: &Statx) -> Result<Found, Failure> {
        let body = match file_type(status) {
            FileType::Directory => FoundBody::Directory(ROOT),
            FileType::RegularFile => self.file(name, status)?,
            FileType::Symlink => {
                let target = readlinkat(self.fd, name, Vec::new())
                    .map_err(|error| ("read the link", error))?;
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
            FileType::Unknown => return Err(("tell the type of", Errno::OPNOTSUPP)),
        };
        let may_have_links = status.stx_nlink > 1 && !matches!(body, FoundBody::Directory(_));
        let attributes = self.attributes(name, status, &body)?;
        Ok(Found {
            name: name.to_bytes().into(),
            metadata: metadata(status, attributes),
            identity: may_have_links.then(|| (device(status), status.stx_ino)),
            body,
        })
    }

    fn file(&self, name: &CStr, status: &Statx) -> Result<FoundBody, Failure> {
        let size = status.stx_size;
        // A mode that lets everybody read needs no question; for others it is better asked now than found out
        // when half of the image is written.
        if size > 0 && status.stx_mode & 0o444 != 0o444 {
            // Not every kernel can answer; then reading will.
            let answer = accessat(self.fd, name, Permission::READ_OK, AtFlags::EACCESS);
            if answer == Err(Errno::ACCESS) {
                return Err(("read", Errno::ACCESS));
            }
        }
        // Fewer blocks than bytes may also mean compression or inline data: only the file system knows.
        let sparse = status.stx_blocks.saturating_mul(512) < size
            && has_holes(self.fd, name, size).map_err(|error| ("read", error))?;
        Ok(FoundBody::File {
            size,
            sparse,
            stamp: Stamp::new(status),
        })
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
            (Access::Proc(_), _) => self.attributes_through_proc(name),
            (Access::Open, FoundBody::Directory(_) | FoundBody::File { .. }) => {
                beneath::open_file(self.fd, name).and_then(attributes::of_open)
            }
            (Access::Open, FoundBody::Other(_)) => Ok(Vec::new()),
        };
        match result {
            Err(Errno::OPNOTSUPP) => {
                self.without_attributes = Some(device(status));
                Ok(Vec::new())
            }
            result => result.map_err(|error| ("read the attributes of", error)),
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

/// Makes the forest of all listings, in the order of names.
fn plant(
    root: FoundMetadata,
    mut listings: Vec<Vec<Found>>,
    store: u32,
    sets: &mut AttributeSets,
) -> Result<(Forest, Vec<WalkedFile>), Full> {
    let mut forest = Forest::new();
    let mut files = Vec::new();
    forest.set_metadata(InodeId::ROOT, root.intern(sets));
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
            let linked_name = found.identity.map(|_| found.name.clone());
            let subdirectory = match found.body {
                FoundBody::Directory(number) => Some(number),
                _ => None,
            };
            let inode = forest.add(Inode {
                metadata: Some(found.metadata.intern(sets)),
                body: found.body.settle(store, number, linked_name, &mut files)?,
            })?;
            links.extend(found.identity.map(|identity| (identity, inode)));
            pending.extend(subdirectory.map(|number| (number, inode)));
            children.push((found.name, inode));
        }
        pending[first_pending..].reverse();
        forest.set_children(directory, Children::from_iter(children));
    }
    Ok((forest, files))
}

impl FoundMetadata {
    fn intern(self, sets: &mut AttributeSets) -> Metadata {
        Metadata {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            modified: Some(self.modified),
            attributes: sets.number(self.attributes),
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
            Self::Directory(_) => Body::Directory(Children::new()),
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
