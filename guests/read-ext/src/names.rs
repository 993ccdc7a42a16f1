//! Names that are encrypted, as the kernel shows them to whoever has no key: `fscrypt_fname_disk_to_usr` of fs/crypto/fname.c.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use cellblock_guest::htree::{Hashed, Method, NameHash};
use sha2::{Digest as _, Sha256};

use crate::field::{u16, u32};
use crate::inode::{Flags, Inode};
use crate::superblock::{Compatible, Superblock};
use crate::volume::Ext;

/// How the names of a directory are shown.
pub(crate) enum Names {
    /// As they stand.
    Plain,
    /// Encrypted, with the hash that they are looked up by.
    Encrypted(Hash),
}

/// Where the hash of a name comes from.
pub(crate) enum Hash {
    /// There is none, which is 0.
    None,
    Computed(Superblock, Option<NameHash>),
    /// It depends on the key, and stands behind the name.
    Stored,
}

impl Names {
    pub(crate) fn of(ext: &Ext<'_>, inode: &Inode) -> Self {
        let superblock = &ext.superblock;
        if !inode.flags.contains(Flags::ENCRYPTED) {
            return Self::Plain;
        }
        let has_one_block = inode.size / u64::from(superblock.block_size) == 1;
        // The kernel goes by hashes through directories of one block, too: `is_dx_dir` of fs/ext4/dir.c.
        let is_hashed = superblock.compatible.contains(Compatible::DIR_INDEX)
            && (has_one_block || inode.flags.intersects(Flags::INDEXED | Flags::INLINE_DATA));
        Self::Encrypted(if !is_hashed {
            Hash::None
        } else if inode.flags.contains(Flags::CASEFOLD) {
            Hash::Stored
        } else {
            let hash = name_hash(superblock, superblock.hash_version);
            Hash::Computed(superblock.clone(), hash)
        })
    }

    /// Learns from a directory's first block how its tree is hashed.
    pub(crate) fn read_root(&mut self, inode: &Inode, block: &[u8]) {
        const VERSION: usize = 28;
        if let Self::Encrypted(Hash::Computed(superblock, hash)) = self
            && inode.flags.contains(Flags::INDEXED)
        {
            *hash = name_hash(superblock, block[VERSION]);
        }
    }

    /// A name of the directory, which stands in `entry`.
    pub(crate) fn shown(&self, name: &[u8], entry: &[u8]) -> Vec<u8> {
        let Self::Encrypted(hash) = self else {
            return name.to_vec();
        };
        let hashed = match hash {
            Hash::None => Hashed::default(),
            Hash::Computed(_, hash) => hash.map(|hash| hash.of(name)).unwrap_or_default(),
            Hash::Stored => stored(name.len(), entry).unwrap_or_default(),
        };
        shown(hashed, name)
    }
}

/// None for a version that there is not.
fn name_hash(superblock: &Superblock, version: u8) -> Option<NameHash> {
    let method = match version % 3 {
        0 => Method::Legacy,
        1 => Method::HalfMd4,
        _ => Method::Tea,
    };
    // The versions from 3 on are those without a sign.
    let is_signed = version < 3 && superblock.hash_is_signed;
    (version < 6).then(|| NameHash::new(method, is_signed, superblock.hash_seed))
}

fn stored(name: usize, entry: &[u8]) -> Option<Hashed> {
    const HEAD: usize = 8;
    let hash = entry.get((HEAD + name).next_multiple_of(4)..)?.get(..8)?;
    Some(Hashed {
        major: u32(hash, 0),
        minor: u32(hash, 4),
    })
}

/// In base64 for URLs, of which the longest has 252 bytes: of long names the end is hashed.
fn shown(hashed: Hashed, name: &[u8]) -> Vec<u8> {
    const KEPT: usize = 149;
    let mut bytes = Vec::with_capacity(189);
    bytes.extend(hashed.major.to_le_bytes());
    bytes.extend(hashed.minor.to_le_bytes());
    match name.split_at_checked(KEPT) {
        None | Some((_, [])) => bytes.extend(name),
        Some((kept, rest)) => {
            bytes.extend(kept);
            bytes.extend(Sha256::digest(rest));
        }
    }
    Base64UrlUnpadded::encode_string(&bytes).into_bytes()
}

/// The target of a link: behind its length, and without a hash. Empty if it is none.
pub(crate) fn shown_target(stored: &[u8]) -> Vec<u8> {
    let Some((length, behind)) = stored.split_at_checked(2) else {
        return Vec::new();
    };
    match behind.get(..usize::from(u16(length, 0))) {
        None | Some([]) => Vec::new(),
        Some(target) => shown(Hashed::default(), target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_too_long_and_differ() {
        let hashed = Hashed {
            major: 0x0403_0201,
            minor: 0x0807_0605,
        };
        assert_eq!(shown(hashed, b"name"), b"AQIDBAUGBwhuYW1l");
        let lengths = [148, 149, 150, 151, 255].map(|length| shown(hashed, &vec![1; length]).len());
        assert_eq!(lengths, [208, 210, 252, 252, 252]);
        assert_ne!(shown(hashed, &[1; 254]), shown(hashed, &[1; 255]));
    }

    #[test]
    fn targets_have_a_length() {
        assert_eq!(shown_target(b"\x04\0name and more"), b"AAAAAAAAAABuYW1l");
        for stored in [&b""[..], b"\x04", b"\0\0name", b"\x05\0name"] {
            assert_eq!(shown_target(stored), b"");
        }
    }

    #[test]
    fn a_hash_that_depends_on_the_key_stands_behind_the_name() {
        let entry = b"\x0C\0\0\0\x18\0\x05\x01crypt\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08";
        let expected = Hashed {
            major: 0x0403_0201,
            minor: 0x0807_0605,
        };
        assert_eq!(stored(5, entry), Some(expected));
        assert_eq!(stored(5, &entry[..20]), None);
    }
}
