//! Names: short ones in code page 437, and long ones in UTF-16.

/// The upper half of code page 437.
const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}";
/// The bits that say that the name, or its extension, is shown in small letters.
const SMALL_NAME: u8 = 0x08;
const SMALL_EXTENSION: u8 = 0x10;

/// A short name as it is shown.
pub(crate) fn short(stored: [u8; 11], case: u8) -> Vec<u8> {
    let mut stored = stored;
    // What begins with this byte would seem deleted.
    if stored[0] == 0x05 {
        stored[0] = 0xE5;
    }
    let mut name = part(&stored[..8], case & SMALL_NAME != 0);
    let extension = part(&stored[8..], case & SMALL_EXTENSION != 0);
    if !extension.is_empty() {
        name.push('.');
        name.push_str(&extension);
    }
    name.into_bytes()
}

fn part(stored: &[u8], is_small: bool) -> String {
    let length = stored.iter().rposition(|byte| *byte != b' ');
    let stored = &stored[..length.map_or(0, |last| last + 1)];
    stored
        .iter()
        .map(|byte| {
            let shown = character(*byte);
            match is_small {
                true => small(shown),
                false => shown,
            }
        })
        .collect()
}

fn character(byte: u8) -> char {
    match byte.checked_sub(0x80) {
        None => char::from(byte),
        Some(index) => UPPER.chars().nth(index.into()).unwrap_or('\u{FFFD}'),
    }
}

fn small(of: char) -> char {
    let mut lower = of.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => of,
    }
}

/// The label as it is stored, without its padding.
pub(crate) fn label(stored: [u8; 11]) -> Vec<u8> {
    let length = stored.iter().rposition(|byte| *byte != b' ');
    stored[..length.map_or(0, |last| last + 1)].to_vec()
}

/// The checksum by which a long name belongs to a short one.
pub(crate) fn checksum(stored: [u8; 11]) -> u8 {
    stored
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

/// A long name in UTF-8; halves of pairs are written as if they were characters.
pub(crate) fn long(units: &[u16]) -> Vec<u8> {
    let mut name = Vec::new();
    for character in char::decode_utf16(units.iter().copied()) {
        match character {
            Ok(character) => name.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(half) => {
                let [high, low] = half.unpaired_surrogate().to_be_bytes();
                name.extend([
                    0xE0 | high >> 4,
                    0x80 | (high & 15) << 2 | low >> 6,
                    0x80 | low & 63,
                ]);
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_page_has_all_its_characters() {
        assert_eq!(UPPER.chars().count(), 128);
        assert_eq!(short(*b"\x05\x8E      TXT", 0), "σÄ.TXT".as_bytes());
        assert_eq!(short(*b"NAME    TXT", SMALL_NAME), b"name.TXT");
        assert_eq!(short(*b"NAME       ", SMALL_EXTENSION), b"NAME");
    }

    #[test]
    fn halves_of_pairs_are_kept() {
        assert_eq!(long(&[0x61, 0xD83D, 0xDE00]), "a😀".as_bytes());
        assert_eq!(long(&[0xD83D, 0x61]), b"\xED\xA0\xBDa");
    }
}
