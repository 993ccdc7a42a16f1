//! Formats that say of each unit of the disk (a cluster, a grain, a block) where in the file it is.
//!
//! ```text
//!     disk:  0 1 . 3 4 . . . . 9      units with data; those of zeros are not stored
//!     file:  H H 0 3 4 1 9            H is the head: the header and all tables
//! ```
//!
//! The file is as short as it can be. A unit stands in it where the disk has it, unless the head is there or the file has ended before;
//! the others fill the gaps, in ascending order. So the disk's own file becomes the format's by moving a few of them, and where each one
//! is depends on the bytes of the disk alone, whether its file was taken or it was copied.

use std::fs::File;
use std::ops::Range;
use std::{slice, vec};

use super::{Disk, Writer, plain};
use crate::copy::{self, Part};
use crate::{Bytes, ImageError};

/// The most bytes that are looked at together: in a larger unit, pieces of zeros are left as holes.
const PIECE: u64 = 1 << 20;

/// Units of a disk, ascending, as runs that do not touch.
#[derive(Debug, Default)]
pub(super) struct Units {
    runs: Vec<Range<u64>>,
    count: u64,
}

impl Units {
    /// Those of `unit` bytes that `extents` touch, which ascend.
    fn touched(extents: &[Range<u64>], unit: u64) -> Self {
        let mut units = Self::default();
        for extent in extents {
            units.add(extent.start / unit..extent.end.div_ceil(unit));
        }
        units
    }

    /// Adds what is behind the last unit: how many that are.
    fn add(&mut self, run: Range<u64>) -> u64 {
        let end = self.runs.last().map_or(0, |last| last.end);
        let start = run.start.max(end);
        let added = run.end.saturating_sub(start);
        self.count += added;
        match self.runs.last_mut() {
            _ if added == 0 => {}
            Some(last) if last.end == start => last.end = run.end,
            _ => self.runs.push(start..run.end),
        }
        added
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The groups of `size` units in which there is one.
    pub(super) fn groups(&self, size: u64) -> Self {
        Self::touched(&self.runs, size)
    }

    /// Each of them, ascending.
    pub(super) fn each(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().cloned().flatten()
    }
}

/// Which units a file stores, and where.
#[derive(Debug)]
pub(super) struct Arrangement {
    units: Units,
    /// The units that the head takes.
    head: u64,
}

impl Arrangement {
    /// The units that are stored.
    pub(super) fn units(&self) -> &Units {
        &self.units
    }

    /// The length of the file, in units.
    pub(super) fn end(&self) -> u64 {
        self.head + self.units.count
    }

    /// Each unit that is stored, ascending, with its place in the file, in units.
    pub(super) fn places(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs().flat_map(|(run, place)| run.zip(place..))
    }

    /// The same, as runs of units that are one behind the other in the file too.
    fn runs(&self) -> Runs<'_> {
        Runs {
            runs: self.units.runs.iter(),
            run: 0..0,
            stay: self.head..self.end(),
            gaps: self.gaps().into_iter(),
            gap: 0..0,
        }
    }

    /// Where in the file there would be nothing if no unit was moved, ascending.
    fn gaps(&self) -> Vec<Range<u64>> {
        let (mut gaps, mut at) = (Vec::new(), self.head);
        for run in &self.units.runs {
            if run.start >= self.end() {
                break;
            }
            if at < run.start {
                gaps.push(at..run.start);
            }
            at = at.max(run.end);
        }
        if at < self.end() {
            gaps.push(at..self.end());
        }
        gaps
    }
}

struct Runs<'a> {
    runs: slice::Iter<'a, Range<u64>>,
    /// What is left of the run.
    run: Range<u64>,
    /// The units that stay where the disk has them.
    stay: Range<u64>,
    gaps: vec::IntoIter<Range<u64>>,
    /// What is left of the gap.
    gap: Range<u64>,
}

impl Iterator for Runs<'_> {
    type Item = (Range<u64>, u64);

    fn next(&mut self) -> Option<Self::Item> {
        if self.run.is_empty() {
            self.run = self.runs.next()?.clone();
        }
        let start = self.run.start;
        if self.stay.contains(&start) {
            self.run.start = self.run.end.min(self.stay.end);
            return Some((start..self.run.start, start));
        }
        if self.gap.is_empty() {
            let gap = self.gaps.next();
            self.gap = gap.expect("the gaps are as long as all that moves");
        }
        let end = if start < self.stay.start {
            self.run.end.min(self.stay.start)
        } else {
            self.run.end
        };
        let length = (end - start).min(self.gap.end - self.gap.start);
        let place = self.gap.start;
        self.gap.start += length;
        self.run.start += length;
        Some((start..self.run.start, place))
    }
}

/// Stores the disk in units of `unit` bytes, behind a head of zeros. `head` tells of what is stored how many units the head takes; it never
/// tells less of more.
pub(super) fn arrange(
    disk: &Disk<'_>,
    to: &Writer<'_>,
    unit: u64,
    head: impl Fn(&Units) -> u64,
) -> Result<Arrangement, ImageError> {
    match disk.bytes {
        Bytes::File(file) => arrange_file(disk, file, to, unit, head),
        Bytes::Disk(_) => arrange_read(disk, to, unit, head),
    }
}

/// The same of a disk that is in a file: it is known what is stored before anything is written, so that all goes right where it belongs.
fn arrange_file(
    disk: &Disk<'_>,
    file: &File,
    to: &Writer<'_>,
    unit: u64,
    head: impl Fn(&Units) -> u64,
) -> Result<Arrangement, ImageError> {
    let piece = unit.min(PIECE);
    // Where all stays but a little, to look at it is the work; where all is copied, to copy it is.
    let (looking, copying): (&dyn Fn(u64), &dyn Fn(u64)) = if to.has_disk {
        (to.watch, copy::UNWATCHED)
    } else {
        (copy::UNWATCHED, to.watch)
    };
    let mut pieces = Units::default();
    plain::stored(disk, file, looking, piece, |index| {
        pieces.add(index..index + 1);
    })?;
    let units = pieces.groups(unit / piece);
    let head = head(&units);
    let arrangement = Arrangement { units, head };
    let extents = disk.extents()?;
    let mut data = Vec::new();
    for run in &pieces.runs {
        data.extend(within(&extents, run.start * piece..run.end * piece));
    }
    if !to.has_disk {
        to.set_length(arrangement.end() * unit)?;
        let bytes: u64 = data.iter().map(|it| it.end - it.start).sum();
        copying(disk.size - bytes);
    }
    let mut parts = Vec::new();
    for (run, place) in arrangement.runs() {
        if to.has_disk && run.start == place {
            continue;
        }
        let start = run.start * unit;
        parts.extend(within(&data, start..run.end * unit).map(|from| Part {
            to: to.start + place * unit + (from.start - start),
            from,
        }));
    }
    to.parts(file, parts, disk.copying(copying))?;
    if to.has_disk {
        to.erase(0..head * unit)?;
        to.set_length(arrangement.end() * unit)?;
    }
    Ok(arrangement)
}

/// What is in a range of ranges, which ascend.
fn within(ranges: &[Range<u64>], within: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
    let first = ranges.partition_point(|it| it.end <= within.start);
    let touching = ranges[first..].iter();
    touching
        .take_while(move |it| it.start < within.end)
        .map(move |it| it.start.max(within.start)..it.end.min(within.end))
}

/// The same of a disk that is read out of a file of another format, once.
fn arrange_read(
    disk: &Disk<'_>,
    to: &Writer<'_>,
    unit: u64,
    head: impl Fn(&Units) -> u64,
) -> Result<Arrangement, ImageError> {
    // What is copied stands where the disk has it until it is known where it belongs. But a disk may be longer than any file: from
    // here on, which is no earlier than where the file will end, units stand one behind the other.
    let most = Units::touched(&disk.extents()?, unit);
    let from = head(&most) + most.count;
    let (mut units, mut end) = (Units::default(), from);
    let piece = unit.min(PIECE);
    plain::blocks(disk, to.watch, piece, |index, block| {
        let offset = index * piece;
        let own = offset / unit;
        let added = units.add(own..own + 1);
        let place = if own < from {
            own
        } else {
            end += added;
            end - 1
        };
        to.block(place * unit + offset % unit, block)
    })?;
    let head = head(&units);
    let arrangement = Arrangement { units, head };
    let last = arrangement.units.runs.last();
    to.set_length(last.map_or(0, |last| last.end.min(end)) * unit)?;
    let mut next = from;
    let mut parts = Vec::new();
    for (run, place) in arrangement.runs() {
        let is = if run.start < from { run.start } else { next };
        next += run.end.saturating_sub(run.start.max(from));
        let length = (run.end * unit).min(disk.size) - run.start * unit;
        if is == place {
            continue;
        }
        let (start, target) = (to.start + is * unit, to.start + place * unit);
        let data = copy::extents(to.file, start, length);
        let data = data.map_err(|source| to.failed(target, length, source))?;
        parts.extend(data.into_iter().map(|from| Part {
            to: target + (from.start - start),
            from,
        }));
    }
    to.parts(to.file, parts, disk.copying(copy::UNWATCHED))?;
    to.erase(0..head * unit)?;
    to.set_length(arrangement.end() * unit)?;
    Ok(arrangement)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrangement(units: &[u64], head: u64) -> Arrangement {
        let mut all = Units::default();
        for unit in units {
            all.add(*unit..unit + 1);
        }
        Arrangement { units: all, head }
    }

    fn places(units: &[u64], head: u64) -> Vec<(u64, u64)> {
        arrangement(units, head).places().collect()
    }

    #[test]
    fn units_stay_where_they_are_and_the_others_fill_the_gaps() {
        assert!(places(&[], 3).is_empty());
        assert_eq!(places(&[0], 1), [(0, 1)]);
        assert_eq!(places(&[700], 2), [(700, 2)]);
        assert_eq!(places(&[0, 1, 2], 1), [(0, 3), (1, 1), (2, 2)]);
        assert_eq!(
            places(&[0, 1, 3, 4, 9], 2),
            [(0, 2), (1, 5), (3, 3), (4, 4), (9, 6)]
        );
    }

    #[test]
    fn groups_are_those_with_a_unit() {
        let units = arrangement(&[0, 1, 5, 9, 10, 11, 40], 0).units;
        assert_eq!(
            units.groups(1).each().collect::<Vec<_>>(),
            [0, 1, 5, 9, 10, 11, 40]
        );
        assert_eq!(units.groups(4).each().collect::<Vec<_>>(), [0, 1, 2, 10]);
        assert_eq!(units.groups(64).count(), 1);
    }

    /// All units of a few: what was to be shown of the examples, of each of them.
    #[test]
    fn every_place_behind_the_head_is_taken_once_and_nothing_moves_without_need() {
        for head in 0..6 {
            for bits in 0_u32..1 << 11 {
                let units: Vec<u64> = (0..11).filter(|unit| bits >> unit & 1 == 1).collect();
                let arrangement = arrangement(&units, head);
                let places: Vec<(u64, u64)> = arrangement.places().collect();
                let found: Vec<u64> = places.iter().map(|(unit, _)| *unit).collect();
                assert_eq!(found, units);
                let mut taken: Vec<u64> = places.iter().map(|(_, place)| *place).collect();
                taken.sort_unstable();
                let all: Vec<u64> = (head..arrangement.end()).collect();
                assert_eq!(taken, all, "{units:?} {head}");
                let stays = |unit: u64| (head..arrangement.end()).contains(&unit);
                for (unit, place) in &places {
                    assert!(unit == place || !stays(*unit), "{units:?} {head}");
                }
                let moved = places.iter().filter(|(unit, _)| !stays(*unit));
                assert!(moved.map(|(_, place)| place).is_sorted());
            }
        }
    }
}
