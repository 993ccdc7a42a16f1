//! Folders that are made for what a command writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that were not there before. Those that are empty in the end, such as after an error, go again.
#[derive(Debug, Default)]
pub(super) struct NewFolders(Vec<PathBuf>);

impl NewFolders {
    /// Makes a folder, with those above it that are missing.
    pub(super) fn make(&mut self, folder: &Path) -> io::Result<()> {
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let missing: Vec<&Path> = folder.ancestors().take_while(is_missing).collect();
        for path in missing.into_iter().rev() {
            match fs::create_dir(path) {
                Ok(()) => self.0.push(path.to_owned()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        // Whatever else it is, it is no folder.
        fs::create_dir_all(folder)
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // One with files in it stays.
            let _ = fs::remove_dir(path);
        }
    }
}
