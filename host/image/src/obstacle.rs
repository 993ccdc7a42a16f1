//! Whether a file can be replaced, asked before anything is built.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

/// The bit of a folder in which only owners remove files (`S_ISVTX`).
const STICKY: u32 = 0o1000;

/// Why a file cannot be replaced by another one, whatever its permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It cannot be changed, renamed or removed.
    Immutable,
    /// It can only become longer.
    AppendOnly,
    /// It belongs to this user, and its folder to somebody else, who lets only owners remove files.
    Sticky(u32),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Immutable => f.write_str("it is immutable; `chattr -i` ends that"),
            Self::AppendOnly => f.write_str("it can only be appended to; `chattr -a` ends that"),
            Self::Sticky(owner) => write!(
                f,
                "it belongs to user {owner}, and its folder lets only owners replace files, as /tmp does; choose another name"
            ),
        }
    }
}

impl Obstacle {
    /// What is in the way of replacing the file at `path`, which is there, as far as it can be known.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let status = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::UID);
        let status = status.ok()?;
        if status.stx_attributes.contains(StatxAttributes::IMMUTABLE) {
            return Some(Self::Immutable);
        }
        if status.stx_attributes.contains(StatxAttributes::APPEND) {
            return Some(Self::AppendOnly);
        }
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
        let folder = fs::metadata(parent.unwrap_or(Path::new("."))).ok()?;
        let user = geteuid().as_raw();
        let is_owner = [status.stx_uid, folder.uid()].contains(&user);
        (folder.mode() & STICKY != 0 && !is_owner && !may_act_as_owner())
            .then_some(Self::Sticky(status.stx_uid))
    }
}

/// Whether this process may do what owners may (`CAP_FOWNER`).
fn may_act_as_owner() -> bool {
    capabilities(None).is_ok_and(|held| held.effective.contains(CapabilitySet::FOWNER))
}
