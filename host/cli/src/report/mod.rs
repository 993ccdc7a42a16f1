//! What people and other programs see: progress, the picture of a disk.

mod lines;
mod picture;
mod progress;
pub mod terminal;
mod text;

pub use lines::LineProgress;
pub use picture::draw;
pub use progress::TerminalProgress;
