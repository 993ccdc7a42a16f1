//! `volumes:`, the disks of imagecraft's project file and of snapd's gadget, read into [`Spec`](super::Spec)s.
//!
//! ```yaml
//! volumes:
//!   disk:
//!     schema: gpt
//!     structure:
//!       - name: rootfs
//!         role: system-data
//!         type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4
//!         filesystem: ext4
//!         size: 3G
//! ```
//!
//! Both descend from one schema; here is what they share, and a room for each.

pub(super) mod fault;
pub(super) mod gadget;
pub(super) mod imagecraft;
#[cfg(test)]
mod tests;

pub use fault::VolumeFault;

use toml::Spanned;
use toml::de::DeValue;
use uuid::Uuid;

use super::fields::{Fields, text};
use super::size::MIB;
use super::value::{ValueError, parse_uuid};
use super::volume::Note;
use super::{FilesystemSpec, PartitionSpec, Place, Placed};
use cellblock_table::PartitionType;

/// Where the first partition begins, in bytes.
const FIRST_START: u64 = MIB;
/// Partitions that the MBR of a hybrid table has room for, beside the entry that protects the GPT.
const HYBRID_ENTRIES: usize = 3;
/// Bytes in a sector: neither of the two knows another one.
const SECTOR: u64 = 512;
/// The longest file, in bytes: offsets are signed. No size and no offset is larger, so that two of them can be added.
const MOST_BYTES: u64 = u64::MAX >> 1;
/// The longest label that FAT stores, in bytes.
const FAT_LABEL: usize = 11;
/// The longest label that ext2, ext3 and ext4 store, in bytes.
const EXT_LABEL: usize = 16;

/// The value of a key that may be absent; one that is left empty counts as absent.
fn optional<T>(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    read: impl FnOnce(&DeValue<'_>) -> Result<T, ValueError>,
) -> Option<Placed<T>> {
    is_given(fields, key)
        .then(|| fields.take(key, read))
        .flatten()
}

/// Whether a key is there with a value.
fn is_given(fields: &mut Fields<'_, '_>, key: &'static str) -> bool {
    fields
        .get(key)
        .is_some_and(|value| value.get_ref().as_str() != Some(""))
}

/// Whether a list is there without items.
fn is_empty_list(value: &Spanned<DeValue<'_>>) -> bool {
    match value.get_ref() {
        DeValue::Array(list) => list.is_empty(),
        other => other.as_str() == Some(""),
    }
}

/// A number of bytes, or of MiB or GiB with `M` or `G`.
fn size(value: &DeValue<'_>) -> Result<u64, ValueError> {
    let text = text(value)?;
    parse_size(&text).ok_or(ValueError::NotAVolumeSize { text })
}

fn parse_size(text: &str) -> Option<u64> {
    const UNITS: [(char, u64); 2] = [('M', MIB), ('G', MIB << 10)];
    let (number, unit) = UNITS
        .iter()
        .find_map(|(letter, unit)| Some((text.strip_suffix(*letter)?.trim_end(), *unit)))
        .unwrap_or((text, 1));
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_number)?;
    number
        .checked_mul(unit)
        .filter(|bytes| *bytes <= MOST_BYTES)
}

/// What to say of a partition that the MBR of a hybrid table has no room for.
fn only_in_gpt(place: Place) -> Note {
    Note {
        place,
        text: format!(
            "this partition stands in the GPT alone: the MBR beside it has room for the first {HYBRID_ENTRIES}"
        ),
    }
}

/// A type for both tables of a hybrid: two hexadecimal digits, a comma and a GUID.
fn hybrid_type(text: &str) -> Option<(u8, PartitionType)> {
    let (byte, guid) = text.split_once(',')?;
    Some((mbr_type(byte)?, gpt_type(guid)?))
}

/// Exactly two hexadecimal digits, which are not those of an unused entry.
fn mbr_type(text: &str) -> Option<u8> {
    let all_hex = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = u8::from_str_radix(text, 16).ok();
    byte.filter(|byte| all_hex && *byte != 0)
}

/// A GUID with its hyphens, which is not that of an unused entry.
fn gpt_type(text: &str) -> Option<PartitionType> {
    let id: Uuid = parse_uuid(text).ok().filter(|_| text.len() == 36)?;
    Some(PartitionType::Gpt(id)).filter(|kind| !kind.is_unused())
}

/// A partition of which only the place and the type are known.
fn partition(place: Place, kind: Placed<PartitionType>) -> PartitionSpec {
    PartitionSpec {
        place,
        name: None,
        is_unnamed: false,
        gpt_name: None,
        kind,
        size: None,
        offset: None,
        number: None,
        id: None,
        attributes: None,
        mbr_type: None,
        active: None,
        filesystem: None,
        raw: Vec::new(),
        verity: None,
        verity_signature: None,
    }
}

/// A file system of this kind with a label, which is as short as the kind demands.
fn filesystem(
    fields: &mut Fields<'_, '_>,
    kind: Placed<&'static str>,
    label: Option<Label>,
) -> FilesystemSpec {
    let most = if kind.value.starts_with("ext") {
        EXT_LABEL
    } else {
        FAT_LABEL
    };
    if let Some(label) = label.as_ref().filter(|label| label.text.value.len() > most) {
        let fault = VolumeFault::LabelTooLong {
            label: label.text.value.clone(),
            filesystem: kind.value,
            most,
            is_implied: label.is_implied,
        };
        fields.problem(fault.into(), label.text.place.clone());
    }
    FilesystemSpec {
        kind: Placed {
            value: kind.value.to_owned(),
            place: kind.place,
        },
        label: label.map(|label| label.text),
        uuid: None,
        content: Vec::new(),
        content_places: std::collections::BTreeMap::new(),
        options: std::collections::BTreeMap::new(),
        drop: Vec::new(),
        selinux: None,
    }
}

/// The label of a file system, and where it comes from.
#[derive(Clone, Debug)]
struct Label {
    text: Placed<String>,
    /// Whether it follows from the name or the role, because no label is given.
    is_implied: bool,
}

/// The labels of a volume so far: two file systems with one label cannot be told apart.
#[derive(Debug, Default)]
struct Labels(Vec<(Placed<String>, bool)>);

impl Labels {
    /// Notes a label. FAT shows labels in capitals, so that one of FAT differs from another only by more than those.
    fn add(&mut self, fields: &mut Fields<'_, '_>, label: &Placed<String>, is_fat: bool) {
        let same = |other: &Placed<String>, other_is_fat: bool| {
            other.value == label.value
                || (is_fat || other_is_fat) && other.value.eq_ignore_ascii_case(&label.value)
        };
        let first = self
            .0
            .iter()
            .find(|(other, other_is_fat)| same(other, *other_is_fat));
        if let Some((first, _)) = first {
            let fault = VolumeFault::DuplicateLabel {
                label: label.value.clone(),
                first: first.place.clone(),
            };
            fields.problem(fault.into(), label.place.clone());
        }
        self.0.push((label.clone(), is_fat));
    }
}
