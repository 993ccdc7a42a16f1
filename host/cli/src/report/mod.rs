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

pub use holds::{describe_held, list_held};
pub use lines::LineProgress;
pub use picture::draw;
pub use progress::TerminalProgress;

/// What [`tell!`](crate::tell) does.
pub fn say(words: fmt::Arguments<'_>) {
    // In one piece, so that it is not torn apart by what others say.
    let _ = io::stderr().write_all(format!("{words}\n").as_bytes());
}
