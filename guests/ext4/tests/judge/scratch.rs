//! Files that no other test has.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A path in the temporary directory that no other test has.
pub fn temporary_path(extension: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let package = env!("CARGO_PKG_NAME");
    let name = format!("{package}-{}-{number}.{extension}", std::process::id());
    std::env::temp_dir().join(name)
}

/// A new file at `path`, to read and to write.
pub fn create(path: &Path) -> File {
    let mut options = File::options();
    let options = options.read(true).write(true).create_new(true);
    options.open(path).unwrap()
}
