//! A warning about content from the future. The clock is read to warn, never to decide a byte.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cellblock_text::{PathBytes, grouped};
use cellblock_tree::{Kind, Tree};

use crate::plan::TimeRule;

const DAY: u64 = 24 * 60 * 60;

/// What is to be said where a file system of a kind takes its time from its newest file, and that is newer than `now`.
pub(crate) fn warning(tree: &Tree, kind: &str, rule: TimeRule, now: SystemTime) -> Option<String> {
    let newest = tree.newest();
    if rule != TimeRule::NewestFile || !tree.is_dated() {
        return None;
    }
    // What lies before 1970 lies behind any clock.
    let since_1970 = Duration::new(u64::try_from(newest.seconds).ok()?, newest.nanoseconds);
    let ahead = since_1970
        .checked_sub(now.duration_since(UNIX_EPOCH).unwrap_or_default())
        .filter(|ahead| !ahead.is_zero())?;
    // Directories that no source describes take their time from it.
    let node = tree
        .nodes()
        .filter(|node| node.modified == newest)
        .min_by_key(|node| *node.kind == Kind::Directory)?;
    let path = PathBytes(tree.path(node.id));
    let judged = match kind {
        "ext2" | "ext3" | "ext4" => ", which e2fsck finds wrong",
        _ => "",
    };
    Some(format!(
        "the newest file, {path}, is {} ahead of this machine's clock, and the file system takes its time from it{judged}; \
         set another one with time, --time or SOURCE_DATE_EPOCH",
        length(ahead)
    ))
}

/// A stretch of time, in days from two of them on.
fn length(ahead: Duration) -> String {
    match ahead.as_secs() {
        seconds if seconds >= 2 * DAY => format!("{} days", grouped(seconds / DAY)),
        0 => "less than a second".to_owned(),
        seconds => format!("{} seconds", grouped(seconds)),
    }
}
