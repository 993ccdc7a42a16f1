//! The digest that fs-verity has of a file: the hash of a descriptor with the root of a tree of hashes over blocks of 4 KiB
//! (Documentation/filesystems/fsverity.rst of the kernel), without a salt.

use std::io::{self, Read};

use cellblock_hash::Prefixed;
use cellblock_text::hexadecimal;

/// Bytes of a block, of data and of hashes.
const BLOCK: usize = 4096;
/// Its logarithm.
const LOG_BLOCK: u8 = 12;
/// Blocks that are read, and hashed, at a time.
const BLOCKS_AT_A_TIME: usize = 16;
/// Bytes of the descriptor, and where in it the root hash begins.
const DESCRIPTOR: usize = 256;
const ROOT_HASH: usize = 16;
/// The hexadecimal digits of a digest by SHA-512.
const DIGITS_OF_SHA512: usize = 128;

/// The digest of what is read, which has `size` bytes: by SHA-512 if it is to have 128 digits, else by SHA-256.
pub(super) fn digest(mut file: impl Read, size: u64, digits: usize) -> io::Result<String> {
    let (hash, algorithm) = if digits == DIGITS_OF_SHA512 {
        (Prefixed::sha512(b""), 2)
    } else {
        (Prefixed::sha256(b""), 1)
    };
    let mut tree = Levels {
        hash: &hash,
        levels: Vec::new(),
    };
    let mut left = size;
    let mut blocks = Vec::new();
    while left > 0 {
        let most = BLOCK * BLOCKS_AT_A_TIME;
        let length = usize::try_from(left).map_or(most, |left| left.min(most));
        blocks.resize(length, 0);
        file.read_exact(&mut blocks)?;
        blocks.resize(length.next_multiple_of(BLOCK), 0);
        hash.digests(&blocks, BLOCK, |digest| tree.add(0, digest));
        left -= u64::try_from(length).expect("at most a few blocks");
    }
    let mut descriptor = [0; DESCRIPTOR];
    descriptor[0] = 1;
    descriptor[1] = algorithm;
    descriptor[2] = LOG_BLOCK;
    descriptor[8..16].copy_from_slice(&size.to_le_bytes());
    let root = tree.root();
    descriptor[ROOT_HASH..ROOT_HASH + root.len()].copy_from_slice(&root);
    Ok(hexadecimal(&hash.digest(&descriptor)))
}

/// The block that is being filled of each level of hashes, from the lowest; the hashes of full ones are in the next.
struct Levels<'a> {
    hash: &'a Prefixed,
    levels: Vec<Level>,
}

struct Level {
    block: Vec<u8>,
    /// Whether a block of this level has been full.
    has_more: bool,
}

impl Levels<'_> {
    fn add(&mut self, level: usize, hash: &[u8]) {
        if self.levels.len() == level {
            self.levels.push(Level {
                block: Vec::with_capacity(BLOCK),
                has_more: false,
            });
        }
        if self.levels[level].block.len() == BLOCK {
            self.levels[level].has_more = true;
            self.close(level);
        }
        self.levels[level].block.extend_from_slice(hash);
    }

    /// Hands the hash of a level's block to the next one.
    fn close(&mut self, level: usize) {
        let mut block = std::mem::take(&mut self.levels[level].block);
        block.resize(BLOCK, 0);
        let hash = self.hash.digest(&block);
        self.add(level + 1, &hash);
    }

    /// The one hash over all; none for a file without bytes.
    fn root(mut self) -> Vec<u8> {
        let mut level = 0;
        while let Some(last) = self.levels.get(level) {
            let is_only = !last.has_more && last.block.len() == self.hash.digest_bytes();
            if is_only {
                return self.levels.swap_remove(level).block;
            }
            self.close(level);
            level += 1;
        }
        Vec::new()
    }
}
