//! What the handles of a formatter stand for.

#![allow(unreachable_pub, reason = "the bindings re-export them")]

/// The descriptor that a formatter is handed: it stands for the cell's one partition.
pub struct Descriptor;
