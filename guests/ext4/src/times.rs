//! Which times a file system can tell.

use std::ops::Range;

use cellblock_guest::Timestamp;

use crate::format::Inode;

/// Times that e2fsck takes for mistaken ones before 1970, and changes: from 2310-04-04 to 2378-04-22.
const DOUBTED: Range<i64> = (3 << 32) - (1 << 31)..3 << 32;

/// Whether an inode of so many bytes counts so far: seconds have 32 bits and a sign, and in large inodes two bits more.
pub(crate) fn counts(inode_size: u16, time: Timestamp) -> bool {
    let first = i64::from(i32::MIN);
    let length = if inode_size > Inode::BASE_SIZE {
        1_i64 << 34
    } else {
        1_i64 << 32
    };
    (first..first + length).contains(&time.seconds)
        && !DOUBTED.contains(&time.seconds)
        && time.nanoseconds < 1_000_000_000
}

/// The same of the time of the whole, which the superblock has as well: that counts from 1970 on.
pub(crate) fn counts_for_the_whole(inode_size: u16, time: Timestamp) -> bool {
    time.seconds >= 0 && counts(inode_size, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp {
            seconds,
            nanoseconds: 999_999_999,
        }
    }

    #[test]
    fn the_whole_has_the_times_of_inodes_from_1970_on() {
        const SMALL_END: i64 = 1 << 31;
        const LARGE_END: i64 = (1 << 34) - (1 << 31);
        for (inode_size, end) in [(128, SMALL_END), (256, LARGE_END), (1024, LARGE_END)] {
            for (seconds, node, whole) in [
                (i64::MIN, false, false),
                (-SMALL_END - 1, false, false),
                (-SMALL_END, true, false),
                (-1, true, false),
                (0, true, true),
                (end - 1, true, true),
                (end, false, false),
                (DOUBTED.start, false, false),
                (DOUBTED.end - 1, false, false),
                (i64::MAX, false, false),
            ] {
                assert_eq!(counts(inode_size, at(seconds)), node, "{seconds}");
                let of_whole = counts_for_the_whole(inode_size, at(seconds));
                assert_eq!(of_whole, whole, "{seconds}");
            }
        }
        let no_fraction = Timestamp {
            seconds: 0,
            nanoseconds: 1_000_000_000,
        };
        assert!(!counts(256, no_fraction));
    }
}
