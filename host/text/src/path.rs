//! Paths as bytes.

use std::fmt;

use crate::acts_on_terminal;

/// A path as bytes, shown on one line: text as it is, control characters and other bytes escaped as `ls -b` does, and a backslash
/// as two, so that no name looks like another. Of one that no system call takes, its beginning and its end are shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathBytes(pub Vec<u8>);

/// The longest path that is shown whole, in bytes: `PATH_MAX`.
const SHOWN_WHOLE: usize = 4096;
/// The bytes at both ends of a longer one that are shown.
const SHOWN_ENDS: usize = 256;

impl fmt::Display for PathBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= SHOWN_WHOLE {
            return escaped(&self.0, f);
        }
        escaped(&self.0[..SHOWN_ENDS], f)?;
        f.write_str("…")?;
        escaped(&self.0[self.0.len() - SHOWN_ENDS..], f)?;
        write!(f, " ({} bytes)", self.0.len())
    }
}

fn escaped(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if acts_on_terminal(character) || character == '\\' {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

impl fmt::Debug for PathBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<&[u8]> for PathBytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::PathBytes;

    fn shown(bytes: &[u8]) -> String {
        PathBytes::from(bytes).to_string()
    }

    #[test]
    fn no_name_looks_like_another() {
        assert_eq!(shown("/usr/ünï 根".as_bytes()), "/usr/ünï 根");
        for (name, expected) in [
            (&b"a\n"[..], r"a\n"),
            (br"a\n", r"a\\n"),
            (b"a\xff", r"a\xff"),
            (br"a\xff", r"a\\xff"),
            ("a\u{202e}".as_bytes(), r"a\u{202e}"),
            (br"a\u{202e}", r"a\\u{202e}"),
            (br"system\x2dgetty.slice", r"system\\x2dgetty.slice"),
        ] {
            assert_eq!(shown(name), expected);
        }
    }
}
