//! Opens the folder of a cache so that nobody but its owner can have put anything there, or can put it there later.
//!
//! The folder is reached from `/`, one descriptor after the other: what was checked is what is used, whatever happens to
//! the path meanwhile.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::{Uid, geteuid};

/// Whoever may write to a folder or a file besides its owner.
const OTHERS_WRITE: u32 = 0o022;
/// In such a folder only its owner may rename or remove an entry.
const STICKY: u32 = 0o1000;

/// Why a folder holds no cache.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsafe {
    /// The path is relative, or leads upwards.
    #[error("{} is not an absolute path without `..`", .0.display())]
    Path(PathBuf),
    /// The folder, or one above it, belongs to somebody else.
    #[error(
        "{} belongs to the user {owner}, and only folders of root and of the user {user} are trusted", folder.display()
    )]
    Owner {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this program.
        user: u32,
    },
    /// Others may write to the folder, or to one above it.
    #[error("others may write to {} (mode {mode:04o})", folder.display())]
    Writable {
        /// The folder.
        folder: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A folder cannot be opened or made.
    #[error("{}: {source}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Opens the folder `path`, and makes what is missing of it, for its owner alone.
///
/// Every folder from `/` on must belong to root or to the user of this process, and be writable by no one else unless it
/// is sticky; the last one must be the user's own.
pub(super) fn open(path: &Path) -> Result<OwnedFd, Unsafe> {
    let user = geteuid();
    let path = resolved(path)?;
    let mut at = PathBuf::from("/");
    let mut folder = descend(CWD, OsStr::new("/")).map_err(|error| failed(&at, error))?;
    check(&folder, &at, user)?;
    for component in path.components() {
        let Component::Normal(name) = component else {
            continue;
        };
        at.push(name);
        folder = match descend(&folder, name) {
            Err(Errno::NOENT) => {
                // Somebody else may have made it meanwhile: it is checked like any other.
                match mkdirat(&folder, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => descend(&folder, name),
                    Err(error) => Err(error),
                }
            }
            opened => opened,
        }
        .map_err(|error| failed(&at, error))?;
        check(&folder, &at, user)?;
    }
    let owner = stat(&folder, &at)?.st_uid;
    if owner != user.as_raw() {
        return Err(Unsafe::Owner {
            folder: at,
            owner,
            user: user.as_raw(),
        });
    }
    Ok(folder)
}

/// The path without symbolic links, as far as it exists. What it leads to is checked when it is opened.
fn resolved(path: &Path) -> Result<PathBuf, Unsafe> {
    let upwards = path
        .components()
        .any(|component| component == Component::ParentDir);
    if !path.is_absolute() || upwards {
        return Err(Unsafe::Path(path.to_owned()));
    }
    for existing in path.ancestors() {
        match existing.canonicalize() {
            Ok(resolved) => {
                let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
                return Ok(resolved.join(rest));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Unsafe::Io {
                    folder: existing.to_owned(),
                    source,
                });
            }
        }
    }
    Ok(path.to_owned())
}

fn descend(folder: impl std::os::fd::AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(&folder, name.as_bytes(), flags, Mode::empty()) {
        // One that may be passed, and not listed.
        Err(Errno::ACCESS) => openat(folder, name.as_bytes(), flags | OFlags::PATH, Mode::empty()),
        opened => opened,
    }
}

fn check(folder: &OwnedFd, at: &Path, user: Uid) -> Result<(), Unsafe> {
    let stat = stat(folder, at)?;
    let (owner, mode) = (stat.st_uid, stat.st_mode & 0o7777);
    if owner != user.as_raw() && owner != Uid::ROOT.as_raw() {
        return Err(Unsafe::Owner {
            folder: at.to_owned(),
            owner,
            user: user.as_raw(),
        });
    }
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        return Err(Unsafe::Writable {
            folder: at.to_owned(),
            mode,
        });
    }
    Ok(())
}

fn stat(folder: &OwnedFd, at: &Path) -> Result<Stat, Unsafe> {
    fstat(folder).map_err(|error| failed(at, error))
}

fn failed(folder: &Path, error: Errno) -> Unsafe {
    Unsafe::Io {
        folder: folder.to_owned(),
        source: error.into(),
    }
}

/// Whether this is a regular file of this user, which no one else may write to.
pub(super) fn is_own_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == geteuid().as_raw()
        && stat.st_mode & OTHERS_WRITE == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_missing_is_made_for_its_owner_alone() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("one/two");
        let folder = open(&path).unwrap();
        assert_eq!(fstat(&folder).unwrap().st_mode & 0o7777, 0o700);
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o7777,
            0o700
        );
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused_wherever_it_stands() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("above/cache");
        fs::create_dir_all(&path).unwrap();
        for (folder, mode) in [("above", 0o777), ("above", 0o775), ("above/cache", 0o757)] {
            let folder = base.path().join(folder);
            set_mode(&folder, mode);
            let refused = open(&path);
            assert!(matches!(&refused, Err(Unsafe::Writable { folder: at, .. }) if *at == folder));
            set_mode(&folder, 0o755);
        }
        open(&path).unwrap();
        // As /tmp is: nobody can take away what is ours.
        set_mode(&base.path().join("above"), 0o1777);
        open(&path).unwrap();
    }

    #[test]
    fn a_folder_of_another_user_is_refused_and_nothing_is_made_in_it() {
        let base = tempfile::tempdir().unwrap();
        let home = base.path().join("home");
        fs::create_dir(&home).unwrap();
        if chown(&home, Some(12345), None).is_err() {
            println!("skipped: only root can make a folder of another user");
            return;
        }
        let refused = open(&home.join(".cache/cellblock"));
        assert!(matches!(refused, Err(Unsafe::Owner { owner: 12345, .. })));
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
        let own = home.join("own");
        fs::create_dir(&own).unwrap();
        assert!(matches!(
            open(&own),
            Err(Unsafe::Owner { owner: 12345, .. })
        ));
    }

    #[test]
    fn a_link_is_followed_once_and_what_it_leads_to_is_checked() {
        let base = tempfile::tempdir().unwrap();
        let real = base.path().join("real");
        fs::create_dir(&real).unwrap();
        let link = base.path().join("link");
        symlink(&real, &link).unwrap();
        open(&link.join("cache")).unwrap();
        assert!(real.join("cache").is_dir());
        set_mode(&real, 0o777);
        assert!(matches!(
            open(&link.join("cache")),
            Err(Unsafe::Writable { .. })
        ));
        for path in ["cache", "/tmp/../etc"] {
            assert!(matches!(open(Path::new(path)), Err(Unsafe::Path(_))));
        }
    }
}
