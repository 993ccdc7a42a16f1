//! What the tests share.

pub mod bench;
pub mod component;
pub mod debugfs;
pub mod disk;
pub mod judges;
pub mod listing;
pub mod mount;
pub mod reading;
pub mod watch;

pub use bench::{Bench, Outcome, text};
pub use judges::{is_root, judge, skipped};
pub use listing::{Kind, Listing};
