//! Where compiled guests are kept.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// The folder of compiled guests of this user: `$XDG_CACHE_HOME/cellblock`, or `~/.cache/cellblock`. None if it cannot
/// be had, or others may write to it, because what is in it is run: guests are then compiled at every start.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home_cache = || {
        // A home that is not there is nobody's wish to have one.
        let home = absolute("HOME").filter(|home| home.is_dir())?;
        Some(home.join(".cache"))
    };
    let base = absolute("XDG_CACHE_HOME").or_else(home_cache)?;
    let folder = base.join("cellblock");
    std::fs::create_dir_all(&folder).ok()?;
    let metadata = std::fs::symlink_metadata(&folder).ok()?;
    let owned = metadata.uid() == rustix::process::geteuid().as_raw();
    let writable_by_others = metadata.mode() & 0o022 != 0;
    (metadata.is_dir() && owned && !writable_by_others).then_some(folder)
}
