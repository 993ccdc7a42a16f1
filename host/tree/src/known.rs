//! Digests of files that were hashed before, and have not changed since.

use std::collections::BTreeSet;
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
/// changed less than three seconds before it was hashed is hashed each time. So is one that could be another one of the same
/// numbers: on a file system that somebody may have made as an image ([`Disks`]), or with a time of change of whole seconds. What
/// a program writes through a shared mapping may change no time, and
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
    disks: Disks,
}

/// The devices whose files are told apart by their numbers and times: file systems of disks that the kernel writes to. Device
/// numbers are given anew, and what was made as an image can have the inodes and times of another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disks(BTreeSet<u64>);

impl Disks {
    /// What sets a time of change whenever something changes, and on which an inode is not given anew with the same one.
    const KINDS: [&str; 8] = [
        "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "tmpfs", "xfs",
    ];
    /// The major numbers of devices that are files: loop and network block devices (the kernel's devices.txt).
    const FILES: [u32; 2] = [7, 43];

    /// Those that are mounted where this process is.
    #[must_use]
    pub fn mounted() -> Self {
        std::fs::read("/proc/self/mountinfo").map_or_else(|_| Self::default(), |it| Self::of(&it))
    }

    /// That of a folder, whatever it is.
    #[cfg(test)]
    pub(crate) fn under(folder: &std::path::Path) -> Self {
        let file = crate::source::stamp::FileId::of_path(folder);
        Self(BTreeSet::from([file.expect("it is there").numbers().0]))
    }

    /// Those of a table of mounts (proc_pid_mountinfo(5)).
    fn of(mounts: &[u8]) -> Self {
        let device = |line: &[u8]| {
            let mut fields = line.split(|byte| *byte == b' ');
            let device = std::str::from_utf8(fields.nth(2)?).ok()?;
            let (major, minor) = device.split_once(':')?;
            let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
            let kind = fields.find(|field| *field == b"-").and(fields.next())?;
            let options = fields.nth(1)?;
            let is_kept = Self::KINDS.iter().any(|name| name.as_bytes() == kind)
                && !Self::FILES.contains(&major)
                && options.split(|byte| *byte == b',').next() == Some(b"rw");
            is_kept.then_some(u64::from(major) << 32 | u64::from(minor))
        };
        let lines = mounts.split(|byte| *byte == b'\n');
        Self(lines.filter_map(device).collect())
    }
}

impl KnownFiles {
    /// Those in `bytes`, which [`KnownFiles::to_bytes`] has made; `now` is before anything is hashed.
    #[must_use]
    pub fn new(bytes: &[u8], now: SystemTime, disks: Disks) -> Self {
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
            disks,
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
        if !self.tells(mark) {
            return None;
        }
        let at = self.known.partition_point(|(known, _)| *known < mark.bytes);
        let (known, sum) = self.known.get(at)?;
        if *known != mark.bytes {
            return None;
        }
        self.keep(mark, *sum);
        Some(*sum)
    }

    pub(crate) fn learn(&self, mark: &Mark, sum: Sum) {
        if mark.latest < self.settled && self.tells(mark) {
            self.has_learned.store(true, Ordering::Relaxed);
            self.keep(mark, sum);
        }
    }

    /// Whether no other file can have this mark.
    fn tells(&self, mark: &Mark) -> bool {
        mark.is_exact && self.disks.0.contains(&mark.device)
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
            device: DISK,
            latest,
            is_exact: true,
        }
    }

    const DISK: u64 = 8 << 32 | 1;

    fn disks() -> Disks {
        Disks(BTreeSet::from([DISK]))
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_was_learned_is_known_the_next_time() {
        let first = KnownFiles::new(&[], at(100), disks());
        assert_eq!(first.get(&mark(1, 50)), None);
        first.learn(&mark(2, 50), [2; 32]);
        first.learn(&mark(1, 50), [1; 32]);
        let bytes = first.to_bytes().expect("two were learned");
        let second = KnownFiles::new(&bytes, at(200), disks());
        assert_eq!(second.get(&mark(1, 50)), Some([1; 32]));
        assert_eq!(second.get(&mark(2, 50)), Some([2; 32]));
        assert_eq!(second.get(&mark(3, 50)), None);
        assert_eq!(second.to_bytes(), None, "nothing is new");
    }

    #[test]
    fn what_is_not_asked_for_again_goes_once_something_is_new() {
        let first = KnownFiles::new(&[], at(100), disks());
        first.learn(&mark(1, 50), [1; 32]);
        first.learn(&mark(2, 50), [2; 32]);
        let second = KnownFiles::new(&first.to_bytes().expect("learned"), at(200), disks());
        assert_eq!(second.get(&mark(2, 50)), Some([2; 32]));
        second.learn(&mark(3, 50), [3; 32]);
        let third = KnownFiles::new(&second.to_bytes().expect("learned"), at(300), disks());
        let known = [1, 2, 3].map(|number| third.get(&mark(number, 50)).is_some());
        assert_eq!(known, [false, true, true]);
    }

    #[test]
    fn a_file_that_was_just_changed_is_not_kept() {
        let known = KnownFiles::new(&[], at(100), disks());
        for latest in [97, 98, 100, 101] {
            known.learn(&mark(1, latest), [1; 32]);
        }
        assert_eq!(known.to_bytes(), None);
        known.learn(&mark(1, 96), [1; 32]);
        assert!(known.to_bytes().is_some());
    }

    #[test]
    fn a_row_that_was_cut_is_left() {
        let first = KnownFiles::new(&[], at(100), disks());
        first.learn(&mark(1, 50), [1; 32]);
        let bytes = first.to_bytes().expect("learned");
        let second = KnownFiles::new(&bytes[..ROW - 1], at(100), disks());
        assert_eq!(second.get(&mark(1, 50)), None);
    }

    #[test]
    fn a_file_that_another_one_may_be_like_is_not_kept() {
        let known = KnownFiles::new(&[], at(100), disks());
        let elsewhere = Mark {
            device: 7 << 32,
            ..mark(1, 50)
        };
        let whole = Mark {
            is_exact: false,
            ..mark(1, 50)
        };
        known.learn(&elsewhere, [1; 32]);
        known.learn(&whole, [1; 32]);
        assert_eq!(known.to_bytes(), None);
        known.learn(&mark(1, 50), [1; 32]);
        let again = KnownFiles::new(&known.to_bytes().expect("learned"), at(200), disks());
        assert_eq!(again.get(&mark(1, 50)), Some([1; 32]));
        assert_eq!((again.get(&elsewhere), again.get(&whole)), (None, None));
    }

    #[test]
    fn disks_are_what_the_kernel_writes_to() {
        let mounts = b"36 35 8:1 / / rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue\n\
            37 36 7:0 / /mnt/a rw shared:2 - ext4 /dev/loop0 rw\n\
            38 36 8:2 / /mnt/b rw - ext4 /dev/sda2 ro\n\
            39 36 8:3 / /mnt/c ro - erofs /dev/sda3 rw\n\
            40 36 0:40 / /mnt/d rw,relatime - overlay overlay rw,lowerdir=/a\n\
            41 36 0:41 / /mnt/e\\040f ro master:1 propagate_from:2 - tmpfs none rw,size=1k\n\
            42 36 broken\n\n";
        assert_eq!(Disks::of(mounts), Disks(BTreeSet::from([8 << 32 | 1, 41])));
    }
}
