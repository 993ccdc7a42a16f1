//! What is said of a file system while it is made, and by whom.

use cellblock_contract::LogLine;

/// A line for the user. Whoever shows it says whose words it is, so that a formatter's are not taken for the program's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A warning of the program itself: of content, or of the time that is taken from it.
    Warning(String),
    /// A line that the formatter logged.
    Formatter(LogLine),
}
