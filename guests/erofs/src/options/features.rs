//! What mkfs.erofs's `-E` turns on.

use cellblock_guest::{FormatError, Request};

use super::{conflict, malformed};

/// Which of the format's possibilities are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is a word of mkfs.erofs's
pub(crate) struct Features {
    /// Tails of files stand together in the packed inode, and small files whole.
    pub(crate) fragments: bool,
    /// All files stand whole in the packed inode.
    pub(crate) all_fragments: bool,
    /// Equal files are stored once.
    pub(crate) dedupe: bool,
    /// Compressed tails stand behind their inodes.
    pub(crate) tail_packing: bool,
    /// Block numbers have 48 bits, and compact inodes times.
    pub(crate) wide: bool,
    /// No inode is compact.
    pub(crate) extended_inodes: bool,
    /// Uncompressed tails stand behind their inodes.
    pub(crate) inline_data: bool,
    /// The superblock has a checksum.
    pub(crate) checksum: bool,
}

impl Features {
    pub(super) fn new(request: &Request) -> Result<Self, FormatError> {
        let name = "features";
        let mut features = Self {
            fragments: false,
            all_fragments: false,
            dedupe: true,
            tail_packing: false,
            wide: false,
            extended_inodes: false,
            inline_data: true,
            checksum: true,
        };
        let Some(value) = request.setting(name) else {
            return Ok(features);
        };
        for word in value.split(',') {
            match word {
                "" | "none" => {}
                "fragments" => features.fragments = true,
                "all-fragments" => (features.fragments, features.all_fragments) = (true, true),
                "dedupe" => features.dedupe = true,
                "^dedupe" => features.dedupe = false,
                "ztailpacking" => features.tail_packing = true,
                "48bit" => features.wide = true,
                "force-inode-extended" => features.extended_inodes = true,
                "noinline_data" => features.inline_data = false,
                "nosbcrc" => features.checksum = false,
                _ => return Err(malformed(name)),
            }
        }
        if features.tail_packing && !features.inline_data {
            return Err(conflict(name, "noinline_data excludes ztailpacking"));
        }
        Ok(features)
    }
}
