//! Progress where there is no terminal: a line every ten seconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cellblock_build::progress::{Bar, Progress};
use cellblock_build::text::{human, printable};

/// How far lines are apart.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says on standard error how far each partition is.
#[derive(Clone, Debug)]
pub struct LineProgress {
    /// When the last line was written, or the build began.
    last: Arc<Mutex<Instant>>,
}

impl LineProgress {
    /// Progress that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            last: Arc::new(Mutex::new(Instant::now())),
        }
    }
}

impl Default for LineProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for LineProgress {
    fn partition(&self, name: &str, total_bytes: u64) -> Box<dyn Bar> {
        Box::new(Line {
            name: printable(name),
            total: total_bytes,
            done: AtomicU64::new(0),
            begun: Instant::now(),
            last: Arc::clone(&self.last),
        })
    }
}

struct Line {
    name: String,
    total: u64,
    done: AtomicU64,
    begun: Instant,
    last: Arc<Mutex<Instant>>,
}

impl Bar for Line {
    fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= INTERVAL {
            *last = Instant::now();
            eprintln!(
                "{}",
                said(&self.name, done, self.total, self.begun.elapsed())
            );
        }
    }

    fn finish(&self) {}
}

/// How far a partition is after some time.
fn said(name: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let rate = u128::from(done) * 1000 / elapsed.as_millis().max(1);
    let left = u128::from(total.saturating_sub(done)) / rate.max(1);
    let rate = u64::try_from(rate).unwrap_or(u64::MAX);
    format!(
        "{name}: {} of {}, {} a second, {left} s left",
        human(done),
        human(total),
        human(rate)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_long() {
        assert_eq!(
            said("root", 1 << 30, 3 << 30, Duration::from_secs(10)),
            "root: 1 GiB of 3 GiB, 102.3 MiB a second, 20 s left"
        );
    }
}
