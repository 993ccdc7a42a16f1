//! What people and other programs see: progress, the picture of a disk.

mod columns;
mod holds;
mod lines;
mod pace;
mod pen;
mod picture;
mod progress;
pub mod terminal;
mod text;

use std::fmt;
use std::io::{self, Write as _};

use cellblock_build::text::printable_lines;

pub use holds::{describe_held, list_held};
pub use lines::LineProgress;
pub use picture::draw;
pub use progress::TerminalProgress;

/// What [`tell!`](crate::tell) does. Nothing that was typed or read gives the terminal commands: names of files are somebody else's.
pub fn say(words: fmt::Arguments<'_>) {
    let said = printable_lines(&words.to_string());
    // In one piece, so that it is not torn apart by what others say.
    let _ = io::stderr().write_all(format!("{said}\n").as_bytes());
}
