//! Files of blobs, for those who read them and may share their blocks on the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

/// How long ago a file was used last for its time to be set: a time costs as much as opening the file.
const USE: Duration = Duration::from_secs(60 * 60);
/// How long a file is left alone until it is on the disk, as a rule: Linux writes what is older than 30 seconds, and looks every 5.
/// Sharing what is not there yet waits for the disk, file by file.
const SETTLED: Duration = Duration::from_secs(60);

/// A blob's file that was read, for those who want to share its blocks on the disk.
#[derive(Debug)]
pub(crate) struct Lent {
    file: File,
    /// What it was before it was read.
    seen: Stat,
}

/// What is under a blob's name.
#[derive(Debug)]
pub(crate) enum Lending {
    /// A file of the length that it should have. Its bytes are not held to their digest yet.
    Lent(Lent),
    /// Damage: something else.
    Wrong,
    /// Nothing.
    Nothing,
}

impl Lent {
    /// Fills `buffer` with what a file has; nothing if it has fewer bytes, or more.
    pub(super) fn read(file: File, buffer: &mut [u8]) -> io::Result<Option<Self>> {
        let seen = stat(&file)?;
        if u64::try_from(seen.st_size) != Ok(buffer.len() as u64) {
            return Ok(None);
        }
        match file.read_exact_at(buffer, 0) {
            Ok(()) => Ok(Some(Self { file, seen })),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether its bytes are on the disk, as a rule.
    pub(crate) fn is_settled(&self) -> bool {
        is_older(&self.seen, SETTLED)
    }

    /// Whether nobody has written to it since it was opened: what was read and what was shared are the same.
    pub(crate) fn is_unchanged(&self) -> bool {
        let of = |it: &Stat| {
            let modified = (it.st_mtime, it.st_mtime_nsec);
            (it.st_size, modified, it.st_ctime, it.st_ctime_nsec)
        };
        stat(&self.file).is_ok_and(|now| of(&now) == of(&self.seen))
    }

    /// It was used: it stays longer.
    pub(crate) fn touch(&self) {
        touch(&self.file, &self.seen);
    }
}

pub(super) fn stat(file: &File) -> io::Result<Stat> {
    Ok(rustix::fs::fstat(file)?)
}

/// Whether a file was modified longer ago than `age`. One from the future is not.
fn is_older(found: &Stat, age: Duration) -> bool {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let modified = u64::try_from(found.st_mtime).unwrap_or(0);
    since.saturating_sub(Duration::from_secs(modified)) > age
}

/// A file was used: it stays longer. Of a folder that may only be read, nobody keeps account.
pub(super) fn touch(file: &File, seen: &Stat) {
    if is_older(seen, USE) {
        let _ = file.set_modified(SystemTime::now());
    }
}
