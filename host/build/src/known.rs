//! Files that were hashed in an earlier run, and are not hashed again while nothing tells of a change.

use std::path::Path;
use std::time::SystemTime;

use cellblock_cell::Kept;
use cellblock_tree::source::SourceError;
use cellblock_tree::{Disks, KnownFiles, Tree, TreeDigests};

/// Digests of files, kept from one run to the next in a folder of this user's own: see [`KnownFiles`] for what is taken to be unchanged.
#[derive(Debug)]
pub struct KnownDigests(Kept);

impl KnownDigests {
    /// Those in the folder `path`, which is made if it is missing.
    ///
    /// # Errors
    /// Why the folder cannot be used: somebody else could write to it.
    pub fn open(path: &Path) -> Result<Self, String> {
        Kept::open(path).map(Self)
    }

    /// The digests of `tree`, for which only those files are read that changed since they were hashed.
    pub(crate) fn of(&self, tree: &Tree) -> Result<TreeDigests, SourceError> {
        let Some(origins) = tree.origins() else {
            return tree.digests();
        };
        let kept = self.0.get(&origins).unwrap_or_default();
        let known = KnownFiles::new(&kept, SystemTime::now(), Disks::mounted());
        let digests = tree.digests_with(&known)?;
        if let Some(bytes) = known.to_bytes() {
            self.0.put(&origins, &bytes);
        }
        Ok(digests)
    }
}
