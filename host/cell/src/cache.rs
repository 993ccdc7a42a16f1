//! Where compiled guests are kept: a folder for each, named after its digest.
//!
//! A process that compiles a guest can write to that guest's folder and to no other: what it leaves there is run only where
//! the same guest is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cellblock_text::hexadecimal;

/// From this many guests on, the oldest folders are removed.
const KEPT: usize = 64;

/// The folder of the guest with this digest in `base`; none if it cannot be made, which costs time, not the build.
pub(super) fn folder(base: &Path, digest: &[u8; 32]) -> Option<PathBuf> {
    let folder = base.join(hexadecimal(digest));
    if !folder.is_dir() {
        prune(base);
        fs::create_dir_all(&folder).ok()?;
    }
    Some(folder)
}

fn prune(base: &Path) {
    let mut folders: Vec<(SystemTime, PathBuf)> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| is_digest(entry.file_name().as_encoded_bytes()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    folders.sort();
    let surplus = (folders.len() + 1).saturating_sub(KEPT);
    for (_, folder) in folders.into_iter().take(surplus) {
        // Somebody else may have removed it, and whoever misses it compiles anew.
        let _ = fs::remove_dir_all(folder);
    }
}

fn is_digest(name: &[u8]) -> bool {
    name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("somebody's")).unwrap();
        for number in 0..100_u8 {
            assert!(folder(base.path(), &[number; 32]).unwrap().is_dir());
        }
        let names = fs::read_dir(base.path()).unwrap().count();
        assert_eq!(names, KEPT + 1);
        assert!(base.path().join("somebody's").is_dir());
        assert!(base.path().join(hexadecimal(&[99; 32])).is_dir());
    }
}
