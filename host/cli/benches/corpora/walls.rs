//! What the second wall costs: `mkfs ext4` behind both walls against the same in a cell of one process.
//!
//! The two take turns, once with nothing beside and once beside a thread that is busy all the time: behind the second
//! wall, every question of the formatter is two switches of process, which cost most where another one waits for the core.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::Arguments;
use crate::contender;
use crate::corpus::Corpus;
use crate::report::{heading, median, median_ratio, table};
use crate::trial::wait;

/// Measures all on `corpora`: the table.
pub(crate) fn measure(corpora: &[Corpus], folder: &Path, arguments: &Arguments) -> Result<String> {
    let outputs = tempfile::tempdir_in(folder)?;
    let columns = [
        "corpus",
        "source",
        "beside",
        "cell alone, s",
        "both walls, s",
        "ratio",
    ];
    let mut rows = vec![heading(columns)];
    for corpus in corpora {
        let archive = corpus.archive.as_deref().map(|it| ("archive", it));
        let sources = [("directory", corpus.directory.as_path())];
        for (kind, source) in sources.into_iter().chain(archive) {
            for beside in ["nothing", "a busy thread"] {
                let stage = Stage {
                    kind,
                    source,
                    size: corpus.file_system_size(),
                    folder: outputs.path(),
                    limit: Duration::from_secs(arguments.limit),
                };
                let measured = if beside == "nothing" {
                    stage.rounds(arguments.rounds)
                } else {
                    beside_work(|| stage.rounds(arguments.rounds))
                };
                let (alone, both) = measured?;
                let number = |it: Option<f64>| it.map_or_else(String::new, |it| format!("{it:.3}"));
                let mut row = heading([corpus.name, kind, beside]);
                row.push(number(median(alone.clone())));
                row.push(number(median(both.clone())));
                row.push(number(median_ratio(&both, &alone)));
                eprintln!("{}", row.join(" | "));
                rows.push(row);
            }
        }
    }
    Ok(format!(
        "### Both walls against the cell alone: medians of rounds in which they take turns\n\n{}",
        table(&rows)
    ))
}

struct Stage<'a> {
    /// What the source is, as `--content` names it.
    kind: &'a str,
    source: &'a Path,
    /// Bytes of the file system.
    size: u64,
    folder: &'a Path,
    limit: Duration,
}

impl Stage<'_> {
    /// The seconds of each round: of the cell alone, and behind both walls. A round that is not counted goes first.
    fn rounds(&self, rounds: u32) -> Result<(Vec<f64>, Vec<f64>)> {
        let (mut alone, mut both) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let times = if round % 2 == 0 {
                let first = self.seconds("wasm")?;
                (first, self.seconds("process")?)
            } else {
                let first = self.seconds("process")?;
                (self.seconds("wasm")?, first)
            };
            if round > 0 {
                alone.push(times.0);
                both.push(times.1);
            }
        }
        Ok((alone, both))
    }

    fn seconds(&self, walls: &str) -> Result<f64> {
        let output = self.folder.join("made");
        let mut command: Command = contender::mkfs(self.kind, self.source, &output, self.size);
        command.args(["--walls", walls]);
        let time = wait(&mut command, self.limit)?;
        std::fs::remove_file(&output)?;
        match time {
            Some(time) => Ok(time.as_secs_f64()),
            None => bail!("{command:?} was stopped after {:?}", self.limit),
        }
    }
}

/// Does `work` beside a thread that computes without end.
fn beside_work<T>(work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let made = work();
        done.store(true, Ordering::Relaxed);
        made
    })
}
