//! What stands before a hash tree, so that a program can find out how it was made.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{Immutable, IntoBytes, Unaligned};

use super::{MOST_SALT, Verity};

/// The superblock of cryptsetup, version 1.
#[derive(Clone, Debug, IntoBytes, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Superblock {
    signature: [u8; 8],
    version: U32,
    /// 1: the salt comes first.
    hash_type: U32,
    uuid: [u8; 16],
    /// The name of the hash function, padded with zeros.
    algorithm: [u8; 32],
    data_block_size: U32,
    hash_block_size: U32,
    data_blocks: U64,
    salt_size: U16,
    padding: [u8; 6],
    salt: [u8; MOST_SALT],
    reserved: [u8; 168],
}

const _: () = assert!(size_of::<Superblock>() == 512);

impl Superblock {
    pub(super) fn new(verity: &Verity, data_blocks: u64, uuid: [u8; 16]) -> Self {
        let mut algorithm = [0; 32];
        let name = verity.hash.name().as_bytes();
        algorithm[..name.len()].copy_from_slice(name);
        let mut salt = [0; MOST_SALT];
        salt[..verity.salt.len()].copy_from_slice(&verity.salt);
        let salt_size = u16::try_from(verity.salt.len());
        Self {
            signature: *b"verity\0\0",
            version: U32::new(1),
            hash_type: U32::new(1),
            uuid,
            algorithm,
            data_block_size: U32::new(verity.data_block),
            hash_block_size: U32::new(verity.hash_block),
            data_blocks: U64::new(data_blocks),
            salt_size: U16::new(salt_size.expect("a salt has at most 256 bytes")),
            padding: [0; 6],
            salt,
            reserved: [0; 168],
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}
