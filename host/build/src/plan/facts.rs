//! What templates may name: identifiers, numbers and labels, which are known before anything is made, and *derived values*,
//! which are known only once a partition is: root hashes and digests. Of those the length is known at once, so that layout
//! never waits for them.
//!
//! | Name | Value, as `blkid` shows it |
//! |---|---|
//! | `disk.id` | the disk's UUID; of an MBR 8 hexadecimal digits |
//! | `partition.NAME.number` | the number in the table |
//! | `partition.NAME.uuid` | the partition's UUID; of an MBR the disk's 8 digits, and the number in 2 |
//! | `partition.NAME.filesystem-uuid` | the file system's UUID, or its serial number as `ABCD-1234` |
//! | `partition.NAME.label` | the file system's label, where it has one |
//! | `partition.NAME.verity.root-hash` | derived: the root hash of its hash tree, in hexadecimal; NAME is the partition with the data or that with the tree |
//! | `partition.NAME.verity.salt` | the salt of the tree in hexadecimal; `-` for none, as `veritysetup` has it |
//! | `partition.NAME.verity.hash-offset` | where the tree begins in its partition, in bytes, as `veritysetup --hash-offset` takes it: 0 in one of its own; derived where it is behind its data |
//! | `partition.NAME.verity.uuid` | the UUID in the tree's superblock, where it has one |
//! | `partition.NAME.digest` | derived: the SHA-256 digest of the partition's bytes, in hexadecimal |
//!
//! The UUID of a partition that follows from a root hash is derived too.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::FilesystemPlan;
use super::identity::Identity;
use super::verity::{Half, Trees};
use cellblock_table::DiskId;
use cellblock_text::hexadecimal;

/// The digits of a SHA-256 digest.
const DIGEST_DIGITS: usize = 64;
/// The most digits of an offset in bytes: one that has fewer takes less room than was planned.
const OFFSET_DIGITS: usize = 19;
/// The characters of a UUID.
const UUID_CHARACTERS: usize = 36;

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, Fact>);

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its text; of a derived value that is not known yet, as many zeros as it will have characters at the most.
    pub text: String,
    /// The index of the partition that must be made before it is known, unless it is known.
    pub from: Option<usize>,
    /// Why no template may have it.
    pub unusable: Option<String>,
}

impl Fact {
    /// What is known.
    pub(crate) fn known(text: String) -> Self {
        Self {
            text,
            from: None,
            unusable: None,
        }
    }

    /// What no template may have.
    pub(crate) fn unusable(why: String) -> Self {
        Self {
            unusable: Some(why),
            ..Self::known(String::new())
        }
    }
}

impl Facts {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    /// All names, in ascending order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The same with what a partition that has been made tells: values by name.
    #[must_use]
    pub fn with(mut self, derived: &[(String, String)]) -> Self {
        for (name, text) in derived {
            self.0.insert(name.clone(), Fact::known(text.clone()));
        }
        self
    }

    /// The same with other facts by name.
    #[must_use]
    pub(crate) fn and(mut self, facts: impl IntoIterator<Item = (String, Fact)>) -> Self {
        self.0.extend(facts);
        self
    }
}

/// The name of the digest of a partition.
pub(crate) fn digest_of(partition: &str) -> String {
    format!("partition.{partition}.digest")
}

/// The name of the root hash of a partition's tree.
pub(crate) fn root_hash_of(partition: &str) -> String {
    format!("partition.{partition}.verity.root-hash")
}

/// The name of the place where a partition's tree begins.
pub(crate) fn hash_offset_of(partition: &str) -> String {
    format!("partition.{partition}.verity.hash-offset")
}

/// The name of a partition's UUID.
pub(crate) fn uuid_of(partition: &str) -> String {
    format!("partition.{partition}.uuid")
}

/// What is known of a disk, with its hash trees and the identifiers that follow from them.
pub(super) fn facts(
    disk: DiskId,
    identities: &[Identity],
    filesystems: &BTreeMap<usize, FilesystemPlan>,
    (trees, from_trees): (&Trees, &BTreeMap<usize, (usize, Half)>),
) -> Facts {
    let mut facts = BTreeMap::new();
    let known = Fact::known;
    let derived = |characters: usize, from: usize| Fact {
        from: Some(from),
        ..Fact::known("0".repeat(characters))
    };
    facts.insert("disk.id".to_owned(), known(disk_text(disk)));
    for (index, identity) in identities.iter().enumerate() {
        let name = &identity.name;
        let mut add = |key: &str, fact: Fact| {
            facts.insert(format!("partition.{name}.{key}"), fact);
        };
        add("number", known(identity.number.to_string()));
        add("digest", derived(DIGEST_DIGITS, index));
        let uuid = match from_trees.get(&index) {
            Some((tree, _)) => derived(UUID_CHARACTERS, *tree),
            None => known(partition_text(disk, identity)),
        };
        add("uuid", uuid);
        if let Some(filesystem) = filesystems.get(&index) {
            if let Some(identifier) = &filesystem.identifier {
                add("filesystem-uuid", known(identifier.clone()));
            }
            if !filesystem.label.is_empty() {
                add("label", known(filesystem.label.clone()));
            }
        }
    }
    for (index, tree) in trees.iter() {
        // A tree over a tree goes by the name of the one that holds it.
        let of = (trees.get(tree.of).is_none()).then_some(tree.of);
        for identity in of.into_iter().chain([index]).map(|at| &identities[at]) {
            let digits = 2 * tree.verity.hash.digest_bytes() as usize;
            let key = |key: &str| format!("partition.{}.verity.{key}", identity.name);
            facts.insert(root_hash_of(&identity.name), derived(digits, index));
            let hash_offset = match trees.behind(index) {
                Some(_) => derived(OFFSET_DIGITS, index),
                None => known("0".to_owned()),
            };
            facts.insert(hash_offset_of(&identity.name), hash_offset);
            let salt = match tree.verity.salt.as_slice() {
                [] => "-".to_owned(),
                salt => hexadecimal(salt),
            };
            facts.insert(key("salt"), known(salt));
            if let Some(uuid) = tree.verity.superblock {
                let uuid = Uuid::from_bytes(uuid).to_string();
                facts.insert(key("uuid"), known(uuid));
            }
        }
    }
    Facts(facts)
}

fn disk_text(disk: DiskId) -> String {
    match disk {
        DiskId::Gpt(id) => id.to_string(),
        DiskId::Mbr(id) => format!("{id:08x}"),
        DiskId::None => disk.to_string(),
    }
}

fn partition_text(disk: DiskId, identity: &Identity) -> String {
    identity.id.map_or_else(
        || format!("{}-{:02x}", disk_text(disk), identity.number),
        |id| id.to_string(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use crate::plan::tests::kinds;
    use crate::plan::{Draft, RawLengths};
    use cellblock_spec::Spec;

    fn facts_of(source: &str) -> Vec<(String, String)> {
        let spec = Spec::parse(source, Path::new("")).unwrap();
        let kinds = kinds();
        let draft = Draft::new(&spec, &kinds, RawLengths::new()).unwrap();
        let facts = draft.facts().0.into_iter();
        let known = facts.filter(|(_, fact)| fact.from.is_none());
        known.map(|(name, fact)| (name, fact.text)).collect()
    }

    fn owned(facts: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = facts.iter();
        owned
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_gpt_has_uuids_and_a_fat_a_serial_number() {
        let found = facts_of(
            "[disk]\nid = \"0FC63DAF-8483-4772-8E79-3D69D8477DE4\"\n[[partition]]\nname = \"my esp\"\ntype = \"esp\"\n\
             id = \"11111111-2222-3333-4444-555555555555\"\nfilesystem = \"vfat\"\nuuid = \"ab0d-0234\"\nlabel = \"UEFI\"\n\
             [[partition]]\ntype = \"swap\"\nnumber = 7\nid = \"21111111-2222-3333-4444-555555555555\"\n\
             filesystem = \"swap\"\nuuid = \"31111111-2222-3333-4444-555555555555\"\n",
        );
        let expected = owned(&[
            ("disk.id", "0fc63daf-8483-4772-8e79-3d69d8477de4"),
            ("partition.my esp.filesystem-uuid", "AB0D-0234"),
            ("partition.my esp.label", "UEFI"),
            ("partition.my esp.number", "1"),
            (
                "partition.my esp.uuid",
                "11111111-2222-3333-4444-555555555555",
            ),
            (
                "partition.swap.filesystem-uuid",
                "31111111-2222-3333-4444-555555555555",
            ),
            ("partition.swap.number", "7"),
            (
                "partition.swap.uuid",
                "21111111-2222-3333-4444-555555555555",
            ),
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn partitions_of_an_mbr_are_called_by_disk_and_number() {
        let partition = "[[partition]]\ntype = \"linux\"\nsize = 512\n";
        let found = facts_of(&format!(
            "[disk]\ntable = \"mbr\"\nid = \"0x00abcdef\"\n{}",
            partition.repeat(10)
        ));
        let get = |name: &str| {
            let fact = found.iter().find(|(found, _)| found == name);
            fact.map(|(_, value)| value.as_str())
        };
        assert_eq!(get("disk.id"), Some("00abcdef"));
        assert_eq!(get("partition.linux.uuid"), Some("00abcdef-01"));
        assert_eq!(get("partition.linux-10.uuid"), Some("00abcdef-0b"));
        assert_eq!(get("partition.linux.filesystem-uuid"), None);
    }
}
