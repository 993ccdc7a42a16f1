//! The way back: file systems read in cells, against the kernel's mount, `debugfs`, `unsquashfs` and `fsck.erofs`, and against what
//! decoding alone takes; and what it takes to verify a build.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use cellblock_codec::{Method, Settings};

use crate::Arguments;
use crate::contender::{self, CELLBLOCK};
use crate::corpus::Corpus;
use crate::floor::{AllBytes, Floor};
use crate::report::{median, median_ratio, table};
use crate::trial::wait;

/// Both file systems have blocks of 64 KiB of zstd, of the same level.
const BLOCK: usize = 64 << 10;
const LEVEL: u32 = 3;

/// Measures all on `corpora`: the table.
pub(crate) fn measure(corpora: &[Corpus], folder: &Path, arguments: &Arguments) -> Result<String> {
    let heading = [
        "corpus",
        "what",
        "ours, s",
        "beside",
        "theirs, s",
        "theirs / ours",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for corpus in corpora {
        let outputs = tempfile::tempdir_in(folder)?;
        let stage = Stage {
            corpus,
            folder: outputs.path(),
            limit: Duration::from_secs(arguments.limit),
            rounds: arguments.rounds,
            trees: Cell::new(0),
        };
        stage.prepare()?;
        rows.extend(stage.rows()?);
    }
    Ok(format!(
        "### Reading: medians of rounds in which both take turns\n\n{}",
        table(&rows)
    ))
}

struct Stage<'a> {
    corpus: &'a Corpus,
    folder: &'a Path,
    limit: Duration,
    rounds: u32,
    /// How many runs have had a folder of their own.
    trees: Cell<u32>,
}

/// The seconds of a run.
type Run<'a> = &'a dyn Fn() -> Result<f64>;
/// Somebody else who does the same.
type Peer<'a> = (&'a str, Run<'a>);

impl Stage<'_> {
    fn prepare(&self) -> Result<()> {
        let size = self.corpus.file_system_size().next_multiple_of(1 << 20);
        let content = format!("directory:{}", self.corpus.directory.display());
        // It cannot hold the access control lists that a Debian's journal has.
        let squashfs = [
            "--drop".to_owned(),
            "attributes".to_owned(),
            "--option".to_owned(),
            format!("block-size={BLOCK}"),
            "--option".to_owned(),
            format!("compression=zstd,level={LEVEL}"),
        ];
        let erofs = [
            "--option".to_owned(),
            format!("compression=zstd,level={LEVEL}"),
            "--option".to_owned(),
            format!("cluster-size={BLOCK}"),
        ];
        let ext4 = ["--size".to_owned(), size.to_string()];
        for (kind, options) in [
            ("ext4", &ext4[..]),
            ("squashfs", &squashfs),
            ("erofs", &erofs),
        ] {
            let mut command = Command::new(CELLBLOCK);
            command.args(["mkfs", kind, "--quiet", "--content", &content]);
            command.args(options).arg("--output").arg(self.path(kind));
            self.seconds(&mut command)?;
        }
        let spec = format!(
            "[[partition]]\nname = \"root\"\ntype = \"root-x86-64\"\nsize = \"{}MiB\"\nfilesystem = \"ext4\"\n\
             content = [{{ directory = \"{}\" }}]\n",
            size >> 20,
            self.corpus.directory.display()
        );
        fs::write(self.path("spec.toml"), spec)?;
        Ok(())
    }

    fn rows(&self) -> Result<Vec<Vec<String>>> {
        let floor = Floor {
            settings: Settings::new(Method::Zstd, LEVEL),
            block: BLOCK,
            ends_alone: false,
        };
        let content = AllBytes::read(&self.corpus.directory)?;
        let blocks = content.compressed(floor)?;
        let decoding = || blocks.decompress();
        let least = || blocks.decompress_into(self.folder);
        let mounted = || {
            let (at, tar) = (self.path("mounted"), self.path("theirs.tar"));
            fs::create_dir_all(&at)?;
            self.shell(&format!(
                "mount -o loop,ro {image} {at} && tar -C {at} -cf {tar} . && umount {at}",
                image = self.path("ext4").display(),
                at = at.display(),
                tar = tar.display()
            ))
        };
        let dumped = || {
            let to = self.fresh();
            fs::create_dir(&to)?;
            self.shell(&format!(
                "debugfs -R 'rdump / {to}' {image} 2>/dev/null",
                image = self.path("ext4").display(),
                to = to.display()
            ))
        };
        let unsquashed = || {
            self.shell(&format!(
                "unsquashfs -quiet -no-progress -dest {to} {image}",
                image = self.path("squashfs").display(),
                to = self.fresh().display()
            ))
        };
        let extracted = || {
            self.shell(&format!(
                "fsck.erofs --extract={to} {image}",
                image = self.path("erofs").display(),
                to = self.fresh().display()
            ))
        };
        let build = || {
            self.cleared("built.img")?;
            self.ours(&["build", "spec.toml", "--quiet", "--output", "built.img"])
        };
        let export = |kind: &'static str| {
            move || {
                self.cleared("ours.tar")?;
                self.ours(&["export", kind, "--quiet", "--output", "ours.tar"])
            }
        };
        let out = |kind: &'static str| {
            move || {
                let to = self.fresh();
                fs::create_dir(&to)?;
                self.ours(&[
                    OsStr::new("cp"),
                    "--quiet".as_ref(),
                    kind.as_ref(),
                    to.as_ref(),
                ])
            }
        };
        let listed = || self.ours(&["ls", "-R", "ext4"]);
        let verified = || self.ours(&["verify", "built.img", "spec.toml"]);
        let mut rows = Vec::new();
        let compared: [(&str, Run<'_>, &[Peer<'_>]); 8] = [
            (
                "ext4 to a tar",
                &export("ext4"),
                &[("mount, tar, umount", &mounted), ("debugfs rdump", &dumped)],
            ),
            ("ext4, ls -R", &listed, &[]),
            (
                "squashfs zstd to a tar",
                &export("squashfs"),
                &[
                    ("decoding alone", &decoding),
                    ("read, decoded, written", &least),
                ],
            ),
            (
                "squashfs zstd to a directory",
                &out("squashfs"),
                &[("unsquashfs", &unsquashed)],
            ),
            (
                "erofs zstd to a tar",
                &export("erofs"),
                &[
                    ("decoding alone", &decoding),
                    ("read, decoded, written", &least),
                ],
            ),
            (
                "erofs zstd to a directory",
                &out("erofs"),
                &[("fsck.erofs --extract", &extracted)],
            ),
            ("build of a disk with ext4", &build, &[]),
            (
                "verify of that disk",
                &verified,
                &[("the build again", &build)],
            ),
        ];
        for (what, ours, peers) in compared {
            rows.extend(self.compare(what, ours, peers)?);
        }
        Ok(rows)
    }

    /// A row for each peer, or one for none.
    fn compare(&self, what: &str, ours: Run<'_>, peers: &[Peer<'_>]) -> Result<Vec<Vec<String>>> {
        // The first run warms caches.
        ours()?;
        let mut times = Vec::new();
        let mut theirs = vec![Vec::new(); peers.len()];
        for _ in 0..self.rounds {
            times.push(ours()?);
            for ((_, peer), theirs) in peers.iter().zip(&mut theirs) {
                theirs.push(peer()?);
            }
        }
        let number = |it: Option<f64>| it.map_or_else(|| "–".to_owned(), |it| format!("{it:.2}"));
        let row = |peer: &str, theirs: &[f64]| {
            let row = vec![
                self.corpus.name.to_owned(),
                what.to_owned(),
                number(median(times.clone())),
                peer.to_owned(),
                number(median(theirs.to_vec())),
                number(median_ratio(theirs, &times)),
            ];
            eprintln!("{}", row.join(" | "));
            row
        };
        if peers.is_empty() {
            return Ok(vec![row("–", &[])]);
        }
        let rows = peers.iter().zip(&theirs);
        Ok(rows.map(|((peer, _), theirs)| row(peer, theirs)).collect())
    }

    fn ours(&self, arguments: &[impl AsRef<OsStr>]) -> Result<f64> {
        let mut command = Command::new(CELLBLOCK);
        self.seconds(command.args(arguments).current_dir(self.folder))
    }

    /// Runs a line of a shell, with the peers that were built before those that are installed.
    fn shell(&self, line: &str) -> Result<f64> {
        let mut command = Command::new("sh");
        command.args(["-ec", line]);
        command.env("PATH", contender::search_path()?);
        self.seconds(&mut command)
    }

    /// Waits first until the disk has what runs before have written.
    fn seconds(&self, command: &mut Command) -> Result<f64> {
        rustix::fs::sync();
        let begun = Instant::now();
        match wait(command, self.limit)? {
            Some(_) => Ok(begun.elapsed().as_secs_f64()),
            None => bail!("{command:?} was stopped after {:?}", self.limit),
        }
    }

    /// Removes the file that a run before has left.
    fn cleared(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Where no run has been. Trees stay until the end: whoever makes files where thousands were just removed pays for it, since ext4
    /// leaves out the inodes that were freed within the last minute.
    fn fresh(&self) -> PathBuf {
        self.trees.set(self.trees.get() + 1);
        self.path(&format!("tree-{}", self.trees.get()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
