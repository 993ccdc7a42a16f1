//! Digests of files that were hashed before, and have not changed since.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::source::stamp::{MARK, Mark};

type Sum = [u8; 32];

/// Bytes of a mark and the digest of its file.
const ROW: usize = MARK + 32;
/// What a file has to have been left alone for before it was hashed: a later change then has another time, whatever steps the times of
/// its file system have (FAT: 2 s).
const SETTLED: Duration = Duration::from_secs(3);

/// Digests of files that were hashed before, and those that are hashed now.
///
/// A file is taken to be unchanged by its device, inode, size, and times of modification and change, to the nanosecond; one that was
/// changed less than three seconds before it was hashed is hashed each time. What a program writes through a shared mapping may change no time, and
/// a clock that is set back gives times anew: whoever fears either hashes all.
#[derive(Debug)]
pub struct KnownFiles {
    /// Ascending by their marks.
    known: Vec<([u8; MARK], Sum)>,
    /// Those of the files that were asked for.
    current: Mutex<Vec<([u8; MARK], Sum)>>,
    /// Whether one of them was hashed now.
    has_learned: AtomicBool,
    /// The latest time of a file that is settled, in seconds since 1970.
    settled: i64,
}

impl KnownFiles {
    /// Those in `bytes`, which [`KnownFiles::to_bytes`] has made; `now` is before anything is hashed.
    #[must_use]
    pub fn new(bytes: &[u8], now: SystemTime) -> Self {
        let (rows, _) = bytes.as_chunks::<ROW>();
        let row = |row: &[u8; ROW]| {
            let (mark, sum) = row.split_at(MARK);
            (
                mark.try_into().expect("it was split there"),
                sum.try_into().expect("the rest of a row"),
            )
        };
        let mut known: Vec<([u8; MARK], Sum)> = rows.iter().map(row).collect();
        known.sort_unstable();
        let settled = now
            .checked_sub(SETTLED)
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_secs()).ok());
        Self {
            known,
            current: Mutex::default(),
            has_learned: AtomicBool::new(false),
            settled: settled.unwrap_or(i64::MIN),
        }
    }

    /// The digests of the files that were asked for, for another time; nothing if all of them were known.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        if !self.has_learned.load(Ordering::Relaxed) {
            return None;
        }
        let mut rows = self.current.lock().expect("no worker panicked").clone();
        rows.sort_unstable();
        rows.dedup();
        Some(
            rows.iter()
                .flat_map(|(mark, sum)| mark.iter().chain(sum))
                .copied()
                .collect(),
        )
    }

    pub(crate) fn get(&self, mark: &Mark) -> Option<Sum> {
        let at = self.known.partition_point(|(known, _)| *known < mark.bytes);
        let (known, sum) = self.known.get(at)?;
        if *known != mark.bytes {
            return None;
        }
        self.keep(mark, *sum);
        Some(*sum)
    }

    pub(crate) fn learn(&self, mark: &Mark, sum: Sum) {
        if mark.latest < self.settled {
            self.has_learned.store(true, Ordering::Relaxed);
            self.keep(mark, sum);
        }
    }

    fn keep(&self, mark: &Mark, sum: Sum) {
        let mut current = self.current.lock().expect("no worker panicked");
        current.push((mark.bytes, sum));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u8, latest: i64) -> Mark {
        Mark {
            bytes: [number; MARK],
            latest,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_was_learned_is_known_the_next_time() {
        let first = KnownFiles::new(&[], at(100));
        assert_eq!(first.get(&mark(1, 50)), None);
        first.learn(&mark(2, 50), [2; 32]);
        first.learn(&mark(1, 50), [1; 32]);
        let bytes = first.to_bytes().expect("two were learned");
        let second = KnownFiles::new(&bytes, at(200));
        assert_eq!(second.get(&mark(1, 50)), Some([1; 32]));
        assert_eq!(second.get(&mark(2, 50)), Some([2; 32]));
        assert_eq!(second.get(&mark(3, 50)), None);
        assert_eq!(second.to_bytes(), None, "nothing is new");
    }

    #[test]
    fn what_is_not_asked_for_again_goes_once_something_is_new() {
        let first = KnownFiles::new(&[], at(100));
        first.learn(&mark(1, 50), [1; 32]);
        first.learn(&mark(2, 50), [2; 32]);
        let second = KnownFiles::new(&first.to_bytes().expect("learned"), at(200));
        assert_eq!(second.get(&mark(2, 50)), Some([2; 32]));
        second.learn(&mark(3, 50), [3; 32]);
        let third = KnownFiles::new(&second.to_bytes().expect("learned"), at(300));
        let known = [1, 2, 3].map(|number| third.get(&mark(number, 50)).is_some());
        assert_eq!(known, [false, true, true]);
    }

    #[test]
    fn a_file_that_was_just_changed_is_not_kept() {
        let known = KnownFiles::new(&[], at(100));
        for latest in [97, 98, 100, 101] {
            known.learn(&mark(1, latest), [1; 32]);
        }
        assert_eq!(known.to_bytes(), None);
        known.learn(&mark(1, 96), [1; 32]);
        assert!(known.to_bytes().is_some());
    }

    #[test]
    fn a_row_that_was_cut_is_left() {
        let first = KnownFiles::new(&[], at(100));
        first.learn(&mark(1, 50), [1; 32]);
        let bytes = first.to_bytes().expect("learned");
        let second = KnownFiles::new(&bytes[..ROW - 1], at(100));
        assert_eq!(second.get(&mark(1, 50)), None);
    }
}
