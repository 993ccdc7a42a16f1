//! What was fetched before, by its digest: in the folder of compiled guests of this user. It is no more believed than a registry
//! is: whoever takes it holds it against the digest that it was asked by.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use cellblock_text::hexadecimal;
use sha2::{Digest as _, Sha256};

use super::{Fetch, LARGEST};
use crate::cache_folder;

/// The folder in that of compiled guests.
const FOLDER: &str = "components";

/// The folder; none where the environment names none.
#[derive(Debug)]
pub(super) struct Kept {
    folder: Option<PathBuf>,
    is_written: bool,
}

impl Kept {
    pub(super) fn open(fetch: Fetch) -> Self {
        Self {
            folder: cache_folder().map(|it| it.join(FOLDER)),
            is_written: fetch == Fetch::Keep,
        }
    }

    #[cfg(test)]
    fn at(folder: &Path) -> Self {
        Self {
            folder: Some(folder.to_owned()),
            is_written: true,
        }
    }

    /// What has this digest, if it is there and has it.
    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Vec<u8>> {
        let path = self.folder.as_ref()?.join(hexadecimal(digest));
        if !fs::symlink_metadata(&path).ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        let mut limited = File::open(&path).ok()?.take(LARGEST + 1);
        limited.read_to_end(&mut bytes).ok()?;
        let is: [u8; 32] = Sha256::digest(&bytes).into();
        (is == *digest).then_some(bytes)
    }

    /// Keeps what has this digest. Where that cannot be done it is fetched again.
    pub(super) fn put(&self, digest: &[u8; 32], bytes: &[u8]) {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.is_written)
            && self.get(digest).is_none()
        {
            // Whoever writes the same at the same time writes the same bytes under another name.
            let name = hexadecimal(digest);
            let new = folder.join(format!("{name}.{}", std::process::id()));
            let written =
                write(folder, &new, bytes).and_then(|()| fs::rename(&new, folder.join(name)));
            if written.is_err() {
                let _ = fs::remove_file(&new);
            }
        }
    }
}

fn write(folder: &Path, new: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    File::options()
        .write(true)
        .create_new(true)
        .open(new)?
        .write_all(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_changed_is_not_taken_and_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::at(&folder.path().join("a/b"));
        let digest: [u8; 32] = Sha256::digest(b"component").into();
        assert_eq!(kept.get(&digest), None);
        kept.put(&digest, b"component");
        assert_eq!(kept.get(&digest).unwrap(), b"component");
        let path = folder.path().join("a/b").join(hexadecimal(&digest));
        fs::write(&path, b"Component").unwrap();
        assert_eq!(kept.get(&digest), None);
        kept.put(&digest, b"component");
        assert_eq!(kept.get(&digest).unwrap(), b"component");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        kept.put(&digest, b"component");
        assert_eq!(kept.get(&digest), None);
        let left = fs::read_dir(folder.path().join("a/b")).unwrap().count();
        assert_eq!(left, 1, "no half is left");
    }
}
