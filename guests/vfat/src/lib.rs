//! The vfat formatter: FAT12, FAT16 and FAT32 volumes with long names.
//!
//! ```text
//!   FAT12, FAT16                         FAT32
//!  +---------------------------+        +---------------------------+
//!  | boot sector               |        | 0  boot sector            |
//!  | (more reserved sectors)   |        | 1  free-space information |
//!  |                           |        | 6  backup of both         |
//!  |                           |        | (more reserved sectors)   |
//!  +---------------------------+        +---------------------------+
//!  | allocation table, 1st     |        | allocation table, 1st     |
//!  | allocation table, 2nd     |        | allocation table, 2nd     |
//!  +---------------------------+        +---------------------------+
//!  | root directory            |        | cluster 2: root directory |
//!  +---------------------------+        |                           |
//!  | cluster 2: directories    |        | directories               |
//!  | files, in the tree's      |        | files, in the tree's      |
//!  | order                     |        | order                     |
//!  | free clusters             |        | free clusters             |
//!  +---------------------------+        +---------------------------+
//! ```
//!
//! Everything is little-endian. Clusters count from 2; the first of them begins at a multiple of its own size.
//! Every directory and every file is contiguous. The specification is Microsoft's "FAT: General Overview of On-Disk
//! Format", version 1.03, cited here as "FAT 1.03".
//!
//! What the format has no room for, and no error tells: the nine permission bits (a file without any write bit is
//! read-only), the root directory's own time, and the odd second and the nanoseconds of a time (the time of creation,
//! which is set to that of modification, keeps hundredths of a second).

#![deny(unsafe_code)]

mod checksum;
mod contents;
mod format;
mod formatter;
mod label;
mod layout;
mod moment;
mod names;
mod options;
mod write;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

pub use formatter::VfatFormatter;
