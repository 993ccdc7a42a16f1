//! The labels that a policy of SELinux gives to files: `file_contexts`, as selabel_file(5) and libselinux have it.
//!
//! ```text
//!   file_contexts, .homedirs, .local ──> entries ──┐
//!   file_contexts.subs, .subs_dist ──> aliases ──> lookup(path, kind) ──> security.selinux
//! ```
//!
//! A line is a regular expression, perhaps a type (`--`, `-d`, `-l`, `-c`, `-b`, `-p`, `-s`), and a context or `<<none>>`. The
//! expression is anchored at both ends, as libselinux does it. Entries with characters that mean something in an expression come first, then those
//! without, each in the order of the files; of all that match, the last one counts. Aliases put another beginning before a path
//! that is looked up: one of `.subs`, then one of `.subs_dist`, and in each the last line that fits.

mod entry;
mod error;
mod expression;
mod label;

pub use error::ContextsError;
pub(super) use label::label;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::error::SourceError;
use crate::Kind;
use entry::{Entry, FileType, Written};

/// The bytes that one file may have: ten times those of the largest policies.
const MOST_BYTES: u64 = 8 << 20;

/// A file of contexts and those beside it, read.
#[derive(Debug, Default)]
pub struct FileContexts {
    /// In the order in which they count: the later one wins.
    entries: Vec<Entry>,
    /// Paths that are written out, each with its entries, ascending.
    literal: BTreeMap<Box<[u8]>, Vec<usize>>,
    /// What expressions begin with, each with its entries, ascending.
    beginning: BTreeMap<Box<[u8]>, Vec<usize>>,
    /// The lengths of the beginnings.
    lengths: BTreeSet<usize>,
    /// Those of `.subs`, then those of `.subs_dist`, in the order in which they are tried.
    aliases: [Vec<Alias>; 2],
}

#[derive(Debug)]
struct Alias {
    from: Box<[u8]>,
    to: Box<[u8]>,
}

impl FileContexts {
    /// The files that are read for the contexts at `path`, as far as they are there: itself first.
    #[must_use]
    pub fn files(path: &Path) -> Vec<PathBuf> {
        let beside = ENTRIES_BESIDE.iter().chain(&ALIASES_BESIDE);
        let beside = beside.map(|ending| with_ending(path, ending));
        let there = beside.filter(|file| file.exists());
        std::iter::once(path.to_owned()).chain(there).collect()
    }

    /// Reads the contexts at `path`, and what lies beside it.
    ///
    /// # Errors
    /// [`SourceError`] if a file cannot be read, or a line of it is malformed.
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let mut written = distinct_entries_of(path, &read(path)?)?;
        for ending in ENTRIES_BESIDE {
            let file = with_ending(path, ending);
            if let Some(bytes) = read_if_there(&file)? {
                written.extend(entries_of(&file, &bytes)?.into_iter().map(|(_, it)| it));
            }
        }
        let mut contexts = Self::of(written);
        for (aliases, ending) in contexts.aliases.iter_mut().zip(ALIASES_BESIDE) {
            let file = with_ending(path, ending);
            if let Some(bytes) = read_if_there(&file)? {
                *aliases = aliases_of(&file, &bytes)?;
            }
        }
        Ok(contexts)
    }

    /// Reads the text of one file, with nothing beside it; `path` is what errors call it.
    ///
    /// # Errors
    /// [`SourceError::Contexts`] if a line is malformed.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, SourceError> {
        Ok(Self::of(distinct_entries_of(path, text)?))
    }

    fn of(written: Vec<Written>) -> Self {
        let (literal, expressions): (Vec<_>, Vec<_>) =
            written.into_iter().partition(Written::is_literal);
        let mut contexts = Self::default();
        for written in expressions.into_iter().chain(literal) {
            let index = contexts.entries.len();
            let (place, key) = if written.is_literal() {
                (&mut contexts.literal, written.beginning)
            } else {
                contexts.lengths.insert(written.beginning.len());
                (&mut contexts.beginning, written.beginning)
            };
            place.entry(key).or_default().push(index);
            contexts.entries.push(written.entry);
        }
        contexts
    }

    /// The context of what is at `path` and of this kind, if the policy says one. A hard link is what it links to.
    #[must_use]
    pub fn lookup(&self, path: &[u8], kind: &Kind) -> Option<&str> {
        self.find(path, FileType::of(kind))
    }

    fn find(&self, path: &[u8], kind: FileType) -> Option<&str> {
        let path = self.resolved(path);
        let literal = self.literal.get(&*path).into_iter().flatten();
        if let Some(found) = literal
            .rev()
            .find(|index| self.entries[**index].is_for(kind))
        {
            return self.entries[*found].context.as_deref();
        }
        let mut candidates: Vec<usize> = self
            .lengths
            .iter()
            .filter_map(|length| self.beginning.get(path.get(..*length)?))
            .flatten()
            .copied()
            .collect();
        candidates.sort_unstable_by(|one, other| other.cmp(one));
        let mut candidates = candidates.into_iter().map(|index| &self.entries[index]);
        let found = candidates.find(|entry| entry.is_for(kind) && entry.matches(&path));
        found?.context.as_deref()
    }

    /// A path with what its beginning stands for.
    fn resolved(&self, path: &[u8]) -> Box<[u8]> {
        let mut path: Box<[u8]> = path.into();
        for aliases in &self.aliases {
            let fits = |alias: &&Alias| {
                let rest = path.strip_prefix(&*alias.from);
                rest.is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
            };
            let Some(alias) = aliases.iter().find(fits) else {
                continue;
            };
            let rest = &path[alias.from.len()..];
            let to: &[u8] = if &*alias.to == b"/" && !rest.is_empty() {
                b""
            } else {
                &alias.to
            };
            path = [to, rest].concat().into();
        }
        path
    }
}

/// What files of entries beside the first are called; the later ones win.
const ENTRIES_BESIDE: [&str; 2] = [".homedirs", ".local"];
/// What files of aliases are called, in the order in which they are used.
const ALIASES_BESIDE: [&str; 2] = [".subs", ".subs_dist"];

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |error| SourceError::Open {
        path: path.into(),
        error,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(SourceError::Large {
            path: path.into(),
            what: "file contexts",
            limit: MOST_BYTES,
        });
    }
    Ok(bytes)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    match read(path) {
        Err(SourceError::Open { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// The lines that say something, with their numbers and words.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
    let lines = text.split(|byte| *byte == b'\n').zip(1..);
    lines.filter_map(|(line, number)| {
        let words = line.split(u8::is_ascii_whitespace);
        let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        let first = words.first()?;
        (!first.starts_with(b"#")).then_some((number, words))
    })
}

/// The entries of the first file, in which no two may contradict each other; those of the files beside it may.
fn distinct_entries_of(path: &Path, text: &[u8]) -> Result<Vec<Written>, SourceError> {
    let entries = entries_of(path, text)?;
    Written::hold_apart(&entries).map_err(|(line, error)| SourceError::Contexts {
        path: path.into(),
        line,
        error,
    })?;
    Ok(entries.into_iter().map(|(_, written)| written).collect())
}

/// The entries of a file, each with its line.
fn entries_of(path: &Path, text: &[u8]) -> Result<Vec<(usize, Written)>, SourceError> {
    let entries = lines(text).map(|(line, words)| {
        let written = Written::parse(&words).map_err(|error| SourceError::Contexts {
            path: path.into(),
            line,
            error,
        })?;
        Ok((line, written))
    });
    entries.collect()
}

/// Aliases in the order in which they are tried: the last line first.
fn aliases_of(path: &Path, text: &[u8]) -> Result<Vec<Alias>, SourceError> {
    let aliases = lines(text).map(|(line, words)| {
        if let [from, to] = words[..]
            && from.starts_with(b"/")
            && to.starts_with(b"/")
        {
            return Ok(Alias {
                from: from.into(),
                to: to.into(),
            });
        }
        let text = String::from_utf8_lossy(&words.join(&b' ')).into_owned();
        Err(SourceError::Contexts {
            path: path.into(),
            line,
            error: ContextsError::Alias { text },
        })
    });
    let mut aliases = aliases.collect::<Result<Vec<_>, _>>()?;
    aliases.reverse();
    Ok(aliases)
}

#[cfg(test)]
mod tests;
