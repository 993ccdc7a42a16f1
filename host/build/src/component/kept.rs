//! What was fetched before, by its digest: in the folder of compiled guests of this user. It is no more believed than a registry
//! is: whoever takes it holds it against the digest that it was asked by.

use std::path::PathBuf;

use cellblock_cell::LARGEST_COMPONENT;
use cellblock_text::hexadecimal;
use sha2::{Digest as _, Sha256};

use super::Fetch;
use crate::{cache_folder, make_private_folder, named_file};

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
    fn at(folder: &std::path::Path) -> Self {
        Self {
            folder: Some(folder.to_owned()),
            is_written: true,
        }
    }

    /// What has this digest, if it is there and has it.
    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Vec<u8>> {
        let path = self.folder.as_ref()?.join(hexadecimal(digest));
        let bytes = named_file::whole(&path, LARGEST_COMPONENT).ok()?;
        let is: [u8; 32] = Sha256::digest(&bytes).into();
        (is == *digest).then_some(bytes)
    }

    /// Keeps what has this digest. Where that cannot be done it is fetched again.
    pub(super) fn put(&self, digest: &[u8; 32], bytes: &[u8]) {
        if let Some(folder) = self.folder.as_ref().filter(|_| self.is_written)
            && self.get(digest).is_none()
        {
            // Whoever writes the same at the same time writes the same bytes.
            let path = folder.join(hexadecimal(digest));
            let _ = make_private_folder(folder).and_then(|()| named_file::replace(&path, bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Where others may write to the folder above, nothing compiled is ever kept there.
    #[test]
    fn the_folders_that_are_made_are_this_users_alone() {
        let base = tempfile::tempdir().unwrap();
        let cache = base.path().join("cellblock");
        let folder = cache.join(FOLDER);
        Kept::at(&folder).put(&[1; 32], b"component");
        for made in [&cache, &folder] {
            let mode = fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{made:?}");
        }
        cellblock_cell::Kept::open(&cache).unwrap();
    }

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
