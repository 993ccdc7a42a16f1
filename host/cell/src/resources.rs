//! What the handles of a guest stand for.

#![allow(unreachable_pub, reason = "the bindings re-export them")]

use crate::files::ErrorCode;
pub use crate::files::Opened;

/// The names in the root that have been told.
pub struct Listing {
    pub is_told: bool,
}

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Output,
    Error,
}

/// What bytes are read from.
#[derive(Clone, Copy)]
pub enum Input {
    /// Standard input.
    Standard,
    /// The partition, from this byte on.
    Partition(u64),
}

/// What bytes are written to.
#[derive(Clone, Copy)]
pub enum Output {
    Standard(Stream),
    /// The partition, from this byte on.
    Partition(u64),
    /// The end of the partition's file.
    End,
}

/// What is waited for: nothing, or that the monotonic clock shows these nanoseconds.
#[derive(Clone, Copy)]
pub struct Pollable(pub u64);

/// Why a stream failed.
pub struct Failure(pub ErrorCode);

/// Nothing makes one.
pub enum Terminal {}
