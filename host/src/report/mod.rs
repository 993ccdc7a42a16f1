//! What people and other programs see: sizes, progress, the picture of a disk, and its table as JSON.

mod json;
mod picture;
mod progress;
pub mod size;
mod text;

pub use json::{SfdiskPartition, SfdiskReport, SfdiskTable, json_like_sfdisk};
pub use picture::draw;
pub use progress::{Bar, Progress};
pub use size::{exact, grouped, human};
pub use text::printable;
