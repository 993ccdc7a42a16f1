//! How many nodes of content have been found, for whoever watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts nodes while they are found. Clones count together.
///
/// ```
/// use cellblock_tree::source::Counter;
///
/// let counter = Counter::default();
/// assert_eq!(counter.clone().count(), counter.count());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// So many so far. Only more of them are found as time goes by.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
