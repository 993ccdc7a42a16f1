//! What every Unix file system has in common: the names that it takes, and the numbers of devices.

use crate::{Device, FormatError, NodeId, NodeProblem};

/// The most bytes of a name: `NAME_MAX` of Linux.
pub const NAME_LIMIT: u32 = 255;

/// Refuses a name that no directory of Linux can have: of 0 or more than [`NAME_LIMIT`] bytes, `.`, `..`, with `/` or NUL.
///
/// # Errors
/// [`FormatError::Node`] of `node`.
pub fn check_name(node: NodeId, name: &[u8]) -> Result<(), FormatError> {
    let problem = if name.len() > NAME_LIMIT as usize {
        NodeProblem::NameTooLong(NAME_LIMIT)
    } else if matches!(name, b"" | b"." | b"..") {
        NodeProblem::NameReserved
    } else if !may_have(name, b'/') && !may_have(name, 0) {
        return Ok(());
    } else if name.contains(&b'/') {
        NodeProblem::NameCharacter('/')
    } else if name.contains(&0) {
        NodeProblem::NameCharacter('\0')
    } else {
        return Ok(());
    };
    Err(FormatError::node(node, problem))
}

/// Whether `byte` is in `name`, with mistakes to the safe side: eight bytes a step, of which one is zero where a
/// subtraction borrows.
fn may_have(name: &[u8], byte: u8) -> bool {
    const LOW: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let Some(last) = name.last_chunk() else {
        return name.contains(&byte);
    };
    let pattern = u64::from_ne_bytes([byte; 8]);
    let (chunks, _) = name.as_chunks();
    chunks.iter().chain([last]).any(|chunk| {
        let difference = u64::from_ne_bytes(*chunk) ^ pattern;
        difference.wrapping_sub(LOW) & !difference & HIGH != 0
    })
}

/// A device's number as Linux writes it into 32 bits: 12 bits of the major number above the minor's lowest 8, and the
/// minor's other 12 above these (`new_encode_dev` of include/linux/kdev_t.h).
///
/// # Errors
/// [`NodeProblem::Device`] of `node` where a number has more bits.
pub fn device_number(node: NodeId, device: Device) -> Result<u32, FormatError> {
    const MAJOR_LIMIT: u32 = 1 << 12;
    const MINOR_LIMIT: u32 = 1 << 20;
    let Device { major, minor } = device;
    if major >= MAJOR_LIMIT || minor >= MINOR_LIMIT {
        return Err(FormatError::node(node, NodeProblem::Device));
    }
    Ok(minor & 0xFF | major << 8 | (minor & !0xFF) << 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(7);

    #[test]
    fn names_of_linux_are_taken() {
        for name in [&b"a"[..], b"...", b"\xFF\x01 \\:*", &[b'x'; 255]] {
            assert_eq!(check_name(NODE, name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn other_names_are_refused() {
        let long = [b'x'; 256];
        for (name, problem) in [
            (&b""[..], NodeProblem::NameReserved),
            (b".", NodeProblem::NameReserved),
            (b"..", NodeProblem::NameReserved),
            (b"/", NodeProblem::NameCharacter('/')),
            (b"0123456789abc/", NodeProblem::NameCharacter('/')),
            (b"\0", NodeProblem::NameCharacter('\0')),
            (b"0123456\089abcdef", NodeProblem::NameCharacter('\0')),
            (&long, NodeProblem::NameTooLong(255)),
        ] {
            let refused = Err(FormatError::node(NODE, problem));
            assert_eq!(check_name(NODE, name), refused, "{name:?}");
        }
    }

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for length in 1..20 {
            for position in 0..length {
                let mut name = vec![0x2E; length];
                name[position] = b'/';
                assert!(may_have(&name, b'/'), "{length}, {position}");
            }
        }
    }

    #[test]
    fn devices_have_the_numbers_of_linux() {
        let number = |major, minor| device_number(NODE, Device { major, minor });
        assert_eq!(number(8, 1), Ok(0x801));
        assert_eq!(number(0xFFF, 0xF_FFFF), Ok(u32::MAX));
        assert_eq!(number(259, 0x1_2345), Ok(0x1231_0345));
        let refused = Err(FormatError::node(NODE, NodeProblem::Device));
        assert_eq!(number(0x1000, 0), refused);
        assert_eq!(number(0, 0x10_0000), refused);
    }
}
