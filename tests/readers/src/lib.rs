//! What the tests of readers share: images that other programs have made, seen by the kernel and by a reader, and images with
//! flipped bytes.
//!
//! ```text
//!     fill ──> a folder ──> mkfs… ──> image ──> mount ──> seen ─┐
//!                                          └──> reader ──> seen ┴─ compare
//!
//!     a test ──> machine, with a kernel of its own ──> report ──> seen
//! ```

#![forbid(unsafe_code)]
// Only tests use this crate: what goes wrong here ends one.
#![allow(missing_docs, clippy::unwrap_used)]

mod fill;
mod flips;
pub mod machine;
mod mount;
pub mod report;
pub mod seen;

pub use fill::{Folder, attributes, fill};
pub use flips::{BytesPartition, outcome, survives_flips, survives_mended_flips};
pub use mount::{Mount, Temporary, mount};

use std::fs::File;
use std::path::Path;

use cellblock_guest::memory::{FilePartition, MemoryListing};
use cellblock_guest::reader::{Reader, ReaderRequest, Volume};

/// What the reader tells of an image.
pub fn read<R: Reader>(image: &Path) -> (Volume, MemoryListing, FilePartition) {
    let partition = FilePartition::new(File::open(image).unwrap()).unwrap();
    let mut listing = MemoryListing::new();
    let volume = R::read(&ReaderRequest { extents: true }, &partition, &mut listing)
        .unwrap_or_else(|error| panic!("{error:?}"));
    (volume, listing, partition)
}

/// Fails unless the reader tells of an image what the kernel shows.
pub fn compare<R: Reader>(image: &Path, kind: &str) {
    let Some(mount) = mount(image, kind, "loop,ro") else {
        return;
    };
    let shown = seen::of_mount(mount.path());
    drop(mount);
    let (_, listing, partition) = read::<R>(image);
    seen::compare(&seen::of_listing(&listing, &partition), &shown);
}
