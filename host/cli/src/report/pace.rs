//! How far a phase is, in words.

use std::time::Duration;

use cellblock_build::progress::Phase;
use cellblock_build::text::{grouped, human, printable};

use super::pen::{BOLD, Pen};
use super::text::{left, right};

/// The columns of what a partition or an image is called.
const NAME: usize = 12;
/// The columns of the word for a phase.
const WORD: usize = 9;
/// The columns of a bar.
const BAR: usize = 11;
/// The columns of a size: `1023.9 MiB`.
const SIZE: usize = 10;
/// The columns of a rate: `1023.9 MiB/s`.
const RATE: usize = 12;
/// The columns of a time.
const TIME: usize = 6;

/// How long a phase goes on before its rate says something.
const SETTLED: Duration = Duration::from_secs(1);

/// How far a phase is at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace<'a> {
    pub(super) phase: Phase,
    pub(super) name: &'a str,
    /// Bytes; none where it is not known, or nothing is counted.
    pub(super) total: Option<u64>,
    /// Files of a phase that reads, otherwise bytes.
    pub(super) done: u64,
    pub(super) elapsed: Duration,
}

impl Pace<'_> {
    /// For a log: `root: writing: 1 GiB of 3 GiB, 102.3 MiB a second, 20 s left`.
    pub(super) fn words(&self) -> String {
        let (name, word) = (printable(self.name), self.phase.word());
        match (self.phase, self.total) {
            (Phase::Reading, _) => format!("{name}: {word}: {} files", grouped(self.done)),
            (_, Some(total)) if !self.tells_rate() => {
                format!("{name}: {word}: {} of {}", human(self.done), human(total))
            }
            (_, Some(total)) => format!(
                "{name}: {word}: {} of {}, {} a second, {} left",
                human(self.done),
                human(total),
                human(self.rate()),
                time(self.left(total))
            ),
            (_, None) => format!("{name}: {word} for {}", time(self.elapsed.as_secs())),
        }
    }

    /// When it has ended: `root: writing: 3 GiB in 30.1 s`.
    pub(super) fn ended(&self) -> String {
        let (name, word) = (printable(self.name), self.phase.word());
        let seconds = self.elapsed.as_secs_f64();
        match (self.phase, self.total) {
            (Phase::Reading, _) => {
                format!(
                    "{name}: {word}: {} files in {seconds:.2} s",
                    grouped(self.done)
                )
            }
            (_, Some(total)) => format!("{name}: {word}: {} in {seconds:.2} s", human(total)),
            (_, None) => format!("{name}: {word} took {seconds:.2} s"),
        }
    }

    /// For a terminal, in less than 80 columns: name, phase, a bar, bytes of how many, rate, time left.
    pub(super) fn columns(&self, pen: Pen) -> String {
        let name = pen.paint(&left(&printable(self.name), NAME), BOLD);
        let word = left(self.phase.word(), WORD);
        match (self.phase, self.total) {
            (Phase::Reading, _) => {
                format!("{name} {}: {} files", self.phase.word(), grouped(self.done))
            }
            (_, Some(total)) => {
                let far = format!(
                    "{name} {word} {} {} of {}",
                    bar(self.done, total),
                    right(&human(self.done), SIZE),
                    left(&human(total), SIZE)
                );
                if !self.tells_rate() {
                    return far.trim_end().to_owned();
                }
                let rate = right(&format!("{}/s", human(self.rate())), RATE);
                format!("{far} {rate} {}", right(&time(self.left(total)), TIME))
            }
            (_, None) => format!("{name} {word} {}", time(self.elapsed.as_secs())),
        }
    }

    /// Whether it went on for long enough to say how fast, and how long it takes.
    fn tells_rate(&self) -> bool {
        self.done > 0 && self.elapsed >= SETTLED
    }

    /// Bytes a second, since it began.
    fn rate(&self) -> u64 {
        let rate = u128::from(self.done) * 1000 / self.elapsed.as_millis().max(1);
        // Faster than can be said.
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    /// Seconds until it is done, if it goes on as it did.
    fn left(&self, total: u64) -> u64 {
        total.saturating_sub(self.done) / self.rate().max(1)
    }
}

/// How much of a whole is done, as a bar.
fn bar(done: u64, total: u64) -> String {
    let (done, total) = (u128::from(done), u128::from(total.max(1)));
    let full = done.min(total) * BAR as u128 / total;
    let full = usize::try_from(full).expect("no more than the bar has columns");
    "━".repeat(full) + &"─".repeat(BAR - full)
}

/// A time in its largest unit, in at most six columns.
fn time(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min", seconds / 60),
        6000..360_000 => format!("{} h", seconds / 3600),
        _ => "days".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::text::columns;

    fn pace(phase: Phase, total: Option<u64>, done: u64, seconds: u64) -> Pace<'static> {
        Pace {
            phase,
            name: "root",
            total,
            done,
            elapsed: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let writing = pace(Phase::Writing, Some(3 << 30), 1 << 30, 10);
        assert_eq!(
            writing.words(),
            "root: writing: 1 GiB of 3 GiB, 102.3 MiB a second, 20 s left"
        );
        assert_eq!(
            writing.columns(Pen { color: false }),
            "root         writing   ━━━────────      1 GiB of 3 GiB       102.3 MiB/s   20 s"
        );
        assert_eq!(writing.ended(), "root: writing: 3 GiB in 10.00 s");
        // Nobody knows yet how long it takes.
        for (done, seconds) in [(0, 5), (1 << 30, 0)] {
            let begun = pace(Phase::Writing, Some(3 << 30), done, seconds);
            let (words, columns) = (begun.words(), begun.columns(Pen { color: false }));
            assert!(words.ends_with(" of 3 GiB"), "{words}");
            assert!(columns.ends_with(" of 3 GiB"), "{columns}");
        }
        let reading = pace(Phase::Reading, None, 120_000, 3);
        assert_eq!(reading.words(), "root: reading: 120 000 files");
        assert_eq!(
            reading.columns(Pen { color: false }),
            "root         reading: 120 000 files"
        );
        assert_eq!(reading.ended(), "root: reading: 120 000 files in 3.00 s");
        let measuring = pace(Phase::Measuring, None, 0, 7);
        assert_eq!(measuring.words(), "root: measuring for 7 s");
        assert_eq!(measuring.ended(), "root: measuring took 7.00 s");
    }

    #[test]
    fn every_line_fits_eighty_columns() {
        let sizes: Vec<u64> = (0..64)
            .flat_map(|bit| [1 << bit, (1 << bit) - 1, u64::MAX - (1 << bit)])
            .collect();
        for total in &sizes {
            for done in &sizes {
                for seconds in [0, 1, 99, 100, 5999, 6000, 10_000_000] {
                    for phase in [Phase::Reading, Phase::Measuring, Phase::Writing] {
                        let mut pace = pace(phase, Some(*total), *done, seconds);
                        pace.name = "a name as long as a name may be 根文件根";
                        let line = pace.columns(Pen { color: false });
                        assert!(columns(&line) < 80, "{line}");
                    }
                }
            }
        }
    }
}
