//! The attribute bits of a GPT partition.

use std::fmt;

use bitflags::bitflags;

bitflags! {
    /// The attribute bits of a GPT partition (UEFI 2.10, table 5-7; bits 48 to 63 as the
    /// Discoverable Partitions Specification names them).
    ///
    /// Bits without a name are kept as they are.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct Attributes: u64 {
        /// Bit 0: the platform needs the partition to function.
        const REQUIRED = 1 << 0;
        /// Bit 1: firmware makes no block device of it.
        const NO_BLOCK_IO = 1 << 1;
        /// Bit 2: a BIOS may boot it.
        const LEGACY_BOOT = 1 << 2;
        /// Bit 59: its file system grows to the partition's size when mounted.
        const GROW_FS = 1 << 59;
        /// Bit 60: mounted read-only.
        const READ_ONLY = 1 << 60;
        /// Bit 63: not mounted automatically.
        const NO_AUTO = 1 << 63;
        const _ = !0;
    }
}

/// A flag, the name a spec gives it, and the name sfdisk gives it; sfdisk writes bits 48 to 63 as
/// `GUID:` and their numbers.
const NAMES: &[(Attributes, &str, Option<&str>)] = &[
    (Attributes::REQUIRED, "required", Some("RequiredPartition")),
    (
        Attributes::NO_BLOCK_IO,
        "no-block-io",
        Some("NoBlockIOProtocol"),
    ),
    (
        Attributes::LEGACY_BOOT,
        "legacy-boot",
        Some("LegacyBIOSBootable"),
    ),
    (Attributes::GROW_FS, "grow-fs", None),
    (Attributes::READ_ONLY, "read-only", None),
    (Attributes::NO_AUTO, "no-auto", None),
];

/// The first bit whose meaning belongs to the partition's type (UEFI 2.10, table 5-7).
const FIRST_TYPE_SPECIFIC_BIT: u32 = 48;

impl Attributes {
    /// The flags that a name stands for: `required`, `no-block-io`, `legacy-boot`, `grow-fs`,
    /// `read-only`, `no-auto`, sfdisk's names of them, or `bit-N` for a bit that has none.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(_, ours, sfdisk)| {
            ours.eq_ignore_ascii_case(name)
                || sfdisk.is_some_and(|sfdisk| sfdisk.eq_ignore_ascii_case(name))
        });
        named
            .map(|(flag, ..)| *flag)
            .or_else(|| bits_by_number(name))
    }

    /// The names that [`Attributes::by_name`] knows, without sfdisk's.
    pub fn all_names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name, _)| *name)
    }

    /// The name of each bit that is set, lowest first; a bit without a name is `bit-N`.
    #[must_use]
    pub fn names(self) -> Vec<String> {
        self.bits_set()
            .map(|bit| name_of_bit(bit).map_or_else(|| format!("bit-{bit}"), str::to_owned))
            .collect()
    }

    /// The flags as sfdisk writes them, such as `RequiredPartition GUID:60,63`.
    ///
    /// sfdisk shows nothing of bits 3 to 47, which UEFI reserves.
    #[must_use]
    pub fn to_sfdisk(self) -> String {
        let named = NAMES
            .iter()
            .filter(|(flag, ..)| self.contains(*flag))
            .filter_map(|(.., sfdisk)| *sfdisk);
        let mut words: Vec<String> = named.map(str::to_owned).collect();
        let numbers: Vec<String> = self
            .bits_set()
            .filter(|bit| *bit >= FIRST_TYPE_SPECIFIC_BIT)
            .map(|bit| bit.to_string())
            .collect();
        if !numbers.is_empty() {
            words.push(format!("GUID:{}", numbers.join(",")));
        }
        words.join(" ")
    }

    fn bits_set(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |bit| self.bits() & (1 << bit) != 0)
    }
}

/// The names of [`Attributes::names`], separated by commas.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.names().join(", "))
    }
}

fn name_of_bit(bit: u32) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(flag, ..)| flag.bits() == 1 << bit)
        .map(|(_, name, _)| *name)
}

/// Reads `bit-N`, or sfdisk's `GUID:60,63`, whose numbers are 48 to 63.
fn bits_by_number(name: &str) -> Option<Attributes> {
    let (numbers, lowest) = match (name.strip_prefix("bit-"), name.strip_prefix("GUID:")) {
        (Some(number), _) => (number, 0),
        (_, Some(numbers)) => (numbers, FIRST_TYPE_SPECIFIC_BIT),
        (None, None) => return None,
    };
    numbers
        .split(',')
        .try_fold(Attributes::empty(), |flags, number| {
            let bit = number
                .parse()
                .ok()
                .filter(|bit| (lowest..u64::BITS).contains(bit))?;
            Some(flags | Attributes::from_bits_retain(1 << bit))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn names_and_bits_agree() {
        for bit in 0..u64::BITS {
            let flag = Attributes::from_bits_retain(1 << bit);
            let [name] = flag.names().try_into().unwrap();
            assert_eq!(Attributes::by_name(&name), Some(flag), "{name}");
        }
        assert_eq!(
            Attributes::by_name("GUID:60,63"),
            Some(Attributes::READ_ONLY | Attributes::NO_AUTO)
        );
        assert_eq!(
            Attributes::by_name("LegacyBIOSBootable"),
            Some(Attributes::LEGACY_BOOT)
        );
        for unknown in ["", "bit-", "bit-64", "GUID:47", "GUID:60,", "hidden"] {
            assert_eq!(Attributes::by_name(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn sfdisk_words_are_in_sfdisk_order() {
        let flags = Attributes::NO_AUTO
            | Attributes::READ_ONLY
            | Attributes::LEGACY_BOOT
            | Attributes::REQUIRED;
        assert_eq!(
            flags.to_sfdisk(),
            "RequiredPartition LegacyBIOSBootable GUID:60,63"
        );
        assert_eq!(
            flags.to_string(),
            "required, legacy-boot, read-only, no-auto"
        );
        assert_eq!(Attributes::empty().to_sfdisk(), "");
    }
}
