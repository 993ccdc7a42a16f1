//! The patterns of `exclude`.
//!
//! A pattern is a path whose names may contain `*` (any bytes), `?` (one character) and `[a-z]` or `[!a-z]` (one byte in,
//! or not in, the set); a backslash takes the next byte literally. The name `**` stands for any number of names.
//! With a leading `/` the pattern begins at the source's root, otherwise at any depth; with a trailing `/` it means
//! directories only. What is below an excluded directory is excluded with it: `/var/cache` removes the directory,
//! `/var/cache/*` empties it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::SourceError;

/// All patterns of one source.
#[derive(Debug, Default)]
pub(crate) struct Patterns(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    /// As it was written.
    text: String,
    names: Vec<NamePattern>,
    directories_only: bool,
    /// Whether it has meant any path.
    matched: AtomicBool,
}

#[derive(Debug, PartialEq)]
enum NamePattern {
    /// `**`
    AnyNames,
    One(Vec<Token>),
}

#[derive(Debug, PartialEq)]
enum Token {
    Byte(u8),
    AnyCharacter,
    AnyBytes,
    Set {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

impl Patterns {
    pub(crate) fn parse(patterns: &[String]) -> Result<Self, SourceError> {
        patterns
            .iter()
            .map(|pattern| {
                parse(pattern).map_err(|reason| SourceError::Pattern {
                    pattern: pattern.clone(),
                    reason,
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a pattern means exactly this path. That a parent is excluded is for the caller to know.
    pub(crate) fn exclude<N: AsRef<[u8]>>(&self, path: &[N], is_directory: bool) -> bool {
        let mut excluded = false;
        for pattern in &self.0 {
            if (is_directory || !pattern.directories_only) && names_match(&pattern.names, path) {
                pattern.matched.store(true, Ordering::Relaxed);
                excluded = true;
            }
        }
        excluded
    }

    /// The patterns that have meant no path so far, as they were written.
    pub(crate) fn unmatched(&self) -> impl Iterator<Item = &str> {
        let unmatched = |pattern: &&Pattern| !pattern.matched.load(Ordering::Relaxed);
        self.0
            .iter()
            .filter(unmatched)
            .map(|pattern| &*pattern.text)
    }
}

fn parse(written: &str) -> Result<Pattern, &'static str> {
    let text = written.as_bytes();
    let (anchored, text) = match text.strip_prefix(b"/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (directories_only, text) = match text.strip_suffix(b"/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if text.is_empty() {
        return Err("is empty: name what to exclude");
    }
    let mut names = Vec::new();
    if !anchored {
        names.push(NamePattern::AnyNames);
    }
    for name in text.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." | b".." => return Err("has an empty name, '.' or '..' in it"),
            b"**" if names.last() == Some(&NamePattern::AnyNames) => {}
            b"**" => names.push(NamePattern::AnyNames),
            _ => names.push(NamePattern::One(parse_name(name)?)),
        }
    }
    Ok(Pattern {
        text: written.to_owned(),
        names,
        directories_only,
        matched: AtomicBool::new(false),
    })
}

fn parse_name(mut rest: &[u8]) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        tokens.push(match first {
            b'*' if tokens.last() == Some(&Token::AnyBytes) => continue,
            b'*' => Token::AnyBytes,
            b'?' => Token::AnyCharacter,
            b'[' => parse_set(&mut rest)?,
            b'\\' => {
                let (literal, after) = rest.split_first().ok_or("ends in a backslash")?;
                rest = after;
                Token::Byte(*literal)
            }
            byte => Token::Byte(*byte),
        });
    }
    Ok(tokens)
}

/// Parses what follows `[`. A `]` that comes first is a member.
fn parse_set(rest: &mut &[u8]) -> Result<Token, &'static str> {
    const OPEN: &str = "has a '[' without its ']'; write \\[ for the character";
    let negated = matches!(rest.first(), Some(b'!' | b'^'));
    let text = &rest[usize::from(negated)..];
    let end = text
        .iter()
        .skip(1)
        .position(|byte| *byte == b']')
        .ok_or(OPEN)?
        + 1;
    let (mut members, after) = (&text[..end], &text[end + 1..]);
    let mut ranges = Vec::new();
    while let Some((first, others)) = members.split_first() {
        match others {
            [b'-', last, others @ ..] => {
                ranges.push((*first, *last));
                members = others;
            }
            _ => {
                ranges.push((*first, *first));
                members = others;
            }
        }
    }
    *rest = after;
    Ok(Token::Set { negated, ranges })
}

/// Matches `patterns` against `items`, where some patterns stand for any number of items. Goes back to the latest
/// such pattern only, which suffices, so that the time is at most the product of both lengths.
fn wildcard_match<P>(
    patterns: &[P],
    length: usize,
    is_star: impl Fn(&P) -> bool,
    step: impl Fn(&P, usize) -> Option<usize>,
) -> bool {
    let (mut pattern, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < length || pattern < patterns.len() {
        let advanced = match patterns.get(pattern) {
            Some(any) if is_star(any) => {
                star = Some((pattern, at));
                pattern += 1;
                continue;
            }
            Some(one) if at < length => step(one, at),
            _ => None,
        };
        match (advanced, star) {
            (Some(items), _) => {
                at += items;
                pattern += 1;
            }
            (None, Some((star_pattern, star_at))) if star_at < length => {
                star = Some((star_pattern, star_at + 1));
                pattern = star_pattern + 1;
                at = star_at + 1;
            }
            _ => return false,
        }
    }
    true
}

fn names_match<N: AsRef<[u8]>>(patterns: &[NamePattern], names: &[N]) -> bool {
    wildcard_match(
        patterns,
        names.len(),
        |pattern| *pattern == NamePattern::AnyNames,
        |pattern, at| match pattern {
            NamePattern::AnyNames => None,
            NamePattern::One(tokens) => name_matches(tokens, names[at].as_ref()).then_some(1),
        },
    )
}

fn name_matches(tokens: &[Token], name: &[u8]) -> bool {
    wildcard_match(
        tokens,
        name.len(),
        |token| *token == Token::AnyBytes,
        |token, at| token_length(token, &name[at..]),
    )
}

/// How many bytes of `rest`, which is not empty, a token takes.
fn token_length(token: &Token, rest: &[u8]) -> Option<usize> {
    let byte = rest[0];
    match token {
        Token::AnyBytes => None,
        Token::Byte(wanted) => (byte == *wanted).then_some(1),
        Token::AnyCharacter => Some(
            rest.utf8_chunks()
                .next()
                .and_then(|chunk| chunk.valid().chars().next())
                .map_or(1, char::len_utf8),
        ),
        Token::Set { negated, ranges } => {
            let inside = ranges
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&byte));
            (inside != *negated).then_some(1)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let is_directory = path.ends_with('/');
        let names: Vec<&[u8]> = path
            .trim_matches('/')
            .split('/')
            .map(str::as_bytes)
            .collect();
        Patterns::parse(&[pattern.to_owned()])
            .unwrap()
            .exclude(&names, is_directory)
    }

    #[test]
    fn leading_slash_anchors() {
        assert!(matches("/proc", "/proc/"));
        assert!(!matches("/proc", "/usr/proc/"));
        assert!(matches("proc", "/usr/proc/"));
        assert!(matches("cache/apt", "/var/cache/apt"));
        assert!(!matches("/cache/apt", "/var/cache/apt"));
    }

    #[test]
    fn trailing_slash_means_directories() {
        assert!(matches("log/", "/var/log/"));
        assert!(!matches("log/", "/var/log"));
    }

    #[test]
    fn wildcards_stay_within_a_name_and_two_stars_do_not() {
        assert!(matches("*.pyc", "/a/b/c.pyc"));
        assert!(matches("/proc/*", "/proc/1/"));
        assert!(!matches("/proc/*", "/proc/1/fd/"));
        assert!(!matches("/proc/*", "/proc/"));
        assert!(matches("/usr/**/doc", "/usr/doc"));
        assert!(matches("/usr/**/doc", "/usr/share/x/doc"));
        assert!(!matches("/usr/**/doc", "/usr/share/doc/x"));
        assert!(matches("/a/**", "/a/b/c"));
        assert!(matches("a*b*c?", "/aXXbbYcZ"));
        assert!(matches("caf?", "/café"));
        assert!(matches("[a-c][!0-9][]]", "/bx]"));
        assert!(!matches("[a-c][!0-9]", "/b7"));
        assert!(matches("\\*", "/*"));
        assert!(!matches("\\*", "/x"));
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in ["", "/", "a//b", "../a", "[a", "[]", "[!]", "a\\"] {
            assert!(Patterns::parse(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let name = "a".repeat(255);
        assert!(!matches(&format!("{}b", "a*".repeat(100)), &name));
    }
}
