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

pub use holds::{describe_held, list_held};
pub use lines::LineProgress;
pub use picture::draw;
pub use progress::TerminalProgress;
