//! What is fuzzed, as functions of bytes. Each panics where the program does what it must not; `tests/fuzz` runs them on
//! bytes that libFuzzer makes up, and the tests on the seeds in `tests/fuzz/seeds/`, one folder a target.
//!
//! ```text
//!     bytes ──┬─> spec, yaml      text to a spec, to a plan, to a table
//!             ├─> archive         a tar archive to a tree, and all its bytes
//!             ├─> table           a disk to a table, and back
//!             └─> ext4, vfat,     a request and a tree to a file system,
//!                 swap, catalog   at the measured size and around it
//! ```
//!
//! The host's side of a cell has targets of its own, in `cellblock_cell::fuzzing`.

mod archive;
mod disk;
mod guest;
mod request;
mod spec;
mod table;
mod tree;

pub use archive::archive;
pub use spec::{spec, yaml};
pub use table::table;

use cellblock_ext4::Ext4;
use cellblock_swap::SwapFormatter;
use cellblock_template::CatalogFormatter;
use cellblock_vfat::VfatFormatter;
use std::fs;
use std::path::{Path, PathBuf};

/// The formatter of ext4.
pub fn ext4(data: &[u8]) {
    guest::format::<Ext4>(data);
}

/// The formatter of FAT.
pub fn vfat(data: &[u8]) {
    guest::format::<VfatFormatter>(data);
}

/// The formatter of swap spaces.
pub fn swap(data: &[u8]) {
    guest::format::<SwapFormatter>(data);
}

/// The formatter of the template.
pub fn catalog(data: &[u8]) {
    guest::format::<CatalogFormatter>(data);
}

/// Gives every seed of `target` to it, and names the one that it panics at.
///
/// # Panics
/// If `target` does, or has no seeds.
pub fn replay(target: &str, function: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../seeds")
        .join(target);
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

/// Names a seed when it is dropped in a panic.
struct AtEnd<'p>(&'p Path);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.0.display());
        }
    }
}
