//! Opening directories and files below an open root, by the numbers that a walk gave to the directories.
//!
//! Nothing outside the root is opened, and no symbolic link is followed, whatever is done to the tree meanwhile: a step of
//! one name is an `openat(2)` with `O_NOFOLLOW`; a longer one an `openat2(2)` with `RESOLVE_BENEATH`, or one step a name
//! where that call is missing.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::index;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// `PATH_MAX` without its NUL: the longest path of one system call.
const LONGEST_PATH: usize = 4095;

/// How many directories are kept open at once. When it is reached every second one is closed, so that those left
/// stand at even distances and no way down is ever long.
const OPEN_AT_ONCE: usize = 16;

/// The number of the root directory.
pub(crate) const ROOT: u32 = 0;

/// A directory of a walk.
#[derive(Debug)]
pub(crate) struct Record {
    /// The number of the directory that it is in.
    pub(crate) parent: u32,
    /// How many names its path has.
    pub(crate) depth: u32,
    pub(crate) name: Box<[u8]>,
}

/// The names from the root to `directory`.
pub(crate) fn names(records: &[Record], directory: u32) -> Vec<&[u8]> {
    let mut names = Vec::new();
    let mut at = directory;
    while at != ROOT {
        let record = &records[index(at)];
        names.push(&*record.name);
        at = record.parent;
    }
    names.reverse();
    names
}

/// Whether `openat2` is there. Old kernels do not have it, and some sandboxes refuse it.
static OPENAT2: AtomicBool = AtomicBool::new(true);

/// The directories that a thread has open: some of those on the way to the last one.
#[derive(Debug, Default)]
pub(crate) struct OpenDirectories {
    stack: Vec<Opened>,
}

#[derive(Debug)]
struct Opened {
    directory: u32,
    depth: u32,
    fd: OwnedFd,
}

/// The directories between the nearest open one and the one that is wanted, top down.
#[derive(Debug)]
pub(crate) struct Route(Vec<Step>);

#[derive(Debug)]
struct Step {
    directory: u32,
    depth: u32,
    name: Box<[u8]>,
}

impl OpenDirectories {
    /// Finds the way to `target`, closing what is not on it. Makes no other system call.
    pub(crate) fn route(&mut self, records: &[Record], target: u32) -> Route {
        let mut steps = Vec::new();
        let mut at = target;
        while at != ROOT {
            let record = &records[index(at)];
            while self.stack.last().is_some_and(|top| {
                top.depth > record.depth || (top.depth == record.depth && top.directory != at)
            }) {
                self.stack.pop();
            }
            if self.stack.last().is_some_and(|top| top.directory == at) {
                break;
            }
            steps.push(Step {
                directory: at,
                depth: record.depth,
                name: record.name.clone(),
            });
            at = record.parent;
        }
        if at == ROOT {
            self.stack.clear();
        }
        steps.reverse();
        Route(steps)
    }

    /// Goes the way, and gives the directory at its end.
    pub(crate) fn follow<'a>(
        &'a mut self,
        root: BorrowedFd<'a>,
        route: &Route,
    ) -> Result<BorrowedFd<'a>, Errno> {
        let mut steps = &route.0[..];
        while !steps.is_empty() {
            let from = self.stack.last().map_or(root, |top| top.fd.as_fd());
            let (fd, taken) = descend(from, steps)?;
            let Step {
                directory, depth, ..
            } = steps[taken - 1];
            if self.stack.len() == OPEN_AT_ONCE {
                let mut keep = true;
                self.stack.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
            self.stack.push(Opened {
                directory,
                depth,
                fd,
            });
            steps = &steps[taken..];
        }
        Ok(self.stack.last().map_or(root, |top| top.fd.as_fd()))
    }
}

/// Opens a directory as many steps below `from` as one system call can; returns how many.
fn descend(from: BorrowedFd<'_>, steps: &[Step]) -> Result<(OwnedFd, usize), Errno> {
    let mut path = steps[0].name.to_vec();
    let mut taken = 1;
    if OPENAT2.load(Ordering::Relaxed) {
        for step in &steps[1..] {
            if path.len() + 1 + step.name.len() > LONGEST_PATH {
                break;
            }
            path.push(b'/');
            path.extend_from_slice(&step.name);
            taken += 1;
        }
    }
    if taken == 1 {
        return Ok((open_directory(from, &path)?, 1));
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(from, &path[..], DIRECTORY_FLAGS, Mode::empty(), resolve) {
        Ok(fd) => Ok((fd, taken)),
        // EPERM is what seccomp filters give for calls that they do not know; `open` has no use for it here.
        Err(Errno::NOSYS | Errno::PERM) => {
            OPENAT2.store(false, Ordering::Relaxed);
            Ok((open_directory(from, &steps[0].name)?, 1))
        }
        Err(error) => Err(error),
    }
}

const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens the directory `name` for listing, without following a link.
pub(crate) fn open_directory(from: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    openat(from, name, DIRECTORY_FLAGS, Mode::empty())
}

/// Opens what has a name in a directory without reading it, nor following a link.
pub(crate) fn open_path(
    directory: BorrowedFd<'_>,
    name: impl rustix::path::Arg,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}

/// Opens a file for reading by its name in an open directory. Should it have become a fifo or a device, nothing waits for it.
pub(crate) fn open_file(
    directory: BorrowedFd<'_>,
    name: impl rustix::path::Arg,
) -> Result<OwnedFd, Errno> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    openat(directory, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    /// A chain of directories `a/a/a…` and, in each, a side directory `b`.
    fn chain(depth: u32) -> (tempfile::TempDir, Vec<Record>) {
        let root = tempfile::tempdir().unwrap();
        let mut path = root.path().to_path_buf();
        let mut records = vec![Record {
            parent: ROOT,
            depth: 0,
            name: Box::default(),
        }];
        for level in 1..=depth {
            let parent = if level == 1 { ROOT } else { 2 * level - 3 };
            for name in ["a", "b"] {
                fs::create_dir(path.join(name)).unwrap();
                records.push(Record {
                    parent,
                    depth: level,
                    name: name.as_bytes().into(),
                });
            }
            path.push("a");
        }
        (root, records)
    }

    fn visit_all() {
        let (root, records) = chain(60);
        let root_fd = fs::File::open(root.path()).unwrap();
        let mut open = OpenDirectories::default();
        let count = u32::try_from(records.len()).unwrap();
        let orders = (0..count)
            .chain((0..count).rev())
            .chain((0..count).map(|id| id * 37 % count));
        for directory in orders {
            let names = names(&records, directory);
            let route = open.route(&records, directory);
            let fd = open.follow(root_fd.as_fd(), &route).unwrap();
            let found = rustix::fs::fstat(fd).unwrap().st_ino;
            let path = names.iter().fold(root.path().to_path_buf(), |path, name| {
                path.join(std::str::from_utf8(name).unwrap())
            });
            assert_eq!(found, rustix::fs::stat(&path).unwrap().st_ino);
            assert!(open.stack.len() <= OPEN_AT_ONCE);
        }
    }

    #[test]
    fn every_directory_is_found_in_any_order_with_and_without_openat2() {
        visit_all();
        OPENAT2.store(false, Ordering::Relaxed);
        visit_all();
        OPENAT2.store(true, Ordering::Relaxed);
    }

    #[test]
    fn symbolic_link_on_the_way_is_not_followed() {
        let (root, records) = chain(3);
        fs::remove_dir_all(root.path().join("a/a")).unwrap();
        std::os::unix::fs::symlink("../b", root.path().join("a/a")).unwrap();
        let root_fd = fs::File::open(root.path()).unwrap();
        let mut open = OpenDirectories::default();
        let route = open.route(&records, 3);
        assert!(matches!(
            open.follow(root_fd.as_fd(), &route),
            Err(Errno::LOOP | Errno::NOTDIR)
        ));
    }
}
