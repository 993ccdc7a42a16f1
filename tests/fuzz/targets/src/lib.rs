//! What is fuzzed, as functions of bytes. Each panics where the program does what it must not; `tests/fuzz` runs them on
//! bytes that libFuzzer makes up, and the tests on the seeds in `tests/fuzz/seeds/`, one folder a target.
//!
//! ```text
//!     bytes ──┬─> spec, yaml      text to a spec, to a plan, to a table
//!             ├─> archive         a tar archive to a tree, and all its bytes
//!             ├─> image           a container image to a tree, and all its bytes
//!             ├─> table           a disk to a table, and back
//!             ├─> superblock      a partition to what it holds
//!             ├─> cache           what a cache answers to an entry, and to a list of chunks
//!             └─> ext4, vfat,     a request and a tree to a file system,
//!                 swap, catalog   at the measured size and around it
//! ```
//!
//! The host's side of a cell has targets of its own, in `cellblock_cell::fuzzing`.

#![forbid(unsafe_code)]

mod archive;
mod disk;
mod guest;
mod image;
mod mounted;
mod request;
mod spec;
mod superblock;
mod table;
mod tree;

pub use archive::archive;
pub use cellblock_cache::fuzz as cache;
pub use image::image;
pub use mounted::{Mounted, ext4_mounted};
pub use spec::{spec, yaml};
pub use superblock::superblock;
pub use table::{table, table_shown};

use cellblock_ext4::Ext4;
use cellblock_swap::SwapFormatter;
use cellblock_template::CatalogFormatter;
use cellblock_vfat::VfatFormatter;

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
