//! What people and other programs see: progress, the picture of a disk.

mod picture;
mod progress;
mod text;

pub use picture::draw;
pub use progress::TerminalProgress;
