//! The threads that walk: each takes directories from one list, and what it finds in one is sorted before it is used.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::inspect::{Failure, Inspection, file_type};
use super::plant::{Found, FoundBody};
use crate::source::attributes::{AttributeAccess, memory};
use crate::source::beneath::{self, OpenDirectories, Record, Route};
use crate::source::budget::{self, OverBudget};
use crate::source::count::Counter;
use crate::source::error::SourceError;
use crate::source::pattern::Patterns;
use crate::source::stamp::{FileId, Stamp};
use crate::source::store::long;
use crate::source::walked::{self, failure, path_of};
use crate::{Attribute, index};
use cap_std::fs::Dir;
use cellblock_text::PathBytes;
use rustix::fs::{AtFlags, FileType, RawDir, Statx};
use rustix::io::Errno;

/// Bytes of names that one `getdents64` may return.
const LISTING_BYTES: usize = 64 * 1024;

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

/// What the threads share.
pub(super) struct Walk<'a> {
    pub(super) path: &'a Path,
    pub(super) root: &'a Dir,
    pub(super) selection: Selection<'a>,
    pub(super) access: AttributeAccess,
    pub(super) state: Mutex<WalkState>,
    pub(super) changed: Condvar,
    pub(super) memory: Mutex<Memory>,
}

/// What is kept of the nodes until they are in the forest.
#[derive(Default)]
pub(super) struct Memory {
    /// Equal ones once.
    pub(super) sets: BTreeSet<Arc<[Attribute]>>,
    pub(super) nodes: u64,
    pub(super) bytes: u64,
    pub(super) found: Counter,
}

impl Memory {
    /// Counts a node of these attributes and so many bytes beside them.
    pub(super) fn keep(
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

pub(super) struct WalkState {
    pub(super) directories: Vec<Record>,
    /// What each directory was when it was found.
    pub(super) stamps: Vec<Stamp>,
    pub(super) left_out: Vec<PathBytes>,
    /// What was found in each directory.
    pub(super) listings: Vec<Vec<Found>>,
    /// Directories yet to be read, taken from the end: neighbours follow each other.
    pub(super) pending: Vec<u32>,
    /// Threads that are reading a directory, and may find more.
    pub(super) active: usize,
    pub(super) failure: Option<SourceError>,
}

/// A link at the end is not followed, and nothing is mounted.
pub(super) const STATUS_FLAGS: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT);

impl Walk<'_> {
    pub(super) fn state(&self) -> MutexGuard<'_, WalkState> {
        self.state.lock().expect("no thread panicked")
    }

    /// Whether a pattern means this path, whose names are known if there are patterns.
    pub(super) fn excludes(&self, path: &[Box<[u8]>], status: &Statx) -> bool {
        let Selection { strip, exclude, .. } = self.selection;
        let is_directory = file_type(status) == FileType::Directory;
        !exclude.is_empty() && path.len() > strip && exclude.exclude(&path[strip..], is_directory)
    }

    pub(super) fn leaves_out(&self, status: &Statx) -> bool {
        let leave_out = self.selection.leave_out;
        file_type(status) == FileType::RegularFile
            && !leave_out.is_empty()
            && leave_out.contains(&FileId::of(status))
    }

    /// Counts a node for the memory that may be kept.
    pub(super) fn keep(
        &self,
        attributes: Vec<Attribute>,
        bytes: usize,
    ) -> Result<Arc<[Attribute]>, Failure> {
        let mut memory = self.memory.lock().expect("no thread panicked");
        memory.keep(attributes, bytes).map_err(Failure::Kept)
    }

    /// The error for what could not be done with a name in a directory.
    pub(super) fn explain(&self, directory: u32, name: &[u8], failure: Failure) -> SourceError {
        let (root, path) = (
            self.path.to_path_buf(),
            path_of(&self.state().directories, directory, name),
        );
        match failure {
            Failure::Io(action, error) => walked::failure(&root, path, action, error),
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

    pub(super) fn failure(
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

/// A directory to be read.
pub(super) struct Task {
    pub(super) directory: u32,
    /// The way there from the directories that are open.
    pub(super) route: Route,
    /// Its path, if there are patterns to match it with.
    pub(super) names: Vec<Box<[u8]>>,
}

/// One thread of the walk.
pub(super) struct Worker<'a> {
    pub(super) walk: &'a Walk<'a>,
    pub(super) open: OpenDirectories,
    pub(super) listing_buffer: Vec<MaybeUninit<u8>>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(walk: &'a Walk<'a>) -> Self {
        Self {
            walk,
            open: OpenDirectories::default(),
            listing_buffer: vec![MaybeUninit::uninit(); LISTING_BYTES],
        }
    }

    pub(super) fn run(&mut self) {
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
