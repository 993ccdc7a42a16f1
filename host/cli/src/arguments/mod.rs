//! What was typed on the command line.

use clap::{Parser, Subcommand};

use cellblock_build::spec::size::parse_size;
use cellblock_build::spec::value::{ValueError, parse_assignment};
use cellblock_build::table::SectorSize;

use crate::report::terminal::When;

#[cfg(feature = "cache")]
mod action;
mod build;
#[cfg(feature = "cache")]
mod cache;
mod contents;
mod disks;
mod environment;
mod error;
mod filesystem;
mod mkfs;
mod outputs;
mod reading;
#[cfg(feature = "cache")]
mod remote;
mod run;
#[cfg(test)]
mod tests;
mod tools;
mod typed;
mod verify;

#[cfg(feature = "cache")]
pub use action::Action;
pub use build::{Build, Convert, DEFAULT_SPEC, VerifyBuild, one_image};
#[cfg(feature = "cache")]
pub use cache::{CacheAction, CacheTool, Caches};
pub use contents::Contents;
pub use disks::{Changing, Chosen, Cut, Fill, Repair, Splice};
pub use environment::{drawn_seed, source_date_epoch};
pub use error::ArgumentError;
pub use filesystem::{Filesystem, TypedKind};
pub use mkfs::Mkfs;
pub use outputs::{Export, TreeForm, TreeOutput, TypedOutput};
pub use reading::{
    Cat, Cp, Diff, Du, ImagePlace, Ls, ReadBy, Reading, Report, Stat, Tar, TreeOf, brought,
};
#[cfg(feature = "cache")]
pub use remote::Remotes;
pub use run::{Limits, Run, TypedGuest};
use run::{TypedWalls, chosen_walls, jobs};
pub use tools::{Completions, Guests, Init, Manual, Show, Walls};
pub use verify::Verify;

/// Builds disk images whose file systems are made in WebAssembly cells: no root, no loop devices, no mkfs.
#[derive(Debug, Parser)]
#[command(
    name = "cellblock",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  cellblock build image.toml -o disk.img           build a disk
  cellblock build imagecraft.yaml --prime DIR      the same, for imagecraft
  cellblock mkfs ext4 -o root.img --content root/  make one file system
  cellblock show disk.img                          show its partitions
  cellblock fill disk.img 2 ext4                   fill a partition of it
  cellblock splice disk.img root root.img          put a file into another
  cellblock cut disk.img root -o root.img          and take it out
  cellblock export disk.img -o disk.qcow2          make a qcow2 of it
  cellblock repair disk.img                        look at its table

Exit codes: 0 success, 1 a failure or a fault that was found, 2 the command line, the spec or a file that they name is wrong."
)]
pub struct Arguments {
    /// When to use colours; NO_COLOR and CLICOLOR_FORCE in the environment count too
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        value_enum,
        global = true
    )]
    pub color: When,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a commented spec to start from
    Init(Init),
    /// Build a disk image from a spec, imagecraft's project file or snapd's gadget
    Build(Build),
    /// Build again from a provenance, and say whether every byte is the same
    VerifyBuild(VerifyBuild),
    /// Compare an image with the spec or the record that it was built from, path by path
    Verify(Verify),
    /// Show what `build` would make, and why each partition is as large as it is; nothing is written
    #[command(
        after_help = "Examples:\n  cellblock plan image.toml\n  cellblock plan image.toml --json -"
    )]
    Plan(Build),
    /// Print what a build derives (root hashes, measurements), and what has to be signed where the key is
    #[command(after_help = "\
A signature in the spec (signature = \"root.sig\") is made where the key is: RSA, PKCS #1 v1.5, over the SHA-256 digest that \
is printed. With the digest in a file, for example:

  openssl pkeyutl -sign -inkey KEY -pkeyopt digest:sha256 \\
    -in digest -out root.sig

Examples:
  cellblock derive image.toml
  cellblock derive image.toml --json -")]
    Derive(Build),
    /// Print what `build` would build as a spec in TOML
    Convert(Convert),
    /// Make one file system in a file
    Mkfs(Mkfs),
    /// Show the partition table of an image, and what is wrong with it
    Show(Show),
    /// List the files in an untrusted image, without mounting it
    Ls(Ls),
    /// Write a file of an image to standard output
    Cat(Cat),
    /// Copy files of an image into a directory
    Cp(Cp),
    /// Draw the tree of directories and files in an image
    Tree(TreeOf),
    /// Count the bytes of the files in each directory of an image
    Du(Du),
    /// Show what an image says of a file, or of its file system
    Stat(Stat),
    /// Write a file system of an image as a tar archive
    Tar(Tar),
    /// Compare two disks, file systems, directories or archives, file by file
    Diff(Diff),
    /// Draw what takes up the space of an image, as an HTML page
    Report(Report),
    /// Make a file system in a partition of an existing image
    Fill(Fill),
    /// Write a file into a partition of an existing image
    Splice(Splice),
    /// Copy the content of a partition out of an image
    Cut(Cut),
    /// Convert an existing image to the formats of clouds and hypervisors, or compress it; or write a partition as a tar or
    /// an OCI image
    Export(Export),
    /// Mend the partition table of an image: move its backup to the end, and rebuild damaged copies
    Repair(Repair),
    /// List the formatters, or describe one in a file
    Guests(Guests),
    /// Test the process sandbox: list which escapes fail
    Walls(Walls),
    /// Count what a cache of partitions holds, and trim it
    #[cfg(feature = "cache")]
    Cache(CacheTool),
    /// Make the partition of an action, as workers of --remote do
    #[cfg(feature = "cache")]
    #[command(hide = true)]
    Action(Action),
    /// Print the JSON Schema of the spec, for editors that validate as you type
    #[command(after_help = "Example:\n  cellblock schema > image.schema.json")]
    Schema,
    /// Print the script that completes for a shell
    Completions(Completions),
    /// Write the manual pages into a directory
    Manual(Manual),
}

fn size(text: &str) -> Result<u64, ValueError> {
    Ok(parse_size(text)?)
}

fn option(text: &str) -> Result<(String, String), ValueError> {
    parse_assignment(text, "KEY=VALUE")
}

fn sector_size(text: &str) -> Result<SectorSize, ValueError> {
    let bytes = parse_size(text)?;
    let size = u32::try_from(bytes)
        .ok()
        .and_then(|bytes| SectorSize::try_from(bytes).ok());
    size.ok_or_else(|| ValueError::NotAChoice {
        text: text.to_owned(),
        choices: vec!["512", "4096"],
    })
}
