//! dm-verity hash trees: from the bytes of one partition to the tree in another, and the root hash.
//!
//! ```text
//!     hash partition | superblock | level 2: one block | level 1 | level 0: a digest for each data block |
//!                                         │
//!                                     root hash = digest of the block of the highest level
//! ```
//!
//! Format 1 of the kernel (Documentation/admin-guide/device-mapper/verity.rst): a digest is that of the salt and the block,
//! digests stand at multiples of a power of two in a hash block, and the rest of a block is zeros. The superblock is
//! cryptsetup's (its wiki page "DMVerity", "on-disk format").

use std::fmt;

use cellblock_hash::Prefixed;

use super::{ImageError, PartitionFile};

mod behind;
mod fec;
mod hash;
mod superblock;
#[cfg(test)]
mod tests;

pub use behind::Behind;
pub use fec::FEC_ROOTS;
use hash::Level;
use superblock::Superblock;

/// The longest salt that the superblock holds, in bytes.
pub const MOST_SALT: usize = 256;
/// The sizes in bytes that a data block or a hash block can have: powers of two between these.
pub const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 512..=65536;

/// A hash function of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// SHA-256 (FIPS 180-4).
    #[default]
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
}

impl HashFunction {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// What the kernel calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The bytes of a digest.
    #[must_use]
    pub fn digest_bytes(self) -> u32 {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for HashFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What decides the tree of given data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verity {
    /// The hash function.
    pub hash: HashFunction,
    /// The bytes of a data block: a power of two in [`BLOCK_SIZES`].
    pub data_block: u32,
    /// The bytes of a hash block: a power of two in [`BLOCK_SIZES`].
    pub hash_block: u32,
    /// What is hashed before each block, at most [`MOST_SALT`] bytes.
    pub salt: Vec<u8>,
    /// The UUID in the superblock; without one there is no superblock.
    pub superblock: Option<[u8; 16]>,
    /// The bytes of parity of a codeword, in [`FEC_ROOTS`], if there is error correction behind the tree. The blocks of data and
    /// tree are then of one size.
    pub fec_roots: Option<u8>,
}

/// Where the parts of a tree lie, for data of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashTree {
    /// The blocks of data.
    pub data_blocks: u64,
    /// The bytes that the tree takes, with its superblock and what corrects errors.
    pub size: u64,
    /// Where what corrects errors begins, in bytes; the end of the tree.
    pub fec_offset: u64,
    /// From the digests of data upwards.
    levels: Vec<Level>,
}

impl Verity {
    /// Digests in a hash block: each takes the next power of two.
    fn digests_in_a_block(&self) -> u64 {
        u64::from(self.hash_block / self.hash.digest_bytes().next_power_of_two())
    }

    /// The tree over `data_size` bytes, which are whole data blocks. Without error correction it takes at most a seventh of them, and two
    /// blocks.
    ///
    /// # Panics
    /// If the data are not whole blocks, or the block sizes cannot be.
    #[must_use]
    pub fn tree(&self, data_size: u64) -> HashTree {
        assert!(
            [self.data_block, self.hash_block]
                .iter()
                .all(|size| size.is_power_of_two() && BLOCK_SIZES.contains(size)),
            "block sizes are checked where they are read"
        );
        assert_eq!(data_size % u64::from(self.data_block), 0, "whole blocks");
        let data_blocks = data_size / u64::from(self.data_block);
        let mut counts = Vec::new();
        let mut below = data_blocks;
        while below > 1 {
            below = below.div_ceil(self.digests_in_a_block());
            counts.push(below);
        }
        // The highest level comes first.
        let hash_block = u64::from(self.hash_block);
        let mut end = if self.superblock.is_some() {
            hash_block
        } else {
            0
        };
        let mut levels = Vec::with_capacity(counts.len());
        for blocks in counts.into_iter().rev() {
            levels.push(Level {
                offset: end,
                blocks,
            });
            end += blocks * hash_block;
        }
        levels.reverse();
        let first = levels.last().map_or(end, |level| level.offset);
        let protected = data_blocks + (end - first) / hash_block;
        let parity = self.fec_roots.map_or(0, |roots| {
            fec::parity_blocks(protected, roots) * u64::from(self.data_block)
        });
        HashTree {
            data_blocks,
            size: end + parity,
            fec_offset: end,
            levels,
        }
    }

    /// Writes the tree over all of `data` to `target`, on `threads` threads; `progress` is told of each number of bytes of data
    /// that has been hashed. The root hash.
    ///
    /// # Errors
    /// [`ImageError`] if the data cannot be read, or the tree cannot be written.
    ///
    /// # Panics
    /// If `target` is shorter than the tree, or there is no data: the planner's mistakes.
    pub fn write(
        &self,
        data: &PartitionFile,
        target: &PartitionFile,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<u8>, ImageError> {
        let tree = self.tree(data.size());
        assert!(tree.data_blocks > 0 && tree.size <= target.size());
        let root = self.hashed(&tree, data, target, threads, progress)?;
        if let Some(uuid) = self.superblock {
            target.write(0, &Superblock::new(self, tree.data_blocks, uuid).bytes())?;
        }
        if let Some(roots) = self.fec_roots {
            let first = tree.levels.last().map_or(tree.fec_offset, |it| it.offset);
            let protected = fec::Protected {
                data,
                tree: target,
                tree_offset: first,
                tree_blocks: (tree.fec_offset - first) / u64::from(self.hash_block),
                block: self.data_block,
                roots,
            };
            protected.write(target, tree.fec_offset, threads)?;
        }
        Ok(root)
    }

    fn hashed(
        &self,
        tree: &HashTree,
        data: &PartitionFile,
        target: &PartitionFile,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<u8>, ImageError> {
        let silent = |_| {};
        let mut progress = progress;
        let salted = match self.hash {
            HashFunction::Sha256 => Prefixed::sha256(&self.salt),
            HashFunction::Sha512 => Prefixed::sha512(&self.salt),
        };
        let mut below = hash::Blocks {
            file: data,
            offset: 0,
            block: self.data_block,
            count: tree.data_blocks,
        };
        for level in &tree.levels {
            let into = hash::Target {
                file: target,
                offset: level.offset,
                block: self.hash_block,
                stride: self.hash.digest_bytes().next_power_of_two(),
            };
            hash::level(&salted, &below, &into, threads, progress)?;
            // What is hashed from here on is no data.
            progress = &silent;
            below = hash::Blocks {
                file: target,
                offset: level.offset,
                block: self.hash_block,
                count: level.blocks,
            };
        }
        hash::one(&salted, &below)
    }
}
