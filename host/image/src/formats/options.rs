//! What is said of a format: keys and values, in the words of qemu-img where it has one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cellblock_text::nearest;

use super::Kind;

/// What cannot be a format, or an option of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// There is no such format.
    #[error("there is no output format '{name}'{}; there are {}", meant(.nearest), super::names().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The one that is spelled most like it.
        nearest: Option<&'static str>,
    },
    /// A name that says that the file is something that is not written.
    #[error(
        "the name says {is}, which is not written: name it .img or .raw, or say with --output-format what it is: {}",
        super::names().join(", ")
    )]
    NotWritten {
        /// What the name says.
        is: &'static str,
    },
    /// The format has no such option.
    #[error("{format} has no option '{key}'{}; {}", meant(.nearest), listed(.known))]
    Option {
        /// The format.
        format: &'static str,
        /// The key.
        key: String,
        /// The one that is spelled most like it.
        nearest: Option<&'static str>,
        /// Those that it has.
        known: Vec<&'static str>,
    },
    /// The option cannot have this value.
    #[error("{format}: {key}={value} cannot be: {expected}")]
    Value {
        /// The format.
        format: &'static str,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What it can be.
        expected: String,
    },
    /// An option without another that it belongs to.
    #[error("{format}: {key} means nothing without {needs}")]
    Needs {
        /// The format.
        format: &'static str,
        /// The key.
        key: &'static str,
        /// What it belongs to.
        needs: &'static str,
    },
    /// An option twice.
    #[error("{key} is said twice")]
    Twice {
        /// The key.
        key: String,
    },
}

fn meant(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean {name}?)"))
}

fn listed(known: &[&str]) -> String {
    match known {
        [] => "it has none".to_owned(),
        known => format!("it has {}", known.join(", ")),
    }
}

/// What was said of one output.
#[derive(Debug)]
pub(super) struct Options<'a> {
    format: &'static str,
    typed: &'a [(String, String)],
    /// The folder of the output, from which names in it are.
    folder: &'a Path,
}

impl<'a> Options<'a> {
    /// The options of a format, which has all of them.
    pub(super) fn of(
        kind: &Kind,
        typed: &'a [(String, String)],
        folder: &'a Path,
    ) -> Result<Self, FormatError> {
        let known: Vec<&'static str> = kind.options.iter().map(|(key, _)| *key).collect();
        for (index, (key, _)) in typed.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                return Err(FormatError::Option {
                    format: kind.name,
                    key: key.clone(),
                    nearest: nearest(key, known.iter().copied()),
                    known,
                });
            }
            if typed[..index].iter().any(|(other, _)| other == key) {
                return Err(FormatError::Twice { key: key.clone() });
            }
        }
        Ok(Self {
            format: kind.name,
            typed,
            folder,
        })
    }

    /// Where a file is that the output names: by its own name, or from the output's folder on.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        let found = self.typed.iter().find(|(typed, _)| typed == key);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn wrong(
        &self,
        key: &'static str,
        value: &str,
        expected: impl Into<String>,
    ) -> FormatError {
        FormatError::Value {
            format: self.format,
            key,
            value: value.to_owned(),
            expected: expected.into(),
        }
    }

    pub(super) fn needs(&self, key: &'static str, needs: &'static str) -> FormatError {
        FormatError::Needs {
            format: self.format,
            key,
            needs,
        }
    }

    /// One of several words; the first if nothing is said.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Result<T, FormatError> {
        let (_, usual) = choices[0];
        let Some(typed) = self.text(key) else {
            return Ok(usual);
        };
        let found = choices.iter().find(|(word, _)| *word == typed);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let mut words = String::new();
            for (index, (word, _)) in choices.iter().enumerate() {
                let between = if index == 0 { "it is " } else { " or " };
                // A string takes everything.
                let _ = write!(words, "{between}{word}");
            }
            self.wrong(key, typed, words)
        })
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &self,
        key: &'static str,
        usual: u32,
        bounds: std::ops::RangeInclusive<u32>,
    ) -> Result<u32, FormatError> {
        let Some(typed) = self.text(key) else {
            return Ok(usual);
        };
        let number = typed.parse().ok().filter(|it| bounds.contains(it));
        number.ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            self.wrong(
                key,
                typed,
                format!("it is a whole number from {least} to {most}"),
            )
        })
    }

    /// A number of bytes, such as `64KiB` or, as qemu-img writes it, `64k`; a power of two within bounds.
    pub(super) fn power(
        &self,
        key: &'static str,
        usual: u32,
        bounds: std::ops::RangeInclusive<u32>,
    ) -> Result<u32, FormatError> {
        let Some(typed) = self.text(key) else {
            return Ok(usual);
        };
        let bytes = bytes(typed).filter(|it| it.is_power_of_two() && bounds.contains(it));
        bytes.ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            self.wrong(
                key,
                typed,
                format!(
                    "it is a power of two from {least} to {most} bytes, such as {usual}, which it is otherwise"
                ),
            )
        })
    }
}

fn bytes(text: &str) -> Option<u32> {
    let digits = text.trim_end_matches(|it: char| !it.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn bytes_are_written_as_here_or_as_for_qemu_img() {
        for (text, expected) in [
            ("512", Some(512)),
            ("64k", Some(64 << 10)),
            ("64K", Some(64 << 10)),
            ("64KiB", Some(64 << 10)),
            ("2M", Some(2 << 20)),
            ("k", None),
            ("64 k", None),
            ("64kB", None),
            ("8192M", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
