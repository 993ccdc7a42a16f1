//! `cellblock verify`, as typed.

use std::path::PathBuf;

use clap::Args;

use super::{Contents, Run};

/// The command `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
Against a spec, each file system is read by a reader that shares no code with what wrote it, and every path, attribute and byte is \
compared with what the spec's sources hold. What no reader reads, such as swap, what holds derived values, such as a root hash, and what \
a hash tree covers is made once more and compared byte by byte, and so is the partition table. What a format cannot store is not a difference: FAT has no \
owners or modes, and times in steps of two seconds; squashfs has whole seconds. Nor is what the spec drops.

Against a spec, kind, label and identifier of each file system, the table, raw bytes, boot code, the zeros between partitions and the \
length of the image are compared too. A partition that the spec leaves empty may hold anything, and is told as not compared. Against a record, the \
digest of all bytes, the places of partitions and the digests of their bytes are compared, and what a reader reads is read.

Extra paths are shown with +, missing ones with -, and others that differ with ~ and what of them. The exit code is \
0 if all is equal, and 1 if not.

Examples:
  cellblock verify disk.img image.toml
  cellblock verify disk.img --record record.json")]
pub struct Verify {
    /// The image: a disk, raw or as qcow2, VMDK or VHD, or one file system
    pub image: PathBuf,
    /// The spec that it was built from
    #[arg(required_unless_present = "record", conflicts_with = "record")]
    pub spec: Option<PathBuf>,
    /// Compare with the record of its build, which `build --json` wrote
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// What it has in common with commands that make file systems.
    #[command(flatten)]
    pub run: Run,
    /// What goes into the partitions of a file that leaves it open.
    #[command(flatten)]
    pub contents: Contents,
}
