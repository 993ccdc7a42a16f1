//! One line of a file of contexts.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::bytes::Regex;

use super::ContextsError;
use super::expression::{Expression, compiled};
use crate::Kind;

/// What an entry says of what it matches.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None` for every type.
    kind: Option<FileType>,
    /// `None` where it says `<<none>>`.
    pub(super) context: Option<Box<str>>,
    /// The expression in the syntax of the crate; empty for a path that is written out.
    expression: String,
    compiled: OnceLock<Regex>,
}

/// What entries tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileType {
    File,
    Directory,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}

impl FileType {
    pub(super) fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Directory => Self::Directory,
            Kind::File { .. } | Kind::HardLink(_) => Self::File,
            Kind::Symlink(_) => Self::Symlink,
            Kind::CharacterDevice { .. } => Self::CharacterDevice,
            Kind::BlockDevice { .. } => Self::BlockDevice,
            Kind::Fifo => Self::Fifo,
            Kind::Socket => Self::Socket,
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "--" => Self::File,
            "-d" => Self::Directory,
            "-l" => Self::Symlink,
            "-c" => Self::CharacterDevice,
            "-b" => Self::BlockDevice,
            "-p" => Self::Fifo,
            "-s" => Self::Socket,
            _ => return None,
        })
    }
}

impl Entry {
    pub(super) fn is_for(&self, kind: FileType) -> bool {
        self.kind.is_none_or(|own| own == kind)
    }

    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let compiled = self.compiled.get_or_init(|| {
            compiled(&self.expression).expect("it was compiled when the line was read")
        });
        compiled.is_match(path)
    }
}

/// An entry as it is read, with what finds it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) entry: Entry,
    /// The bytes that all it matches begin with; for a path that is written out, the path.
    pub(super) beginning: Box<[u8]>,
    is_literal: bool,
    /// The expression as it is written.
    text: Box<str>,
}

impl Written {
    /// Refuses what `setfiles` refuses: one expression with different contexts for what both lines are for. Each comes with its
    /// line.
    pub(super) fn hold_apart(written: &[(usize, Self)]) -> Result<(), (usize, ContextsError)> {
        let mut by_text: BTreeMap<&str, Vec<&(usize, Self)>> = BTreeMap::new();
        for new in written {
            let (line, this) = new;
            let same = by_text.entry(&this.text).or_default();
            let overlaps = |other: &Entry| {
                other.kind.is_none() || this.entry.kind.is_none() || other.kind == this.entry.kind
            };
            let mut others = same.iter();
            let differs = others.find(|(_, other)| {
                overlaps(&other.entry) && other.entry.context != this.entry.context
            });
            if let Some((first, other)) = differs {
                let shown = |entry: &Entry| entry.context.as_deref().unwrap_or(NONE).to_owned();
                let (here, there) = (shown(&this.entry), shown(&other.entry));
                let error = ContextsError::Expression {
                    text: this.text.to_string(),
                    reason: format!(
                        "has the context {here} here and {there} in line {first}: setfiles refuses that; keep one of the lines"
                    ),
                };
                return Err((*line, error));
            }
            // Of those that say the same, one is enough.
            if same.iter().all(|(_, it)| it.entry.kind != this.entry.kind) {
                same.push(new);
            }
        }
        Ok(())
    }

    pub(super) fn is_literal(&self) -> bool {
        self.is_literal
    }

    pub(super) fn parse(words: &[&[u8]]) -> Result<Self, ContextsError> {
        let texts: Option<Vec<&str>> = words.iter().map(|it| str::from_utf8(it).ok()).collect();
        let texts = texts.ok_or(ContextsError::NotText)?;
        let (expression, kind, context) = match texts[..] {
            [expression, context] => (expression, None, context),
            [expression, kind, context] => {
                let parsed = FileType::parse(kind).ok_or_else(|| ContextsError::Type {
                    text: kind.to_owned(),
                })?;
                (expression, Some(parsed), context)
            }
            _ => {
                let text = texts.join(" ");
                return Err(ContextsError::Line { text });
            }
        };
        let Expression {
            translated,
            beginning,
            is_literal,
        } = Expression::parse(expression)?;
        Ok(Self {
            entry: Entry {
                kind,
                context: parse_context(context)?,
                expression: translated,
                compiled: OnceLock::new(),
            },
            beginning,
            is_literal,
            text: expression.into(),
        })
    }
}

/// What stands for no context.
const NONE: &str = "<<none>>";

/// A context, or nothing for `<<none>>`.
fn parse_context(text: &str) -> Result<Option<Box<str>>, ContextsError> {
    if text == NONE {
        return Ok(None);
    }
    // USER:ROLE:TYPE, and a range may have colons of its own.
    let parts = text.splitn(4, ':');
    let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_printable || parts.clone().count() < 3 || parts.clone().any(str::is_empty) {
        let text = text.to_owned();
        return Err(ContextsError::Context { text });
    }
    Ok(Some(text.into()))
}
