//! The superblock: Documentation/filesystems/ext4/super.rst, `struct ext4_super_block` of fs/ext4/ext4.h.

use bitflags::bitflags;
use cellblock_guest::crc32c::{START, crc32c};
use cellblock_guest::reader::{Partition, ReaderError};

use crate::field::{array, joined, u16, u32};

/// Where it stands in the partition. Bytes.
pub(crate) const OFFSET: u64 = 1024;
const LENGTH: usize = 1024;
const MAGIC: u16 = 0xEF53;
/// The flag of file systems made where characters have no sign.
const UNSIGNED_HASH: u32 = 2;

bitflags! {
    /// Features that whoever does not know them must not read past.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Incompatible: u32 {
        const FILETYPE = 0x2;
        const RECOVER = 0x4;
        const META_BG = 0x10;
        const EXTENTS = 0x40;
        const BITS_64 = 0x80;
        const MMP = 0x100;
        const FLEX_BG = 0x200;
        const EA_INODE = 0x400;
        const CSUM_SEED = 0x2000;
        const LARGEDIR = 0x4000;
        const INLINE_DATA = 0x8000;
        const ENCRYPT = 0x1_0000;
        const CASEFOLD = 0x2_0000;
    }
}

/// Those that have a name of their own, and cannot be read here.
const UNREAD: [(u32, &str); 3] = [
    (0x1, "compression"),
    (0x8, "journal_dev: it is the journal of another file system"),
    (0x1000, "dirdata"),
];

bitflags! {
    /// Features that matter to whoever writes, and some to whoever reads.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct ReadOnlyCompatible: u32 {
        const SPARSE_SUPER = 0x1;
        const LARGE_FILE = 0x2;
        const BTREE_DIR = 0x4;
        const HUGE_FILE = 0x8;
        const BIGALLOC = 0x200;
        const METADATA_CSUM = 0x400;
        const PROJECT = 0x2000;
        const _ = !0;
    }
}

bitflags! {
    /// Features that do not matter to whoever does not know them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Compatible: u32 {
        const HAS_JOURNAL = 0x4;
        const DIR_INDEX = 0x20;
        const SPARSE_SUPER2 = 0x200;
        const _ = !0;
    }
}

/// What the superblock says, checked as far as reading depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Superblock {
    pub(crate) compatible: Compatible,
    pub(crate) incompatible: Incompatible,
    pub(crate) read_only: ReadOnlyCompatible,
    pub(crate) block_size: u32,
    /// The unit of allocation in bytes: a block, or several with `bigalloc`.
    pub(crate) cluster_size: u32,
    pub(crate) blocks: u64,
    pub(crate) free_blocks: u64,
    pub(crate) first_block: u32,
    pub(crate) blocks_per_group: u32,
    pub(crate) inodes: u32,
    pub(crate) inodes_per_group: u32,
    pub(crate) inode_size: u16,
    pub(crate) descriptor_size: u16,
    pub(crate) first_meta_group: u32,
    /// The groups with copies under `sparse_super2`.
    pub(crate) backup_groups: [u32; 2],
    pub(crate) journal: u32,
    /// How names are hashed where nothing else is said, by its number.
    pub(crate) hash_version: u8,
    pub(crate) hash_seed: [u8; 16],
    /// Whether bytes of hashed names have a sign.
    pub(crate) hash_is_signed: bool,
    pub(crate) uuid: [u8; 16],
    pub(crate) label: Vec<u8>,
    /// What checksums of metadata begin with, if there are any.
    pub(crate) seed: Option<u32>,
}

impl Superblock {
    /// Reads it.
    ///
    /// # Errors
    /// [`ReaderError::Unrecognised`] if there is none.
    pub(crate) fn read(partition: &dyn Partition) -> Result<Self, ReaderError> {
        if partition.size() < OFFSET + LENGTH as u64 {
            return Err(ReaderError::Unrecognised);
        }
        let bytes = partition.bytes(OFFSET, LENGTH)?;
        if u16(&bytes, 0x38) != MAGIC {
            return Err(ReaderError::Unrecognised);
        }
        let superblock = Self::of(&bytes)?;
        superblock.check(partition.size())?;
        Ok(superblock)
    }

    fn of(bytes: &[u8]) -> Result<Self, ReaderError> {
        let word = |at| u32(bytes, at);
        let is_old = word(0x4C) == 0;
        let (compatible, incompatible, read_only) = if is_old {
            (0, 0, 0)
        } else {
            (word(0x5C), word(0x60), word(0x64))
        };
        let incompatible = supported(incompatible)?;
        let read_only = ReadOnlyCompatible::from_bits_retain(read_only);
        let log_block_size = word(0x18);
        if log_block_size > 6 {
            return Err(damaged(format!(
                "has blocks of 2^{log_block_size} KiB, and 64 KiB is the most"
            )));
        }
        let log_cluster_size = match read_only.contains(ReadOnlyCompatible::BIGALLOC) {
            true => word(0x1C),
            false => log_block_size,
        };
        if !(log_block_size..=20).contains(&log_cluster_size) {
            return Err(damaged(format!(
                "has clusters of 2^{log_cluster_size} KiB, and blocks of 2^{log_block_size} KiB"
            )));
        }
        let has_64_bits = incompatible.contains(Incompatible::BITS_64);
        let high = |at| if has_64_bits { word(at) } else { 0 };
        let uuid = array(bytes, 0x68);
        let seed = read_only
            .contains(ReadOnlyCompatible::METADATA_CSUM)
            .then(|| checked_seed(bytes, incompatible, uuid))
            .transpose()?;
        let label = &bytes[0x78..][..16];
        Ok(Self {
            compatible: Compatible::from_bits_retain(compatible),
            incompatible,
            read_only,
            block_size: 1024 << log_block_size,
            cluster_size: 1024 << log_cluster_size,
            blocks: joined(word(0x4), high(0x150)),
            free_blocks: joined(word(0xC), high(0x158)),
            first_block: word(0x14),
            blocks_per_group: word(0x20),
            inodes: word(0x0),
            inodes_per_group: word(0x28),
            inode_size: if is_old { 128 } else { u16(bytes, 0x58) },
            descriptor_size: if has_64_bits { u16(bytes, 0xFE) } else { 32 },
            first_meta_group: word(0x104),
            backup_groups: [word(0x24C), word(0x250)],
            journal: word(0xE0),
            hash_version: bytes[0xFC],
            hash_seed: array(bytes, 0xEC),
            hash_is_signed: word(0x160) & UNSIGNED_HASH == 0,
            uuid,
            label: label
                .split(|byte| *byte == 0)
                .next()
                .unwrap_or_default()
                .to_vec(),
            seed,
        })
    }

    fn check(&self, partition: u64) -> Result<(), ReaderError> {
        let per_group_limit = 8 * self.block_size;
        let inode_size = u32::from(self.inode_size);
        let descriptor_size = u32::from(self.descriptor_size);
        let problem = if self.inodes_per_group == 0 || self.inodes_per_group > per_group_limit {
            format!("has {} inodes a group", self.inodes_per_group)
        } else if self.blocks_per_group == 0 {
            "has no blocks in its groups".to_owned()
        } else if !inode_size.is_power_of_two() || inode_size < 128 || inode_size > self.block_size
        {
            format!("has inodes of {inode_size} bytes")
        } else if !descriptor_size.is_power_of_two() || !(32..=1024).contains(&descriptor_size) {
            format!("has group descriptors of {descriptor_size} bytes")
        } else if u64::from(self.first_block) >= self.blocks {
            format!(
                "has its first block at {} of {}",
                self.first_block, self.blocks
            )
        } else if self.size().is_none_or(|size| size > partition) {
            format!(
                "has {} blocks of {} bytes, and the partition only {partition} bytes",
                self.blocks, self.block_size
            )
        } else {
            return Ok(());
        };
        Err(damaged(problem))
    }

    /// The bytes that the file system takes.
    fn size(&self) -> Option<u64> {
        self.blocks.checked_mul(self.block_size.into())
    }

    /// `ext2`, `ext3` or `ext4`: the oldest whose drivers take all that it has.
    pub(crate) fn kind(&self) -> &'static str {
        let old = Incompatible::FILETYPE | Incompatible::RECOVER | Incompatible::META_BG;
        let old_read_only = ReadOnlyCompatible::SPARSE_SUPER
            | ReadOnlyCompatible::LARGE_FILE
            | ReadOnlyCompatible::BTREE_DIR;
        if !old.contains(self.incompatible) || !old_read_only.contains(self.read_only) {
            "ext4"
        } else if self.compatible.contains(Compatible::HAS_JOURNAL) {
            "ext3"
        } else {
            "ext2"
        }
    }

    /// Whether the group has a copy of the superblock.
    pub(crate) fn has_copy(&self, group: u64) -> bool {
        if group == 0 {
            return true;
        }
        if self.compatible.contains(Compatible::SPARSE_SUPER2) {
            return self.backup_groups.map(u64::from).contains(&group);
        }
        if group == 1 || !self.read_only.contains(ReadOnlyCompatible::SPARSE_SUPER) {
            return true;
        }
        [3, 5, 7].into_iter().any(|base: u64| {
            let powers = std::iter::successors(Some(base), |power| power.checked_mul(base));
            powers
                .take_while(|power| *power <= group)
                .any(|power| power == group)
        })
    }
}

fn supported(bits: u32) -> Result<Incompatible, ReaderError> {
    if let Some((_, name)) = UNREAD.into_iter().find(|(bit, _)| bits & bit != 0) {
        return Err(ReaderError::Unsupported(format!("the feature {name}")));
    }
    Incompatible::from_bits(bits).ok_or_else(|| {
        let unknown = bits & !Incompatible::all().bits();
        ReaderError::Unsupported(format!("incompatible features {unknown:#x}"))
    })
}

/// The seed of all checksums but that of the superblock, which must be right.
fn checked_seed(
    bytes: &[u8],
    incompatible: Incompatible,
    uuid: [u8; 16],
) -> Result<u32, ReaderError> {
    const CRC32C: u8 = 1;
    if bytes[0x175] != CRC32C {
        let problem = format!("checksums of type {}", bytes[0x175]);
        return Err(ReaderError::Unsupported(problem));
    }
    if crc32c(START, &bytes[..0x3FC]) != u32(bytes, 0x3FC) {
        return Err(damaged("has a wrong checksum".to_owned()));
    }
    if incompatible.contains(Incompatible::CSUM_SEED) {
        Ok(u32(bytes, 0x270))
    } else {
        Ok(crc32c(START, &uuid))
    }
}

fn damaged(problem: String) -> ReaderError {
    ReaderError::damaged("the superblock", OFFSET, problem)
}
