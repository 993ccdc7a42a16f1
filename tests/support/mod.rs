//! What the tests share.

pub mod bench;
pub mod component;
pub mod debugfs;
pub mod disk;
pub mod grid;
pub mod judges;
pub mod keys;
pub mod listing;
pub mod mount;
pub mod reading;
pub mod trace;
pub mod watch;

pub use bench::{Bench, Outcome};
pub use grid::Grid;
pub use judges::{Ability, Judge, is_root, judge, lacks, skipped, text};
pub use listing::{Kind, Listing};
