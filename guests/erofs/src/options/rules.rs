//! Which compression a file gets.

use cellblock_guest::{FormatError, Request};

use super::compression::{Compression, cluster_size};
use super::{conflict, malformed};

/// What is asked about a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// The path from the root, without a leading slash.
    pub(crate) path: &'a [u8],
    /// Bytes.
    pub(crate) size: u64,
}

/// How files are compressed: by the first rule that fits, or else as all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<(Condition, Option<Compression>)>,
    otherwise: Option<Compression>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Smaller(u64),
    Larger(u64),
    /// A name.
    Name(Vec<u8>),
    /// A path without a leading slash.
    Path(Vec<u8>),
}

impl Rules {
    pub(super) fn new(request: &Request, block_size: u32) -> Result<Self, FormatError> {
        let cluster = match request.setting("cluster-size") {
            None => block_size,
            Some(value) => {
                cluster_size(value, block_size).ok_or_else(|| malformed("cluster-size"))?
            }
        };
        let parse = |name: &str, text: &str| {
            Compression::parse(text, block_size, cluster).ok_or_else(|| malformed(name))
        };
        let otherwise = match request.setting("compression") {
            None => None,
            Some(value) => parse("compression", value)?,
        };
        let name = "compress-hints";
        let mut rules = Vec::new();
        for rule in request.setting(name).unwrap_or("none").split(';') {
            if matches!(rule, "" | "none") {
                continue;
            }
            // A size holds no second `=`, and a path may: what is behind the last word of a method begins with its name.
            let (condition, compression) = split(rule).ok_or_else(|| malformed(name))?;
            rules.push((condition, parse(name, compression)?));
        }
        let rules = Self { rules, otherwise };
        if request.setting("cluster-size").is_some() && rules.all().next().is_none() {
            return Err(conflict("cluster-size", "compression"));
        }
        Ok(rules)
    }

    /// Whether paths matter.
    pub(crate) fn need_paths(&self) -> bool {
        self.rules
            .iter()
            .any(|(condition, _)| matches!(condition, Condition::Name(_) | Condition::Path(_)))
    }

    /// How the file is compressed.
    pub(crate) fn choose(&self, file: &Candidate<'_>) -> Option<Compression> {
        self.rules
            .iter()
            .find(|(condition, _)| condition.fits(file))
            .map_or(self.otherwise, |(_, compression)| *compression)
    }

    /// How what many files have together is compressed: as all, or else by the first rule that compresses.
    pub(crate) fn shared(&self) -> Option<Compression> {
        self.otherwise.or_else(|| self.all().next())
    }

    /// All that files may be compressed with.
    pub(crate) fn all(&self) -> impl Iterator<Item = Compression> {
        let rules = self
            .rules
            .iter()
            .filter_map(|(_, compression)| *compression);
        self.otherwise.into_iter().chain(rules)
    }
}

/// The condition of a rule, and what follows from it.
fn split(rule: &str) -> Option<(Condition, &str)> {
    if let Some(rest) = rule.strip_prefix("size") {
        let (bytes, compression) = rest.get(1..)?.split_once('=')?;
        let bytes = bytes.parse().ok()?;
        match rest.as_bytes()[0] {
            b'<' => return Some((Condition::Smaller(bytes), compression)),
            b'>' => return Some((Condition::Larger(bytes), compression)),
            _ => {}
        }
    }
    let (pattern, compression) = rule.split_once('=')?;
    if pattern.is_empty() {
        return None;
    }
    let condition = match pattern.strip_prefix('/') {
        Some(path) => Condition::Path(path.into()),
        None if pattern.contains('/') => Condition::Path(pattern.into()),
        None => Condition::Name(pattern.into()),
    };
    Some((condition, compression))
}

impl Condition {
    fn fits(&self, file: &Candidate<'_>) -> bool {
        match self {
            Self::Smaller(bytes) => file.size < *bytes,
            Self::Larger(bytes) => file.size > *bytes,
            Self::Path(pattern) => matches(pattern, file.path),
            Self::Name(pattern) => {
                let name = file.path.rsplit(|byte| *byte == b'/').next();
                matches(pattern, name.unwrap_or_default())
            }
        }
    }
}

/// Whether `pattern` is of all of `text`: `?` is a byte but `/`, `*` any number of them, `**` also `/`.
///
/// Each byte of the pattern is taken once with all places of the text where what is before it may end, so that the time is
/// bounded by the product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    let mut rest = pattern;
    while let Some((first, behind)) = rest.split_first() {
        let stars = rest.iter().take_while(|byte| **byte == b'*').count();
        if stars > 0 {
            for at in 0..text.len() {
                ends[at + 1] |= ends[at] && (stars > 1 || text[at] != b'/');
            }
            rest = &rest[stars..];
            continue;
        }
        for at in (0..text.len()).rev() {
            let fits = match first {
                b'?' => text[at] != b'/',
                byte => text[at] == *byte,
            };
            ends[at + 1] = ends[at] && fits;
        }
        ends[0] = false;
        rest = behind;
    }
    ends[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_those_of_a_shell() {
        for (pattern, text, expected) in [
            ("*.so", "libc.so", true),
            ("*.so", "libc.so.6", false),
            ("usr/*/x", "usr/lib/x", true),
            ("usr/*/x", "usr/lib/y/x", false),
            ("usr/**", "usr/lib/y/x", true),
            ("usr/**/x", "usr/lib/y/x", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
        ] {
            let fits = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(fits, expected, "{pattern} and {text}");
        }
    }

    #[test]
    fn many_stars_take_no_more_than_the_product_of_lengths() {
        let pattern = format!("{}b", "*a".repeat(2000));
        assert!(!matches(pattern.as_bytes(), &[b'a'; 4000]));
    }
}
