//! Which bytes of a partition are written, or hold placed content.

use std::collections::BTreeMap;

/// Disjoint ranges of bytes; neighbours are joined, so that a file system's data is a few ranges.
#[derive(Debug, Default)]
pub(super) struct Occupied {
    /// Start to end.
    ranges: BTreeMap<u64, u64>,
}

impl Occupied {
    /// Whether any byte from `start` to `end` is occupied.
    pub(super) fn overlaps(&self, start: u64, end: u64) -> bool {
        self.overlap(start, end).is_some()
    }

    /// The last range that is occupied of the bytes from `start` to `end`, if any is.
    pub(super) fn overlap(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        if start >= end {
            return None;
        }
        let (first, last) = self.ranges.range(..end).next_back()?;
        (*last > start).then(|| (start.max(*first), end.min(*last)))
    }

    /// Occupies the bytes from `start` to `end`; false, and nothing changed, if any of them is occupied already.
    pub(super) fn insert(&mut self, start: u64, end: u64) -> bool {
        if self.overlaps(start, end) {
            return false;
        }
        if start == end {
            return true;
        }
        let end = self.ranges.remove(&end).unwrap_or(end);
        match self.ranges.range_mut(..start).next_back() {
            Some((_, previous_end)) if *previous_end == start => *previous_end = end,
            _ => {
                self.ranges.insert(start, end);
            }
        }
        true
    }

    /// Occupies the bytes from `start` to `end`, whatever of them is occupied already.
    pub(super) fn cover(&mut self, mut start: u64, mut end: u64) {
        if start == end {
            return;
        }
        while let Some((&range_start, &range_end)) = self.ranges.range(..=end).next_back()
            && range_end >= start
        {
            self.ranges.remove(&range_start);
            start = start.min(range_start);
            end = end.max(range_end);
        }
        self.ranges.insert(start, end);
    }

    /// Frees the bytes from `start` to `end`, which [`Self::insert`] occupied.
    pub(super) fn remove(&mut self, start: u64, end: u64) {
        if start == end {
            return;
        }
        let Some((&range_start, &range_end)) = self.ranges.range(..=start).next_back() else {
            return;
        };
        self.ranges.remove(&range_start);
        if range_start < start {
            self.ranges.insert(range_start, start);
        }
        if end < range_end {
            self.ranges.insert(end, range_end);
        }
    }

    /// Frees the bytes from `start` on: the ranges that were occupied.
    pub(super) fn cut(&mut self, start: u64) -> Vec<(u64, u64)> {
        let mut freed = self.ranges.split_off(&start);
        if let Some(mut last) = self.ranges.last_entry()
            && *last.get() > start
        {
            freed.insert(start, *last.get());
            last.insert(start);
        }
        freed.into_iter().collect()
    }

    /// How many bytes are occupied.
    pub(super) fn total(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    /// How many ranges there are.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    use super::Occupied;

    #[test]
    fn neighbours_join_and_overlaps_are_refused() {
        let mut occupied = Occupied::default();
        assert!(occupied.insert(10, 20));
        assert!(occupied.insert(30, 40));
        assert!(occupied.insert(20, 30));
        assert_eq!(occupied.len(), 1);
        assert!(!occupied.insert(39, 41));
        assert!(!occupied.insert(0, 11));
        assert!(!occupied.insert(0, 100));
        assert!(occupied.insert(40, 41));
        assert!(occupied.insert(0, 10));
        assert_eq!(occupied.len(), 1);
        assert!(occupied.insert(5, 5));
    }

    #[test]
    fn what_is_covered_twice_is_one_range() {
        let mut occupied = Occupied::default();
        occupied.cover(10, 20);
        occupied.cover(30, 40);
        occupied.cover(50, 60);
        occupied.cover(15, 50);
        assert_eq!(occupied.len(), 1);
        occupied.cover(0, 5);
        occupied.cover(12, 13);
        assert_eq!(occupied.len(), 2);
        assert!(!occupied.overlaps(5, 10));
        assert!(occupied.overlaps(59, 60) && !occupied.overlaps(60, 61));
        assert_eq!(occupied.overlap(11, 100), Some((11, 60)));
        assert_eq!(occupied.overlap(2, 7), Some((2, 5)));
        assert_eq!(
            (occupied.overlap(5, 10), occupied.overlap(3, 3)),
            (None, None)
        );
    }

    #[test]
    fn what_is_cut_is_free_again() {
        let mut occupied = Occupied::default();
        occupied.cover(0, 10);
        occupied.cover(20, 30);
        occupied.cover(40, 50);
        assert_eq!(occupied.cut(25), [(25, 30), (40, 50)]);
        assert_eq!((occupied.len(), occupied.total()), (2, 15));
        assert_eq!(occupied.cut(25), []);
        assert_eq!(occupied.cut(0), [(0, 10), (20, 25)]);
    }

    #[test]
    fn what_is_removed_is_free_again() {
        let mut occupied = Occupied::default();
        assert!(occupied.insert(0, 10));
        assert!(occupied.insert(10, 20));
        occupied.remove(10, 20);
        assert!(!occupied.overlaps(10, 20));
        assert!(occupied.overlaps(9, 10));
        assert!(occupied.insert(10, 20));
        occupied.remove(3, 5);
        assert!(occupied.overlaps(0, 3) && occupied.overlaps(5, 20));
        assert!(!occupied.overlaps(3, 5));
        occupied.remove(50, 50);
        assert!(!occupied.overlaps(20, 60));
    }
}
