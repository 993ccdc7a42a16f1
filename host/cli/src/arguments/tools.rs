//! Commands that make no file system: they show, describe and write what helps.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::Shell;
use clap_complete::engine::ArgValueCompleter;

use super::{DEFAULT_SPEC, TypedWalls, chosen_walls, sector_size};
use crate::completion;
use cellblock_build::cell;
use cellblock_build::table::SectorSize;

/// The command `init`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cellblock init               write image.toml: an ESP and a root
  cellblock init - | less      look at it first")]
pub struct Init {
    /// The file to write; `-` is standard output. An existing file is left as it is
    #[arg(default_value = DEFAULT_SPEC)]
    pub file: PathBuf,
    /// Print JSON: the file that was written
    #[arg(long)]
    pub json: bool,
}

/// The command `show`.
#[derive(Debug, Args)]
#[command(after_help = "\
It also shows the file system in each partition: its kind, label, identifier, and how much of it is used. For an image \
without a partition table, as `cellblock mkfs` makes it, it shows only that.

Examples:
  cellblock show disk.img
  cellblock show root.img
  cellblock show --json disk.img    the shape of `sfdisk --json`")]
pub struct Show {
    /// The image (raw, qcow2, VMDK or VHD), or a block device that you may read
    pub image: PathBuf,
    /// Print JSON, in the shape of `sfdisk --json`, with a member `filesystem` in each partition that holds one
    #[arg(long)]
    pub json: bool,
    /// Bytes in a sector of the disk, 512 or 4096. A GPT says it itself; an MBR does not, and is taken to count in 512
    #[arg(long, value_name = "BYTES", value_parser = sector_size)]
    pub sector_size: Option<SectorSize>,
}

/// The command `guests`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cellblock guests              the formatters that are built in
  cellblock guests ext4         the one that makes ext4, its options
  cellblock guests minix.wasm   one of your own, and what it may do
  cellblock guests oci://ghcr.io/me/minix:1    fetched from a registry
  cellblock guests lock image.toml             those that a spec names")]
pub struct Guests {
    /// One formatter: the kind or the name of a built-in one, or a file (./ext4 if it has such a name),
    /// oci://HOST/PATH:TAG in a registry, or oci:FOLDER, an image layout. Or `lock`: fetch what a spec names from
    /// registries, and pin its tags in cellblock.lock beside it
    #[arg(add = ArgValueCompleter::new(completion::kind_or_file))]
    pub guest: Option<PathBuf>,
    /// With `lock`: the spec [default: image.toml]
    #[arg(value_hint = ValueHint::FilePath)]
    pub spec: Option<PathBuf>,
    /// With `lock`: look up all tags again, not only those that are not pinned yet
    #[arg(long)]
    pub update: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The sandbox around the formatter: WebAssembly alone, or also a process of its own
    #[arg(long, value_name = "WALLS")]
    walls: Option<TypedWalls>,
}

impl Guests {
    /// What is to stand around the formatter.
    pub fn walls(&self) -> cell::Walls {
        chosen_walls(self.walls)
    }
}

/// The command `walls`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cellblock walls
  cellblock walls --calls")]
pub struct Walls {
    /// Try every system call instead, while a formatter is compiled and while it runs, and list those that are allowed
    #[arg(long)]
    pub calls: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The command `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
The script asks the program, so it also completes kinds of file systems, what a format may lose, and the names \
of partitions in an image or in a spec.

Examples:
  cellblock completions bash >> ~/.bash_completion
  cellblock completions fish > ~/.config/fish/completions/cellblock.fish
  source <(cellblock completions zsh)")]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

/// The command `manual`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cellblock manual ~/.local/share/man/man1")]
pub struct Manual {
    /// The directory, which must exist
    pub directory: PathBuf,
    /// Print JSON: the pages that were written
    #[arg(long)]
    pub json: bool,
}
