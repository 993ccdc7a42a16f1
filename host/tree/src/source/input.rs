//! Files that are read once from their beginning to their end, for which standard input may stand.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

/// Whether `path` stands for standard input.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Opens the file at `path`, or standard input for `-`; a symbolic link there is followed, for the path is the user's.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if is_standard_input(path) {
        return io::stdin().as_fd().try_clone_to_owned().map(File::from);
    }
    File::open(path)
}
