//! The checksums of the format.
//!
//! All of them are CRC-32C without a final inversion, so that one value seeds the next. The file system's seed is the
//! checksum of its UUID from `!0`; an inode's seed continues it with the inode's number and generation. The superblock
//! alone starts from `!0`.
//!
//! | Structure | Seed | Covered bytes |
//! |---|---|---|
//! | superblock | `!0` | all before the checksum |
//! | group descriptor | file system, group number | the descriptor with a zero checksum; the low 16 bits are kept |
//! | block and inode bitmap | file system | the bits of the group, without padding |
//! | inode | inode | the whole inode with zero checksums |
//! | extent block | inode | all before the checksum |
//! | directory leaf | inode | all before its 12-byte tail |
//! | directory index | inode | all up to the last entry in use, the tail's reserved word, a zero word |
//! | attribute block | file system, 64-bit block number | the block with a zero checksum |

pub(crate) use cellblock_guest::crc32c::{START, crc32c, crc32c_zeros};

/// The seed of everything that belongs to an inode.
pub(crate) fn inode_seed(file_system: u32, inode: u32, generation: u32) -> u32 {
    crc32c(
        crc32c(file_system, &inode.to_le_bytes()),
        &generation.to_le_bytes(),
    )
}

/// CRC-16 (polynomial 0x8005, reflected), which group descriptors carry where `GROUP_CHECKSUMS` is on and
/// `METADATA_CHECKSUMS` off. It starts from `!0` with the UUID and the group's number.
pub(crate) fn crc16(seed: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(seed, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xA001 * (crc & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_catalogue() {
        assert_eq!(crc16(0, b"123456789"), 0xBB3D);
    }
}
