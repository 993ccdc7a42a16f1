//! The defaults of releases: what the `mke2fs.conf` of each turns on.
//!
//! | Profile | e2fsprogs | beyond what all have |
//! |---|---|---|
//! | `ubuntu-22.04` | 1.46.5 | |
//! | `debian-12` | 1.47.0 | blocks of 1 KiB below 512 MiB |
//! | `ubuntu-24.04` | 1.47.0 | |
//! | `debian-13` | 1.47.2 | blocks of 1 KiB below 512 MiB; ext4: `metadata_csum_seed`, `orphan_file` |
//!
//! Ubuntu takes the `blocksize` out of the usage types `floppy` and `small`; Debian has it as upstream.
//! e2fsprogs 1.47.0 itself has `metadata_csum_seed` and `orphan_file` too, but both releases with it leave them out.
//! After a crash, an `orphan_file` keeps kernels before 5.15 from mounting a file system for writing, and e2fsprogs before 1.47
//! from checking it; GRUB before 2.12 cannot read one with `metadata_csum_seed`.

/// Which file system is made; they differ in what is on by default, and in what their drivers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    Ext2,
    Ext3,
    Ext4,
}

impl Generation {
    /// The one of that name.
    pub(super) fn named(kind: &str) -> Option<Self> {
        match kind {
            "ext2" => Some(Self::Ext2),
            "ext3" => Some(Self::Ext3),
            "ext4" => Some(Self::Ext4),
            _ => None,
        }
    }
}

/// A release whose defaults are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Debian12,
    Debian13,
    Ubuntu2204,
    Ubuntu2404,
}

/// Where file systems are no longer `small`. Bytes.
pub(crate) const SMALL_END: u64 = 512 << 20;

/// What every file system has.
const BASE: &str = "sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr";
/// What ext3 has as well.
const EXT3: &str = "has_journal";
/// What ext4 has instead.
const EXT4: &str = "has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize";
/// What newer ones of ext4 have as well.
const EXT4_NEWER: &str = "metadata_csum_seed,orphan_file";

impl Profile {
    /// The newest whose file systems the kernels, checkers and boot loaders of all supported releases take.
    pub(super) const DEFAULT: Self = Self::Ubuntu2404;

    /// The one of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "debian-12" => Some(Self::Debian12),
            "debian-13" => Some(Self::Debian13),
            "ubuntu-22.04" => Some(Self::Ubuntu2204),
            "ubuntu-24.04" => Some(Self::Ubuntu2404),
            _ => None,
        }
    }

    /// The bytes of a block in a partition of `size` bytes, on a disk with sectors of so many.
    pub(super) fn block_size(self, size: u64, sector_size: u32) -> u32 {
        match self {
            Self::Debian12 | Self::Debian13 if size < SMALL_END && sector_size <= 1024 => 1024,
            Self::Debian12 | Self::Debian13 | Self::Ubuntu2204 | Self::Ubuntu2404 => 4096,
        }
    }

    /// What is on, in mke2fs's notation.
    pub(super) fn features(self, generation: Generation) -> Vec<&'static str> {
        match (generation, self) {
            (Generation::Ext2, _) => vec![BASE],
            (Generation::Ext3, _) => vec![BASE, EXT3],
            (Generation::Ext4, Self::Debian13) => vec![BASE, EXT4, EXT4_NEWER],
            (Generation::Ext4, Self::Debian12 | Self::Ubuntu2204 | Self::Ubuntu2404) => {
                vec![BASE, EXT4]
            }
        }
    }
}
