//! The calls of a formatter, and how they end.

use serde::{Deserialize, Serialize};
use wasmtime::Trap;

use super::bindings::exports::cellblock::format::formatter::FormatError;
use super::legible::legible;
use super::limits::Exceeded;
use super::{Description, Request, Summary};

/// A call of one of the functions that a formatter exports.
#[derive(Serialize, Deserialize)]
pub(super) enum Call {
    Describe,
    Measure(Request),
    Format(Request),
}

/// What a formatter returns.
#[derive(Serialize, Deserialize)]
pub(super) enum Returned {
    Described(Description),
    Measured(Result<u64, FormatError>),
    Formatted(Result<Summary, FormatError>),
}

/// Why a formatter does not return.
#[derive(Serialize, Deserialize)]
pub(super) enum Stopped {
    /// It met a limit: which, with the numbers.
    Limit(String),
    /// Its time was over.
    Deadline,
    /// It trapped: why.
    Trap(String),
}

impl Stopped {
    /// The same with its text rewritten.
    pub(super) fn map(self, rewrite: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Limit(what) => Self::Limit(rewrite(&what)),
            Self::Deadline => Self::Deadline,
            Self::Trap(why) => Self::Trap(rewrite(&why)),
        }
    }

    /// The reason in what the engine says.
    pub(super) fn because_of(error: &wasmtime::Error) -> Self {
        if let Some(Exceeded(what)) = error.downcast_ref() {
            return Self::Limit(what.clone());
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::Deadline,
            Some(trap) => Self::Trap(trap.to_string()),
            // The root alone: what stands around it names the guest's functions, which may be called anything.
            None => Self::Trap(legible(&error.root_cause().to_string())),
        }
    }
}
