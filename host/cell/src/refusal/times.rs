//! The times that formats count, and whose time it is that a formatter refuses.

use std::fmt;
use std::ops::{Range, RangeInclusive};

use cellblock_contract::{Request, Setting};
use cellblock_text::PathBytes;
use cellblock_tree::{NodeId, Tree};

/// Inodes of ext4 count 34 bits from 1901 on, but for what e2fsck takes for mistakes.
const LAST_OF_EXT4: i64 = (1 << 34) - (1 << 31) - 1;
const DOUBTED: Range<i64> = (3 << 32) - (1 << 31)..3 << 32;

/// Times that are counted.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// Seconds since 1970.
    counted: RangeInclusive<i64>,
    /// Those among them that are not.
    but: Range<i64>,
    /// All of them, in words.
    pub(super) words: &'static str,
}

impl Times {
    fn new(counted: RangeInclusive<i64>, words: &'static str) -> Self {
        Self {
            counted,
            but: 0..0,
            words,
        }
    }

    /// Those of a file, in a file system of the kind that is asked for, if it is one that we know.
    pub(super) fn of_files(request: &Request) -> Option<Self> {
        let (first, words, words_of_small) = match &*request.kind {
            "ext2" | "ext3" | "ext4" => (
                i32::MIN.into(),
                "1901-12-13 to 2446-05-10 but for what e2fsck doubts, 2310-04-04 to 2378-04-22",
                "1901-12-13 to 2038-01-19 in inodes of 128 bytes",
            ),
            "squashfs" | "vfat" | "fat12" | "fat16" | "fat32" => {
                return Self::of_the_whole(request);
            }
            _ => return None,
        };
        Some(Self::of_ext(request, first, words, words_of_small))
    }

    /// Those that a whole file system is stamped with.
    fn of_the_whole(request: &Request) -> Option<Self> {
        Some(match &*request.kind {
            "squashfs" => Self::new(0..=u32::MAX.into(), "1970-01-01 to 2106-02-07"),
            "erofs" if has(request, "features", |words| words.split(',').any(is_48bit)) => {
                Self::new(
                    0..=u32::MAX.into(),
                    "1970-01-01 to 2106-02-07 with the feature 48bit",
                )
            }
            "vfat" | "fat12" | "fat16" | "fat32" => {
                Self::new(315_532_800..=4_354_819_199, "1980-01-01 to 2107-12-31")
            }
            "ext2" | "ext3" | "ext4" => Self::of_ext(
                request,
                0,
                "1970-01-01 to 2446-05-10 but for what e2fsck doubts, 2310-04-04 to 2378-04-22",
                "1970-01-01 to 2038-01-19 in inodes of 128 bytes",
            ),
            _ => return None,
        })
    }

    fn of_ext(
        request: &Request,
        first: i64,
        words: &'static str,
        words_of_small: &'static str,
    ) -> Self {
        if has(request, "inode-size", |size| size == "128") {
            return Self::new(first..=i32::MAX.into(), words_of_small);
        }
        Self {
            counted: first..=LAST_OF_EXT4,
            but: DOUBTED,
            words,
        }
    }

    fn have(&self, seconds: i64) -> bool {
        self.counted.contains(&seconds) && !self.but.contains(&seconds)
    }

    /// Whether `seconds` are before all of them.
    pub(super) fn begin_after(&self, seconds: i64) -> bool {
        seconds < *self.counted.start()
    }
}

fn is_48bit(word: &str) -> bool {
    word == "48bit"
}

fn has(request: &Request, name: &str, is_it: impl Fn(&str) -> bool) -> bool {
    let is_it = |setting: &Setting| setting.name == name && is_it(&setting.value);
    request.settings.iter().any(is_it)
}

/// The time that a file system is stamped with, and cannot be.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    /// Seconds since 1970.
    seconds: i64,
    times: Option<Times>,
    /// The path of a file that has the same time.
    newest: Option<String>,
}

impl Stamp {
    /// That of `request`, if it is what a formatter means that refuses the time of a `node`: of this time it speaks as of the
    /// root's.
    pub(super) fn of(request: &Request, tree: &Tree, node: NodeId) -> Option<Self> {
        let time = request.time;
        let times = Times::of_the_whole(request);
        let is_refused = times
            .as_ref()
            .is_some_and(|times| !times.have(time.seconds));
        let is_meant = tree.node(node).modified == time || node == NodeId::ROOT && is_refused;
        let newest = || {
            let mut files = tree.nodes().filter(|node| node.id != NodeId::ROOT);
            let newest = files.find(|node| node.modified == time)?;
            Some(PathBytes(tree.path(newest.id)).to_string())
        };
        is_meant.then(|| Self {
            seconds: time.seconds,
            times,
            newest: newest(),
        })
    }

    /// Says what is wrong with it in a file system of `kind`, and what to change.
    pub(super) fn explain(&self, f: &mut fmt::Formatter<'_>, kind: &str) -> fmt::Result {
        let side = if self.seconds < 0 { "before" } else { "after" };
        write!(
            f,
            "the time that the file system is stamped with, {} seconds {side} 1970, is outside what {kind} can count",
            self.seconds.unsigned_abs()
        )?;
        if let Some(times) = &self.times {
            write!(f, ", {}", times.words)?;
        }
        f.write_str("; give another time, --time or SOURCE_DATE_EPOCH")?;
        match &self.newest {
            Some(path) => write!(
                f,
                ", or, if it is that of the newest file, {path}, date this anew, with touch or the metadata of its source"
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, settings: &[(&str, &str)], seconds: i64) -> Request {
        let settings = settings.iter().map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        });
        Request {
            time: cellblock_tree::Timestamp {
                seconds,
                nanoseconds: 0,
            },
            settings: settings.collect(),
            ..super::super::tests::request(kind)
        }
    }

    /// Whose time it is, if a formatter refuses that of the root.
    fn is_of_the_stamp(request: &Request) -> bool {
        Stamp::of(request, &crate::fuzzing::tree(), NodeId::ROOT).is_some()
    }

    #[test]
    fn the_root_stands_for_the_whole_where_that_cannot_have_its_time() {
        let root = crate::fuzzing::tree().node(NodeId::ROOT).modified;
        const LATE: i64 = 20_000_101_000_000;
        for (kind, settings, seconds, is_refused) in [
            ("ext4", &[][..], LATE, true),
            ("ext4", &[], -1, true),
            ("ext4", &[], 0, false),
            ("ext4", &[], LAST_OF_EXT4, false),
            ("ext4", &[], LAST_OF_EXT4 + 1, true),
            ("ext4", &[], DOUBTED.start, true),
            ("ext4", &[], 1 << 31, false),
            ("ext3", &[("inode-size", "128")], 1 << 31, true),
            ("squashfs", &[], LATE, true),
            ("squashfs", &[], u32::MAX.into(), false),
            ("erofs", &[], LATE, false),
            ("erofs", &[("features", "fragments,48bit")], LATE, true),
            ("fat16", &[], LATE, true),
            ("mine", &[], LATE, false),
        ] {
            assert_ne!(root.seconds, seconds);
            let request = request(kind, settings, seconds);
            assert_eq!(is_of_the_stamp(&request), is_refused, "{request:?}");
        }
        // Whatever is known of a kind, both have one time.
        assert!(is_of_the_stamp(&Request {
            time: root,
            ..request("mine", &[], 0)
        }));
    }
}
