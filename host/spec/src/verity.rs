//! A partition that holds a dm-verity hash tree: that of another one, or behind its own data.

use schemars::JsonSchema;
use uuid::Uuid;

use super::place::Place;
use super::{Placed, schema};

/// The hash tree of a partition, as `verity = { of = "root" }` asks for it, or `verity = { behind = true }` behind the data of its
/// own. Format 1 of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
pub struct VeritySpec {
    /// Where the table stands.
    #[schemars(skip)]
    pub place: Place,
    /// The name of the partition with the data. Absent where the tree is behind the data in the same one.
    #[schemars(with = "Option<String>")]
    pub of: Option<Placed<String>>,
    /// Whether the tree is behind the data in the same partition, in place of `of`.
    #[schemars(with = "Option<bool>")]
    pub behind: Option<Placed<bool>>,
    /// The hash function: "sha256" when absent.
    pub hash: Option<Placed<VerityHash>>,
    /// The size of a data block: "4KiB" when absent; a power of two from 512 bytes to 64 KiB.
    #[schemars(with = "Option<schema::Size>")]
    pub data_block_size: Option<Placed<u32>>,
    /// The size of a hash block: "4KiB" when absent; a power of two from 512 bytes to 64 KiB.
    #[schemars(with = "Option<schema::Size>")]
    pub hash_block_size: Option<Placed<u32>>,
    /// What is hashed before each block: up to 512 hexadecimal digits, or "none". 32 bytes from the seed when absent.
    #[schemars(with = "Option<String>")]
    pub salt: Option<Placed<Vec<u8>>>,
    /// Whether a superblock says how the tree was made, as `veritysetup` expects when it is told nothing.
    #[schemars(with = "Option<bool>")]
    pub superblock: Option<Placed<bool>>,
    /// The UUID in the superblock. From the seed when absent.
    #[schemars(with = "Option<schema::Identifier>")]
    pub uuid: Option<Placed<Uuid>>,
    /// The bytes of parity for 255 bytes, 2 to 24, by which damaged blocks can be mended: they stand behind the tree. None
    /// when absent.
    #[schemars(with = "Option<u8>", range(min = 2, max = 24))]
    pub fec_roots: Option<Placed<u8>>,
}

impl VeritySpec {
    /// Whether the tree is behind the data in the same partition.
    pub fn is_behind(&self) -> bool {
        self.of.is_none()
    }
}

/// A hash function of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum VerityHash {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl VerityHash {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 2] = [("sha256", Self::Sha256), ("sha512", Self::Sha512)];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}
