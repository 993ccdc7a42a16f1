//! How fast content goes, and whether it pays to make it smaller first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether content is compressed on the wire, with servers that know Zstandard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Where the line has turned out to be slow, as long as less time is taken so.
    #[default]
    OnSlowLines,
    /// From the beginning.
    Always,
    /// Never.
    Never,
}

/// A line that takes fewer bytes in a second may be worth compressing for. Compressing takes 75 MB a second of an idle processor and halves a
/// root of Debian, so that both ways would take equally long at 40 MB/s; but whoever builds has no idle processors.
const SLOW_UP: u64 = 16 << 20;
/// The same for what comes: 300 MB a second come out of decompressing, and the server has work with it, too.
const SLOW_DOWN: u64 = 32 << 20;
/// What has fewer bytes tells how long an answer takes, and not how fast the line is.
const TELLING: u64 = 256 << 10;

/// One direction.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) compression: Compression,
    slow: u64,
    /// The bytes in a second of what went as it is most recently; 0 if nothing did.
    plain: AtomicU64,
    /// The same of what went compressed, as many bytes as it has decompressed.
    compressed: AtomicU64,
}

impl Line {
    pub(crate) fn up() -> Self {
        Self::of(SLOW_UP)
    }

    pub(crate) fn down() -> Self {
        Self::of(SLOW_DOWN)
    }

    fn of(slow: u64) -> Self {
        Self {
            compression: Compression::default(),
            slow,
            plain: AtomicU64::new(0),
            compressed: AtomicU64::new(0),
        }
    }

    /// Whether content is to be compressed, if the server takes that.
    pub(crate) fn is_compressed(&self) -> bool {
        let plain = self.plain.load(Ordering::Relaxed);
        let compressed = self.compressed.load(Ordering::Relaxed);
        match self.compression {
            Compression::Never => false,
            Compression::Always => true,
            Compression::OnSlowLines => {
                (1..self.slow).contains(&plain) && (compressed == 0 || compressed > plain)
            }
        }
    }

    /// Moves blobs of so many bytes, and learns from that how fast the line is.
    pub(crate) fn moved<T, E>(
        &self,
        bytes: u64,
        is_compressed: bool,
        move_them: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let done = move_them()?;
        self.took(bytes, is_compressed, begun.elapsed());
        Ok(done)
    }

    fn took(&self, bytes: u64, is_compressed: bool, time: Duration) {
        if bytes < TELLING {
            return;
        }
        let rate = u128::from(bytes) * 1_000_000_000 / time.as_nanos().max(1);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
        let known = match is_compressed {
            true => &self.compressed,
            false => &self.plain,
        };
        known.store(rate, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_slow_is_worth_compressing_for() {
        let line = Line::up();
        assert!(!line.is_compressed(), "nobody knows yet");
        line.took(100_000, false, SECOND);
        assert!(!line.is_compressed(), "so little says nothing");
        line.took(1 << 20, false, SECOND);
        assert!(line.is_compressed());
        line.took(1 << 20, false, SECOND / 1000);
        assert!(!line.is_compressed());
        line.took(1 << 20, false, SECOND * (1 << 30));
        assert!(line.is_compressed());
        // What comes is worth it on faster lines than what goes.
        let (up, down) = (Line::up(), Line::down());
        for line in [&up, &down] {
            line.took(24 << 20, false, SECOND);
        }
        assert_eq!((up.is_compressed(), down.is_compressed()), (false, true));
    }

    #[test]
    fn what_turns_out_to_take_longer_is_done_no_more() {
        let line = Line::up();
        line.took(3 << 20, false, SECOND);
        line.took(4 << 20, true, SECOND);
        assert!(line.is_compressed());
        line.took(2 << 20, true, SECOND);
        assert!(!line.is_compressed());
    }

    #[test]
    fn whoever_wants_it_always_or_never_has_it_so() {
        let mut line = Line::down();
        line.compression = Compression::Always;
        assert!(line.is_compressed());
        line.compression = Compression::Never;
        line.took(1 << 20, false, SECOND);
        assert!(!line.is_compressed());
    }
}
