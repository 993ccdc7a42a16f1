//! Gives the seeds of a fuzz target, `tests/fuzz/seeds/TARGET/`, to a function.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

/// Gives every seed of `target` to it, and names the one that it panics at.
///
/// # Panics
/// If `function` does, or `target` has no seeds.
pub fn replay(target: &str, function: impl Fn(&[u8])) {
    let folder = folder().join(target);
    let listed =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<PathBuf> = listed
        .map(|entry| entry.expect("a folder is listed").path())
        .collect();
    assert!(!seeds.is_empty(), "no seeds in {}", folder.display());
    seeds.sort();
    for seed in seeds {
        let at_end = AtEnd(&seed);
        function(&fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display())));
        drop(at_end);
    }
}

/// Where the seeds are, a folder a target.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds")
}

/// Names a seed when it is dropped in a panic.
struct AtEnd<'p>(&'p Path);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.0.display());
        }
    }
}
