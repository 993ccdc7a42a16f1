//! The contenders: what makes an output from a corpus.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::corpus::{BLOCK, Corpus};
use crate::peer;

/// The program that is measured.
pub(crate) const CELLBLOCK: &str = env!("CARGO_BIN_EXE_cellblock");

/// Who takes part, in the order of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contender {
    /// One thread that walks the directory and copies every file's bytes into one output file.
    Floor,
    /// `mke2fs -t ext4 -d` of the directory.
    Mke2fs,
    /// The example program of the crate `mkext4`, on the directory: native, with fewer features than ours has by default.
    Mkext4,
    /// `cellblock mkfs ext4` of the directory.
    Directory,
    /// `cellblock mkfs ext4` of the archive.
    Archive,
    /// `cellblock build` of a GPT disk with the directory as root and an EFI system partition.
    Disk,
}

pub(crate) const CONTENDERS: [Contender; 6] = [
    Contender::Floor,
    Contender::Mke2fs,
    Contender::Mkext4,
    Contender::Directory,
    Contender::Archive,
    Contender::Disk,
];

/// The programs of others that the benchmark uses.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) mke2fs: Option<PathBuf>,
    pub(crate) mkext4: Option<PathBuf>,
    pub(crate) e2fsck: Option<PathBuf>,
}

impl Tools {
    /// Finds those that are installed, and builds in `folder` those that the registry has.
    pub(crate) fn find(folder: &Path) -> Self {
        let find = |name| {
            let found = program(name);
            if found.is_none() {
                eprintln!("skipped: no {name}");
            }
            found
        };
        Self {
            mke2fs: find("mke2fs"),
            mkext4: peer::mkext4(folder),
            e2fsck: find("e2fsck"),
        }
    }
}

/// Finds a program on PATH, or where programs for root are.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Where programs of others are looked for: those that `tests/judges/build-peers` has built come first.
pub(crate) fn search_path() -> Result<std::ffi::OsString> {
    let peers = std::env::var_os("CELLBLOCK_PEERS").map(PathBuf::from);
    let built =
        ["erofs-utils", "squashfs-tools"].map(|peer| Some(peers.as_ref()?.join(peer).join("bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = built
        .into_iter()
        .flatten()
        .chain(std::env::split_paths(&path));
    let all = folders.chain(["/usr/sbin".into(), "/sbin".into()]);
    std::env::join_paths(all).context("PATH")
}

impl Contender {
    /// What heads its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Mke2fs => "`mke2fs -d`",
            Self::Mkext4 => "mkext4",
            Self::Directory => "directory",
            Self::Archive => "tar",
            Self::Disk => "disk with ESP",
        }
    }

    /// The command that makes `output`; none for the floor, and where a tool or the archive is missing.
    pub(crate) fn command(
        self,
        corpus: &Corpus,
        esp: &Corpus,
        output: &Path,
        tools: &Tools,
    ) -> Result<Option<Command>> {
        let size = corpus.file_system_size();
        Ok(match self {
            Self::Floor => None,
            Self::Mke2fs => tools
                .mke2fs
                .as_ref()
                .map(|program| mke2fs(program, &corpus.directory, output, size)),
            Self::Mkext4 => tools
                .mkext4
                .as_ref()
                .map(|program| peer::run_mkext4(program, corpus, output)),
            Self::Directory => Some(mkfs("directory", &corpus.directory, output, size)),
            Self::Archive => corpus
                .archive
                .as_ref()
                .map(|archive| mkfs("archive", archive, output, size)),
            Self::Disk => Some(build(corpus, esp, output, size)?),
        })
    }
}

fn mke2fs(program: &Path, directory: &Path, output: &Path, size: u64) -> Command {
    let mut command = Command::new(program);
    command.args(["-q", "-t", "ext4", "-d"]).arg(directory);
    command.arg(output).arg(format!("{}k", size >> 10));
    command
}

/// The command that makes an ext4 of `size` bytes.
pub(crate) fn mkfs(kind: &str, source: &Path, output: &Path, size: u64) -> Command {
    let mut command = Command::new(CELLBLOCK);
    command.args(["mkfs", "ext4", "--quiet", "--size", &size.to_string()]);
    command
        .arg("--content")
        .arg(format!("{kind}:{}", source.display()));
    command.arg("--output").arg(output);
    command
}

fn build(corpus: &Corpus, esp: &Corpus, output: &Path, size: u64) -> Result<Command> {
    let spec = output.with_extension("toml");
    fs::write(&spec, disk(&corpus.directory, &esp.directory, size)?)?;
    let mut command = Command::new(CELLBLOCK);
    command.args(["build", "--quiet"]).arg(spec);
    command.arg("--output").arg(output);
    Ok(command)
}

fn disk(root: &Path, esp: &Path, size: u64) -> Result<String> {
    let mut spec = String::new();
    for (name, kind, filesystem, size, directory) in [
        ("efi", "esp", "vfat", 256 << 20, esp),
        ("root", "root-x86-64", "ext4", size, root),
    ] {
        let directory = directory.to_str().context("a corpus in a UTF-8 folder")?;
        write!(
            spec,
            "[[partition]]\nname = {name:?}\ntype = {kind:?}\nfilesystem = {filesystem:?}\nsize = {size}\n\
             content = [{{ directory = '{directory}' }}]\n"
        )?;
    }
    Ok(spec)
}

/// Copies the bytes of every file below `directory` into the file `output`, each from a new block on.
pub(crate) fn floor(directory: &Path, output: &Path) -> Result<()> {
    let output = File::create_new(output)?;
    copy_below(directory, &output, &mut 0, &mut BTreeSet::new())
}

fn copy_below(
    directory: &Path,
    output: &File,
    position: &mut u64,
    linked: &mut BTreeSet<(u64, u64)>,
) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_below(&entry.path(), output, position, linked)?;
        } else if kind.is_file() {
            let file = File::open(entry.path())?;
            let metadata = file.metadata()?;
            if metadata.nlink() == 1 || linked.insert((metadata.dev(), metadata.ino())) {
                copy(&file, 0..metadata.len(), output, *position)?;
                *position += metadata.len().next_multiple_of(BLOCK);
            }
        }
    }
    Ok(())
}

/// Has the kernel copy a range of a file to a position of another.
pub(crate) fn copy(file: &File, range: Range<u64>, output: &File, position: u64) -> Result<()> {
    let (mut from, mut to) = (range.start, position);
    while from < range.end {
        let most = usize::try_from(range.end - from)?.min(1 << 30);
        let count = rustix::fs::copy_file_range(
            file.as_fd(),
            Some(&mut from),
            output.as_fd(),
            Some(&mut to),
            most,
        )?;
        ensure!(count > 0, "a file became shorter");
    }
    Ok(())
}
