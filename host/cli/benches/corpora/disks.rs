//! Formats of disks: what is made of a raw one against `qemu-img convert`, and what a build takes beside that of a raw one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use cellblock_codec::{Method, Settings};

use crate::Arguments;
use crate::contender::{self, CELLBLOCK};
use crate::corpus::Corpus;
use crate::floor::{AllBytes, Floor};
use crate::report::{median, median_ratio, table};
use crate::trial::wait;

/// The bytes of a cluster.
const CLUSTER: usize = 64 << 10;
const MIB: u64 = 1 << 20;

/// A format that is made of a raw disk.
struct Pair {
    title: &'static str,
    /// The file, with our options.
    ours: &'static str,
    /// Arguments of `qemu-img convert`.
    theirs: &'static [&'static str],
    method: Method,
    level: u32,
}

const PAIRS: [Pair; 2] = [
    Pair {
        title: "qcow2 zlib",
        ours: "ours.qcow2,compression_type=zlib",
        theirs: &["-c", "-m", "16", "-W", "-o", "compression_type=zlib"],
        method: Method::Deflate,
        level: 6,
    },
    Pair {
        title: "qcow2 zstd",
        ours: "ours.qcow2,compression_type=zstd",
        theirs: &["-c", "-m", "16", "-W", "-o", "compression_type=zstd"],
        method: Method::Zstd,
        level: 3,
    },
];

/// Files that are built, beside a raw one.
const BUILT: [(&str, &str); 5] = [
    ("qcow2", "built.qcow2"),
    (
        "vmdk, monolithicSparse",
        "built.vmdk,subformat=monolithicSparse",
    ),
    ("vhdx", "built.vhdx"),
    ("vhd, fixed", "built.vhd"),
    ("vhd, dynamic", "built.vhd,subformat=dynamic"),
];

/// Measures all on `corpora`: the tables.
pub(crate) fn measure(corpora: &[Corpus], folder: &Path, arguments: &Arguments) -> Result<String> {
    let outputs = tempfile::tempdir_in(folder)?;
    let (mut converted, mut built) = (Vec::new(), Vec::new());
    for corpus in corpora {
        let stage = Stage {
            corpus,
            folder: outputs.path(),
            limit: Duration::from_secs(arguments.limit),
            rounds: arguments.rounds,
        };
        built.extend(stage.built()?);
        converted.extend(stage.converted()?);
    }
    Ok(format!(
        "### Of a raw disk: medians of rounds in which both take turns\n\n{}\n### Built: medians of rounds in which all take turns\n\n{}",
        table(&with_heading(
            &[
                "corpus",
                "format",
                "ours, s",
                "qemu-img, s",
                "theirs / ours",
                "codec alone, s",
                "ours / codec",
                "read, codec, written, s",
                "ours / that",
                "size, ours / theirs"
            ],
            converted
        )),
        table(&with_heading(
            &["corpus", "format", "s", "raw, s", "beside raw"],
            built
        ))
    ))
}

fn with_heading(heading: &[&str], rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let heading = heading.iter().map(|it| (*it).to_owned()).collect();
    [vec![heading], rows].concat()
}

struct Stage<'a> {
    corpus: &'a Corpus,
    folder: &'a Path,
    limit: Duration,
    rounds: u32,
}

impl Stage<'_> {
    fn seconds(&self, command: &mut Command) -> Result<f64> {
        match wait(command, self.limit)? {
            Some(time) => Ok(time.as_secs_f64()),
            None => bail!("{command:?} was stopped after {:?}", self.limit),
        }
    }

    /// The command that builds the corpus as this file.
    fn build(&self, output: &str) -> Command {
        let size = self.corpus.file_system_size().next_multiple_of(MIB);
        let mut command = Command::new(CELLBLOCK);
        command.current_dir(self.folder);
        command.args(["mkfs", "ext4", "--quiet", "--size", &size.to_string()]);
        let content = format!("directory:{}", self.corpus.directory.display());
        command.args(["--content", &content, "--output", output]);
        command
    }

    fn built(&self) -> Result<Vec<Vec<String>>> {
        self.seconds(&mut self.build("raw.img"))?;
        let mut times = vec![Vec::new(); BUILT.len() + 1];
        for _ in 0..self.rounds {
            let raw = [("raw", "raw.img")];
            for ((_, output), times) in raw.iter().chain(&BUILT).zip(&mut times) {
                clear(&self.path(output))?;
                times.push(self.seconds(&mut self.build(output))?);
            }
        }
        let [raw, formats @ ..] = &times[..] else {
            unreachable!("the raw one is first")
        };
        let row = |((title, _), times): (&(&str, &str), &Vec<f64>)| {
            let numbers = [
                median(times.clone()),
                median(raw.clone()),
                median_ratio(times, raw),
            ];
            self.row(title, &numbers)
        };
        Ok(BUILT.iter().zip(formats).map(row).collect())
    }

    fn converted(&self) -> Result<Vec<Vec<String>>> {
        let Some(qemu) = contender::program("qemu-img") else {
            eprintln!("skipped: no qemu-img");
            return Ok(Vec::new());
        };
        let content = AllBytes::of_disk(&self.path("raw.img"), CLUSTER)?;
        let mut rows = Vec::new();
        for pair in &PAIRS {
            let floor = Floor {
                settings: Settings::new(pair.method, pair.level),
                block: CLUSTER,
                ends_alone: false,
            };
            let [mut ours, mut theirs, mut alone, mut least] = [const { Vec::new() }; 4];
            for _ in 0..self.rounds {
                clear(&self.path(pair.ours))?;
                let mut command = Command::new(CELLBLOCK);
                command.current_dir(self.folder);
                command.args(["export", "raw.img", "--quiet", "--output", pair.ours]);
                ours.push(self.seconds(&mut command)?);
                clear(&self.path("theirs"))?;
                let mut command = Command::new(&qemu);
                command.current_dir(self.folder);
                command.args(["convert", "-f", "raw", "-O", "qcow2"]);
                command.args(pair.theirs).args(["raw.img", "theirs"]);
                theirs.push(self.seconds(&mut command)?);
                alone.push(content.compress(floor)?);
                least.push(content.compress_into(floor, self.folder)?);
            }
            let size = |name: &str| fs::metadata(self.path(name)).map(|it| it.len());
            #[allow(clippy::cast_precision_loss)] // far below 2^52
            let sizes = size(pair.ours)? as f64 / size("theirs")? as f64;
            let numbers = [
                median(ours.clone()),
                median(theirs.clone()),
                median_ratio(&theirs, &ours),
                median(alone.clone()),
                median_ratio(&ours, &alone),
                median(least.clone()),
                median_ratio(&ours, &least),
                Some(sizes),
            ];
            rows.push(self.row(pair.title, &numbers));
        }
        Ok(rows)
    }

    /// The file of an output with options.
    fn path(&self, output: &str) -> PathBuf {
        let name = output.split(',').next().unwrap_or(output);
        self.folder.join(name)
    }

    fn row(&self, title: &str, numbers: &[Option<f64>]) -> Vec<String> {
        let number = |it: &Option<f64>| it.map_or_else(|| "–".to_owned(), |it| format!("{it:.2}"));
        let mut row = vec![self.corpus.name.to_owned(), title.to_owned()];
        row.extend(numbers.iter().map(number));
        eprintln!("{}", row.join(" | "));
        row
    }
}

fn clear(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}
