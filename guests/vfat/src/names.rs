//! Long names, and the short aliases that stand beside them.

use std::collections::{BTreeMap, BTreeSet};

use cellblock_guest::NodeProblem;

use crate::format::LongNameEntry;

/// The longest name in UTF-16 units (FAT 1.03, page 29).
const NAME_LIMIT: u32 = 255;
const STEM_BYTES: usize = 8;
const EXTENSION_BYTES: usize = 3;
/// The digits of the largest number in an alias, `~999999`.
const MOST_DIGITS: u32 = 6;

/// 8 bytes of name, 3 of extension, each padded with spaces.
pub(crate) type ShortName = [u8; 11];

/// Checks a name, which the tree gives as bytes.
pub(crate) fn check(name: Vec<u8>) -> Result<Box<str>, NodeProblem> {
    let name = String::from_utf8(name).map_err(|_| NodeProblem::NameEncoding)?;
    if let Some(character) = name.chars().find(|character| !is_allowed(*character)) {
        return Err(NodeProblem::NameCharacter(character));
    }
    // Systems drop these when they look a name up, so that it would not be found.
    if let Some(character) = name
        .chars()
        .next_back()
        .filter(|last| matches!(last, '.' | ' '))
    {
        return Err(NodeProblem::NameCharacter(character));
    }
    if units(&name) > NAME_LIMIT {
        return Err(NodeProblem::NameTooLong(NAME_LIMIT));
    }
    if name.is_empty() || is_device(&name) {
        return Err(NodeProblem::NameReserved);
    }
    Ok(name.into_boxed_str())
}

/// The characters that long names take (FAT 1.03, page 29), without control characters.
fn is_allowed(character: char) -> bool {
    !character.is_ascii_control() && !"\"*/:<>?\\|".contains(character)
}

/// Whether Windows and DOS take the name, with any extension, for one of their devices.
fn is_device(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end_matches(' ');
    let upper = stem.to_ascii_uppercase();
    match upper.as_bytes() {
        [b'C', b'O', b'M', b'1'..=b'9'] | [b'L', b'P', b'T', b'1'..=b'9'] => true,
        other => matches!(other, b"CON" | b"PRN" | b"AUX" | b"NUL"),
    }
}

fn units(name: &str) -> u32 {
    name.chars()
        .map(|character| if character.len_utf16() == 1 { 1 } else { 2 })
        .sum()
}

/// The slots of a directory that a name takes: one for the short name, and those of the long name.
pub(crate) fn slots(name: &str) -> u32 {
    let parts = if is_short(name) {
        0
    } else {
        units(name).div_ceil(13)
    };
    const { assert!(LongNameEntry::UNITS == 13) };
    1 + parts
}

/// `name` as it is compared: with Unicode's simple mapping to upper case.
pub(crate) fn folded(name: &str) -> String {
    name.chars().map(simple_upper_case).collect()
}

fn simple_upper_case(character: char) -> char {
    let mut full = character.to_uppercase();
    match (full.next(), full.next()) {
        (Some(upper), None) => upper,
        // Where the full mapping has several letters, the simple one is the letter itself, except for Greek with
        // iota below: that is one letter in title case.
        _ => match character {
            '\u{1F80}'..='\u{1F87}' | '\u{1F90}'..='\u{1F97}' | '\u{1FA0}'..='\u{1FA7}' => {
                char::from_u32(u32::from(character) + 8).unwrap_or(character)
            }
            '\u{1FB3}' => '\u{1FBC}',
            '\u{1FC3}' => '\u{1FCC}',
            '\u{1FF3}' => '\u{1FFC}',
            other => other,
        },
    }
}

/// Whether `name` is its own short name, so that it needs no long one.
fn is_short(name: &str) -> bool {
    exact(name).is_some() && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// The short name that differs from `name` in case only, if there is one.
fn exact(name: &str) -> Option<ShortName> {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (name, ""),
    };
    let fits = (1..=STEM_BYTES).contains(&stem.len()) && extension.len() <= EXTENSION_BYTES;
    let plain = stem.bytes().chain(extension.bytes()).all(is_short_byte);
    (fits && plain).then(|| short_name(&stem.to_ascii_uppercase(), &extension.to_ascii_uppercase()))
}

/// The bytes that a short name takes (FAT 1.03, page 24), and lower case; a space would be taken too, but not by every system.
fn is_short_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"$%'-_@~`!(){}^#&".contains(&byte)
}

fn short_name(stem: &str, extension: &str) -> ShortName {
    let mut name = [b' '; 11];
    name[..stem.len()].copy_from_slice(stem.as_bytes());
    name[STEM_BYTES..STEM_BYTES + extension.len()].copy_from_slice(extension.as_bytes());
    name
}

/// What the alias of a long name is built from: upper case, `_` for what a short name does not take.
#[derive(Debug, PartialEq, Eq)]
struct Basis {
    stem: String,
    extension: String,
}

/// The basis-name algorithm (FAT 1.03, page 30): no spaces, no leading periods, the extension behind the last period.
fn basis(name: &str) -> Basis {
    let name = name.trim_start_matches(['.', ' ']);
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let part = |text: &str, limit| {
        text.chars()
            .filter(|character| !matches!(character, ' ' | '.'))
            .map(|character| match u8::try_from(character) {
                Ok(byte) if is_short_byte(byte) => character.to_ascii_uppercase(),
                _ => '_',
            })
            .take(limit)
            .collect()
    };
    Basis {
        stem: part(stem, STEM_BYTES),
        extension: part(extension, EXTENSION_BYTES),
    }
}

/// The short names of one directory.
#[derive(Debug, Default)]
struct Aliases {
    taken: BTreeSet<ShortName>,
    /// The number to try next for a stem cut to make room for so many digits, and an extension.
    next: BTreeMap<(String, u32, String), u32>,
}

impl Aliases {
    /// A free alias for `name`: the basis with `~1`, `~2` and so on. `None` if all are taken.
    fn make(&mut self, name: &str) -> Option<ShortName> {
        let Basis { stem, extension } = basis(name);
        for digits in 1..=MOST_DIGITS {
            let room = STEM_BYTES - 1 - digits as usize;
            let stem = &stem[..stem.len().min(room)];
            let key = (stem.to_owned(), digits, extension.clone());
            let next = self.next.entry(key).or_insert(10_u32.pow(digits - 1));
            while *next < 10_u32.pow(digits) {
                let alias = short_name(&format!("{stem}~{next}"), &extension);
                *next += 1;
                if self.taken.insert(alias) {
                    return Some(alias);
                }
            }
        }
        None
    }
}

/// The short names of all names of a directory, in their order. Names that are short but for their case keep their
/// own; the others are numbered in order around them. `Err` has the index of a name for which no alias is left.
pub(crate) fn aliases<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<Vec<ShortName>, usize> {
    let mut aliases = Aliases {
        taken: names.clone().filter_map(exact).collect(),
        ..Aliases::default()
    };
    names
        .enumerate()
        .map(|(index, name)| exact(name).or_else(|| aliases.make(name)).ok_or(index))
        .collect()
}

/// The parts of `name` in long-name entries, first part first; empty if the short name says it all.
pub(crate) fn long_parts(name: &str) -> Vec<[u16; LongNameEntry::UNITS]> {
    if is_short(name) {
        return Vec::new();
    }
    let units: Vec<u16> = name.encode_utf16().collect();
    units
        .chunks(LongNameEntry::UNITS)
        .map(|part| {
            let mut padded = [LongNameEntry::PADDING; LongNameEntry::UNITS];
            padded[..part.len()].copy_from_slice(part);
            if let Some(terminator) = padded.get_mut(part.len()) {
                *terminator = 0;
            }
            padded
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn aliases_of(names: &[&str]) -> Vec<String> {
        let shorts = aliases(names.iter().copied()).unwrap();
        shorts
            .iter()
            .map(|short| String::from_utf8(short.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn an_upper_case_short_name_has_no_long_name() {
        assert_eq!(slots("BOOTX64.EFI"), 1);
        assert_eq!(slots("EFI"), 1);
        assert!(long_parts("BOOTX64.EFI").is_empty());
        assert_eq!(
            aliases_of(&["BOOTX64.EFI", "EFI"]),
            ["BOOTX64 EFI", "EFI        "]
        );
    }

    #[test]
    fn case_alone_needs_a_long_name_and_no_number() {
        assert_eq!(slots("grub.cfg"), 2);
        assert_eq!(aliases_of(&["grub.cfg"]), ["GRUB    CFG"]);
    }

    #[test]
    fn long_names_are_numbered_in_order_around_real_names() {
        let names = [
            "LONGNA~2.TXT",
            "longname-a.txt",
            "longname-b.txt",
            "longna~1.txt",
        ];
        assert_eq!(
            aliases_of(&names),
            ["LONGNA~2TXT", "LONGNA~3TXT", "LONGNA~4TXT", "LONGNA~1TXT"]
        );
    }

    #[test]
    fn the_stem_gives_way_to_more_digits() {
        let names: Vec<String> = (0..110)
            .map(|index| format!("kernel-image-{index:03}.img"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shorts = aliases_of(&names);
        assert_eq!(shorts[8], "KERNEL~9IMG");
        assert_eq!(shorts[9], "KERNE~10IMG");
        assert_eq!(shorts[99], "KERN~100IMG");
    }

    #[test]
    fn what_a_short_name_does_not_take_is_left_out_or_replaced() {
        let alias = |name| aliases_of(&[name]).remove(0);
        assert_eq!(alias("The quick brown.fox"), "THEQUI~1FOX");
        assert_eq!(alias(".profile"), "PROFIL~1   ");
        assert_eq!(alias("a.b.c"), "AB~1    C  ");
        assert_eq!(alias("a+b"), "A_B~1      ");
        assert_eq!(alias("日本.テキスト"), "__~1    ___");
        assert_eq!(alias("x.html"), "X~1     HTM");
        assert_eq!(alias(" x"), "X~1        ");
    }

    #[test]
    fn aliases_run_out_without_harm_and_quickly() {
        let names: Vec<String> = (0..60_000)
            .map(|index| format!("{index:05} {index:05}"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let distinct: BTreeSet<ShortName> = aliases(names.iter().copied())
            .unwrap()
            .into_iter()
            .collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn a_part_is_terminated_only_where_there_is_room() {
        let parts = long_parts("thirteen unit");
        assert_eq!(parts.len(), 1);
        assert!(!parts[0].contains(&0));
        let parts = long_parts("fourteen units");
        assert_eq!(parts[1][..3], [u16::from(b's'), 0, 0xFFFF]);
        assert_eq!(long_parts("𝄞").first().unwrap()[..3], [0xD834, 0xDD1E, 0]);
    }

    #[test]
    fn what_a_name_cannot_be_is_refused() {
        let problem = |name: &str| check(name.as_bytes().to_vec()).unwrap_err();
        assert_eq!(problem("a:b"), NodeProblem::NameCharacter(':'));
        assert_eq!(problem("a\nb"), NodeProblem::NameCharacter('\n'));
        assert_eq!(problem("a."), NodeProblem::NameCharacter('.'));
        assert_eq!(problem("a "), NodeProblem::NameCharacter(' '));
        assert_eq!(problem("aux"), NodeProblem::NameReserved);
        assert_eq!(problem("Com3.txt"), NodeProblem::NameReserved);
        assert_eq!(problem(&"x".repeat(256)), NodeProblem::NameTooLong(255));
        assert_eq!(problem(&"𝄞".repeat(128)), NodeProblem::NameTooLong(255));
        assert_eq!(check(vec![0xFF]), Err(NodeProblem::NameEncoding));
        assert!(check("x".repeat(255).into_bytes()).is_ok());
        assert!(check(b"com10".to_vec()).is_ok());
        assert!(check(b"[a],b;c=d+e".to_vec()).is_ok());
    }

    #[test]
    fn names_are_compared_by_simple_upper_case() {
        assert_eq!(folded("straße"), "STRAßE");
        assert_eq!(folded("Ärger"), folded("äRGER"));
        assert_eq!(folded("\u{1F80}"), "\u{1F88}");
    }
}
