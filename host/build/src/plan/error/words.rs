//! The words that several reasons have in common.

use std::fmt;
use std::ops::Range;

use cellblock_text::grouped;

/// A range of bytes, for people.
pub(super) struct Bytes<'a>(pub(super) &'a Range<u64>);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (grouped(self.0.start), grouped(self.0.end));
        write!(formatter, "bytes {start} to {end}")
    }
}

/// The multiples to choose from. Zero is none of them, but for a distance into a partition.
pub(super) struct Multiples(pub(super) u64, pub(super) u64, pub(super) bool);

impl fmt::Display for Multiples {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(0, above, false) => {
                write!(
                    formatter,
                    "{above}, or a number with a unit, such as \"64MiB\""
                )
            }
            Self(below, above, _) => write!(formatter, "{below} or {above}"),
        }
    }
}

/// A name that is spelled nearly the same, as a question.
pub(super) struct DidYouMean<'a>(pub(super) &'a Option<String>);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(formatter, ": did you mean '{name}'?"),
            None => Ok(()),
        }
    }
}
