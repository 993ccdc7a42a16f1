//! What the host keeps for its next run, beside compiled guests.

use std::fmt;
use std::path::Path;

use cellblock_text::hexadecimal;

use super::{Cache, Entry};

/// A folder of this user's own in which the host finds what it kept in an earlier run: each entry is authenticated with its name by a
/// key in there, as compiled guests are, so that nobody else can have put it there. At most 64 entries and 2 GiB are kept; what was used longest ago goes.
pub struct Kept(Cache);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is nobody's business.
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Kept {
    /// Opens the folder `path`, or makes it.
    ///
    /// # Errors
    /// Why it cannot be used: it belongs to somebody else, or others could write to it or to a folder above it.
    pub fn open(path: &Path) -> Result<Self, String> {
        Cache::open(path).map(Self)
    }

    /// What was kept by this name, if this user's host did.
    #[must_use]
    pub fn get(&self, name: &[u8; 32]) -> Option<Vec<u8>> {
        self.0.get(&entry(name))
    }

    /// Keeps `bytes` by this name. Where that fails, they are not found.
    pub fn put(&self, name: &[u8; 32], bytes: &[u8]) {
        self.0.put(&entry(name), bytes);
    }
}

fn entry(name: &[u8; 32]) -> Entry {
    Entry(hexadecimal(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_kept_is_found_by_its_name() {
        let base = tempfile::tempdir().unwrap();
        let kept = Kept::open(base.path()).unwrap();
        assert_eq!(kept.get(&[1; 32]), None);
        kept.put(&[1; 32], b"bytes");
        let again = Kept::open(base.path()).unwrap();
        assert_eq!(again.get(&[1; 32]).unwrap(), b"bytes");
        assert_eq!(again.get(&[2; 32]), None);
    }
}
