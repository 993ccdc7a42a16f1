//! What a formatter's refusal means to the user: with paths instead of ids, and what to change.

#[cfg(test)]
mod tests;
mod times;

use std::fmt;

use super::legible::legible;
use cellblock_contract::{
    FormatError, LabelProblem, Loss, NodeProblem, OptionDescription, PlaceError, ReadError,
    Request, SettingProblem, Shortage,
};
use cellblock_text::{PathBytes, exact, grouped};
use cellblock_tree::{Kind, NodeId, Tree};

use times::{Stamp, Times};

/// What a node is called, and what stands for leaving all such nodes out.
#[derive(Clone, Copy, Debug)]
struct What {
    noun: &'static str,
    loss: Option<Loss>,
}

impl What {
    fn of(kind: &Kind) -> Self {
        Self {
            noun: kind.noun(),
            loss: match kind {
                Kind::Symlink(_) => Some(Loss::Symlinks),
                Kind::CharacterDevice { .. }
                | Kind::BlockDevice { .. }
                | Kind::Fifo
                | Kind::Socket => Some(Loss::SpecialFiles),
                // Each of the others has a problem of its own, or is what every format stores.
                Kind::Directory | Kind::File { .. } | Kind::HardLink(_) => None,
            },
        }
    }
}

/// A formatter's reason why there can be no file system.
#[derive(Clone, Debug)]
pub struct Refusal {
    error: FormatError,
    kind: String,
    label: String,
    setting: Option<String>,
    /// The node that cannot be stored: its path, and what it is.
    node: Option<(String, What)>,
    /// The node that it collides with.
    other: Option<String>,
    /// Its time is later than what the format counts, as far as that is known.
    is_late: Option<bool>,
    /// The times that an inode counts, where it is known.
    times: Option<Times>,
    /// The time that the file system is stamped with, if it is that one that cannot be.
    stamp: Option<Stamp>,
    /// The formatter's options where a setting is wrong.
    options: Vec<OptionDescription>,
    /// The formatter, if somebody brought it: its words are told from the program's own.
    speaker: Option<String>,
    /// What was wrong with what it asked for, if that is why the host refused it.
    denied: Option<String>,
    /// The smallest size in bytes that the formatter has measured.
    smallest: Option<u64>,
}

impl Refusal {
    /// What the formatter says, as data.
    #[must_use]
    pub fn error(&self) -> &FormatError {
        &self.error
    }

    /// What the host refuses by what the formatter describes, before it runs: a label, or one of its `options`.
    pub(super) fn of_description(
        error: FormatError,
        kind: &str,
        label: &str,
        options: &[OptionDescription],
    ) -> Self {
        Self {
            error,
            kind: kind.to_owned(),
            label: label.to_owned(),
            options: options.to_vec(),
            setting: None,
            node: None,
            other: None,
            is_late: None,
            times: None,
            stamp: None,
            speaker: None,
            denied: None,
            smallest: None,
        }
    }

    /// The same as the words of a formatter that somebody brought, if it is one.
    pub(super) fn said_by(mut self, speaker: Option<String>) -> Self {
        self.speaker = speaker;
        self
    }

    /// The same of a formatter that asked for what the host refused, since that was wrong with it.
    pub(super) fn denied(mut self, what: Option<String>) -> Self {
        self.denied = what;
        self
    }

    /// The same of a formatter that has measured the smallest size in bytes.
    pub(super) fn of_size(mut self, smallest: Option<u64>) -> Self {
        self.smallest = smallest;
        self
    }

    /// `options` are those that the formatter describes.
    pub(super) fn new(
        error: FormatError,
        request: &Request,
        tree: &Tree,
        options: &[OptionDescription],
    ) -> Self {
        let known = |id: u32| (id < tree.len()).then_some(NodeId(id));
        let path = |id: NodeId| PathBytes(tree.path(id)).to_string();
        let node_error = match &error {
            FormatError::Node(node) => Some(node),
            _ => None,
        };
        let other = match node_error.map(|node| &node.problem) {
            Some(NodeProblem::NameCollision(other)) => known(*other).map(path),
            _ => None,
        };
        let setting = match &error {
            FormatError::Setting(error) => request
                .settings
                .iter()
                .find(|setting| setting.name == error.name)
                .map(|setting| legible(&setting.value)),
            _ => None,
        };
        let node = node_error.and_then(|node| known(node.node));
        let times = Times::of_files(request);
        let options = match &error {
            FormatError::Setting(_) => options.to_vec(),
            _ => Vec::new(),
        };
        Self {
            options,
            is_late: node
                .zip(times.as_ref())
                .map(|(id, times)| !times.begin_after(tree.node(id).modified.seconds)),
            stamp: match node_error {
                Some(error) if error.problem == NodeProblem::Time => {
                    node.and_then(|id| Stamp::of(request, tree, id))
                }
                _ => None,
            },
            times,
            node: node.map(|id| (path(id), What::of(tree.node(id).kind))),
            other,
            setting,
            kind: request.kind.clone(),
            label: request.label.clone(),
            error,
            speaker: None,
            denied: None,
            smallest: None,
        }
    }

    /// Whether the time cannot be that the file system is to be stamped with.
    #[must_use]
    pub fn is_of_the_stamp(&self) -> bool {
        self.stamp.is_some()
    }

    /// The bytes that are needed and that are there, if the partition is too small.
    #[must_use]
    pub fn shortage(&self) -> Option<(u64, u64)> {
        match &self.error {
            FormatError::TooSmall(shortage) if self.contradiction(*shortage).is_none() => {
                Some((shortage.needed, shortage.available))
            }
            _ => None,
        }
    }

    /// What a formatter contradicts that finds a partition too small: then no other size is the remedy.
    fn contradiction(&self, shortage: Shortage) -> Option<String> {
        let Shortage { needed, available } = shortage;
        let is_enough = |smallest: &u64| *smallest <= available;
        match self.smallest.filter(is_enough) {
            Some(smallest) => Some(format!(
                "although the formatter measured {} itself",
                exact(smallest)
            )),
            None => (needed <= available).then(|| "which is enough".to_owned()),
        }
    }

    /// What the formatter is called where it is spoken of: in its own words, "it".
    fn subject(&self) -> &'static str {
        match self.speaker {
            Some(_) => "it",
            None => "the formatter",
        }
    }

    /// What was wrong with what it asked for, behind the code that it got.
    fn details(&self) -> String {
        let details = self.denied.as_ref().map(|what| format!(": {what}"));
        details.unwrap_or_default()
    }

    /// The formatter's option of this name.
    fn option(&self, name: &str) -> Option<&OptionDescription> {
        self.options.iter().find(|option| option.name == name)
    }

    fn node_problem(&self, f: &mut fmt::Formatter<'_>, problem: &NodeProblem) -> fmt::Result {
        let kind = &self.kind;
        if let Some(stamp) = &self.stamp {
            return stamp.explain(f, kind);
        }
        let unknown = What {
            noun: "a node",
            loss: None,
        };
        let (path, what) = self.node.as_ref().map_or(
            ("(a node that is not in the tree)", unknown),
            |(path, what)| (path.as_str(), *what),
        );
        write!(f, "{path}: ")?;
        match problem {
            NodeProblem::Kind => {
                write!(f, "{} cannot be stored in {kind}", what.noun)?;
                let Some(loss) = what.loss else {
                    return Ok(());
                };
                write!(
                    f,
                    "; exclude it, or leave all of them out with {}",
                    dropping(loss)
                )
            }
            NodeProblem::HardLink => write!(
                f,
                "a hard link cannot be stored in {kind}; store a copy of each with {}",
                dropping(Loss::HardLinks)
            ),
            NodeProblem::Owner => write!(
                f,
                "{kind} cannot tell its owner from those of the files before it; \
                 set one owner for all with owner = \"0:0\", or leave them out with {}",
                dropping(Loss::Owners)
            ),
            NodeProblem::Permissions => write!(
                f,
                "{kind} cannot store its set-user-ID, set-group-ID or sticky bit; \
                 leave permissions out with {}",
                dropping(Loss::Permissions)
            ),
            NodeProblem::Attributes => write!(
                f,
                "{kind} cannot store its extended attributes; leave them out with {}",
                dropping(Loss::Attributes)
            ),
            NodeProblem::NameCharacter(character) => write!(
                f,
                "{kind} cannot store the character '{}' in a name; rename or exclude it",
                character.escape_debug()
            ),
            NodeProblem::NameEncoding => write!(
                f,
                "its name is not UTF-8, and {kind} has Unicode names only; rename or exclude it"
            ),
            NodeProblem::NameTooLong(limit) => write!(
                f,
                "its name is longer than the {limit} units that {kind} has room for; rename or exclude it"
            ),
            NodeProblem::NameReserved => {
                write!(f, "{kind} keeps this name for itself; rename or exclude it")
            }
            NodeProblem::NameCollision(_) => write!(
                f,
                "to {kind}, its name is the same as that of {}; rename or exclude one of them",
                self.other.as_deref().unwrap_or("another")
            ),
            NodeProblem::FileTooLarge(limit) => {
                write!(
                    f,
                    "it is larger than the {} that a file of {kind} can have",
                    exact(*limit)
                )
            }
            NodeProblem::TargetTooLong(limit) => {
                write!(
                    f,
                    "its target is longer than the {limit} bytes that {kind} has room for"
                )
            }
            NodeProblem::TooManyLinks(limit) => {
                write!(
                    f,
                    "it has more names than the {limit} that {kind} can count"
                )
            }
            NodeProblem::DirectoryTooLarge(limit) => {
                write!(
                    f,
                    "it has more entries than the {limit} that {kind} has room for"
                )
            }
            NodeProblem::AttributesTooLarge(limit) => write!(
                f,
                "its extended attributes take more than the {limit} bytes that {kind} has room for"
            ),
            NodeProblem::Time => self.time_problem(f),
            NodeProblem::Device => write!(f, "its device number is outside what {kind} can count"),
        }
    }

    fn time_problem(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = &self.kind;
        write!(f, "its modification time is outside what {kind} can count")?;
        if let Some(times) = &self.times {
            write!(f, ", {}", times.words)?;
        }
        f.write_str("; ")?;
        if self.is_late != Some(false) {
            f.write_str(
                "give time, --time or SOURCE_DATE_EPOCH, which newer files are dated back to, ",
            )?;
            f.write_str(if self.is_late.is_some() {
                "or "
            } else {
                "if it is too new, or "
            })?;
        }
        f.write_str("date it anew, with touch or the metadata of its source")
    }

    fn setting_problem(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        problem: &SettingProblem,
    ) -> fmt::Result {
        let value = self.setting.as_deref().unwrap_or_default();
        let option = self.option(name);
        match problem {
            SettingProblem::Unknown if self.options.is_empty() => {
                write!(f, "{} has no option '{name}', and no others", self.kind)
            }
            SettingProblem::Unknown => {
                let known: Vec<&str> = self.options.iter().map(|it| &*it.name).collect();
                write!(
                    f,
                    "{} has no option '{name}'; it has {}",
                    self.kind,
                    known.join(", ")
                )
            }
            SettingProblem::Malformed => {
                write!(f, "the option {name} cannot be '{value}'")?;
                match option {
                    // What is no list of values is explained in words.
                    Some(OptionDescription {
                        value,
                        documentation,
                        ..
                    }) if !value.contains('|') => write!(f, ": write {value}; {documentation}"),
                    Some(option) => write!(f, ": write {}", option.value),
                    None => Ok(()),
                }
            }
            SettingProblem::OutOfRange(least, most) => write!(
                f,
                "the option {name} cannot be '{value}': it must be from {least} to {most}"
            ),
            SettingProblem::Conflict(other) if self.option(other).is_some() => write!(
                f,
                "the option {name} = '{value}' does not go with the option {other}"
            ),
            SettingProblem::Conflict(reason) => {
                write!(f, "the option {name} cannot be '{value}': {reason}")
            }
        }
    }
}

/// What a spec and a command line say to have something left out.
fn dropping(loss: Loss) -> String {
    let loss = loss.name();
    format!("drop = [\"{loss}\"], or --drop {loss}")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, subject) = (&self.kind, self.subject());
        if let Some(speaker) = &self.speaker {
            write!(f, "the formatter '{speaker}' says: ")?;
        }
        match &self.error {
            FormatError::TooSmall(shortage) => {
                write!(
                    f,
                    "too small: {kind} with this content needs {}, but the partition has {}",
                    exact(shortage.needed),
                    grouped(shortage.available)
                )?;
                match self.contradiction(*shortage) {
                    Some(what) => write!(f, ", {what}: that is a fault of the formatter"),
                    None => write!(
                        f,
                        " ({} short); make it larger, or give it the size \"minimum\"",
                        grouped(shortage.needed.saturating_sub(shortage.available))
                    ),
                }
            }
            FormatError::TooLarge(limit) => {
                write!(
                    f,
                    "too large: the most that {kind} can have is {limit} bytes"
                )
            }
            FormatError::Kind => write!(f, "{subject} does not make {kind}"),
            FormatError::Label(LabelProblem::TooLong(limit)) => write!(
                f,
                "the label '{}' has {}, and {kind} has room for {limit}",
                self.label,
                exact(self.label.len() as u64)
            ),
            FormatError::Label(LabelProblem::Character(character)) => write!(
                f,
                "the label '{}' has the character '{}', which {kind} does not take",
                self.label,
                character.escape_debug()
            ),
            FormatError::Setting(error) => self.setting_problem(f, &error.name, &error.problem),
            FormatError::Node(error) => self.node_problem(f, &error.problem),
            FormatError::TooManyNodes(limit) => write!(
                f,
                "too many files: {kind} as asked for has room for {limit} nodes"
            ),
            FormatError::Tree(ReadError::NotAFile) => write!(
                f,
                "{subject} asked for the content of something that is no file"
            ),
            FormatError::Tree(ReadError::OutOfRange) => {
                write!(f, "{subject} asked for content outside a file")
            }
            // Of what failed here, the reason is known, and told in its place.
            FormatError::Tree(ReadError::Source) => match &self.denied {
                Some(what) => write!(f, "{subject} asked for an encoding that cannot be: {what}"),
                None => {
                    f.write_str("content could not be read, although all that was asked for was")
                }
            },
            FormatError::Placement(error) => write!(
                f,
                "{subject} asked for a placement that cannot be: {}{}",
                match error {
                    PlaceError::NotAFile(_) => "it is of no file",
                    PlaceError::OutsideFile(_) => "it reaches past the end of its file",
                    PlaceError::OutsidePartition(_) => "it reaches past the end of the partition",
                    PlaceError::Overlap(_) => "it covers other content",
                    PlaceError::Failed => "the content could not be copied",
                },
                self.details()
            ),
            FormatError::Partition(code) => write!(
                f,
                "{subject} could not use its partition: {code}{}",
                self.details()
            ),
        }
    }
}

impl std::error::Error for Refusal {}
