//! What can be wrong with an mtree file.

use cellblock_text::PathBytes;

/// What is wrong with a specification.
#[derive(Debug, thiserror::Error)]
pub enum MtreeError {
    /// A line, with what continues it, is longer than any honest one.
    #[error("is longer than {limit} bytes")]
    LongLine {
        /// The bytes that it may have.
        limit: usize,
    },
    /// The specification is longer than any honest one.
    #[error("goes beyond the {limit} bytes that a specification may have")]
    Large {
        /// The bytes that it may have.
        limit: u64,
    },
    /// Something that begins with a `/` and is no command.
    #[error("is the command '{text}'; there are /set and /unset, and paths begin with ./")]
    Command {
        /// What it says.
        text: String,
    },
    /// A name that cannot be.
    #[error("has the name '{name}', which {reason}")]
    Name {
        /// The name.
        name: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A value that its keyword cannot have.
    #[error("has {keyword}={value}, which {reason}")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// The value.
        value: PathBytes,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An entry for what is not there.
    #[error(
        "is for {path}, which the source does not have: remove the entry, give it the keyword `optional`, or exclude it from the source"
    )]
    Missing {
        /// The path.
        path: PathBytes,
    },
    /// An entry for something else than is there.
    #[error("says that {path} is of type {said}, and in the source it is {found}")]
    Type {
        /// The path.
        path: PathBytes,
        /// The type that it should have.
        said: String,
        /// What is there.
        found: &'static str,
    },
    /// More directories in directories than are entered.
    #[error("enters more than {limit} directories in one another")]
    Deep {
        /// How many may be.
        limit: usize,
    },
}
