//! The program `cellblock`: arguments, commands, and what people see. What it does is in [`cellblock_build`].
//!
//! ```text
//!     what was typed ──> arguments ──> command ──> cellblock_build
//!             │                           └──────> report: progress, pictures
//!             └──> completion: what a shell asks for
//! ```

#![forbid(unsafe_code)]
#![warn(clippy::print_stderr, clippy::print_stdout)]

/// Says a line on standard error, as `eprintln!` does. Where that takes no more, as a pipe whose reader has gone or a full
/// disk, nobody is left to tell, and the command goes on.
#[macro_export]
macro_rules! tell {
    ($($words:tt)*) => {
        $crate::report::say(format_args!($($words)*))
    };
}

pub mod arguments;
pub mod command;
pub mod completion;
mod json;
pub mod page;
pub mod report;
