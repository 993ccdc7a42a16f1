//! Container images: a tree in twelve layers into ext4 and erofs, against the same tree in one archive, against what decompressing the
//! layers alone takes, and against `umoci unpack` and `mke2fs -d`.

mod layout;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::Arguments;
use crate::contender::{self, CELLBLOCK};
use crate::corpus::Corpus;
use crate::floor::{Outputs, on_all_threads};
use crate::report::{median, median_ratio, table};
use crate::trial::wait;
use layout::{Layout, Packing};

const LAYERS: usize = 12;
const MIB: u64 = 1 << 20;

/// Measures all on `corpora`: the table.
pub(crate) fn measure(corpora: &[Corpus], folder: &Path, arguments: &Arguments) -> Result<String> {
    let heading = [
        "corpus",
        "layers",
        "into",
        "ours, s",
        "one tar, s",
        "ours / one tar",
        "decompressing alone, s",
        "ours / that",
        "hashed, decompressed, written, s",
        "ours / that",
        "umoci and mke2fs, s",
        "theirs / ours",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for corpus in corpora {
        let Some(archive) = &corpus.archive else {
            continue;
        };
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            let outputs = tempfile::tempdir_in(folder)?;
            let layout = Layout::make(archive, &outputs.path().join("layout"), LAYERS, packing)?;
            for file_system in ["ext4", "erofs"] {
                let stage = Stage {
                    corpus,
                    archive,
                    layout: &layout,
                    file_system,
                    folder: outputs.path(),
                    limit: Duration::from_secs(arguments.limit),
                };
                rows.push(stage.row(arguments.rounds)?);
            }
        }
    }
    Ok(format!(
        "### Twelve layers: medians of rounds in which all take turns\n\n{}",
        table(&rows)
    ))
}

struct Stage<'a> {
    corpus: &'a Corpus,
    archive: &'a Path,
    layout: &'a Layout,
    file_system: &'a str,
    folder: &'a Path,
    limit: Duration,
}

impl Stage<'_> {
    fn row(&self, rounds: u32) -> Result<Vec<String>> {
        let is_packed = self.layout.packing != Packing::Plain;
        // It has no erofs; and the umoci of today's distributions reads no zstd.
        let umoci = contender::program("umoci").zip(contender::program("mke2fs"));
        let umoci =
            umoci.filter(|_| self.file_system == "ext4" && self.layout.packing != Packing::Zstd);
        let [mut ours, mut one, mut alone, mut least, mut theirs] = [const { Vec::new() }; 5];
        self.ours("archive", self.archive)?;
        for _ in 0..rounds {
            ours.push(self.ours("oci", &self.layout.folder)?);
            one.push(self.ours("archive", self.archive)?);
            if is_packed {
                alone.push(self.alone()?);
            }
            least.push(self.least()?);
            if let Some((umoci, mke2fs)) = &umoci {
                theirs.push(self.theirs(umoci, mke2fs)?);
            }
        }
        let numbers = [
            median(ours.clone()),
            median(one.clone()),
            median_ratio(&ours, &one),
            median(alone.clone()),
            median_ratio(&ours, &alone),
            median(least.clone()),
            median_ratio(&ours, &least),
            median(theirs.clone()),
            median_ratio(&theirs, &ours),
        ];
        let mut row = vec![
            self.corpus.name.to_owned(),
            self.layout.packing.name().to_owned(),
            self.file_system.to_owned(),
        ];
        let number = |it: &Option<f64>| it.map_or_else(|| "–".to_owned(), |it| format!("{it:.2}"));
        row.extend(numbers.iter().map(number));
        eprintln!("{}", row.join(" | "));
        Ok(row)
    }

    fn seconds(&self, command: &mut Command) -> Result<f64> {
        match wait(command, self.limit)? {
            Some(time) => Ok(time.as_secs_f64()),
            None => bail!("{command:?} was stopped after {:?}", self.limit),
        }
    }

    /// The seconds that we take from such a source.
    fn ours(&self, kind: &str, source: &Path) -> Result<f64> {
        let output = self.folder.join("ours.img");
        let _ = fs::remove_file(&output);
        let mut command = Command::new(CELLBLOCK);
        command.args(["mkfs", self.file_system, "--quiet"]);
        if self.file_system == "ext4" {
            command.args(["--size", &self.size().to_string()]);
        }
        command.arg("--content");
        command.arg(format!("{kind}:{}", source.display()));
        self.seconds(command.arg("--output").arg(&output))
    }

    fn size(&self) -> u64 {
        self.corpus.file_system_size().next_multiple_of(MIB)
    }

    /// The seconds that decompressing the layers takes, on all processors, with the libraries that we have.
    fn alone(&self) -> Result<f64> {
        let packing = self.layout.packing;
        on_all_threads(&self.layout.layers, |_| {
            move |layer: &PathBuf| Ok(packing.unpack(File::open(layer)?, &mut io::sink())?)
        })
    }

    /// The seconds that it takes if each layer is hashed before and behind that, and written.
    fn least(&self) -> Result<f64> {
        let outputs = Outputs::new(self.folder)?;
        on_all_threads(&self.layout.layers, |thread| {
            let output = outputs.of(thread);
            move |layer: &PathBuf| Ok(self.layout.packing.check_into(layer, output)?)
        })
    }

    fn theirs(&self, umoci: &Path, mke2fs: &Path) -> Result<f64> {
        let (bundle, output) = (self.folder.join("bundle"), self.folder.join("theirs.img"));
        let _ = fs::remove_dir_all(&bundle);
        let _ = fs::remove_file(&output);
        let image = format!("{}:it", self.layout.folder.display());
        let unpacking = self.seconds(
            Command::new(umoci)
                .args(["unpack", "--image", &image])
                .arg(&bundle),
        )?;
        let mut command = Command::new(mke2fs);
        command.args(["-q", "-t", "ext4", "-d"]);
        command.arg(bundle.join("rootfs")).arg(&output);
        command.arg(format!("{}k", self.size() / 1024));
        let making = self.seconds(&mut command)?;
        fs::remove_dir_all(&bundle)?;
        Ok(unpacking + making)
    }
}
