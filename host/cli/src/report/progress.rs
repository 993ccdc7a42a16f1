//! Progress bars on standard error, one a partition.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use cellblock_build::progress::{Bar, Progress};
use cellblock_build::text::printable;

use super::text::left;

/// The columns that a partition's name has before its bar.
const NAME_COLUMNS: usize = 16;

/// Name, bar, bytes done and in all, speed, and time left: 80 columns.
const STYLE: &str = "{prefix:.bold} {bar:18.cyan/dim} {binary_bytes:>10} of \
                     {binary_total_bytes:10} {binary_bytes_per_sec:>12.dim} {eta:>4.dim}";

/// The progress of a build on a terminal. It can be shared between threads; its bars draw below each other.
#[derive(Debug, Clone)]
pub struct TerminalProgress {
    bars: MultiProgress,
}

impl TerminalProgress {
    /// Progress that nobody sees, for `--quiet`.
    #[must_use]
    pub fn hidden() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
        }
    }

    /// Bars on standard error; hidden when that is no terminal.
    #[must_use]
    pub fn on_terminal() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
        }
    }

    fn add(&self, name: &str, total_bytes: u64) -> TerminalBar {
        let style =
            ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::hidden());
        bar.set_style(style.progress_chars("━╸─"));
        bar.set_prefix(left(&printable(name), NAME_COLUMNS));
        TerminalBar {
            bar: self.bars.add(bar),
        }
    }
}

impl Progress for TerminalProgress {
    fn partition(&self, name: &str, total_bytes: u64) -> Box<dyn Bar> {
        Box::new(self.add(name, total_bytes))
    }

    fn clear(&self) {
        // A terminal that went away while bars were drawn on it is no reason to fail a build.
        let _ = self.bars.clear();
    }
}

/// The progress of one partition. Its clones move the same bar.
#[derive(Debug, Clone)]
struct TerminalBar {
    bar: ProgressBar,
}

impl Bar for TerminalBar {
    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn finish(&self) {
        self.bar.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared<T: Send + Sync + Clone>(value: T) -> T {
        value
    }

    #[test]
    fn bars_can_be_moved_from_any_thread() {
        let progress = shared(TerminalProgress::hidden());
        let bar = shared(progress.add("root", 100));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| bar.advance(25));
            }
        });
        assert_eq!(bar.bar.position(), 100);
        bar.finish();
        progress.clear();
    }

    #[test]
    fn the_style_is_valid() {
        assert!(ProgressStyle::with_template(STYLE).is_ok());
    }
}
