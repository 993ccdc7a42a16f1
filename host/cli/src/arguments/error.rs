//! What is wrong with a command line that can be understood.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use cellblock_build::SplitError;
use cellblock_build::image::FormatError;
use cellblock_build::spec::LookError;

use super::environment::{RANDOM, SOURCE_DATE_EPOCH};

/// A command line that can be understood, but not used.
#[derive(Debug, Error)]
pub enum ArgumentError {
    /// A content source cannot be opened.
    #[error("--content {}: {source}", .path.display())]
    Content {
        /// The source.
        path: PathBuf,
        /// Why.
        source: LookError,
    },
    /// A partition that the file does not have, or several of that name.
    #[error("{option} {name}: {}; the partitions are {}", partitions_found(*.found), .known.join(", "))]
    UnknownPartition {
        /// The option.
        option: &'static str,
        /// As it was typed.
        name: String,
        /// How many have the name.
        found: usize,
        /// Those that there are.
        known: Vec<String>,
    },
    /// What takes one image, for several.
    #[error(
        "{option} takes one image, and this makes {volumes}: `cellblock convert --volume NAME` prints the spec of one"
    )]
    SeveralImages {
        /// The option.
        option: &'static str,
        /// How many there are.
        volumes: usize,
    },
    /// Partitions as files of their own.
    #[error("--split: {0}")]
    Split(#[from] SplitError),
    /// Content for a partition that has no file system.
    #[error("{option} {name}: partition '{name}' has no file system that this could be for")]
    ContentWithoutFilesystem {
        /// The option.
        option: &'static str,
        /// The partition.
        name: String,
    },
    /// The directory with a directory for each partition cannot be opened.
    #[error("--prime {}: {source}", .path.display())]
    Prime {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A partition that no directory is there for.
    #[error(
        "--prime: nothing is there for partition '{name}': make one of the directories {}, or say --content {name}=SOURCE",
        listed(.places)
    )]
    NothingPrimed {
        /// The partition.
        name: String,
        /// Where its directory could be.
        places: Vec<PathBuf>,
    },
    /// A gadget without a root file system.
    #[error(
        "no structure has the role system-data, so that the root file system '{name}' is appended, and nothing says what \
         is in it: add --content {name}=SOURCE, or leave it out with --without-root"
    )]
    NoRoot {
        /// The partition.
        name: String,
    },
    /// A volume that the file does not have.
    #[error("--volume {name}: there is none of that name; the volumes are {}", .known.join(", "))]
    UnknownVolume {
        /// As it was typed.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// An option of project files for a spec.
    #[error(
        "{option} is for an imagecraft.yaml or a gadget.yaml, and the spec is neither: leave it out"
    )]
    OnlyOfProjects {
        /// The option.
        option: &'static str,
    },
    /// One image for several volumes.
    #[error(
        "--output {}: there are {volumes} volumes, each with an image of its own: name a directory that exists, or one volume with --volume",
        .output.display()
    )]
    OneOutput {
        /// As it was typed.
        output: PathBuf,
        /// How many volumes there are.
        volumes: usize,
    },
    /// An image on a terminal.
    #[error(
        "standard output is a terminal, and an image is no text: redirect it, or name a file with -o"
    )]
    Terminal,
    /// An output that has no such format.
    #[error("--output {}: {source}", .output.display())]
    Format {
        /// As it was typed.
        output: PathBuf,
        /// Why.
        source: FormatError,
    },
    /// What belongs to a format of disks, of a tar or an OCI image.
    #[error("--output {}: a tar and an OCI image have no option {key}: leave it out", .output.display())]
    TreeOption {
        /// As it was typed.
        output: PathBuf,
        /// The option.
        key: String,
    },
    /// What standard output does not take.
    #[error(
        "standard output takes one tar, and no OCI image, which is a directory: name it with -o"
    )]
    TreeToStdout,
    /// An option of OCI images for something else.
    #[error("{option} is of OCI images, and no output is one: add -o with a name that ends in /")]
    OnlyOfLayouts {
        /// The option.
        option: &'static str,
    },
    /// An option of readers where nothing is read.
    #[error(
        "--reader and --sector-size are for what is in a partition, and the whole image is exported: leave them out"
    )]
    OnlyOfTrees,
    /// Formats of disks beside those of trees.
    #[error(
        "a tar or an OCI image is of a partition, and other formats are of the whole disk: export them one after the other"
    )]
    DisksAndTrees,
    /// A part of an image where all of it is exported.
    #[error(
        "{}: what is in a partition is exported as a tar or an OCI image (-o NAME.tar or -o NAME/), and the formats of disks are of the whole image: \
         name such an output, or leave the partition out; \
         `cellblock cut` takes one partition out as it is",
        .image.display()
    )]
    PartOfDisk {
        /// The image.
        image: PathBuf,
    },
    /// One format for several outputs.
    #[error(
        "--output-format {format}: there are several outputs: say ,format={format} behind the one that is meant"
    )]
    FormatOfSeveral {
        /// As it was typed.
        format: String,
    },
    /// Several files, each for several images.
    #[error(
        "--output: there are {volumes} volumes, each with images of its own: name one volume with --volume, or one directory"
    )]
    OutputsOfSeveral {
        /// How many volumes there are.
        volumes: usize,
    },
    /// A name that says that the file is something else.
    #[error(
        "--output {}: the name says {format}, and what is taken out is plain: \
         name it .img or .raw, and make the other of it with `cellblock export`",
        .output.display()
    )]
    OtherFormat {
        /// As it was typed.
        output: PathBuf,
        /// What the name says.
        format: &'static str,
    },
    /// Several volumes where one is printed.
    #[error("there are {} volumes, and one is printed at a time: name it with --volume: {}", .known.len(), .known.join(", "))]
    SeveralVolumes {
        /// Their names.
        known: Vec<String>,
    },
    /// No random bytes for a random seed.
    #[error("seed: {RANDOM} gives no random bytes: {source}")]
    Random {
        /// Why.
        source: io::Error,
    },
    /// The environment's time is no number.
    #[error(
        "{SOURCE_DATE_EPOCH} is {text:?}, which is no whole number of seconds since 1970: correct it, or unset it"
    )]
    SourceDateEpoch {
        /// What the variable holds.
        text: OsString,
    },
}

fn partitions_found(count: usize) -> &'static str {
    match count {
        0 => "no partition has that name",
        _ => "several partitions have that name",
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(" or ")
}
