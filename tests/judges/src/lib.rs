//! Programs that we did not write, which say whether an output is right, and what a test says that cannot ask one.
//!
//! ```text
//!     judge("sfdisk") ──> found ──> Judge: runs it in C.UTF-8 and universal time
//!                    └──> missing ──> skipped: a line on standard error; a failure where judges are required
//!     lacks(Ability::LoopDevices, …) ──> a line on standard error
//! ```
//!
//! A skip is written to the descriptor of standard error, past the harness, which captures what passing tests print.
//!
//! | Variable | Means |
//! |---|---|
//! | `CELLBLOCK_JUDGES=required` | a missing judge fails the test |
//! | `CELLBLOCK_JUDGES_ALLOW=NAME: REASON, …` | these may be missing all the same; the reason is printed with the skip |
//! | `CELLBLOCK_PEERS=FOLDER` | programs that `tests/judges/build-peers FOLDER` has built go before those that are installed |
//! | `CELLBLOCK_JUDGES_LOG=FILE` | every skip is appended to this file too, for a summary; an absolute path |
//!
//! What the machine's kernel, or the user's rights, cannot do is an [`Ability`]: it is written too, and never fails a test.

#![forbid(unsafe_code)]
// Only tests use this crate: what goes wrong here ends one.
#![allow(clippy::unwrap_used)]

mod program;
mod skip;

pub use program::{Judge, judge, judge_ext4, judge_fat, judge_table, text};
pub use skip::{Ability, lacks, skipped};
