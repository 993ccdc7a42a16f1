//! What is known of a disk before anything is made: identifiers, numbers and labels, for templates.
//!
//! | Name | Value, as `blkid` shows it |
//! |---|---|
//! | `disk.id` | the disk's UUID; of an MBR 8 hexadecimal digits |
//! | `partition.NAME.number` | the number in the table |
//! | `partition.NAME.uuid` | the partition's UUID; of an MBR the disk's 8 digits, and the number in 2 |
//! | `partition.NAME.filesystem-uuid` | the file system's UUID, or its serial number as `ABCD-1234` |
//! | `partition.NAME.label` | the file system's label, where it has one |

use std::collections::BTreeMap;

use super::FilesystemPlan;
use super::identity::Identity;
use cellblock_table::DiskId;

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All names, in ascending order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// What is known of a disk.
pub(super) fn facts(
    disk: DiskId,
    identities: &[Identity],
    filesystems: &BTreeMap<usize, FilesystemPlan>,
) -> Facts {
    let mut facts = BTreeMap::from([("disk.id".to_owned(), disk_text(disk))]);
    for (index, identity) in identities.iter().enumerate() {
        let mut add = |key: &str, value: String| {
            facts.insert(format!("partition.{}.{key}", identity.name), value);
        };
        add("number", identity.number.to_string());
        add("uuid", partition_text(disk, identity));
        if let Some(filesystem) = filesystems.get(&index) {
            if let Some(identifier) = &filesystem.identifier {
                add("filesystem-uuid", identifier.clone());
            }
            if !filesystem.label.is_empty() {
                add("label", filesystem.label.clone());
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
        draft.facts().0.into_iter().collect()
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
