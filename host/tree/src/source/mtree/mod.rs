//! An mtree(5) specification as an overlay of owners, modes, times and link targets over a source.
//!
//! ```text
//!   lines ──> escapes ──> `/set`, `/unset`, entries ──> the node at their path in the forest
//! ```
//!
//! An entry whose name has a `/` is a path from the root of the source; another one is a name in the directory that the last
//! entry of type `dir` opened, and `..` leaves it. Owners are numbers: `uname` and `gname` name users of a system that nobody knows
//! here, and are left. What sums and sizes say of content is not compared. Patterns in names are no patterns.

mod error;
mod line;
mod words;

pub use error::MtreeError;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use super::attributes::AttributeSets;
use super::error::SourceError;
use super::forest::{Body, Forest, InodeId, Metadata};
use super::pattern::Patterns;
use crate::{Kind, Timestamp};
use cellblock_text::PathBytes;
use line::{Facts, Line, Lines};

/// The bytes that a file may have.
const MOST_BYTES: u64 = 1 << 30;
/// The bytes of one entry, its continuations included.
const MOST_LINE: usize = 1 << 20;
/// Directories in directories, as they are entered.
const DEEPEST: usize = 4096;

/// What a specification says beside what it does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unheeded {
    /// Keywords that change nothing here, sorted.
    pub(super) keywords: BTreeSet<String>,
}

/// How many keywords are kept to be told.
const MOST_TOLD: usize = 16;

/// Gives the nodes of `forest` what the specification at `path` says. Entries for what `excluded` leaves out are none.
pub(super) fn overlay(
    path: &Path,
    forest: &mut Forest,
    excluded: &Patterns,
    sets: &mut AttributeSets,
) -> Result<Unheeded, SourceError> {
    let open = |error| SourceError::Open {
        path: path.into(),
        error,
    };
    let file = File::open(path).map_err(open)?;
    let mut reader = BufReader::new(file.take(MOST_BYTES + 1));
    let mut laying = Laying::new(forest, excluded, sets);
    let mut lines = Lines::default();
    let mut read = 0_u64;
    let failed = |line, error| SourceError::Metadata {
        path: path.into(),
        line,
        error,
    };
    loop {
        let mut bytes = Vec::new();
        let most = u64::try_from(MOST_LINE + 1).expect("a small number");
        let length = reader.by_ref().take(most).read_until(b'\n', &mut bytes);
        let length = length.map_err(open)?;
        read += u64::try_from(length).expect("a length fits 64 bits");
        if read > MOST_BYTES {
            return Err(failed(
                lines.number(),
                MtreeError::Large { limit: MOST_BYTES },
            ));
        }
        let whole = if length == 0 {
            lines.end()
        } else {
            lines
                .add(&bytes)
                .map_err(|error| failed(lines.number(), error))?
        };
        if let Some((number, text)) = whole {
            laying.line(&text).map_err(|error| failed(number, error))?;
        }
        if length == 0 {
            return Ok(laying.unheeded);
        }
    }
}

/// Where the reading stands.
struct Laying<'a> {
    forest: &'a mut Forest,
    excluded: &'a Patterns,
    sets: &'a mut AttributeSets,
    /// The names of the directory that relative entries are in.
    at: Vec<Vec<u8>>,
    /// What `/set` says.
    defaults: Facts,
    /// What is optional and not there: the directory in which it would be, and its name. Nor is what would be in it.
    absent: BTreeSet<(InodeId, Box<[u8]>)>,
    unheeded: Unheeded,
}

impl<'a> Laying<'a> {
    fn new(forest: &'a mut Forest, excluded: &'a Patterns, sets: &'a mut AttributeSets) -> Self {
        Self {
            forest,
            excluded,
            sets,
            at: Vec::new(),
            defaults: Facts::default(),
            absent: BTreeSet::new(),
            unheeded: Unheeded::default(),
        }
    }

    fn line(&mut self, text: &[u8]) -> Result<(), MtreeError> {
        let Some(line) = Line::parse(text, &mut self.unheeded)? else {
            return Ok(());
        };
        match line {
            Line::Set(facts) => self.defaults = facts.or(&self.defaults),
            Line::Unset(keywords) => keywords.iter().for_each(|it| self.defaults.unset(it)),
            Line::Up => drop(self.at.pop()),
            Line::Entry { name, facts } => {
                let facts = facts.or(&self.defaults);
                let path = self.path_of(&name, &facts)?;
                self.entry(&path, &facts)?;
            }
        }
        Ok(())
    }

    /// The names of the path that an entry is for; a directory that is entered becomes the one that names are in.
    fn path_of(&mut self, name: &[u8], facts: &Facts) -> Result<Vec<Vec<u8>>, MtreeError> {
        let refuse = |reason| MtreeError::Name {
            name: name.into(),
            reason,
        };
        if name.contains(&0) {
            return Err(refuse("has a NUL byte in it"));
        }
        let names = name.split(|byte| *byte == b'/');
        let names: Vec<Vec<u8>> = names
            .filter(|name| !matches!(*name, b"" | b"."))
            .map(<[u8]>::to_vec)
            .collect();
        if names.iter().any(|name| name == b"..") {
            return Err(refuse("has '..' in it"));
        }
        if name.contains(&b'/') {
            return Ok(names);
        }
        // The first directory is the root, whatever it is called: `.` as a rule.
        let path = [&self.at[..], &names].concat();
        if facts.is_directory() && !names.is_empty() {
            if self.at.len() == DEEPEST {
                return Err(MtreeError::Deep { limit: DEEPEST });
            }
            self.at.clone_from(&path);
        }
        Ok(path)
    }

    fn entry(&mut self, path: &[Vec<u8>], facts: &Facts) -> Result<(), MtreeError> {
        let names: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        let shown = || PathBytes(crate::join_path(names.iter().copied()));
        let Some(id) = self.forest.lookup(&names) else {
            if self.may_be_missing(&names, facts.optional) || self.is_excluded(path, facts) {
                return Ok(());
            }
            return Err(MtreeError::Missing { path: shown() });
        };
        if let Some(said) = &facts.kind
            && !said.is_of(self.forest.body(id))
        {
            return Err(MtreeError::Type {
                path: shown(),
                said: said.name().to_owned(),
                found: self.forest.body(id).noun(),
            });
        }
        if !facts.no_change {
            self.apply(id, facts);
        }
        Ok(())
    }

    /// Whether what is not there need not be: it is optional, or lies in what was.
    fn may_be_missing(&mut self, names: &[&[u8]], optional: bool) -> bool {
        let mut at = InodeId::ROOT;
        for (depth, name) in names.iter().enumerate() {
            if let Some(found) = self.forest.lookup_in(at, &[name]) {
                at = found;
                continue;
            }
            let first_absent = (at, Box::from(*name));
            if optional && depth + 1 == names.len() {
                self.absent.insert(first_absent);
                return true;
            }
            return optional || self.absent.contains(&first_absent);
        }
        optional
    }

    fn is_excluded(&self, path: &[Vec<u8>], facts: &Facts) -> bool {
        (1..=path.len()).any(|length| {
            let is_directory = length < path.len() || facts.is_directory();
            self.excluded.exclude(&path[..length], is_directory)
        })
    }

    fn apply(&mut self, id: InodeId, facts: &Facts) {
        let metadata = self.forest.inode(id).metadata.clone();
        let mut metadata = metadata.unwrap_or(Metadata::IMPLIED);
        metadata.uid = facts.uid.unwrap_or(metadata.uid);
        metadata.gid = facts.gid.unwrap_or(metadata.gid);
        metadata.modified = facts.time.or(metadata.modified);
        let is_link = matches!(self.forest.body(id), Body::Other(Kind::Symlink(_)));
        if let Some(mode) = facts.mode.filter(|_| !is_link) {
            metadata.mode = mode;
            metadata.attributes = self.sets.with_mode(metadata.attributes, mode);
        }
        self.forest.set_metadata(id, metadata);
        if let Some(target) = facts.link.as_ref().filter(|_| is_link) {
            self.forest.set_target(id, target.clone());
        }
    }
}

/// A point in time as it is written: seconds, and after a point nanoseconds as a number of their own.
fn parse_time(text: &str) -> Option<Timestamp> {
    let (seconds, nanoseconds) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let nanoseconds: u32 = match nanoseconds {
        "" => 0,
        digits if is_number(digits) => digits.parse().ok()?,
        _ => return None,
    };
    (nanoseconds < 1_000_000_000).then_some(Timestamp {
        seconds: seconds.parse().ok()?,
        nanoseconds,
    })
}

#[cfg(test)]
mod tests;
