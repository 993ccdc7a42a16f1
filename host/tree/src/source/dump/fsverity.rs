//! The digest that fs-verity has of a file: the hash of a descriptor with the root of a tree of hashes over blocks of 4 KiB
//! (Documentation/filesystems/fsverity.rst of the kernel), without a salt.

use std::io::{self, Read};

use cellblock_text::hexadecimal;
use sha2::{Digest, Sha256, Sha512};

/// Bytes of a block, of data and of hashes.
const BLOCK: usize = 4096;
/// Its logarithm.
const LOG_BLOCK: u8 = 12;
/// Bytes of the descriptor, and where in it the root hash begins.
const DESCRIPTOR: usize = 256;
const ROOT_HASH: usize = 16;
/// The hexadecimal digits of a digest by SHA-512.
const DIGITS_OF_SHA512: usize = 128;

/// The digest of what is read, which has `size` bytes: by SHA-512 if it is to have 128 digits, else by SHA-256.
pub(super) fn digest(file: impl Read, size: u64, digits: usize) -> io::Result<String> {
    if digits == DIGITS_OF_SHA512 {
        digest_by::<Sha512>(file, size, 2)
    } else {
        digest_by::<Sha256>(file, size, 1)
    }
}

fn digest_by<D: Digest>(mut file: impl Read, size: u64, algorithm: u8) -> io::Result<String> {
    let mut tree = Levels::<D>(Vec::new());
    let mut left = size;
    let mut block = vec![0; BLOCK];
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        file.read_exact(&mut block[..length])?;
        block[length..].fill(0);
        tree.add(0, &D::digest(&block));
        left -= u64::try_from(length).expect("at most a block");
    }
    let mut descriptor = [0; DESCRIPTOR];
    descriptor[0] = 1;
    descriptor[1] = algorithm;
    descriptor[2] = LOG_BLOCK;
    descriptor[8..16].copy_from_slice(&size.to_le_bytes());
    let root = tree.root();
    descriptor[ROOT_HASH..ROOT_HASH + root.len()].copy_from_slice(&root);
    Ok(hexadecimal(&D::digest(descriptor)))
}

/// The block that is being filled of each level of hashes, from the lowest; the hashes of full ones are in the next.
struct Levels<D>(Vec<Level<D>>);

struct Level<D> {
    block: Vec<u8>,
    /// Whether a block of this level has been full.
    has_more: bool,
    hash: std::marker::PhantomData<D>,
}

impl<D: Digest> Levels<D> {
    fn add(&mut self, level: usize, hash: &[u8]) {
        if self.0.len() == level {
            self.0.push(Level {
                block: Vec::with_capacity(BLOCK),
                has_more: false,
                hash: std::marker::PhantomData,
            });
        }
        if self.0[level].block.len() == BLOCK {
            self.0[level].has_more = true;
            self.close(level);
        }
        self.0[level].block.extend_from_slice(hash);
    }

    /// Hands the hash of a level's block to the next one.
    fn close(&mut self, level: usize) {
        let mut block = std::mem::take(&mut self.0[level].block);
        block.resize(BLOCK, 0);
        let hash = D::digest(&block);
        self.add(level + 1, &hash);
    }

    /// The one hash over all; none for a file without bytes.
    fn root(mut self) -> Vec<u8> {
        let mut level = 0;
        while let Some(last) = self.0.get(level) {
            let is_only = !last.has_more && last.block.len() == <D as Digest>::output_size();
            if is_only {
                return self.0.swap_remove(level).block;
            }
            self.close(level);
            level += 1;
        }
        Vec::new()
    }
}
