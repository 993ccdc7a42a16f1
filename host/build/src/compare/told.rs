//! What a difference tells, to people and to programs.

use std::fmt;

use serde::ser::{SerializeMap as _, Serializer};

use cellblock_text::{PathBytes, members, printable};

/// Words, and behind them a name of any bytes. People see what no terminal acts on, the name escaped; programs get both as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    words: String,
    name: Vec<u8>,
}

impl Told {
    /// A name behind words.
    pub fn named(words: impl Into<String>, name: impl Into<Vec<u8>>) -> Self {
        Self {
            words: words.into(),
            name: name.into(),
        }
    }

    /// The same behind more words.
    pub(crate) fn behind(self, words: &str) -> Self {
        Self {
            words: format!("{words}{}", self.words),
            ..self
        }
    }

    /// Whether nothing is told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.name.is_empty()
    }

    /// As the member `key` of an object, or two.
    fn serialize<S: Serializer>(&self, key: &str, serializer: S) -> Result<S::Ok, S::Error> {
        let all = [self.words.as_bytes(), &self.name].concat();
        let mut object = serializer.serialize_map(None)?;
        for (key, text) in members(key, &all) {
            object.serialize_entry(&key, &text)?;
        }
        object.end()
    }

    pub(super) fn path<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize("path", serializer)
    }

    pub(super) fn was<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize("was", serializer)
    }

    pub(super) fn is<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize("is", serializer)
    }
}

impl<T: Into<String>> From<T> for Told {
    fn from(words: T) -> Self {
        Self::named(words, [])
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.words))?;
        PathBytes::from(&*self.name).fmt(f)
    }
}
