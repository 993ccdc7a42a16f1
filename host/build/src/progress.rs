//! Who watches a build.

use std::fmt;

/// Shows how far the partitions of a build are. It is called from several threads.
pub trait Progress: fmt::Debug + Send + Sync {
    /// A partition of which `total_bytes` bytes of content are to be written begins.
    fn partition(&self, name: &str, total_bytes: u64) -> Box<dyn Bar>;

    /// The build has ended, well or not: nothing more is to be shown.
    fn clear(&self) {}
}

/// How far one partition is.
pub trait Bar: Send + Sync {
    /// So many bytes more were written.
    fn advance(&self, bytes: u64);

    /// All is written, however many bytes were counted.
    fn finish(&self);
}

/// Nobody watches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hidden;

impl Progress for Hidden {
    fn partition(&self, _name: &str, _total_bytes: u64) -> Box<dyn Bar> {
        Box::new(Self)
    }
}

impl Bar for Hidden {
    fn advance(&self, _bytes: u64) {}

    fn finish(&self) {}
}
