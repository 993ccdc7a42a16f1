//! What is known of an archive beside its members, and somebody should know.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::warning::Warning;
use super::behind::Behind;

/// Written where the members are read, which may be on a thread of its own.
#[derive(Debug, Default)]
pub(in super::super) struct Notes {
    behind: OnceLock<Behind>,
    /// Directories of an incremental archive that list what it has not.
    incremental: AtomicU64,
}

impl Notes {
    pub(super) fn set_behind(&self, behind: Behind) {
        // An archive has one end.
        let _ = self.behind.set(behind);
    }

    /// Looks through the names of a directory as GNU tar dumped it ("GNU tar", "Dumpdir"): each has a letter in front of it and a NUL
    /// behind. `N` is not in the archive, since an earlier one has it; `R`, `T` and `X` are of what was renamed.
    pub(super) fn add_dumpdir(&self, names: &[u8]) {
        let mut names = names.split(|byte| *byte == 0);
        if names.any(|name| matches!(name.first(), Some(b'N' | b'R' | b'T' | b'X'))) {
            self.incremental.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Warnings of an archive that is called so.
    pub(in super::super) fn warnings(&self, archive: &str) -> Vec<Warning> {
        let behind = self.behind.get().map(|found| Warning::BehindEnd {
            archive: archive.to_owned(),
            end: found.end,
            header: found.header,
        });
        let directories = self.incremental.load(Ordering::Relaxed);
        let incremental = (directories > 0).then(|| Warning::Incremental {
            archive: archive.to_owned(),
            directories,
        });
        behind.into_iter().chain(incremental).collect()
    }
}
