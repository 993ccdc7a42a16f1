//! Progress on a terminal: a line for each phase that is going on.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use cellblock_build::progress::{Done, Ongoing, Phase, Progress};

use super::pace::Pace;
use super::pen::Pen;
use super::terminal;

/// How often a line is drawn.
const INTERVAL: Duration = Duration::from_millis(100);

/// All of a line is ours.
const STYLE: &str = "{line}";

/// The progress of a build on a terminal. It can be shared between threads; its lines stand below each other.
#[derive(Debug, Clone)]
pub struct TerminalProgress {
    bars: MultiProgress,
    pen: Pen,
}

impl TerminalProgress {
    /// Lines on standard error; hidden when that is no terminal.
    #[must_use]
    pub fn on_terminal() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        Self {
            bars: MultiProgress::with_draw_target(target),
            pen: Pen {
                color: terminal::color(&io::stderr()),
            },
        }
    }
}

impl Progress for TerminalProgress {
    fn begin(&self, phase: Phase, name: &str, total: Option<u64>, done: Done) -> Ongoing {
        let (name, begun, pen) = (name.to_owned(), Instant::now(), self.pen);
        let done: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::from(done);
        let line = move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
            let pace = Pace {
                phase,
                name: &name,
                total,
                done: done(),
                elapsed: begun.elapsed(),
            };
            // A line that cannot be composed is one that is not seen.
            let _ = text.write_str(&pace.columns(pen));
        };
        let style = ProgressStyle::with_template(STYLE)
            .expect("a test holds it")
            .with_key("line", line);
        let bar = self.bars.add(ProgressBar::no_length().with_style(style));
        bar.enable_steady_tick(INTERVAL);
        let bars = self.bars.clone();
        Ongoing::new(move || {
            bar.finish_and_clear();
            bars.remove(&bar);
        })
    }

    fn clear(&self) {
        // A terminal that went away while lines were drawn on it is no reason to fail a build.
        let _ = self.bars.clear();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use indicatif::TermLike;

    use super::*;

    /// A terminal of 80 columns that keeps what is written.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<String>>);

    impl Kept {
        fn text(&self) -> String {
            self.0.lock().unwrap().clone()
        }
    }

    impl TermLike for Kept {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(line)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_shows_all_that_goes_on() {
        let kept = Kept::default();
        let target = ProgressDrawTarget::term_like(Box::new(kept.clone()));
        let progress = TerminalProgress::on(target);
        let reading = progress.begin(Phase::Reading, "root", None, Box::new(|| 120_000));
        let total = Some(3 << 30);
        let writing = progress.begin(Phase::Writing, "efi", total, Box::new(|| 1 << 30));
        let is_shown = |text: &str| {
            text.contains("root         reading: 120 000 files") && text.contains("1 GiB of 3 GiB")
        };
        while !is_shown(&kept.text()) {
            std::thread::yield_now();
        }
        drop((reading, writing));
        progress.clear();
    }
}
