//! A directory of the host as a source.
//!
//! The walk opens the directory once, as a capability, and reaches everything else from there. Several threads take
//! directories from one list; what each one finds is sorted before it is used, so the order of the work shows nowhere.
//! A node costs one `statx` and one `llistxattr`. Mounted file systems below the directory are content like any other.
//! Ownership, modes, times, hard links (same device and inode) and holes are taken as found.

mod inspect;
mod plant;
mod walk;

use std::ffi::OsStr;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Condvar, Mutex};

use crate::join_path;
use crate::source::attributes::{self, AttributeAccess};
use crate::source::beneath::{self, OpenDirectories, ROOT, Record};
use crate::source::budget::Kept;
use crate::source::error::SourceError;
use crate::source::forest::Forest;
use crate::source::single::noun;
use crate::source::stamp::{Stamp, status};
use crate::source::store::WalkedStore;
use crate::source::walked::{failure, path_of};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cellblock_text::PathBytes;
use inspect::metadata;
pub(crate) use inspect::{first_hole, without_lengths};
use plant::Planting;
use rustix::fs::{FileType, StatxFlags, statx};
use rustix::io::Errno;
pub(crate) use walk::Selection;
use walk::{Memory, STATUS_FLAGS, Walk, WalkState, Worker};

/// More threads than this only wait for the kernel's locks.
const THREADS: usize = 4;

/// A directory that has been read.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) forest: Forest,
    pub(crate) store: WalkedStore,
    /// The paths of the files that were left out, sorted.
    pub(crate) left_out: Vec<PathBytes>,
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
                        found: noun(FileType::from_raw_mode(status.st_mode)),
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
