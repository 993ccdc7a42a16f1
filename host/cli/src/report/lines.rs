//! Progress where there is no terminal: a line every ten seconds. And for who wants to know it all, a line for each thing that is
//! done.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cellblock_build::progress::{Done, Ongoing, Phase, Progress};
use cellblock_build::text::printable;

use super::pace::Pace;

/// How far lines are apart.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says on standard error how far each partition is.
#[derive(Clone, Debug)]
pub struct LineProgress {
    shared: Arc<Shared>,
    /// Whether all that is done is said.
    verbose: bool,
}

impl LineProgress {
    /// Progress of which a line is written every ten seconds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::default(),
            verbose: false,
        }
    }

    /// The same, and a line for each thing that is done.
    #[must_use]
    pub fn verbose() -> Self {
        Self {
            verbose: true,
            ..Self::new()
        }
    }
}

impl Default for LineProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for LineProgress {
    fn begin(&self, phase: Phase, name: &str, total: Option<u64>, done: Done) -> Ongoing {
        if self.verbose {
            tell!("{}: {}", printable(name), phase.word());
        }
        let number = Shared::begin(
            &self.shared,
            Line {
                phase,
                name: name.to_owned(),
                total,
                done,
                begun: Instant::now(),
            },
        );
        let (shared, verbose) = (Arc::clone(&self.shared), self.verbose);
        Ongoing::new(move || {
            let ended = shared.end(number);
            if let Some(line) = ended
                && verbose
            {
                tell!("{}", line.pace().ended());
            }
        })
    }

    fn say(&self, text: &str) {
        if self.verbose {
            tell!("{}", printable(text));
        }
    }

    fn clear(&self) {
        self.shared.state().is_ended = true;
        self.shared.changed.notify_all();
    }
}

/// What the thread that writes every ten seconds looks at.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Phases>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Phases {
    /// The phases that have begun and not ended, by their numbers.
    ongoing: Vec<(u64, Line)>,
    begun: u64,
    is_ended: bool,
}

/// A phase that is going on.
struct Line {
    phase: Phase,
    name: String,
    total: Option<u64>,
    done: Done,
    begun: Instant,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pace().fmt(f)
    }
}

impl Line {
    fn pace(&self) -> Pace<'_> {
        Pace {
            phase: self.phase,
            name: &self.name,
            total: self.total,
            done: (self.done)(),
            elapsed: self.begun.elapsed(),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Phases> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a phase in, and starts the thread that writes if this is the first.
    fn begin(shared: &Arc<Self>, line: Line) -> u64 {
        let mut state = shared.state();
        let number = state.begun;
        state.begun += 1;
        state.ongoing.push((number, line));
        drop(state);
        if number == 0 {
            let shared = Arc::clone(shared);
            // Where no more threads may be started, nothing is written.
            let _ = thread::Builder::new()
                .name("progress".to_owned())
                .spawn(move || shared.write());
        }
        number
    }

    fn end(&self, number: u64) -> Option<Line> {
        let mut state = self.state();
        let index = state.ongoing.iter().position(|(it, _)| *it == number)?;
        Some(state.ongoing.remove(index).1)
    }

    /// Writes a line every ten seconds until the build has ended.
    fn write(&self) {
        let mut state = self.state();
        while !state.is_ended {
            let waited = self.changed.wait_timeout(state, INTERVAL);
            let (guard, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if waited.timed_out()
                && let Some(line) = state.line()
            {
                tell!("{line}");
            }
        }
    }
}

impl Phases {
    /// All that is going on, in a line.
    fn line(&self) -> Option<String> {
        let words = self.ongoing.iter().map(|(_, line)| line.pace().words());
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_all_that_goes_on_and_nothing_that_has_ended() {
        let progress = LineProgress::new();
        let begin =
            |name, count: u64| progress.begin(Phase::Reading, name, None, Box::new(move || count));
        let line = || progress.shared.state().line();
        let root = begin("root", 120_000);
        let efi = begin("efi", 3);
        assert_eq!(
            line().as_deref(),
            Some("root: reading: 120 000 files; efi: reading: 3 files")
        );
        drop(root);
        assert_eq!(line().as_deref(), Some("efi: reading: 3 files"));
        drop(efi);
        assert_eq!(line(), None);
        progress.clear();
    }
}
