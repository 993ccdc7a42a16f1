//! The calls of a formatter, and how they end.

use serde::{Deserialize, Serialize};
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;

use super::legible::{
    cut, description_with, error_with, legible, reader_error_with, reader_with, summary_with,
    volume_with,
};
use super::limiter::Exceeded;
use super::wasi::{Exit, Invocation};
use cellblock_contract::{
    Description, FormatError, ReaderDescription, ReaderError, Request, Summary, Volume,
};

/// What a guest is, which decides what it may import and how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Role {
    /// A component that exports the contract's formatter.
    Formatter,
    /// A component that exports the contract's reader.
    Reader,
    /// A WASI command.
    Command,
}

/// A call of one of the functions that a formatter exports, or the run of a command.
#[derive(Serialize, Deserialize)]
pub(super) enum Call {
    Describe,
    Measure(Request),
    Format(Request),
    Run(Invocation),
    /// What a reader is.
    DescribeReader,
    /// What a file system in a partition of so many bytes says of itself.
    Probe(u64),
    /// All that is in a file system; with extents if they are wanted.
    Read {
        size: u64,
        extents: bool,
    },
}

impl Call {
    /// The size in bytes of the partition that the call is about, if there is one.
    pub(super) fn partition_size(&self) -> Option<u64> {
        match self {
            Self::Describe | Self::Measure(_) | Self::DescribeReader => None,
            Self::Probe(size) | Self::Read { size, .. } => Some(*size),
            Self::Format(request) => Some(request.size),
            Self::Run(invocation) => Some(invocation.request.size),
        }
    }
}

/// What a guest returns.
#[derive(Serialize, Deserialize)]
pub(super) enum Returned {
    Described(Description),
    Measured(Result<u64, FormatError>),
    Formatted(Result<Summary, FormatError>),
    Ended(Exit),
    ReaderDescribed(ReaderDescription),
    Read(Result<Volume, ReaderError>),
}

/// What a call came to, cut to what is shown of it.
pub(super) fn cut_ended(ended: Result<Returned, Stopped>) -> Result<Returned, Stopped> {
    match ended {
        Ok(Returned::Described(told)) => Ok(Returned::Described(description_with(told, cut))),
        Ok(Returned::Measured(told)) => Ok(Returned::Measured(
            told.map_err(|told| error_with(told, cut)),
        )),
        Ok(Returned::Formatted(told)) => Ok(Returned::Formatted(
            told.map(|told| summary_with(told, cut))
                .map_err(|told| error_with(told, cut)),
        )),
        Ok(Returned::Ended(exit)) => Ok(Returned::Ended(exit)),
        Ok(Returned::ReaderDescribed(told)) => {
            Ok(Returned::ReaderDescribed(reader_with(told, cut)))
        }
        Ok(Returned::Read(told)) => Ok(Returned::Read(
            told.map(|told| volume_with(told, cut))
                .map_err(|told| reader_error_with(told, cut)),
        )),
        Err(stopped) => Err(stopped.map(cut)),
    }
}

/// Why a guest does not return.
#[derive(Serialize, Deserialize)]
pub(super) enum Stopped {
    /// It exceeded a limit: which, with the numbers.
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
        if let Some(ResourceTableError::Full) = error.downcast_ref() {
            let what = "it needs one more handle than it may hold at a time; allow it more with --handle-limit";
            return Self::Limit(what.to_owned());
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::Deadline,
            Some(trap) => Self::Trap(trap.to_string()),
            // The root alone: what stands around it names the guest's functions, which may be called anything.
            None => Self::Trap(legible(&error.root_cause().to_string())),
        }
    }
}
