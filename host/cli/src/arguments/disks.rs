//! Commands on images that exist.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;

use crate::completion;

use super::{ArgumentError, Filesystem, Run, TypedKind, sector_size, size};
use cellblock_build::Output;
use cellblock_build::image::{Atomic, OutputFormat};
use cellblock_build::table::{SectorSize, Selector};

/// A partition of an image that exists.
#[derive(Debug, Args)]
pub struct Chosen {
    /// The image: a file with a GPT, an MBR or both
    pub image: PathBuf,
    /// The partition: its number, name or UUID. `number:3`, `name:3` and `uuid:UUID` say which of them is meant
    #[arg(add = ArgValueCompleter::new(completion::partitions_of_image))]
    pub partition: Selector,
    /// Refuse the partition unless it has exactly this size, such as 64MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub expect_size: Option<u64>,
    /// Bytes in a sector of the disk, 512 or 4096. A GPT says it itself, and so does a device; an MBR in a file does not, and
    /// is taken to count in 512
    #[arg(long, value_name = "BYTES", value_parser = sector_size)]
    pub sector_size: Option<SectorSize>,
}

/// How an image that exists is changed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Changing {
    /// Whether the image is replaced at once by a changed copy (see below)
    #[arg(long, value_name = "WHEN", default_value = "auto", value_enum)]
    atomic: When,
}

impl Changing {
    /// Whether the image is replaced at once by a changed copy.
    pub fn atomic(self) -> Atomic {
        match self.atomic {
            When::Auto => Atomic::Auto,
            When::Always => Atomic::Always,
            When::Never => Atomic::Never,
        }
    }
}

/// When something is done.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    /// Where the file system clones files, as XFS and btrfs do
    Auto,
    /// Even where the whole image has to be copied
    Always,
    /// The partition is written in place
    Never,
}

/// What `fill` and `splice` promise.
const PROMISE: &str = "\
What is promised: only bytes of the partition change, all of them, and the image is not touched before everything for it \
is ready. The partition table is read and checked, and checked again once the image is locked (flock); a table with any \
fault is refused. An error leaves the image as it was, unless it says otherwise.

--atomic always, and auto where the file system clones files (XFS, btrfs): a copy of the image is changed, and takes its \
place at once. Killed at any moment, the image is the old one or the new one. It is a new file, with the owner, mode and \
attributes of the old one; a program that has the image open goes on with the old one.

--atomic never, and auto elsewhere and for an image with several names (hard links): the partition is written in place. \
Until that begins it is the old one, when it is done the new one; killed or failing meanwhile, its content is undefined. \
The table and all other partitions are intact whatever happens.";

/// The command `fill`.
#[derive(Debug, Args)]
#[command(override_usage = "cellblock fill [OPTIONS] <IMAGE> <PARTITION> <KIND>", after_help = format!("\
{PROMISE}

SOURCE is what it is for `cellblock mkfs`: a directory, a tar archive or a file, with `,to=/PATH` and other options.

Examples:
  cellblock fill disk.img root ext4 --content rootfs.tar
  cellblock fill disk.img 1 vfat --content esp/ --expect-size 256MiB"))]
pub struct Fill {
    /// Which partition.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Which file system.
    #[command(flatten)]
    pub kind: TypedKind,
    /// What goes into it.
    #[command(flatten)]
    pub filesystem: Filesystem,
    /// How the image is changed.
    #[command(flatten)]
    pub changing: Changing,
    /// What all commands have in common that make file systems.
    #[command(flatten)]
    pub run: Run,
}

/// The command `splice`.
#[derive(Debug, Args)]
#[command(after_help = format!("\
A FILE that is smaller than the partition leaves the rest of it as zeros; a larger one is refused. Holes of FILE become \
holes of the image.

{PROMISE}

Examples:
  cellblock splice disk.img root root.img
  cellblock splice disk.img 3 root.img --expect-size 4GiB"))]
pub struct Splice {
    /// Which partition.
    #[command(flatten)]
    pub chosen: Chosen,
    /// The content of the partition, made elsewhere; `-` is standard input
    pub file: PathBuf,
    /// How the image is changed.
    #[command(flatten)]
    pub changing: Changing,
    /// Write a record of what was done, as JSON, to FILE, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print nothing but warnings and errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Report each step as it happens
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// The command `cut`.
#[derive(Debug, Args)]
#[command(after_help = "\
The image may also be a block device that you may read, or a qcow2, VMDK or VHD. Holes of the image become holes of FILE.

Examples:
  cellblock cut disk.img root -o root.img
  cellblock cut disk.img 1 -o esp.img --expect-size 256MiB")]
pub struct Cut {
    /// Which partition.
    #[command(flatten)]
    pub chosen: Chosen,
    /// The file to write; `-` is standard output. An existing file is replaced once the new one is complete
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Write a record of what was done, as JSON, to FILE, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Flush FILE to the disk before it gets its name: it then survives a power cut
    #[arg(long)]
    pub sync: bool,
    /// Print nothing but warnings and errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Report each step as it happens
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}

impl Cut {
    /// Where it goes.
    ///
    /// # Errors
    /// When it cannot go there.
    pub fn output(&self) -> Result<Output, ArgumentError> {
        let path = &self.output;
        let output = Output::parse(path);
        if output.is_terminal() {
            return Err(ArgumentError::Terminal);
        }
        match OutputFormat::choose(None, path, &[]) {
            Ok(format) if format.is_raw() => Ok(output),
            other => Err(ArgumentError::OtherFormat {
                output: path.clone(),
                format: other.map_or("something else", |format| format.name()),
            }),
        }
    }
}

/// The command `repair`.
#[derive(Debug, Args)]
#[command(after_help = "\
What can be mended is a GPT of which one copy is sound: a backup that is missing, damaged, or not at the end of an image that \
has grown or was cut short behind its last partition; a primary copy that is damaged; an MBR that does not protect the GPT. \
Everything else is an error, and nothing is written.

With --write, each part is on the disk before the next is written, in an order that leaves a sound copy at any moment: after \
a power cut, run it again. No byte outside the table changes.

Examples:
  truncate -s 8G disk.img && cellblock repair --write disk.img
  cellblock repair disk.img    only say what would be written")]
pub struct Repair {
    /// The image
    pub image: PathBuf,
    /// Write it; without this, only say what would be written
    #[arg(long)]
    pub write: bool,
    /// Bytes in a sector of the disk, 512 or 4096, where a GPT does not say it itself
    #[arg(long, value_name = "BYTES", value_parser = sector_size)]
    pub sector_size: Option<SectorSize>,
    /// Write a record of the faults and of what mends them, as JSON, to FILE, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Show no result; warnings and errors are still shown
    #[arg(short, long)]
    pub quiet: bool,
}
