//! What the handles of a component stand for.

#![allow(unreachable_pub, reason = "the bindings re-export them")]

use super::bindings::wasi::filesystem::types::ErrorCode;
use crate::wasi::output::Stream;

/// The root, or the open partition.
#[derive(Clone, Copy)]
pub enum Descriptor {
    Root,
    Partition { reads: bool, writes: bool },
}

/// The names in the root that have been told.
pub struct Listing {
    pub is_told: bool,
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
    /// Standard output or standard error.
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
