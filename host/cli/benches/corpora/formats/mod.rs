//! The read-only formats: each as ours makes it and as its own program does, and what the codec alone takes.

mod pairs;
mod plot;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::Arguments;
use crate::contender::CELLBLOCK;
use crate::corpus::Corpus;
use crate::floor::{self, AllBytes};
use crate::memory;
use crate::report::{median, table};
use crate::trial::wait;
use pairs::{Least, PAIRS, Pair};

/// The suffix of a spec that is written beside an output.
const SPEC: &str = "toml";

/// What came of one pair on one corpus.
struct Outcome {
    corpus: &'static str,
    pair: &'static Pair,
    rounds: Vec<Round>,
    /// Bytes.
    ours: u64,
    theirs: u64,
    /// The most memory that our processes had, in units of 1,000 bytes.
    peak: u64,
}

/// Seconds.
struct Round {
    ours: f64,
    theirs: f64,
    codec: Option<f64>,
    /// What the least that a program has to do takes.
    least: Option<f64>,
}

/// Measures all pairs on `corpora`: the tables, and the plot beside them in `folder`.
pub(crate) fn measure(corpora: &[Corpus], folder: &Path, arguments: &Arguments) -> Result<String> {
    let mut outcomes = Vec::new();
    for corpus in corpora {
        let content = AllBytes::read(&corpus.directory)?;
        for pair in PAIRS {
            let stage = Stage {
                corpus,
                pair,
                folder,
                limit: Duration::from_secs(arguments.limit),
            };
            if let Some(outcome) = stage.run(&content, arguments.rounds)? {
                outcomes.push(outcome);
            }
        }
    }
    if outcomes.is_empty() {
        return Ok(
            "skipped: no program to compare with, see tests/judges/build-peers\n".to_owned(),
        );
    }
    let plot = folder.join("formats.svg");
    fs::write(&plot, plot::draw(&outcomes)).with_context(|| plot.display().to_string())?;
    Ok(format!("{}\nPlot: {}\n", tables(&outcomes), plot.display()))
}

struct Stage<'a> {
    corpus: &'a Corpus,
    pair: &'static Pair,
    folder: &'a Path,
    limit: Duration,
}

impl Stage<'_> {
    fn run(&self, content: &AllBytes, rounds: u32) -> Result<Option<Outcome>> {
        let Some(program) = peer(self.pair.program()) else {
            return Ok(None);
        };
        let Some(source) = self.source() else {
            return Ok(None);
        };
        let (ours, theirs) = (self.folder.join("ours"), self.folder.join("theirs"));
        clear(&ours)?;
        // The round that is not counted.
        let peak = memory::peak(&mut self.ours(source, &ours)?)?;
        let mut outcome = Outcome {
            corpus: self.corpus.name,
            pair: self.pair,
            rounds: Vec::new(),
            ours: fs::metadata(&ours)?.len(),
            theirs: 0,
            peak,
        };
        for _ in 0..rounds {
            clear(&ours)?;
            let Some(our_time) = wait(&mut self.ours(source, &ours)?, self.limit)? else {
                break;
            };
            clear(&theirs)?;
            let mut command = self.pair.theirs(&program, source, &theirs);
            let Some(their_time) = wait(&mut command, self.limit)? else {
                break;
            };
            outcome.theirs = fs::metadata(&theirs)?.len();
            outcome.rounds.push(Round {
                ours: our_time.as_secs_f64(),
                theirs: their_time.as_secs_f64(),
                codec: self.codec(content)?,
                least: self.least(content, source)?,
            });
        }
        for made in [&ours, &ours.with_extension(SPEC), &theirs] {
            clear(made)?;
        }
        if outcome.rounds.is_empty() {
            let (title, name) = (self.pair.title, self.corpus.name);
            eprintln!("{name}: {title}: stopped after {} s", self.limit.as_secs());
            return Ok(None);
        }
        eprintln!("{}: {}", self.corpus.name, outcome.row().join(" | "));
        Ok(Some(outcome))
    }

    /// The seconds of the codec alone.
    fn codec(&self, content: &AllBytes) -> Result<Option<f64>> {
        Ok(match self.pair.least {
            Least::Compressing(floor) => Some(content.compress(floor)?),
            Least::Copying | Least::Unknown => None,
        })
    }

    /// The seconds of what no program can leave out.
    fn least(&self, content: &AllBytes, source: &Path) -> Result<Option<f64>> {
        Ok(match self.pair.least {
            Least::Compressing(floor) => Some(content.compress_into(floor, self.folder)?),
            Least::Copying if self.pair.from_archive => {
                let all = content.files().iter().map(|(_, length)| length).sum();
                Some(floor::copied(&[(source.to_owned(), all)], self.folder)?)
            }
            Least::Copying => Some(floor::copied(&content.files(), self.folder)?),
            Least::Unknown => None,
        })
    }

    fn source(&self) -> Option<&Path> {
        if self.pair.from_archive {
            self.corpus.archive.as_deref()
        } else {
            Some(&self.corpus.directory)
        }
    }

    fn ours(&self, source: &Path, output: &Path) -> Result<Command> {
        if self.pair.verity {
            return self.with_hash_tree(source, output);
        }
        let mut command = Command::new(CELLBLOCK);
        command.args(["mkfs", self.pair.kind(), "--quiet", "--size", "minimum"]);
        if self.pair.kind() == "squashfs" {
            // It cannot hold the access control lists that a Debian's journal has; mksquashfs leaves them out by itself.
            command.args(["--drop", "attributes"]);
        }
        for option in self.pair.ours {
            command.args(["--option", option]);
        }
        let kind = if self.pair.from_archive {
            "archive"
        } else {
            "directory"
        };
        command
            .arg("--content")
            .arg(format!("{kind}:{}", source.display()));
        command.arg("--output").arg(output);
        Ok(command)
    }

    /// The command that builds a disk of the file system and its dm-verity hash tree, from a spec beside `output`.
    fn with_hash_tree(&self, source: &Path, output: &Path) -> Result<Command> {
        let source = source.to_str().context("a corpus in a UTF-8 folder")?;
        let options = self.pair.ours.iter().filter_map(|it| it.split_once('='));
        let options: Vec<_> = options
            .map(|(name, value)| format!("{name} = {value:?}"))
            .collect();
        let spec = output.with_extension(SPEC);
        fs::write(
            &spec,
            format!(
                "[[partition]]\nname = 'root'\ntype = 'root-x86-64'\nfilesystem = '{}'\nsize = 'minimum'\n\
                 options = {{ {} }}\ncontent = [{{ directory = '{source}' }}]\n\
                 [[partition]]\nname = 'hashes'\ntype = 'root-x86-64-verity'\nverity = {{ of = 'root' }}\n",
                self.pair.kind(),
                options.join(", "),
            ),
        )?;
        let mut command = Command::new(CELLBLOCK);
        command.args(["build", "--quiet"]).arg(spec);
        command.arg("--output").arg(output);
        Ok(command)
    }
}

impl Outcome {
    fn median(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<f64>> = self.rounds.iter().map(of).collect();
        median(values?)
    }

    fn row(&self) -> Vec<String> {
        let seconds =
            |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |it| format!("{it:.2}"));
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let size = self.ours as f64 / self.theirs as f64;
        vec![
            self.corpus.to_owned(),
            self.pair.title.to_owned(),
            seconds(self.median(|round| Some(round.ours))),
            seconds(self.median(|round| Some(round.theirs))),
            seconds(self.median(|round| Some(round.theirs / round.ours))),
            seconds(self.median(|round| round.codec)),
            seconds(self.median(|round| Some(round.ours / round.codec?))),
            seconds(self.median(|round| round.least)),
            seconds(self.median(|round| Some(round.ours / round.least?))),
            seconds(self.median(|round| Some(round.theirs / round.least?))),
            (self.ours / 1_000_000).to_string(),
            format!("{size:.3}"),
            self.peak.div_ceil(1000).to_string(),
        ]
    }
}

fn tables(outcomes: &[Outcome]) -> String {
    let heading = [
        "corpus",
        "format",
        "ours, s",
        "theirs, s",
        "theirs / ours",
        "codec alone, s",
        "ours / codec",
        "read, codec, written, s",
        "ours / that",
        "theirs / that",
        "MB",
        "size, ours / theirs",
        "peak, MB",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(outcomes.iter().map(Outcome::row));
    format!(
        "### Read-only formats: medians of rounds in which all take turns\n\n{}",
        table(&rows)
    )
}

/// A program of others: the one that was built for judging, or else the one that is installed.
fn peer(name: &str) -> Option<PathBuf> {
    let built = std::env::var_os("CELLBLOCK_PEERS").map(PathBuf::from);
    let built = built.into_iter().flat_map(|folder| {
        ["erofs-utils", "squashfs-tools"].map(|package| folder.join(package).join("bin").join(name))
    });
    let found = built
        .chain([Path::new("/usr/bin").join(name)])
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: no {name}");
    }
    found
}

fn clear(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}
