//! Commands that look into images.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{
    MapValueParser, OsStringValueParser, TypedValueParser as _, ValueParserFactory,
};

use super::{Limits, TypedGuest, TypedWalls, chosen_walls, jobs, sector_size};
use cellblock_build::catalogue::Foreign;
use cellblock_build::cell;
use cellblock_build::reading::{Readers, Wanted};
use cellblock_build::table::{SectorSize, Selector};

/// A place in an image, as typed: `IMAGE[:PARTITION[:PATH]]`, or `IMAGE:/PATH` of a file system without a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePlace {
    /// The image.
    pub image: PathBuf,
    /// The partition.
    pub partition: Option<Selector>,
    /// The path, if one is given.
    pub path: Option<Vec<u8>>,
}

impl ImagePlace {
    /// The longest beginning that is a file is the image.
    fn parse(text: &OsStr) -> Self {
        let bytes = text.as_bytes();
        let colons = (0..bytes.len()).rev().filter(|at| bytes[*at] == b':');
        let mut ends = std::iter::once(bytes.len()).chain(colons);
        let is_file = |end: &usize| Path::new(OsStr::from_bytes(&bytes[..*end])).exists();
        let first = bytes.iter().position(|byte| *byte == b':');
        let end = ends
            .find(is_file)
            .unwrap_or_else(|| first.unwrap_or(bytes.len()));
        let image = PathBuf::from(OsStr::from_bytes(&bytes[..end]));
        let rest = bytes.get(end + 1..).unwrap_or_default();
        if rest.starts_with(b"/") {
            return Self {
                image,
                partition: None,
                path: Some(rest.to_vec()),
            };
        }
        let skip = [&b"number:"[..], b"name:", b"uuid:"]
            .into_iter()
            .find(|prefix| rest.starts_with(prefix))
            .map_or(0, <[u8]>::len);
        let colon = rest[skip..].iter().position(|byte| *byte == b':');
        let (partition, path) = match colon {
            Some(colon) => {
                let path = rest[skip + colon + 1..].to_vec();
                (&rest[..skip + colon], (!path.is_empty()).then_some(path))
            }
            None => (rest, None),
        };
        let partition = String::from_utf8_lossy(partition);
        let selector = |text: &str| match text.parse() {
            Ok(selector) => selector,
            Err(never) => match never {},
        };
        Self {
            image,
            partition: (!partition.is_empty()).then(|| selector(&partition)),
            path,
        }
    }
}

/// Names of files are bytes, and so are places, of which every command reads all.
impl ValueParserFactory for ImagePlace {
    type Parser = MapValueParser<OsStringValueParser, fn(OsString) -> Self>;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().map(|typed| Self::parse(&typed))
    }
}

/// How images are read.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it is read")]
pub struct Reading {
    /// By what.
    #[command(flatten)]
    pub by: ReadBy,
    /// The sandbox around the reader: WebAssembly alone, or also a process of its own that has given up every right. By
    /// default the process, where the kernel allows one
    #[arg(long, value_name = "WALLS")]
    walls: Option<TypedWalls>,
    /// Say what the reader logs beside warnings
    #[arg(short, long)]
    pub verbose: bool,
    /// What its cell may use.
    #[command(flatten)]
    pub limits: Limits,
}

impl Reading {
    /// What is to stand around the reader.
    pub fn walls(&self) -> cell::Walls {
        chosen_walls(self.walls)
    }
}

/// The readers to choose from, with those that were typed; what a registry has is fetched as `limits` say.
pub fn brought(typed: &[TypedGuest], limits: &Limits) -> Readers {
    let foreign = |guest: &TypedGuest| {
        let brought = Foreign {
            file: guest.file.clone(),
            fetch: limits.fetch(),
            sha256: guest.sha256,
            command: None,
        };
        (guest.name.clone(), brought)
    };
    Readers::new(typed.iter().map(foreign).collect::<BTreeMap<_, _>>())
}

/// By what images are read.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it is read")]
pub struct ReadBy {
    /// Ask a reader of your own before the built-in ones; followed by `,sha256=HEX`, only if the file has that
    /// digest; repeatable. FILE may be oci://HOST/PATH@sha256:DIGEST in a registry, or oci:FOLDER, an image layout
    #[arg(long = "reader", value_name = "NAME=FILE", value_parser = TypedGuest::parse)]
    pub(super) readers: Vec<TypedGuest>,
    /// Bytes in a sector of the disk, 512 or 4096. A GPT says it itself; an MBR does not, and is taken to count in 512
    #[arg(long, value_name = "BYTES", value_parser = sector_size)]
    pub(super) sector_size: Option<SectorSize>,
}

impl ReadBy {
    /// Whether anything was typed.
    pub fn is_typed(&self) -> bool {
        !self.readers.is_empty() || self.sector_size.is_some()
    }

    /// The size of a disk's sectors, as typed.
    pub fn sector_size(&self) -> Option<SectorSize> {
        self.sector_size
    }

    /// The readers to choose from; what a registry has is fetched as `limits` say.
    pub fn readers(&self, limits: &Limits) -> Readers {
        brought(&self.readers, limits)
    }

    /// The file system of a place.
    pub fn wanted(&self, place: &ImagePlace) -> Wanted {
        Wanted {
            image: place.image.clone(),
            partition: place.partition.clone(),
            sector_size: self.sector_size,
        }
    }
}

/// The command `ls`.
#[derive(Debug, Args)]
#[command(after_help = "\
PLACE is an image, for a disk followed by the partition: disk.img:root, disk.img:2. A path may follow: disk.img:root:/etc, or \
root.img:/etc for an image without a partition table. Links are shown, not followed.

Examples:
  cellblock ls root.img
  cellblock ls -l disk.img:root:/etc
  cellblock ls -R --json disk.img:1")]
pub struct Ls {
    /// The image, its partition, and the path in it
    #[arg(value_name = "PLACE")]
    pub place: ImagePlace,
    /// Show modes, owners, sizes and times too
    #[arg(short, long)]
    pub long: bool,
    /// List everything below, by its paths
    #[arg(short = 'R', long)]
    pub recursive: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

/// The command `tree`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cellblock tree disk.img:root:/boot")]
pub struct TreeOf {
    /// The image, its partition, and the path in it
    #[arg(value_name = "PLACE")]
    pub place: ImagePlace,
    /// Print JSON: a list, as `ls -R --json` does
    #[arg(long)]
    pub json: bool,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

/// The command `du`.
#[derive(Debug, Args)]
#[command(after_help = "\
Files count with their full length, holes included; several names of one file count once.

Example:
  cellblock du disk.img:root:/usr")]
pub struct Du {
    /// The image, its partition, and the path in it
    #[arg(value_name = "PLACE")]
    pub place: ImagePlace,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

/// The command `stat`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without a path it shows the file system: kind, label, identifier, sizes, and what else its reader reports.

Examples:
  cellblock stat root.img
  cellblock stat disk.img:root:/etc/passwd")]
pub struct Stat {
    /// The image, its partition, and the path in it
    #[arg(value_name = "PLACE")]
    pub place: ImagePlace,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

/// The command `cat`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cellblock cat disk.img:root:/etc/os-release")]
pub struct Cat {
    /// The file: the image, its partition, and the path in it
    #[arg(value_name = "PLACE")]
    pub place: ImagePlace,
    /// Write what the file is, as JSON, to FILE, after all of its bytes are on standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

/// The command `cp`.
#[derive(Debug, Args)]
#[command(after_help = "\
Copies a file, or what is below a directory, into DIR. DIR must exist; nothing in it is replaced, nothing is written outside it, \
and no link is followed. The copies are yours, with their permissions and times. Special bits, devices, owners and extended \
attributes are left out, and counted; `tar` keeps them all.

Examples:
  cellblock cp disk.img:root:/etc etc/
  cellblock cp root.img:/boot/vmlinuz .")]
pub struct Cp {
    /// What to copy: the image, its partition, and the path in it
    #[arg(value_name = "PLACE")]
    pub place: ImagePlace,
    /// The directory to copy it into
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Keep set-user-ID, set-group-ID and sticky bits
    #[arg(long)]
    pub special_bits: bool,
    /// Make devices, fifos and sockets, which takes root
    #[arg(long)]
    pub special_files: bool,
    /// Restore owners and groups, which takes root
    #[arg(long)]
    pub owners: bool,
    /// Print JSON: what was made, and what was left out
    #[arg(long)]
    pub json: bool,
    /// Show no result; warnings and errors are still shown
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

/// The command `tar`.
#[derive(Debug, Args)]
#[command(after_help = "\
The archive is in the pax format, with owners, times to the nanosecond, extended attributes, hard links and holes, in the order of \
paths: the same bytes for the same tree. `cellblock export PLACE -o FILE.tar` does the same.

Examples:
  cellblock tar disk.img:root -o root.tar
  cellblock tar root.img -o - | tar t")]
pub struct Tar {
    /// The image, and its partition
    #[arg(value_name = "PLACE")]
    pub place: ImagePlace,
    /// The archive to write; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// How many threads read; without it, one for each processor
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Write a record of what was made, as JSON, to FILE, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Show no result; warnings and errors are still shown
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

/// The command `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
The page needs nothing else: no network, and no file beside it. It shows the disk to scale, what takes up the space of each file system (files, \
metadata, journal, free) as a map to click into, and the largest folders and files. For the record of a build, which `build --json` \
wrote, it shows the disk and its partitions.

Examples:
  cellblock report disk.img -o report.html
  cellblock report new.img --base old.img -o report.html
  cellblock report record.json -o - > report.html")]
pub struct Report {
    /// The image, or the record of a build
    pub image: PathBuf,
    /// The page to write; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Also show how the image differs from this one
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<PathBuf>,
    /// Write the figures of the page as JSON to this file; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Show no result; warnings and errors are still shown
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

/// The command `diff`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each of A and B is an image with a partition, as for `ls`, a directory, or a tar archive. Two whole disks are compared with \
their partition tables, the boot code of disks and partitions, and what lies outside partitions; partitions of the same number are compared, file by file where a \
reader reads both, else byte by byte. Of file systems that are read, their files are compared and not where these lie, nor settings and free space; of two \
that are named alone, not their labels and UUIDs. Paths that only B has are shown with +, \
those that only A has with -, and others that differ with ~ and what of them: type, mode, owner, time, attributes, size, \
content. The exit code is 0 if they are equal, and 1 if not.

Examples:
  cellblock diff old.img new.img
  cellblock diff old.img:root new.img:root
  cellblock diff root.tar root.img
  cellblock diff --stat --no-times root/ disk.img:2")]
pub struct Diff {
    /// The first
    #[arg(value_name = "A")]
    pub first: ImagePlace,
    /// The second
    #[arg(value_name = "B")]
    pub second: ImagePlace,
    /// Show only how many paths differ
    #[arg(long)]
    pub stat: bool,
    /// Do not compare times
    #[arg(long)]
    pub no_times: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How it is read.
    #[command(flatten)]
    pub reading: Reading,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>, Option<String>) {
        let place = ImagePlace::parse(OsStr::new(text));
        (
            place.image.display().to_string(),
            place.partition.map(|it| it.to_string()),
            place
                .path
                .map(|path| String::from_utf8_lossy(&path).into_owned()),
        )
    }

    #[test]
    fn a_place_may_be_no_text() {
        #[derive(Debug, clap::Parser)]
        struct Typed {
            place: ImagePlace,
        }
        let typed = OsStr::from_bytes(b"no-\xff.img:/\xfe");
        let parsed = <Typed as clap::Parser>::try_parse_from([OsStr::new("ls"), typed]);
        let place = parsed.expect("it is a place").place;
        assert_eq!(place.image.as_os_str().as_bytes(), b"no-\xff.img");
        assert_eq!(place.path.as_deref(), Some(&b"/\xfe"[..]));
    }

    #[test]
    fn a_place_is_an_image_a_partition_and_a_path() {
        let name = |text: &str| Some(format!("name or UUID '{text}'"));
        let path = |text: &str| Some(text.to_owned());
        let disk = || "no-disk.img".to_owned();
        assert_eq!(parsed("no-disk.img"), (disk(), None, None));
        assert_eq!(parsed("no-disk.img:root"), (disk(), name("root"), None));
        assert_eq!(
            parsed("no-disk.img:root:/a:b"),
            (disk(), name("root"), path("/a:b"))
        );
        assert_eq!(parsed("no-disk.img:/etc"), (disk(), None, path("/etc")));
        assert_eq!(
            parsed("no-disk.img:name:2:/etc"),
            (disk(), Some("name '2'".to_owned()), path("/etc"))
        );
    }
}
