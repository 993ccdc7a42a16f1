//! The program `cellblock`: arguments, commands, and what people see. What it does is in [`cellblock_build`].
//!
//! ```text
//!     what was typed ──> arguments ──> command ──> cellblock_build
//!             │                           └──────> report: progress, pictures
//!             └──> completion: what a shell asks for
//! ```

#![forbid(unsafe_code)]

pub mod arguments;
pub mod command;
pub mod completion;
pub mod report;
