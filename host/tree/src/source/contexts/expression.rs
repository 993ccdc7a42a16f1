//! Expressions of PCRE, as `file_contexts` has them, in the syntax of the crate `regex`. Bytes are matched, and `.` is any of
//! them.
//!
//! libselinux compiles `^EXPR$`, without a group: of a `|` outside of all groups, the first alternative is anchored at the
//! beginning alone, and the last one at the end. Where the expression has a first name without meaningful characters, paths must
//! begin with it all the same.
//!
//! What is written the same and means another thing is translated: `[`, `&` and `~` in a class, and `\<`. What the crate does not
//! have, references to groups, looking ahead and possessive quantifiers, is an error.

use regex::bytes::{Regex, RegexBuilder};

use super::ContextsError;

/// The bytes that one compiled expression may take.
const MOST_COMPILED: usize = 1 << 20;
/// Groups in groups.
const DEEPEST: u32 = 32;

/// What is meaningful outside of a class, and makes an entry one with an expression.
const META: &[u8] = b".^$?*+|[({";

pub(super) struct Expression {
    /// Empty for a path that is written out.
    pub(super) translated: String,
    /// What every match begins with.
    pub(super) beginning: Box<[u8]>,
    pub(super) is_literal: bool,
}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self, ContextsError> {
        let (literal, ended_by) = literal_beginning(text.as_bytes());
        let Some(meta) = ended_by else {
            return Ok(Self {
                translated: String::new(),
                beginning: literal.into(),
                is_literal: true,
            });
        };
        let refused = |reason: String| ContextsError::Expression {
            text: text.to_owned(),
            reason,
        };
        let (translated, has_choice) = translate(text).map_err(|it| refused(it.to_owned()))?;
        let mut beginning = literal;
        if has_choice {
            beginning = stem(text);
        } else if b"?*{".contains(&meta) {
            beginning.pop();
        }
        compiled(&translated).map_err(refused)?;
        Ok(Self {
            translated,
            beginning: beginning.into(),
            is_literal: false,
        })
    }
}

/// The first name of an expression and the slash behind it, if nothing in it has a meaning: libselinux looks at no path that
/// begins otherwise, whatever the alternatives are.
fn stem(text: &str) -> Vec<u8> {
    let second = text.get(1..).and_then(|rest| rest.find('/'));
    let stem = &text.as_bytes()[..second.map_or(0, |place| place + 2)];
    let is_plain = |byte: &u8| *byte != b'\\' && !META.contains(byte);
    if stem.iter().all(is_plain) {
        stem.to_vec()
    } else {
        Vec::new()
    }
}

/// The expression as libselinux anchors it.
pub(super) fn compiled(translated: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!("^{translated}$"))
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(MOST_COMPILED)
        .nest_limit(DEEPEST)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("takes more than {limit} bytes of memory: shorten its repetitions")
            }
            regex::Error::Syntax(told) => {
                // The last line says what; those before it draw the expression once more.
                let last = told.lines().last().unwrap_or_default();
                format!("is not understood: {}", last.trim_start_matches("error: "))
            }
            other => format!("cannot be used: {other}"),
        })
}

/// The bytes before the first that means something, and that one.
fn literal_beginning(text: &[u8]) -> (Vec<u8>, Option<u8>) {
    let mut literal = Vec::new();
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                // A class, or a character that is hard to write.
                Some(escaped) if escaped.is_ascii_alphanumeric() => {
                    return (literal, Some(b'\\'));
                }
                Some(escaped) => literal.push(escaped),
                None => return (literal, Some(b'\\')),
            },
            byte if META.contains(&byte) => return (literal, Some(byte)),
            byte => literal.push(byte),
        }
    }
    (literal, None)
}

/// The expression in the syntax of the crate, and whether a `|` stands outside of all groups.
fn translate(text: &str) -> Result<(String, bool), &'static str> {
    let mut translated = String::with_capacity(text.len());
    let mut has_choice = false;
    let mut depth = 0_u32;
    let mut repeated = Repeated::No;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        repeated = repeated.after(character)?;
        match character {
            '\\' => rest = escape(rest, &mut translated)?,
            '[' => rest = class(rest, &mut translated)?,
            _ => {
                match character {
                    '(' => depth += 1,
                    ')' => depth = depth.saturating_sub(1),
                    '|' => has_choice |= depth == 0,
                    _ => {}
                }
                translated.push(character);
            }
        }
    }
    Ok((translated, has_choice))
}

/// Whether what stands before a character repeats something already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    No,
    /// It opens a group, of which a `?` tells something.
    Opened,
    /// As often as it can.
    Greedily,
    /// As seldom as it can.
    Lazily,
}

impl Repeated {
    /// The same after another character, which is in no class and behind no backslash.
    fn after(self, character: char) -> Result<Self, &'static str> {
        match (self, character) {
            (Self::Opened, '?') => Ok(Self::No),
            (Self::Greedily, '?') => Ok(Self::Lazily),
            (Self::Greedily, '+') => Err(
                "has a possessive quantifier (*+, ++, ?+ or }+), which is not read: leave its last '+' out if that matches the same",
            ),
            (Self::Greedily | Self::Lazily, '*' | '+' | '?' | '{') => {
                Err("repeats what is repeated already: put a group around it")
            }
            (_, '*' | '+' | '?' | '}') => Ok(Self::Greedily),
            (_, '(') => Ok(Self::Opened),
            _ => Ok(Self::No),
        }
    }
}

/// What follows a backslash.
fn escape<'t>(rest: &'t str, translated: &mut String) -> Result<&'t str, &'static str> {
    let escaped = rest.chars().next().ok_or("ends with a backslash")?;
    if !matches!(escaped, '<' | '>') && escaped.is_ascii() {
        translated.push('\\');
    }
    translated.push(escaped);
    Ok(&rest[escaped.len_utf8()..])
}

/// What follows the `[` of a class, to its `]`.
fn class<'t>(mut rest: &'t str, translated: &mut String) -> Result<&'t str, &'static str> {
    const OPEN: &str = "has a class without its ']'";
    translated.push('[');
    for first in ["^", "]"] {
        if let Some(after) = rest.strip_prefix(first) {
            if first == "]" {
                translated.push('\\');
            }
            translated.push_str(first);
            rest = after;
        }
    }
    loop {
        let character = rest.chars().next().ok_or(OPEN)?;
        if rest.starts_with("--") {
            return Err("has '--' in a class: write the '-' once, at its end");
        }
        let named = rest.strip_prefix("[:").and_then(|it| it.split_once(":]"));
        if let Some((name, after)) = named.filter(|(name, _)| is_name(name)) {
            translated.push_str("[:");
            translated.push_str(name);
            translated.push_str(":]");
            rest = after;
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match character {
            ']' => {
                translated.push(']');
                return Ok(rest);
            }
            '\\' => rest = escape(rest, translated)?,
            '[' | '&' | '~' => translated.extend(['\\', character]),
            _ => translated.push(character),
        }
    }
}

fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'^')
}
