//! PEM texts in a file (RFC 7468): several may follow each other, with explanations around them, as `openssl x509 -text` and
//! `openssl pkcs12` write them.

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// One PEM text, and its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) label: &'a [u8],
    pub(crate) text: &'a [u8],
}

/// The PEM texts in the bytes of a file.
pub(crate) fn blocks(bytes: &[u8]) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = bytes;
    while let Some(start) = line_that_begins(rest, BEGIN) {
        let text = &rest[start..];
        let label = &text[BEGIN.len()..];
        let label = &label[..find(label, DASHES).unwrap_or(0)];
        let end = [END, label, DASHES].concat();
        let length = line_that_begins(text, &end).map(|at| at + end.len());
        let Some(length) = length.filter(|_| !label.is_empty()) else {
            rest = &text[BEGIN.len()..];
            continue;
        };
        blocks.push(Block {
            label,
            text: &text[..length],
        });
        rest = &text[length..];
    }
    blocks
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|it| it == what)
}

/// Where the first line begins with these bytes.
fn line_that_begins(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find(bytes.get(at..)?, what)?;
        if at == 0 || matches!(bytes[at - 1], b'\n' | b'\r') {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations_are_passed_over_and_each_text_is_found() {
        let text = b"Bag Attributes\n -----BEGIN X-----\n-----BEGIN A-----\nMA==\n-----END A-----\nmore\n-----BEGIN B C-----\r\nMA==\r\n-----END B C-----";
        let found = blocks(text);
        let labels: Vec<&[u8]> = found.iter().map(|block| block.label).collect();
        assert_eq!(labels, [&b"A"[..], b"B C"]);
        assert_eq!(found[0].text, b"-----BEGIN A-----\nMA==\n-----END A-----");
        assert!(found[1].text.ends_with(b"-----END B C-----"));
        for none in [
            &b""[..],
            b"-----BEGIN A-----\n",
            b"-----BEGIN A",
            b"-----BEGIN -----\n-----END -----",
            b"-----BEGIN A-----\n-----END B-----",
        ] {
            assert_eq!(blocks(none), []);
        }
    }
}
