//! Expressions of PCRE, as `file_contexts` has them, in the syntax of the crate `regex`. Bytes are matched, and `.` is any of
//! them.
//!
//! What is written the same and means another thing is translated: `[`, `&` and `~` in a class, and `\<`. What the crate does not
//! have, references to groups and looking ahead, is an error.

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
        compiled(&translated).map_err(refused)?;
        let mut beginning = literal;
        if has_choice {
            beginning.clear();
        } else if b"?*{".contains(&meta) {
            beginning.pop();
        }
        Ok(Self {
            translated,
            beginning: beginning.into(),
            is_literal: false,
        })
    }
}

/// The expression over whole paths.
pub(super) fn compiled(translated: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!("^(?:{translated})$"))
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
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
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
