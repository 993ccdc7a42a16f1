//! Why partitions cannot be files of their own.

use thiserror::Error;

use cellblock_text::printable;

/// What a pattern may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    Name,
    Number,
    Type,
    Uuid,
    Version,
}

impl Placeholder {
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("name", Self::Name),
        ("number", Self::Number),
        ("type", Self::Type),
        ("uuid", Self::Uuid),
        ("version", Self::Version),
    ];
}

/// Why partitions cannot be files of their own.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SplitError {
    /// A brace without its other half.
    #[error("'{pattern}' has a brace without its other half")]
    Brace {
        /// The pattern.
        pattern: String,
    },
    /// A placeholder that means nothing.
    #[error(
        "'{pattern}': there is no {{{name}}}{}; there are {}", meant(.nearest),
        Placeholder::ALL.map(|(name, _)| format!("{{{name}}}")).join(", ")
    )]
    Placeholder {
        /// The pattern.
        pattern: String,
        /// The placeholder.
        name: String,
        /// The one that is spelled most like it.
        nearest: Option<&'static str>,
    },
    /// A version that nobody gave.
    #[error("'{pattern}' has {{version}}, and no version is given: say --split-version VERSION")]
    Version {
        /// The pattern.
        pattern: String,
    },
    /// A version that the pattern has no place for.
    #[error(
        "'{pattern}' has no {{version}}, and version '{version}' is given: leave one of them out"
    )]
    Unused {
        /// The pattern.
        pattern: String,
        /// The version.
        version: String,
    },
    /// A text that no name can have in it.
    #[error(
        "{}: {what} '{}' cannot be part of a file's name: it has {}",
        printable(.partition), printable(.text), .why
    )]
    Text {
        /// What it is for: a partition, or the pattern.
        partition: String,
        /// What it is.
        what: &'static str,
        /// The text.
        text: String,
        /// What it has.
        why: &'static str,
    },
    /// A name that no file can have.
    #[error("partition '{}': '{}' cannot be the name of its file: {why}", printable(.partition), printable(.name))]
    Name {
        /// The partition.
        partition: String,
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// Two partitions with one name.
    #[error(
        "the partitions '{}' and '{}' would both be {}: the pattern needs what tells them apart, such as {{number}} or {{uuid}}",
        printable(.one), printable(.other), printable(.name)
    )]
    Same {
        /// The first.
        one: String,
        /// The second.
        other: String,
        /// The name.
        name: String,
    },
}

fn meant(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean {{{name}}}?)"))
}
