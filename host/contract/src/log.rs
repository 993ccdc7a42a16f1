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

/// What a guest logged: its first lines, and how many more there were.
///
/// ```
/// use cellblock_contract::{Level, Log, LogLine};
///
/// let mut log = Log::default();
/// for _ in 0..LogLine::LINES + 2 {
///     log.push(Level::Info, "a block".to_owned());
/// }
/// assert_eq!(log.lines().len(), LogLine::LINES);
/// assert_eq!(log.dropped(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    lines: Vec<LogLine>,
    dropped: u64,
}

impl Log {
    /// A log of these lines, beside which so many others were dropped.
    #[must_use]
    pub fn of(lines: impl IntoIterator<Item = LogLine>, dropped: u64) -> Self {
        let mut log = Self {
            lines: Vec::new(),
            dropped,
        };
        for LogLine { level, text } in lines {
            log.push(level, text);
        }
        log
    }

    /// Adds a line, or counts it if there is no room for more. The text must be fit to be shown.
    pub fn push(&mut self, level: Level, text: String) {
        if self.lines.len() < LogLine::LINES {
            self.lines.push(LogLine { level, text });
        } else {
            self.drop_lines(1);
        }
    }

    /// Counts lines that were not kept.
    pub fn drop_lines(&mut self, count: u64) {
        self.dropped = self.dropped.saturating_add(count);
    }

    /// The lines that were kept: the first [`LogLine::LINES`].
    #[must_use]
    pub fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    /// How many lines were not kept.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What is to be said of the lines that were not kept; `who` logged them.
    #[must_use]
    pub fn cut(&self, who: &str) -> Option<String> {
        let lines = if self.dropped == 1 { "line" } else { "lines" };
        (self.dropped > 0).then(|| {
            format!(
                "{who} logged {} {lines} more than the {} that are kept of a log",
                self.dropped,
                LogLine::LINES
            )
        })
    }
}
