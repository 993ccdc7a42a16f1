//! Where compiled guests are kept.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The folder of compiled guests of this user: `$XDG_CACHE_HOME/cellblock`, or `~/.cache/cellblock`; none if the environment
/// names no such folder. A [`Runtime`](crate::cell::Runtime) makes it, and leaves it alone where somebody else could write
/// to it.
#[must_use]
pub fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home_cache = || {
        // A home that does not exist is not made: programs without one, such as services, are given such a name.
        let home = absolute("HOME").filter(|home| home.is_dir())?;
        Some(home.join(".cache"))
    };
    let base = absolute("XDG_CACHE_HOME").or_else(home_cache)?;
    Some(base.join("cellblock"))
}

/// Makes a folder within [`cache_folder`], and what is missing above it, for this user alone: where the umask lets others write to new
/// folders, a [`Runtime`](crate::cell::Runtime) would leave the whole of it alone from then on.
///
/// # Errors
/// It cannot be made.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
