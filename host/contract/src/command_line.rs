//! The command line of a formatter that is a WASI command: words, and placeholders in them.

use std::fmt;

/// A command line with its placeholders. `{label}` stands for the label; `{{` and `}}` for the braces themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(Vec<Argument>);

/// A word of a command line, or words that stay or go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// One word; an empty one where its placeholder is empty.
    Word(Word),
    /// Words that are left out where a placeholder in one of them is empty.
    Group(Vec<Word>),
}

/// A word with its placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

/// What a word can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The path of the partition.
    Partition,
    /// The volume label; may be empty.
    Label,
    /// The file system's UUID.
    Uuid,
    /// The last four bytes of the UUID, as eight hexadecimal digits: the serial number of a FAT.
    Serial,
    /// From where other identifiers derive, as a UUID.
    Seed,
    /// The size of the partition in bytes.
    Size,
    /// The logical sector of the disk in bytes.
    SectorSize,
    /// The time in seconds since 1970.
    Time,
    /// Where the partition begins on its disk, in bytes.
    DiskOffset,
    /// An option of the partition; empty where it is not given.
    Option(String),
}

/// Why a command line cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// It has no words.
    #[error("a command line begins with the name of the command")]
    Empty,
    /// A brace that opens or closes nothing.
    #[error("'{word}' has a brace without its other half; write {{{{ or }}}} for a brace itself")]
    Brace {
        /// The word.
        word: String,
    },
    /// A placeholder that means nothing.
    #[error(
        "there is no placeholder {{{name}}}; there are {}, and {{option:NAME}}",
        Placeholder::NAMES.map(|(name, _)| format!("{{{name}}}")).join(", ")
    )]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A character that ends an argument.
    #[error("an argument cannot hold a NUL")]
    Nul,
}

impl Placeholder {
    const NAMES: [(&'static str, Self); 9] = [
        ("partition", Self::Partition),
        ("label", Self::Label),
        ("uuid", Self::Uuid),
        ("serial", Self::Serial),
        ("seed", Self::Seed),
        ("size", Self::Size),
        ("sector-size", Self::SectorSize),
        ("time", Self::Time),
        ("disk-offset", Self::DiskOffset),
    ];

    fn parse(name: &str) -> Result<Self, CommandLineError> {
        if let Some(option) = name.strip_prefix("option:").filter(|name| !name.is_empty()) {
            return Ok(Self::Option(option.to_owned()));
        }
        Self::NAMES
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, placeholder)| placeholder)
            .ok_or_else(|| CommandLineError::Unknown {
                name: name.to_owned(),
            })
    }
}

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// [`CommandLineError`] for what is between braces and no placeholder.
    pub fn parse(text: &str) -> Result<Self, CommandLineError> {
        if text.contains('\0') {
            return Err(CommandLineError::Nul);
        }
        let brace = || CommandLineError::Brace {
            word: text.to_owned(),
        };
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let from_brace = &rest[at..];
            if let Some(after) = from_brace
                .strip_prefix("{{")
                .or_else(|| from_brace.strip_prefix("}}"))
            {
                plain.push_str(&from_brace[..1]);
                rest = after;
                continue;
            }
            let inner = from_brace.strip_prefix('{').ok_or_else(brace)?;
            let (name, after) = inner.split_once('}').ok_or_else(brace)?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Placeholder(Placeholder::parse(name)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self {
            text: text.to_owned(),
            pieces,
        })
    }

    /// The word as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Placeholder(placeholder) => Some(placeholder),
        })
    }

    fn fill(&self, value: &impl Fn(&Placeholder) -> String) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Placeholder(placeholder) => value(placeholder),
            })
            .collect()
    }
}

impl Argument {
    fn words(&self) -> &[Word] {
        match self {
            Self::Word(word) => std::slice::from_ref(word),
            Self::Group(words) => words,
        }
    }
}

impl CommandLine {
    /// A command line of these arguments.
    ///
    /// # Errors
    /// [`CommandLineError::Empty`] unless the first is a word of its own, and not empty.
    pub fn new(arguments: Vec<Argument>) -> Result<Self, CommandLineError> {
        match arguments.first() {
            Some(Argument::Word(word)) if !word.text.is_empty() => Ok(Self(arguments)),
            _ => Err(CommandLineError::Empty),
        }
    }

    /// A command line of words without placeholders.
    #[must_use]
    pub fn of_words(words: &[&str]) -> Self {
        let word = |text: &&str| Word {
            text: (*text).to_owned(),
            pieces: vec![Piece::Text((*text).to_owned())],
        };
        Self(words.iter().map(word).map(Argument::Word).collect())
    }

    /// Reads words with spaces between them; those in brackets, as in `[-n {label}]`, are a group.
    ///
    /// # Errors
    /// [`CommandLineError`] as for its words.
    pub fn parse(text: &str) -> Result<Self, CommandLineError> {
        let mut arguments = Vec::new();
        let mut group: Option<Vec<Word>> = None;
        for written in text.split_whitespace() {
            let opens = group.is_none() && written.starts_with('[');
            if opens {
                group = Some(Vec::new());
            }
            let Some(words) = &mut group else {
                arguments.push(Argument::Word(Word::parse(written)?));
                continue;
            };
            let inner = written
                .strip_prefix('[')
                .filter(|_| opens)
                .unwrap_or(written);
            let closed = inner.strip_suffix(']');
            let word = closed.unwrap_or(inner);
            if !word.is_empty() {
                words.push(Word::parse(word)?);
            }
            if closed.is_some() {
                arguments.extend(group.take().map(Argument::Group));
            }
        }
        arguments.extend(group.map(Argument::Group));
        Self::new(arguments)
    }

    /// What it was made of.
    #[must_use]
    pub fn arguments(&self) -> &[Argument] {
        &self.0
    }

    /// Every placeholder in it.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0
            .iter()
            .flat_map(Argument::words)
            .flat_map(Word::placeholders)
    }

    /// The arguments with `value` for each placeholder. A group in which a placeholder is empty is left out.
    pub fn fill(&self, value: impl Fn(&Placeholder) -> String) -> Vec<String> {
        let stays = |argument: &&Argument| match argument {
            Argument::Word(_) => true,
            Argument::Group(words) => words
                .iter()
                .flat_map(Word::placeholders)
                .all(|placeholder| !value(placeholder).is_empty()),
        };
        self.0
            .iter()
            .filter(stays)
            .flat_map(Argument::words)
            .map(|word| word.fill(&value))
            .collect()
    }
}

/// As [`CommandLine::parse`] reads it, where no word holds a space.
impl fmt::Display for CommandLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written: Vec<String> = self
            .0
            .iter()
            .map(|argument| match argument {
                Argument::Word(word) => word.text.clone(),
                Argument::Group(words) => {
                    let words: Vec<&str> = words.iter().map(Word::text).collect();
                    format!("[{}]", words.join(" "))
                }
            })
            .collect();
        formatter.write_str(&written.join(" "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn filled(text: &str, label: &str) -> Vec<String> {
        CommandLine::parse(text)
            .unwrap()
            .fill(|placeholder| match placeholder {
                Placeholder::Label => label.to_owned(),
                Placeholder::Option(name) if name == "spc" => "4".to_owned(),
                Placeholder::Partition => "/partition.img".to_owned(),
                _ => String::new(),
            })
    }

    #[test]
    fn placeholders_are_filled_in() {
        assert_eq!(
            filled("mkfs.fat -s{option:spc} [-n {label}] {partition}", "EFI"),
            ["mkfs.fat", "-s4", "-n", "EFI", "/partition.img"]
        );
        assert_eq!(filled("a {{{label}}} {{}}", "x"), ["a", "{x}", "{}"]);
    }

    #[test]
    fn a_group_with_an_empty_placeholder_goes_and_a_word_stays() {
        assert_eq!(
            filled("a [-n {label}] [-x] -n {label}", ""),
            ["a", "-x", "-n", ""]
        );
        assert_eq!(filled("a [-o {option:none} b] c", "x"), ["a", "c"]);
        assert_eq!(filled("a [ -n {label} ] c]", "x"), ["a", "-n", "x", "c]"]);
    }

    #[test]
    fn what_is_no_placeholder_is_refused() {
        for (text, message) in [
            ("", "a command line begins with the name of the command"),
            ("[a]", "a command line begins with the name of the command"),
            (
                "a {lable}",
                "there is no placeholder {lable}; there are {partition}, {label}, ",
            ),
            ("a {option:}", "there is no placeholder {option:}; "),
            (
                "a {",
                "'{' has a brace without its other half; write {{ or }} for a brace itself",
            ),
            ("a b}", "'b}' has a brace"),
        ] {
            let error = CommandLine::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        assert_eq!(Word::parse("a\0").unwrap_err(), CommandLineError::Nul);
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let text = "mke2fs [-L {label}] -b {{4096}} {partition}";
        assert_eq!(CommandLine::parse(text).unwrap().to_string(), text);
    }
}
