//! Bytes that should be text, as programs get them.

use crate::{PathBytes, hexadecimal};

/// The members of a JSON object that tell `bytes`: `key` with exactly their text. JSON has its own escapes, and no other is put on
/// top. Bytes that are no UTF-8 have no text: then `key` has them as [`PathBytes`] shows them, and `KEY-bytes` all of them in
/// hexadecimal.
pub fn members(key: &str, bytes: &[u8]) -> impl Iterator<Item = (String, String)> {
    let (text, exact) = match str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (PathBytes::from(bytes).to_string(), Some(hexadecimal(bytes))),
    };
    let exact = exact.map(|exact| (format!("{key}-bytes"), exact));
    [(key.to_owned(), text)].into_iter().chain(exact)
}

#[cfg(test)]
mod tests {
    use super::members;

    #[test]
    fn text_is_told_as_it_is_and_other_bytes_beside_what_is_shown() {
        let told = |bytes: &[u8]| members("path", bytes).collect::<Vec<_>>();
        let long = "a\\".repeat(5000);
        for text in [
            "",
            "/usr/ünï 根",
            r"a\n",
            "a\n\t\x1b[2J\0\"",
            "\u{2028}\u{202e}",
            r"system\x2dgetty.slice",
            &long,
        ] {
            assert_eq!(told(text.as_bytes()), [("path".into(), text.into())]);
        }
        assert_eq!(
            told(b"\\a\n\xff"),
            [
                ("path".into(), r"\\a\n\xff".into()),
                ("path-bytes".into(), "5c610aff".into())
            ]
        );
        let mut long = long.into_bytes();
        long.push(0xff);
        assert_eq!(told(&long)[1].1.len(), 20_002);
    }
}
