//! The one checksum of the format.

/// The checksum of a short name, which each of its long-name entries repeats (FAT 1.03, page 28): 8 bits, initially 0;
/// for each of the 11 bytes, rotate right by one and add the byte.
pub(crate) fn of_short_name(name: &[u8; 11]) -> u8 {
    name.iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_has_its_known_checksum() {
        // "The quick brown.fox" of FAT 1.03, page 28, whose alias is THEQUI~1.FOX.
        assert_eq!(of_short_name(b"THEQUI~1FOX"), 0x07);
    }
}
