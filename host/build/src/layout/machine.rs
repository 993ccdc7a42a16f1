//! Which machine a tree is for: what the first of its programs says.

use cellblock_tree::source::SourceError;
use cellblock_tree::{Kind, Tree};

/// The files that are looked at.
const MOST: usize = 10_000;
/// The bytes of a program's header up to its machine (ELF, `e_machine` at 18).
const HEADER: usize = 20;

/// The processor of the first program in a tree, as Go calls it; none if no program is found or its machine is not known.
///
/// # Errors
/// [`SourceError`] if a file cannot be read.
pub fn architecture_of(tree: &Tree) -> Result<Option<&'static str>, SourceError> {
    let mut reader = tree.reader();
    let programs = tree.nodes().filter(|node| {
        let is_large = matches!(node.kind, Kind::File { size, .. } if *size > HEADER as u64);
        is_large && node.mode & 0o111 != 0
    });
    for node in programs.take(MOST) {
        let mut header = [0; HEADER];
        reader.read(node.id, 0, &mut header)?;
        if let Some(found) = machine(&header) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn machine(header: &[u8; HEADER]) -> Option<&'static str> {
    if !header.starts_with(b"\x7fELF") {
        return None;
    }
    let (is_64, is_little) = (header[4] == 2, header[5] == 1);
    let number = [header[18], header[19]];
    let number = if is_little {
        u16::from_le_bytes(number)
    } else {
        u16::from_be_bytes(number)
    };
    Some(match (number, is_64, is_little) {
        (3, _, true) => "386",
        (62, true, true) => "amd64",
        (40, _, true) => "arm",
        (183, true, true) => "arm64",
        (243, true, true) => "riscv64",
        (21, true, true) => "ppc64le",
        (21, true, false) => "ppc64",
        (22, true, false) => "s390x",
        (258, true, true) => "loong64",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_its_machine() {
        let header = |class, data, machine: [u8; 2]| {
            let mut header = [0; HEADER];
            header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data]);
            header[18..].copy_from_slice(&machine);
            header
        };
        assert_eq!(machine(&header(2, 1, [62, 0])), Some("amd64"));
        assert_eq!(machine(&header(2, 1, [183, 0])), Some("arm64"));
        assert_eq!(machine(&header(2, 2, [0, 22])), Some("s390x"));
        assert_eq!(machine(&header(2, 1, [0, 62])), None);
        assert_eq!(machine(&[b'#'; HEADER]), None);
    }
}
