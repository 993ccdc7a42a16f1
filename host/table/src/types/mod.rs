//! Names of partition types: what a spec may write, and what a report shows.
//!
//! There is no plain `root` or `usr`, which systemd-repart resolves to the machine that it runs on:
//! an image must not depend on where it is built.

mod discoverable;

use std::fmt;

use thiserror::Error;
use uuid::{Uuid, uuid};

use super::mbr::PROTECTIVE;
use super::{PartitionType, Scheme};

/// GPT types beyond the Discoverable Partitions Specification, by the names that users of other
/// tools expect.
const OTHERS: &[(&str, Uuid)] = &[
    ("bios-boot", uuid!("21686148-6449-6e6f-744e-656564454649")),
    ("prep-boot", uuid!("9e1a2d38-c612-4316-aa26-8b49521e5a8b")),
    ("lvm", uuid!("e6d6d379-f507-44c2-a23c-238f2a3df928")),
    ("raid", uuid!("a19d880f-05fc-4d3b-a006-743f0f84911e")),
    ("luks", uuid!("ca7d7ccb-63ed-4c53-861c-1742536059cc")),
    ("dm-crypt", uuid!("7ffec5c9-2d00-49b7-8941-3ea10a5586b7")),
    (
        "linux-reserved",
        uuid!("8da63339-0007-60c0-c436-083ac8230908"),
    ),
    (
        "microsoft-basic",
        uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),
    ),
    (
        "microsoft-reserved",
        uuid!("e3c9e316-0b5c-4db8-817d-f92df00215ae"),
    ),
    (
        "windows-recovery",
        uuid!("de94bba4-06d1-4d40-a16a-bfd50179d6ac"),
    ),
    (
        "chromeos-kernel",
        uuid!("fe3a2a5d-4f32-41a7-b725-accc3285a309"),
    ),
    (
        "chromeos-root",
        uuid!("3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec"),
    ),
    ("uboot-env", uuid!("3de21764-95bd-54bd-a5c3-4abe786f38a8")),
];

/// Second names of GPT types, each with the name it stands for.
const ALIASES: &[(&str, &str)] = &[
    ("efi", "esp"),
    ("efi-system", "esp"),
    ("uefi", "esp"),
    ("bios-grub", "bios-boot"),
    ("linux", "linux-generic"),
    ("linux-swap", "swap"),
    ("linux-home", "home"),
    ("linux-lvm", "lvm"),
    ("linux-raid", "raid"),
    ("msdata", "microsoft-basic"),
    ("msftdata", "microsoft-basic"),
    ("basic-data", "microsoft-basic"),
    ("msftres", "microsoft-reserved"),
];

/// What sfdisk, genimage and the tables of MBRs call types of a GPT, with their names here: hints, not names.
const ELSEWHERE: &[(&str, &str)] = &[
    ("l", "linux-generic"),
    ("s", "swap"),
    ("h", "home"),
    ("u", "esp"),
    ("r", "raid"),
    ("v", "lvm"),
    ("f", "basic-data"),
    ("fat12", "basic-data"),
    ("fat16", "basic-data"),
    ("fat32", "basic-data"),
    ("vfat", "basic-data"),
    ("ntfs", "basic-data"),
    ("exfat", "basic-data"),
    ("u-boot-env", "uboot-env"),
];

/// What other tools call architectures, with their names here. `secondary` is systemd-repart's second one of an x86-64.
const ARCHITECTURES_ELSEWHERE: &[(&str, &str)] = &[
    ("", "x86-64"),
    ("amd64", "x86-64"),
    ("x64", "x86-64"),
    ("secondary", "x86"),
    ("i386", "x86"),
    ("i686", "x86"),
    ("aarch64", "arm64"),
    ("armhf", "arm"),
];

/// MBR types by name; of several names for one byte the first is the one shown.
const MBR: &[(&str, u8)] = &[
    ("fat12", 0x01),
    ("fat16-small", 0x04),
    ("extended-chs", 0x05),
    ("fat16", 0x06),
    ("ntfs", 0x07),
    ("exfat", 0x07),
    ("fat32-chs", 0x0b),
    ("fat32", 0x0c),
    ("fat32-lba", 0x0c),
    ("fat16-lba", 0x0e),
    ("extended", 0x0f),
    ("extended-lba", 0x0f),
    ("windows-recovery", 0x27),
    ("prep-boot", 0x41),
    ("swap", 0x82),
    ("linux-swap", 0x82),
    ("linux", 0x83),
    ("linux-generic", 0x83),
    ("linux-extended", 0x85),
    ("lvm", 0x8e),
    ("linux-lvm", 0x8e),
    ("freebsd", 0xa5),
    ("openbsd", 0xa6),
    ("netbsd", 0xa9),
    ("non-fs-data", 0xda),
    ("xbootldr", 0xea),
    ("protective", 0xee),
    ("esp", 0xef),
    ("efi", 0xef),
    ("uefi", 0xef),
    ("raid", 0xfd),
    ("linux-raid", 0xfd),
];

/// Why the text of a partition type was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TypeError {
    /// The text is no name, GUID or byte that the scheme knows.
    #[error(
        "unknown {scheme} partition type '{text}'{}; write {}",
        did_you_mean(nearest.as_deref()), scheme.format().type_forms()
    )]
    Unknown {
        /// What was written.
        text: String,
        /// The table that it was written for.
        scheme: Scheme,
        /// The known name most like it, when one is.
        nearest: Option<String>,
    },
    /// The text names a type that this kind of table cannot store.
    #[error(
        "partition type '{text}' exists in {other} tables, not in {scheme} tables{}; write {}",
        did_you_mean(nearest.as_deref()), scheme.format().type_forms()
    )]
    OtherScheme {
        /// What was written.
        text: String,
        /// The table that it was written for.
        scheme: Scheme,
        /// The table that knows it.
        other: Scheme,
        /// The name of what it is here, where it is something.
        nearest: Option<String>,
    },
    /// The text is the type that marks a partition as unused.
    #[error("partition type '{text}' marks an unused entry; write {}", scheme.format().type_forms())]
    Unused {
        /// What was written.
        text: String,
        /// The table that it was written for.
        scheme: Scheme,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean '{name}'?)"))
}

/// The GPT type with this name, in any case; GUIDs are not names.
#[must_use]
pub fn by_name(name: &str) -> Option<Uuid> {
    let name = name.to_ascii_lowercase();
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name.as_str(), |(_, stands_for)| stands_for);
    all().find(|(known, _)| *known == name).map(|(_, id)| id)
}

/// The name of a GPT type, when it has one.
#[must_use]
pub fn name_of(id: Uuid) -> Option<&'static str> {
    all().find(|(_, known)| *known == id).map(|(name, _)| name)
}

/// The MBR type with this name, in any case; hexadecimal bytes are not names.
#[must_use]
pub fn mbr_by_name(name: &str) -> Option<u8> {
    MBR.iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, byte)| *byte)
}

/// The name of an MBR type, when it has one.
#[must_use]
pub fn mbr_name_of(byte: u8) -> Option<&'static str> {
    MBR.iter()
        .find(|(_, known)| *known == byte)
        .map(|(name, _)| *name)
}

/// Every name that a partition type may be written with, aliases included, in the order of the tables.
pub fn names(scheme: Scheme) -> impl Iterator<Item = &'static str> {
    scheme.format().type_names().into_iter()
}

/// The names of GPT types, and the aliases of them.
pub(super) fn gpt_names() -> Vec<&'static str> {
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    all().map(|(name, _)| name).chain(aliases).collect()
}

/// The names of MBR types.
pub(super) fn mbr_names() -> Vec<&'static str> {
    MBR.iter().map(|(name, _)| *name).collect()
}

fn all() -> impl Iterator<Item = (&'static str, Uuid)> {
    discoverable::COMMON
        .iter()
        .chain(discoverable::ARCHITECTURES)
        .chain(OTHERS)
        .copied()
}

impl PartitionType {
    /// Reads what a spec says of a type: a name; for GPT also a GUID; for MBR also a hexadecimal
    /// byte, with or without `0x`.
    ///
    /// # Errors
    /// [`TypeError`] when the scheme has no such type, or when it stands for "unused".
    pub fn parse(text: &str, scheme: Scheme) -> Result<Self, TypeError> {
        match scheme.format().parse_type(text) {
            Some(kind) if kind.is_unused() => Err(TypeError::Unused {
                text: text.to_owned(),
                scheme,
            }),
            Some(kind) => Ok(kind),
            None => Err(refusal(text, scheme)),
        }
    }

    /// Whether this is the type of an unused entry: the zero GUID, or byte 0.
    #[must_use]
    pub fn is_unused(self) -> bool {
        match self {
            Self::Gpt(id) => id.is_nil(),
            Self::Mbr(byte) => byte == 0,
            Self::None => false,
        }
    }

    /// Whether this is one of the MBR types whose partition holds logical partitions.
    #[must_use]
    pub fn is_extended(self) -> bool {
        matches!(self, Self::Mbr(0x05 | 0x0f | 0x85))
    }

    /// Whether this is the MBR type of the entry that guards a GPT.
    #[must_use]
    pub fn is_protective(self) -> bool {
        self == Self::Mbr(PROTECTIVE)
    }

    /// The table that this type belongs to.
    #[must_use]
    pub fn scheme(self) -> Scheme {
        match self {
            Self::Gpt(_) => Scheme::Gpt,
            Self::Mbr(_) => Scheme::Mbr,
            Self::None => Scheme::None,
        }
    }

    /// The type's name, when it has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Gpt(id) => name_of(id),
            Self::Mbr(byte) => mbr_name_of(byte),
            Self::None => None,
        }
    }
}

/// The name, or else the GUID or byte.
impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.pad(name),
            (None, Self::Gpt(id)) => f.pad(&id.to_string()),
            (None, Self::Mbr(byte)) => f.pad(&format!("0x{byte:02x}")),
            (None, Self::None) => f.pad("none"),
        }
    }
}

/// A byte in hexadecimal, with or without `0x`.
pub(super) fn parse_byte(text: &str) -> Option<u8> {
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    let plain = digits.len() <= 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| plain)
}

fn refusal(text: &str, scheme: Scheme) -> TypeError {
    let other = Scheme::ALL
        .iter()
        .copied()
        .find(|other| *other != scheme && other.format().parse_type(text).is_some());
    match other {
        Some(other) => TypeError::OtherScheme {
            text: text.to_owned(),
            scheme,
            other,
            nearest: meant(text, scheme).map(str::to_owned),
        },
        None => TypeError::Unknown {
            text: text.to_owned(),
            scheme,
            nearest: nearest(text, scheme),
        },
    }
}

/// The known name that is spelled most like a text, if it is not clear which one is meant.
fn nearest(text: &str, scheme: Scheme) -> Option<String> {
    meant(text, scheme)
        .or_else(|| cellblock_text::nearest(&spelled(text), names(scheme)))
        .map(str::to_owned)
}

/// A text as names are spelled.
fn spelled(text: &str) -> String {
    text.to_ascii_lowercase().replace('_', "-")
}

/// The name of what other tools call this: `root` of no architecture is x86-64's, and `root-amd64` is, too.
fn meant(text: &str, scheme: Scheme) -> Option<&'static str> {
    if scheme != Scheme::Gpt {
        return None;
    }
    let text = spelled(text);
    if let Some((_, here)) = ELSEWHERE.iter().find(|(there, _)| *there == text) {
        return names(scheme).find(|name| name == here);
    }
    let (first, rest) = text.split_once('-').unwrap_or((&text, ""));
    let (rest, suffix) = ["verity-sig", "verity"]
        .iter()
        .find_map(|suffix| Some((rest.strip_suffix(suffix)?.trim_end_matches('-'), *suffix)))
        .unwrap_or((rest, ""));
    let architecture = ARCHITECTURES_ELSEWHERE
        .iter()
        .find(|(there, _)| *there == rest)
        .map_or(rest, |(_, here)| here);
    let parts = [first, architecture, suffix];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let whole = parts.join("-");
    names(scheme).find(|name| *name == whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_leads_to_its_type_and_back() {
        for (name, id) in all() {
            assert_eq!(by_name(name), Some(id));
            assert_eq!(name_of(id), Some(name));
        }
        for (alias, stands_for) in ALIASES {
            assert_eq!(by_name(alias), by_name(stands_for), "{alias}");
            assert!(by_name(alias).is_some(), "{alias}");
        }
        assert_eq!(
            all().map(|(_, id)| id).collect::<BTreeSet<_>>().len(),
            all().count()
        );
        assert_eq!(discoverable::ARCHITECTURES.len(), 21 * 6);
    }

    #[test]
    fn names_do_not_depend_on_the_machine() {
        assert_eq!(by_name("root"), None);
        assert_eq!(by_name("usr-verity"), None);
    }

    #[test]
    fn types_are_read_as_name_guid_or_byte() {
        let root = uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
        assert_eq!(
            PartitionType::parse("root-x86-64", Scheme::Gpt),
            Ok(PartitionType::Gpt(root))
        );
        assert_eq!(
            PartitionType::parse("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709", Scheme::Gpt),
            Ok(PartitionType::Gpt(root))
        );
        assert_eq!(
            PartitionType::parse("0x83", Scheme::Mbr),
            Ok(PartitionType::Mbr(0x83))
        );
        assert_eq!(
            PartitionType::parse("c", Scheme::Mbr),
            Ok(PartitionType::Mbr(0x0c))
        );
        assert_eq!(
            PartitionType::parse("ESP", Scheme::Mbr),
            Ok(PartitionType::Mbr(0xef))
        );
    }

    #[test]
    fn refusals_say_what_to_write() {
        let refused = |text, scheme| PartitionType::parse(text, scheme).unwrap_err().to_string();
        assert_eq!(
            refused("root-x86_64", Scheme::Gpt),
            "unknown GPT partition type 'root-x86_64' (did you mean 'root-x86-64'?); \
             write a name such as 'esp', 'root-x86-64' or 'linux-generic', or a GUID"
        );
        assert!(refused("0x83", Scheme::Gpt).contains("exists in MBR tables, not in GPT tables"));
        assert!(refused("root-arm64", Scheme::Mbr).contains("exists in GPT tables"));
        assert!(refused("root-arm64", Scheme::None).contains("write none: nothing stores it"));
        assert!(refused("0x00", Scheme::Mbr).contains("marks an unused entry"));
        assert!(refused("0x+8", Scheme::Mbr).contains("unknown MBR partition type"));
        let root = refused("root", Scheme::Gpt);
        assert!(root.contains("did you mean 'root-x86-64'?"), "{root}");
        for (text, means) in [
            ("root-verity", "root-x86-64-verity"),
            ("usr-verity-sig", "usr-x86-64-verity-sig"),
            ("root-secondary", "root-x86"),
            ("root-secondary-verity", "root-x86-verity"),
            ("root-amd64", "root-x86-64"),
            ("root-aarch64", "root-arm64"),
            ("root_arm64x", "root-arm64"),
            ("fat32", "basic-data"),
            ("F", "basic-data"),
            ("L", "linux-generic"),
            ("u-boot-env", "uboot-env"),
        ] {
            let said = refused(text, Scheme::Gpt);
            assert!(
                said.contains(&format!("(did you mean '{means}'?)")),
                "{said}"
            );
        }
        assert!(!refused("0x83", Scheme::Gpt).contains("did you mean"));
        assert!(refused("qqqq", Scheme::Gpt).starts_with("unknown GPT partition type 'qqqq';"));
    }
}
