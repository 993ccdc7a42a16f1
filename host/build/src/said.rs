//! What is said of a file system while it is made, and by whom.

use cellblock_contract::{Log, LogLine};

/// A line for the user. Whoever shows it says whose words it is, so that a formatter's are not taken for the program's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A warning of the program itself: of content, or of the time that is taken from it.
    Warning(String),
    /// A line that the formatter logged.
    Formatter(LogLine),
}

/// What a formatter logged, and that there was more.
pub(crate) fn said_by_formatter(log: &Log) -> impl Iterator<Item = Said> {
    let cut = log.cut("its formatter").map(Said::Warning);
    let lines = log.lines().iter().cloned().map(Said::Formatter);
    lines.chain(cut)
}
