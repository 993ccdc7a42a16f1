//! Small files that somebody names, read and written as a whole.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use cellblock_spec::Placed;
use cellblock_tree::source::Seen;
use rustix::fs::{Mode, OFlags};

use crate::plan::PlanError;

/// How a file is opened that has to be a regular one: whoever opens a pipe without `NONBLOCK` waits until somebody writes into it.
pub(crate) const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// The first bytes of a regular file that a spec names, at most `most`.
pub(crate) fn read(file: &Placed<PathBuf>, most: usize) -> Result<Vec<u8>, PlanError> {
    let read = open(&file.value).and_then(|open| head(&open, most as u64));
    read.map_err(|error| PlanError::unusable(file, error))
}

/// Opens a regular file for reading, and waits for nobody.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // A device may do something once it is opened.
    if !fs::metadata(path)?.is_file() {
        return Err(no_file());
    }
    // It may be another one by now.
    regular(rustix::fs::open(path, FLAGS, Mode::empty())?.into())
}

/// The same of a file that was opened, with [`FLAGS`].
///
/// # Errors
/// It is no regular file.
pub(crate) fn regular(file: File) -> io::Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(no_file()),
    }
}

/// All bytes of a regular file.
///
/// # Errors
/// It cannot be read, is no regular file (which could have no end, or nobody at its other end), has more bytes than `most`, or changed
/// while it was read.
pub(crate) fn whole(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    whole_of(&open(path)?, most)
}

/// The same of one that is [open](regular).
///
/// # Errors
/// It cannot be read, has more bytes than `most`, or changed while it was read.
pub(crate) fn whole_of(file: &File, most: u64) -> io::Result<Vec<u8>> {
    // Files of the kernel say that they have none.
    let is_longer = file.metadata()?.len() > most;
    let bytes = if is_longer {
        Vec::new()
    } else {
        head(file, most.saturating_add(1))?
    };
    if is_longer || bytes.len() as u64 > most {
        let why = format!("it has more than the {most} bytes that are taken");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

fn head(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let seen = Seen::of(file)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    match seen.change(file)? {
        Some(how) => Err(io::Error::other(format!(
            "it changed while it was read: {how}"
        ))),
        None => Ok(bytes),
    }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")
}

/// Gives a file these bytes, all of them or none: they are written beside it, under its name and the number of this process.
///
/// # Errors
/// They cannot be written, or there is a file of that other name already, which then stays as it is.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let mut file = File::options().write(true).create_new(true).open(&new)?;
    let written = file.write_all(bytes).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let [fifo, socket] = ["fifo", "socket"].map(|name| folder.path().join(name));
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for path in [&fifo, &socket, folder.path(), Path::new("/dev/zero")] {
            let error = whole(path, 10).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file", "{path:?}");
        }
        // What was put there after it was looked at.
        let swapped = rustix::fs::open(&fifo, FLAGS, Mode::empty()).unwrap();
        assert!(regular(swapped.into()).is_err());
    }

    #[test]
    fn a_file_that_is_too_long_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(whole(&path, 10).unwrap(), b"0123456789");
        assert!(whole(&path, 9).is_err());
        // What takes more memory than there is, if it is read.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = whole(&path, 1 << 39).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        // Nobody knows how long it is before it is read.
        let status = Path::new("/proc/self/status");
        assert!(whole(status, 1 << 20).unwrap().starts_with(b"Name:"));
        assert!(whole(status, 10).is_err());
    }

    #[test]
    fn a_file_of_somebody_else_is_left_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let theirs = folder.path().join(format!("file.{}", std::process::id()));
        fs::write(&theirs, "theirs").unwrap();
        assert!(replace(&path, b"three").is_err());
        assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
        assert_eq!(fs::read(&path).unwrap(), b"two");
        // What it made itself goes, where it cannot have its name.
        fs::remove_file(&theirs).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"four").is_err());
        assert!(!theirs.exists());
    }
}
