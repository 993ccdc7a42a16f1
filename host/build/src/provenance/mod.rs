//! Where an image comes from, as an in-toto statement with SLSA's predicate; and whether it comes out again.
//!
//! ```text
//!     spec, inputs ──> build ──> record ──> statement ──┐
//!                                                       ├──> equal, or what differs
//!     spec of the statement, inputs of today ──> build ─┘
//! ```
//!
//! The statement has no time, no number of threads and no path but those that the spec has: who builds the same in folders of
//! the same names gets the same bytes.

mod inputs;
mod statement;
mod verify;

pub use inputs::{Input, InputError, inputs};
pub use statement::{
    BUILD_TYPE, PREDICATE_TYPE, Resource, STATEMENT_TYPE, Statement, StatementError, statement,
};
pub use verify::{Difference, Verdict, compare};
