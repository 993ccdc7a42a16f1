//! What a guest says while it works.

use serde::{Deserialize, Serialize};

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For the formatter's author.
    Debug,
    /// For a curious user.
    Info,
    /// For every user.
    Warning,
}

/// A line that a guest logged. Characters that act on a terminal are escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The text, at most [`LogLine::LIMIT`] characters of it.
    pub text: String,
}

impl LogLine {
    /// The longest text in characters, before escaping.
    pub const LIMIT: usize = 1000;
    /// The most lines that are kept of a cell.
    pub const LINES: usize = 1000;
}
