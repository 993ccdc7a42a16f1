//! Partitions as files of their own, as update programs take them, with a list of their digests.
//!
//! ```text
//!     image | root | root-verity | ──> root_7_d9a1….raw, root-verity_7_5c0e….raw, SHA256SUMS
//! ```
//!
//! Each is complete before any gets its name, and SHA256SUMS gets its own last, so that who trusts it finds what it lists.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub(crate) mod error;

pub use error::SplitError;

use error::Placeholder;

use crate::progress::{Phase, watched};
use crate::record::{PartitionRecord, Record, SplitRecord};
use crate::{Assembled, Error};
use cellblock_image::{Copying, Document, Durability, Image, Scratch};
use cellblock_text::{hexadecimal, nearest};

/// The name of the list.
const SUMS: &str = "SHA256SUMS";
/// The pattern where a version is given: what systemd-sysupdate matches as `NAME_@v_@u.raw`.
const WITH_VERSION: &str = "{name}_{version}_{uuid}.raw";
/// The pattern where none is.
const WITHOUT_VERSION: &str = "{name}_{uuid}.raw";
/// The most bytes of a file's name (NAME_MAX).
const MOST_NAME: usize = 255;

/// Where partitions go as files, and what they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The folder, which is there.
    pub folder: PathBuf,
    /// The names.
    pub pattern: SplitPattern,
}

/// A pattern of names: text, and placeholders in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitPattern {
    pieces: Vec<Piece>,
    version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

impl SplitPattern {
    /// The pattern that is typed, or the usual one: `{name}_{version}_{uuid}.raw`, and `{name}_{uuid}.raw` without a version.
    ///
    /// # Errors
    /// [`SplitError`] if it is no pattern.
    pub fn new(pattern: Option<&str>, version: Option<&str>) -> Result<Self, SplitError> {
        let usual = version.map_or(WITHOUT_VERSION, |_| WITH_VERSION);
        let pattern = pattern.unwrap_or(usual);
        let pieces = pieces(pattern)?;
        let names_version = pieces.contains(&Piece::Placeholder(Placeholder::Version));
        let typed = || pattern.to_owned();
        match version {
            None if names_version => return Err(SplitError::Version { pattern: typed() }),
            Some(version) if !names_version => {
                return Err(SplitError::Unused {
                    pattern: typed(),
                    version: version.to_owned(),
                });
            }
            _ => {}
        }
        for (what, text) in [("the pattern", Some(pattern)), ("the version", version)] {
            if let Some(why) = text.and_then(unfit) {
                return Err(SplitError::Text {
                    partition: "--split".to_owned(),
                    what,
                    text: text.unwrap_or_default().to_owned(),
                    why,
                });
            }
        }
        let version = version.map(str::to_owned);
        Ok(Self { pieces, version })
    }

    /// The name of a partition's file on a disk with this identifier.
    fn name(&self, partition: &PartitionRecord, disk_id: &str) -> Result<String, SplitError> {
        let number = partition.number.unwrap_or(1);
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Placeholder(Placeholder::Name) => {
                    if let Some(why) = unfit(&partition.name) {
                        return Err(SplitError::Text {
                            partition: format!("partition '{}'", partition.name),
                            what: "its name",
                            text: partition.name.clone(),
                            why,
                        });
                    }
                    name.push_str(&partition.name);
                }
                Piece::Placeholder(Placeholder::Number) => name.push_str(&number.to_string()),
                Piece::Placeholder(Placeholder::Type) => {
                    name.push_str(partition.kind.as_deref().unwrap_or("none"));
                }
                // The partitions of an MBR are called by the disk's identifier and their number, as the kernel does.
                Piece::Placeholder(Placeholder::Uuid) => match &partition.id {
                    Some(id) => name.push_str(id),
                    None => name.push_str(&format!("{disk_id}-{number:02x}")),
                },
                Piece::Placeholder(Placeholder::Version) => {
                    name.push_str(self.version.as_deref().unwrap_or_default());
                }
            }
        }
        let why = if name.len() > MOST_NAME {
            Some("it has more than 255 bytes")
        } else if name.is_empty() || name.starts_with('.') {
            Some("it is empty, or begins with a dot")
        } else if name == SUMS {
            Some("the list of digests has it")
        } else {
            None
        };
        match why {
            None => Ok(name),
            Some(why) => Err(SplitError::Name {
                partition: partition.name.clone(),
                name,
                why,
            }),
        }
    }
}

impl fmt::Display for SplitPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Piece::Placeholder(placeholder) => {
                    let mut all = Placeholder::ALL.iter();
                    let found = all.find(|(_, known)| known == placeholder);
                    write!(f, "{{{}}}", found.map_or("", |(name, _)| name))?;
                }
            }
        }
        Ok(())
    }
}

fn pieces(pattern: &str) -> Result<Vec<Piece>, SplitError> {
    let brace = || SplitError::Brace {
        pattern: pattern.to_owned(),
    };
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace_here = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace_here) {
            text.push_str(brace_here);
            rest = after;
            continue;
        }
        let (name, after) = match (brace_here, rest.split_once('}')) {
            ("{", Some(found)) => found,
            _ => return Err(brace()),
        };
        let known = Placeholder::ALL.iter().find(|(known, _)| *known == name);
        let Some((_, placeholder)) = known else {
            let names = Placeholder::ALL.iter().map(|(known, _)| *known);
            return Err(SplitError::Placeholder {
                pattern: pattern.to_owned(),
                name: name.to_owned(),
                nearest: nearest(name, names),
            });
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Placeholder(*placeholder));
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

/// What keeps a text from being part of a file's name that a list of digests can hold.
fn unfit(text: &str) -> Option<&'static str> {
    if text.contains('/') {
        Some("a slash")
    } else if text.contains('\\') {
        Some("a backslash")
    } else if text.chars().any(char::is_control) {
        Some("a control character")
    } else {
        None
    }
}

/// The files of an image's partitions, complete and without names: they vanish unless they are [published](SplitFiles::publish).
#[derive(Debug)]
pub struct SplitFiles {
    folder: PathBuf,
    durability: Durability,
    files: Vec<(String, Image)>,
    sums: Document,
}

impl SplitFiles {
    /// The names that the files will have, with their folder; the list of digests is the last.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let names = self.files.iter().map(|(name, _)| name.as_str());
        names.chain([SUMS]).map(|name| self.folder.join(name))
    }

    /// Gives all files their names, the list of digests last.
    ///
    /// # Errors
    /// [`Error`] if a name cannot be given; those before it are complete.
    pub fn publish(self) -> Result<(), Error> {
        for (name, file) in self.files {
            file.publish(&self.folder.join(name), self.durability)?;
        }
        Ok(self.sums.publish_as(self.durability)?)
    }
}

/// Checks that the names of a plan's partitions can be told apart, as far as is known.
///
/// # Errors
/// [`SplitError`] for two of one name, or one that cannot be.
fn names(pattern: &SplitPattern, record: &Record) -> Result<Vec<String>, SplitError> {
    // A record has 0x before the identifier of an MBR, which names of partitions do not.
    let disk_id = record.disk_id.as_deref().unwrap_or("none");
    let disk_id = disk_id.strip_prefix("0x").unwrap_or(disk_id);
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut names = Vec::with_capacity(record.partitions.len());
    for partition in &record.partitions {
        let name = pattern.name(partition, disk_id)?;
        if let Some(one) = seen.insert(name.clone(), &partition.name) {
            return Err(SplitError::Same {
                one: one.to_owned(),
                other: partition.name.clone(),
                name,
            });
        }
        names.push(name);
    }
    Ok(names)
}

impl Assembled {
    /// Copies each partition into a file without a name on the disk of the folder: clones, where the disk can, and holes stay
    /// holes. The record has their names and digests then.
    ///
    /// # Errors
    /// [`Error`]; nothing is left behind.
    pub fn split(&mut self, split: &Split) -> Result<SplitFiles, Error> {
        let names = names(&split.pattern, &self.record)?;
        let sums = split.folder.join(SUMS);
        let scratch = Scratch::beside(&sums);
        let mut files = Vec::with_capacity(names.len());
        let mut list = String::new();
        for (name, partition) in names.into_iter().zip(&mut self.record.partitions) {
            let range = partition.start..partition.start + partition.size;
            let size = Some(partition.size);
            let file = watched(&*self.progress, Phase::Copying, &name, size, |watch| {
                let how = Copying {
                    threads: self.jobs,
                    watch,
                };
                self.image.part(&scratch, range, how)
            })?;
            let sha256 = match &partition.sha256 {
                Some(known) => known.clone(),
                None => watched(&*self.progress, Phase::Hashing, &name, size, |watch| {
                    file.digest(watch).map(|digest| hexadecimal(&digest))
                })?,
            };
            list.push_str(&format!("{sha256}  {name}\n"));
            let file_name = name.clone();
            partition.split = Some(SplitRecord {
                file: file_name,
                sha256,
            });
            files.push((name, file));
        }
        let mut sums = Document::prepare(&sums)?;
        sums.write(list.as_bytes())?;
        Ok(SplitFiles {
            folder: split.folder.clone(),
            durability: self.durability,
            files,
            sums,
        })
    }
}

/// Whether a folder can take the files: it is there, and so is nothing that is no file under the name of the list.
///
/// # Errors
/// [`Error`] if it cannot.
pub fn check_folder(folder: &Path) -> Result<(), Error> {
    Document::prepare(&folder.join(SUMS))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_are_read_and_shown_as_they_were_written() {
        for text in [
            "a",
            "{name}",
            "{{{name}}}_{uuid}.raw",
            "x}}{{{number}{type}",
        ] {
            let pattern = SplitPattern::new(Some(text), None).unwrap();
            assert_eq!(pattern.to_string(), text);
        }
        let usual = |version| SplitPattern::new(None, version).unwrap().to_string();
        assert_eq!(usual(None), WITHOUT_VERSION);
        assert_eq!(usual(Some("7")), WITH_VERSION);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let wrong = |pattern, version| SplitPattern::new(Some(pattern), version).unwrap_err();
        for text in ["{", "}", "{name", "name}", "{{}", "a{"] {
            assert!(
                matches!(wrong(text, None), SplitError::Brace { .. }),
                "{text}"
            );
        }
        let unknown = wrong("{nam}", None).to_string();
        assert!(unknown.contains("did you mean {name}?"), "{unknown}");
        assert!(matches!(
            wrong("{version}", None),
            SplitError::Version { .. }
        ));
        assert!(matches!(
            wrong("{name}", Some("1")),
            SplitError::Unused { .. }
        ));
        for text in ["a/{name}", "a\\{name}", "{name}\n"] {
            assert!(
                matches!(wrong(text, None), SplitError::Text { .. }),
                "{text}"
            );
        }
        let slash = wrong("{version}", Some("1/2")).to_string();
        assert!(slash.contains("a slash"), "{slash}");
    }
}
