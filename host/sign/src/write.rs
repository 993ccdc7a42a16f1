//! DER, written (X.690, section 8): a tag, a length, and the content.

pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// `[0]`, around one element or in the place of a SET's tag.
pub(crate) const CONTEXT_0: u8 = 0xa0;
/// `[2]`, around one element.
pub(crate) const CONTEXT_2: u8 = 0xa2;
/// The INTEGER 1.
pub(crate) const ONE: &[u8] = &[0x02, 0x01, 1];

/// An element of these parts, in their order.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0);
    let significant = &length[significant.unwrap_or(length.len() - 1)..];
    match significant {
        [short @ ..=0x7f] => bytes.push(*short),
        long => {
            bytes.push(0x80 | u8::try_from(long.len()).expect("a length has at most 8 bytes"));
            bytes.extend_from_slice(long);
        }
    }
    bytes.extend(content);
    bytes
}

/// A SET OF elements, which DER sorts by their bytes.
pub(crate) fn set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort_unstable();
    let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    element(tag, &elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        for (length, head) in [
            (0, &[4, 0][..]),
            (127, &[4, 127]),
            (128, &[4, 0x81, 128]),
            (255, &[4, 0x81, 255]),
            (256, &[4, 0x82, 1, 0]),
            (65_536, &[4, 0x83, 1, 0, 0]),
        ] {
            let bytes = element(OCTET_STRING, &[&vec![7; length]]);
            assert_eq!(&bytes[..head.len()], head, "{length}");
            assert_eq!(bytes.len(), head.len() + length);
        }
    }

    #[test]
    fn a_set_is_sorted() {
        let set = set_of(SET, vec![vec![5, 0], vec![2, 1, 9], vec![2, 1, 3]]);
        assert_eq!(set, [0x31, 8, 2, 1, 3, 2, 1, 9, 5, 0]);
    }
}
