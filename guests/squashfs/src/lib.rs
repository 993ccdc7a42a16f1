//! The formatter of squashfs 4.0: read-only file systems, compressed by the host.
//!
//! ```text
//! +------------+---------+--------------------------+--------+----------+-----------+--------+--------+------------+
//! | superblock | options | blocks of files, and     | inodes | listings | fragments | inodes | owners | attributes |
//! | (96 bytes) | of the  | fragment blocks in which |        | of       |           | by     |        | and their  |
//! |            | codec   | the ends of files are    |        | director-|           | number |        | sets       |
//! |            |         |                          |        | ies      |           | (NFS)  |        |            |
//! +------------+---------+--------------------------+--------+----------+-----------+--------+--------+------------+
//!               plain     as the host encoded them   metadata blocks of 8 KiB before they are compressed; of the last four
//!                         or as they are             tables each is followed by the offsets of its metadata blocks
//! ```
//!
//! Little-endian. The layout is the kernel's: fs/squashfs/squashfs_fs.h, and Documentation/filesystems/squashfs.rst. The
//! order of the tables is mksquashfs's, which the kernel checks: each ends where the next one begins.
//!
//! What the format has no room for, and no error tells: fractions of seconds. What an error tells: times before 1970 and after
//! 2106-02-07, access control lists, more than 65,535 users and groups, files of more than 2^26 blocks.

#![deny(unsafe_code)]

mod attributes;
mod census;
mod contents;
mod data;
mod format;
mod image;
mod inodes;
mod metadata;
mod options;
mod owners;
mod write;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

use cellblock_guest::{
    Description, Encoder, EncodingFormatter, FormatError, Output, Request, Summary, Tree,
};

/// Makes squashfs file systems.
pub struct Squashfs;

impl EncodingFormatter for Squashfs {
    fn describe() -> Description {
        options::DESCRIPTION
    }

    fn measure(
        request: &Request,
        tree: &mut dyn Tree,
        encoder: &mut dyn Encoder,
    ) -> Result<u64, FormatError> {
        write::measure(request, tree, encoder)
    }

    fn format(
        request: &Request,
        tree: &mut dyn Tree,
        encoder: &mut dyn Encoder,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError> {
        write::format(request, tree, encoder, output)
    }
}
