//! What is fuzzed, as functions of bytes. Each panics where the program does what it must not; `tests/fuzz` runs them on
//! bytes that libFuzzer makes up, and the tests on the seeds in `tests/fuzz/seeds/`, one folder a target.
//!
//! ```text
//!     bytes ──┬─> spec, yaml      text to a spec, to a plan, to a table
//!             ├─> archive         a tar archive to a tree, and all its bytes
//!             ├─> image           a container image to a tree, and all its bytes
//!             ├─> contexts        a policy's file_contexts to labels
//!             ├─> mtree           owners and modes over a small tree
//!             ├─> dump            a composefs dumpfile to a tree
//!             ├─> table           a disk to a table, and back
//!             ├─> superblock      a partition to what it holds
//!             ├─> virtual_disk    a qcow2, VMDK or VHD to a disk, and its data
//!             ├─> read_…          an image to what a reader tells, and to the host's tree
//!             ├─> cache           what a cache answers to an entry, and to a list of chunks
//!             ├─> action          what a client and a worker hand each other: an action, its tree, what was made
//!             ├─> wire            what a server sends compressed to a blob
//!             ├─> component       what a registry says to a component, and an index to the one that is meant
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
mod overlay;
mod reader;
mod request;
mod spec;
mod superblock;
mod table;
mod tree;
mod virtual_disk;

pub use archive::archive;
pub use cellblock_build::action::fuzz as action;
pub use cellblock_build::component::fuzz as component;
pub use cellblock_cache::fuzz as cache;
pub use cellblock_cache::reapi::fuzz as wire;
pub use image::image;
pub use mounted::{Mounted, ext4_mounted};
pub use overlay::{contexts, dump, mtree};
pub use reader::image as image_of_reader;
pub use spec::{spec, yaml};
pub use superblock::superblock;
pub use table::{table, table_shown};
pub use virtual_disk::virtual_disk;

use cellblock_ext4::Ext4;
use cellblock_read_erofs::Erofs;
use cellblock_read_ext::Ext;
use cellblock_read_fat::Fat;
use cellblock_read_squashfs::Squashfs;
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

/// The reader of ext2, ext3 and ext4.
pub fn read_ext(data: &[u8]) {
    reader::read::<Ext>(data);
}

/// The reader of erofs.
pub fn read_erofs(data: &[u8]) {
    reader::read::<Erofs>(data);
}

/// The reader of FAT.
pub fn read_fat(data: &[u8]) {
    reader::read::<Fat>(data);
}

/// The reader of squashfs.
pub fn read_squashfs(data: &[u8]) {
    reader::read::<Squashfs>(data);
}
