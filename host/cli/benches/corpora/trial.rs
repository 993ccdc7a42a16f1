//! One corpus, and all contenders on it in turn.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::Arguments;
use crate::contender::{self, CONTENDERS, Contender, Tools};
use crate::corpus::Corpus;
use crate::memory;

/// How long a contender took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Until it ended, in seconds.
    pub(crate) ended: f64,
    /// Until its output was on the disk as well, in seconds.
    pub(crate) synced: f64,
}

/// What came of a contender.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Its runs, one a round; those before it was stopped.
    pub(crate) runs: Vec<Run>,
    /// Whether it took longer than the limit.
    pub(crate) stopped: bool,
    /// The most memory that its processes had, in units of 1,000 bytes; not measured for all.
    pub(crate) peak: Option<u64>,
}

/// A corpus with what came of every contender that took part.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) corpus: Corpus,
    pub(crate) outcomes: BTreeMap<Contender, Outcome>,
}

struct Stage<'a> {
    corpus: &'a Corpus,
    esp: &'a Corpus,
    output: PathBuf,
    tools: &'a Tools,
    limit: Duration,
}

impl Trial {
    /// Runs all contenders on `corpus`, with their outputs in `folder`.
    pub(crate) fn run(
        corpus: Corpus,
        esp: &Corpus,
        folder: &Path,
        tools: &Tools,
        arguments: &Arguments,
    ) -> Result<Self> {
        let stage = Stage {
            corpus: &corpus,
            esp,
            output: folder.join("output.img"),
            tools,
            limit: Duration::from_secs(arguments.limit),
        };
        let mut outcomes = BTreeMap::new();
        for contender in CONTENDERS {
            if let Some(outcome) = stage.warm_up(contender)? {
                outcomes.insert(contender, outcome);
            }
        }
        for round in 1..=arguments.rounds {
            eprint!("{}: round {round} of {}:", corpus.name, arguments.rounds);
            for (contender, outcome) in &mut outcomes {
                if !outcome.stopped {
                    match stage.measure(*contender)? {
                        Some(run) => {
                            eprint!(" {} {:.2} s;", contender.title(), run.ended);
                            outcome.runs.push(run);
                        }
                        None => outcome.stopped = true,
                    }
                }
            }
            eprintln!();
        }
        stage.clear()?;
        Ok(Self { corpus, outcomes })
    }
}

impl Stage<'_> {
    /// The run that is not counted, which takes the peak of memory; none if the contender cannot take part.
    fn warm_up(&self, contender: Contender) -> Result<Option<Outcome>> {
        let mut outcome = Outcome::default();
        match (contender, self.command(contender)?) {
            (Contender::Floor, _) => drop(self.measure(contender)?),
            (_, None) => return Ok(None),
            (Contender::Mke2fs | Contender::Mkext4, Some(_)) => {
                outcome.stopped = self.measure(contender)?.is_none();
            }
            (_, Some(mut command)) => {
                self.clear()?;
                outcome.peak = Some(memory::peak(&mut command)?);
            }
        }
        if matches!(contender, Contender::Directory | Contender::Archive) {
            self.judge()?;
        }
        Ok(Some(outcome))
    }

    /// One run into a fresh file; none if it was stopped.
    fn measure(&self, contender: Contender) -> Result<Option<Run>> {
        self.clear()?;
        let command = self.command(contender)?;
        let begun = Instant::now();
        let ended = match command {
            Some(mut command) => wait(&mut command, self.limit)?,
            None => {
                contender::floor(&self.corpus.directory, &self.output)?;
                Some(begun.elapsed())
            }
        };
        let Some(ended) = ended else {
            return Ok(None);
        };
        let synced = Instant::now();
        File::open(&self.output)?.sync_all()?;
        Ok(Some(Run {
            ended: ended.as_secs_f64(),
            synced: (ended + synced.elapsed()).as_secs_f64(),
        }))
    }

    fn command(&self, contender: Contender) -> Result<Option<Command>> {
        contender.command(self.corpus, self.esp, &self.output, self.tools)
    }

    /// What is measured must also be right.
    fn judge(&self) -> Result<()> {
        let Some(e2fsck) = &self.tools.e2fsck else {
            return Ok(());
        };
        let judged = Command::new(e2fsck).arg("-fn").arg(&self.output).output()?;
        ensure!(
            judged.status.success(),
            "{}: e2fsck complains:\n{}",
            self.corpus.name,
            String::from_utf8_lossy(&judged.stdout)
        );
        Ok(())
    }

    fn clear(&self) -> Result<()> {
        match fs::remove_file(&self.output) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| self.output.display().to_string())
            }
            _ => Ok(()),
        }
    }
}

/// Runs `command` to its end and tells how long it took; none if it was stopped at `limit`.
pub(crate) fn wait(command: &mut Command, limit: Duration) -> Result<Option<Duration>> {
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    // A process identifier may be another's by the time of a signal; a descriptor cannot.
    let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || {
        let status = child.wait();
        // Nobody listens once the limit is over.
        let _ = sender.send(begun.elapsed());
        status
    });
    let ended = receiver.recv_timeout(limit);
    if ended.is_err() {
        pidfd_send_signal(&process, Signal::KILL)?;
    }
    let status = match waiter.join() {
        Ok(status) => status?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    match ended {
        Ok(_) if !status.success() => bail!("{command:?}: {status}"),
        ended => Ok(ended.ok()),
    }
}
