//! What is asked, and what came of it, as bytes.
//!
//! Both begin with a line that names their form, and go on in postcard's.

use cellblock_cell::{CodecPlace, CodecWall, Guest, GuestPlace, Wall, Walls};
use cellblock_contract::{Argument, CommandLine, Limits, Request, Word};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::ActionFault;
use crate::notes::Notes;

/// What the file of an action begins with: another number where it changes its form.
const ACTION_FORM: &[u8] = b"cellblock action 1\n";
/// What the file of what came of it begins with.
const MADE_FORM: &[u8] = b"cellblock made 1\n";

/// The size that a request has which asks for the smallest one.
pub(super) const MEASURE: u64 = 0;
/// The most bytes of an action's file.
pub(super) const MOST_ACTION: u64 = 4 << 20;
/// The most bytes of what came of it: a list of chunks, and what was said.
pub(super) const MOST_MADE: usize = 72 << 20;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Action {
    /// The key of the fill.
    pub(super) key: [u8; 32],
    /// What is asked of the formatter.
    pub(super) request: Request,
    pub(super) guest: NamedGuest,
    /// What the cell may use.
    pub(super) limits: Limits,
    pub(super) walls: WantedWalls,
    /// The SHA-256 digest of the file with the tree.
    pub(super) tree: [u8; 32],
}

/// A formatter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum NamedGuest {
    /// One that the program carries, by its name.
    BuiltIn(String),
    /// A component of the contract, with the name that it has in messages.
    Component(String),
    /// A WASI command, with its name and its arguments.
    Command(String, Vec<Words>),
}

/// An argument of a command line as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Words {
    One(String),
    Group(Vec<String>),
}

/// What is to stand around the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum WantedWalls {
    Wasm,
    Process,
    Strongest,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    /// The key of the fill.
    pub(super) key: [u8; 32],
    /// The bytes of the partition, or of the smallest one if that was asked for.
    pub(super) size: u64,
    /// Its chunks, as a cache lists them.
    pub(super) list: Vec<u8>,
    pub(super) notes: Notes,
    pub(super) walls: StoodWalls,
}

/// What stood around the cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoodWalls {
    place: GuestPlace,
    missing: Option<String>,
    layers: Vec<String>,
    /// Where codecs ran, if any ran, and what kept them from processes.
    codecs: Option<(CodecPlace, Option<String>)>,
}

impl Action {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(ACTION_FORM, self)
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, ActionFault> {
        of_bytes(ACTION_FORM, bytes, "what is asked")
    }
}

impl Made {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(MADE_FORM, self)
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, ActionFault> {
        of_bytes(MADE_FORM, bytes, "what was made")
    }
}

fn to_bytes(form: &[u8], document: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(document, form.to_vec()).expect("there is no bound to a vector")
}

fn of_bytes<D: DeserializeOwned>(
    form: &[u8],
    bytes: &[u8],
    what: &'static str,
) -> Result<D, ActionFault> {
    let rest = bytes.strip_prefix(form).ok_or(ActionFault::Form)?;
    let damaged = |_| ActionFault::Damaged {
        at: bytes.len(),
        what,
    };
    let (document, rest) = postcard::take_from_bytes(rest).map_err(damaged)?;
    match rest.len() {
        0 => Ok(document),
        bytes => Err(ActionFault::Longer { bytes }),
    }
}

impl NamedGuest {
    /// How an action names a formatter, which the program carries or not.
    pub(super) fn of(guest: &Guest, is_built_in: bool) -> Self {
        let name = guest.name().to_owned();
        let words = |words: &[Word]| words.iter().map(|word| word.text().to_owned()).collect();
        match guest.command_line() {
            None if is_built_in => Self::BuiltIn(name),
            None => Self::Component(name),
            Some(line) => {
                let arguments = line.arguments().iter().map(|argument| match argument {
                    Argument::Word(word) => Words::One(word.text().to_owned()),
                    Argument::Group(group) => Words::Group(words(group)),
                });
                Self::Command(name, arguments.collect())
            }
        }
    }
}

/// The command line of these arguments.
pub(super) fn command_line(arguments: &[Words]) -> Result<CommandLine, ActionFault> {
    let word = |text: &String| Word::parse(text);
    let arguments = arguments.iter().map(|argument| match argument {
        Words::One(text) => Ok(Argument::Word(word(text)?)),
        Words::Group(texts) => {
            let words = texts.iter().map(word).collect::<Result<_, _>>()?;
            Ok(Argument::Group(words))
        }
    });
    let line = arguments.collect::<Result<_, _>>();
    line.and_then(CommandLine::new)
        .map_err(|error| ActionFault::Command {
            why: error.to_string(),
        })
}

impl WantedWalls {
    pub(super) fn of(walls: Walls) -> Self {
        match walls {
            Walls::Wasm => Self::Wasm,
            Walls::Process => Self::Process,
            Walls::Strongest => Self::Strongest,
        }
    }

    pub(super) fn walls(self) -> Walls {
        match self {
            Self::Wasm => Walls::Wasm,
            Self::Process => Walls::Process,
            Self::Strongest => Walls::Strongest,
        }
    }
}

impl StoodWalls {
    pub(super) fn of(wall: &Wall, codecs: Option<CodecWall>) -> Self {
        Self {
            place: wall.wall,
            missing: wall.missing.clone(),
            layers: wall.layers.clone(),
            codecs: codecs.map(|codecs| (codecs.codecs, codecs.missing)),
        }
    }

    /// The same in the words of the record.
    pub(super) fn told(self) -> (Wall, Option<CodecWall>) {
        let wall = Wall {
            wall: self.place,
            missing: self.missing,
            layers: self.layers,
        };
        let codecs = self
            .codecs
            .map(|(codecs, missing)| CodecWall { codecs, missing });
        (wall, codecs)
    }
}
