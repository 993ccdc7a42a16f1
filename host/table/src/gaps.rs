//! What lies between partitions.

use std::ops::Range;

/// What of `within` none of the `taken` ranges has, in order; they may overlap, and come in any order. Bytes or sectors.
///
/// ```
/// use cellblock_table::gaps;
///
/// assert_eq!(gaps([40..50, 10..20, 15..30], 0..60), [0..10, 30..40, 50..60]);
/// assert_eq!(gaps([0..20, 50..70], 10..60), [20..50]);
/// ```
pub fn gaps(taken: impl IntoIterator<Item = Range<u64>>, within: Range<u64>) -> Vec<Range<u64>> {
    let mut taken: Vec<Range<u64>> = taken.into_iter().collect();
    taken.sort_unstable_by_key(|range| range.start);
    let mut gaps = Vec::new();
    let mut at = within.start;
    let end = within.end;
    for range in taken.into_iter().chain(std::iter::once(end..end)) {
        let until = range.start.min(end);
        if until > at {
            gaps.push(at..until);
        }
        at = at.max(range.end);
    }
    gaps
}
