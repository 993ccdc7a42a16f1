//! What was typed on the command line.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCandidates;

use cellblock_build::cell;
use cellblock_build::contract::CommandLine;
use cellblock_build::plan::MkfsRequest;
use cellblock_build::spec::SizeRule;
use cellblock_build::spec::project::Volume;
use cellblock_build::spec::size::parse_size;
use cellblock_build::spec::value::{ValueError, parse_assignment, parse_sha256};
use cellblock_build::table::SectorSize;
use cellblock_build::verify::Verify as Verification;
use cellblock_build::{Split, SplitPattern, Target};

use crate::completion;
use crate::report::terminal::When;

#[cfg(feature = "cache")]
mod cache;
mod contents;
mod disks;
mod error;
mod filesystem;
mod outputs;
mod reading;
#[cfg(test)]
mod tests;
mod tools;
mod typed;
mod verify;

#[cfg(feature = "cache")]
pub use cache::{CacheAction, CacheTool, Caches};
pub use contents::Contents;
pub use disks::{Changing, Chosen, Cut, Fill, Repair, Splice};
pub use error::ArgumentError;
pub use filesystem::{Filesystem, TypedKind};
use outputs::typed_output;
pub use outputs::{Export, TreeForm, TreeOutput, TypedOutput};
pub use reading::{Cat, Cp, Diff, Du, ImagePlace, Ls, ReadBy, Reading, Report, Stat, Tar, TreeOf};
pub use tools::{Completions, Guests, Init, Manual, Show, Walls};
pub use verify::Verify;

/// The environment variable with the time, in seconds since 1970, that reproducible builds stamp things with.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Where random bytes come from.
const RANDOM: &str = "/dev/urandom";

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

Exit codes: 0 done, 1 it failed or found something wrong, 2 the command line, the spec or a file that they name is wrong."
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
    /// Write a commented spec to begin with
    Init(Init),
    /// Build a disk image from a spec, imagecraft's project file or snapd's gadget
    Build(Build),
    /// Build once more what a provenance tells of, and say whether every byte is the same
    VerifyBuild(VerifyBuild),
    /// Hold an image against the spec or the record that it was built from, path by path
    Verify(Verify),
    /// Show what `build` would make, and why each partition is as large as it is; nothing is written
    #[command(
        after_help = "Examples:\n  cellblock plan image.toml\n  cellblock plan image.toml --json -"
    )]
    Plan(Build),
    /// Print what a build derives, root hashes and measurements, and what has to be signed where the key is
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
    /// Make one file system in a file of its own
    Mkfs(Mkfs),
    /// Show the partition table of an image, and what is wrong with it
    Show(Show),
    /// List the files in an image that nobody trusts, without mounting it
    Ls(Ls),
    /// Write a file of an image to standard output
    Cat(Cat),
    /// Copy files of an image into a directory
    Cp(Cp),
    /// Draw the directories and files of an image
    Tree(TreeOf),
    /// Count the bytes of the files in each directory of an image
    Du(Du),
    /// Tell what an image says of a file, or of its file system
    Stat(Stat),
    /// Write a file system of an image as a tar archive
    Tar(Tar),
    /// Compare two disks, file systems, directories or archives, file by file
    Diff(Diff),
    /// Draw what takes the space of an image, as a page of HTML
    Report(Report),
    /// Make a file system in a partition of an image that exists
    Fill(Fill),
    /// Put a file into a partition of an image that exists
    Splice(Splice),
    /// Take the content of a partition out of an image
    Cut(Cut),
    /// Write an image that exists in the formats of clouds and hypervisors, or compressed; or a partition as a tar or an OCI
    /// image
    Export(Export),
    /// Mend the partition table of an image: put its backup at the end, and make damaged copies anew
    Repair(Repair),
    /// List the formatters, or describe one in a file
    Guests(Guests),
    /// Test the process sandbox: list which escapes fail
    Walls(Walls),
    /// Count what a cache of partitions holds, and remove what is too much
    #[cfg(feature = "cache")]
    Cache(CacheTool),
    /// Print the JSON Schema of the spec, for editors that validate as you type
    #[command(after_help = "Example:\n  cellblock schema > image.schema.json")]
    Schema,
    /// Print the script that completes for a shell
    Completions(Completions),
    /// Write the manual pages into a directory
    Manual(Manual),
}

/// The spec that `build` looks for, and `init` writes.
pub const DEFAULT_SPEC: &str = "image.toml";

/// The command `build`.
#[derive(Debug, Args)]
#[command(after_help = "\
A spec may say, for a disk with one ext4 file system made from the directory rootfs:

  [[partition]]
  name = \"root\"
  type = \"linux-generic\"
  size = \"minimum + 20%\"
  filesystem = \"ext4\"
  content = [{ directory = \"rootfs\" }]

A file whose name ends in .yaml or .yml is imagecraft's project file or snapd's gadget; its volumes are built as they are \
described. Of a gadget with several volumes each becomes an image VOLUME.img in the directory that -o names, one after the \
other.

A spec can also put boot loaders where firmware finds them ([boot]), write files and addresses at offsets (raw), and \
fill identifiers into files (template). `cellblock schema` lists every key.

Examples:
  cellblock build image.toml -o disk.img
  cellblock build imagecraft.yaml --content rootfs=root/ -o disk.img
  cellblock build gadget/meta/gadget.yaml -o images/")]
pub struct Build {
    /// The spec: a TOML file that describes the disk, an imagecraft.yaml, or a gadget.yaml; `-` is standard input
    #[arg(default_value = DEFAULT_SPEC)]
    pub spec: PathBuf,
    /// The image to write, or a directory to write VOLUME.img to; without it, the volume's or else the spec's name with
    /// .img, in the current directory. Its suffix says in which format: .qcow2, .vmdk, .vhd, .zst and others, which
    /// `cellblock export --help` lists with what may be said behind the name. Repeatable, for several from one build.
    /// An image that exists is replaced once all new ones are complete, and stays as it is if the build fails
    #[arg(short, long, value_name = "IMAGE", value_parser = typed_output())]
    output: Vec<TypedOutput>,
    /// The format of the image, whatever its suffix
    #[arg(long, value_name = "FORMAT", add = ArgValueCandidates::new(completion::formats))]
    output_format: Option<String>,
    /// Write each partition as a file of its own into DIR too, with their digests in SHA256SUMS, as update programs
    /// take them
    #[arg(long, value_name = "DIR")]
    pub split: Option<PathBuf>,
    /// What the files of --split are called: text with {name}, {number}, {type}, {uuid} and {version}. Without it,
    /// {name}_{version}_{uuid}.raw, as systemd-sysupdate takes it, or {name}_{uuid}.raw if no version is given
    #[arg(long, value_name = "PATTERN", requires = "split")]
    split_name: Option<String>,
    /// The {version} in the names of --split
    #[arg(long, value_name = "VERSION", requires = "split")]
    split_version: Option<String>,
    /// Write to FILE where the image comes from: an in-toto statement with SLSA's provenance, with the digests of all
    /// that was read and made. `cellblock verify-build` builds from it once more and compares
    #[arg(long, value_name = "FILE")]
    pub provenance: Option<PathBuf>,
    /// Show what would be made, as `cellblock plan` does, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What goes in.
    #[command(flatten)]
    pub contents: Contents,
    /// What all commands have in common that make file systems.
    #[command(flatten)]
    pub run: Run,
}

impl Build {
    /// The images to write: of each volume, what it becomes.
    ///
    /// # Errors
    /// When several are to have one name, or a format cannot be.
    pub fn targets(&self, volumes: &[Volume]) -> Result<Vec<Vec<Target>>, ArgumentError> {
        let format = self.output_format.as_deref();
        let folder = match &self.output[..] {
            [] => Path::new(""),
            [_] if self.folder(volumes).is_some() => self.folder(volumes).unwrap_or(Path::new("")),
            several if volumes.len() == 1 => return Ok(vec![outputs::targets(several, format)?]),
            [output] => {
                return Err(ArgumentError::OneOutput {
                    output: output.path.clone(),
                    volumes: volumes.len(),
                });
            }
            _ => {
                let volumes = volumes.len();
                return Err(ArgumentError::OutputsOfSeveral { volumes });
            }
        };
        let unsaid = TypedOutput::default();
        let typed = self.output.first().unwrap_or(&unsaid);
        let suffix = typed.at(Path::new(""), format)?.format.suffix();
        let target = |volume: &Volume| {
            let path = folder.join(self.image(volume, suffix));
            let format = Some(format.unwrap_or("raw"));
            Ok(vec![typed.at(&path, format)?])
        };
        volumes.iter().map(target).collect()
    }

    /// The name of a volume's image.
    fn image(&self, volume: &Volume, suffix: &str) -> OsString {
        let stem = || self.spec.file_stem().unwrap_or(OsStr::new("disk"));
        let mut name = match &volume.name {
            Some(name) => OsString::from(name),
            None => stem().to_owned(),
        };
        name.push(".");
        name.push(suffix);
        name
    }

    /// Where partitions go as files of their own, if they do.
    ///
    /// # Errors
    /// When the names cannot be, or there are several images.
    pub fn split(&self, volumes: &[Volume]) -> Result<Option<Split>, ArgumentError> {
        let Some(folder) = &self.split else {
            return Ok(None);
        };
        one_image("--split", volumes)?;
        let (name, version) = (self.split_name.as_deref(), self.split_version.as_deref());
        Ok(Some(Split {
            folder: folder.clone(),
            pattern: SplitPattern::new(name, version)?,
        }))
    }

    /// The directory that the images go to, if `-o` names one.
    pub fn folder(&self, volumes: &[Volume]) -> Option<&Path> {
        let [output] = &self.output[..] else {
            return None;
        };
        let named = volumes.iter().all(|it| it.name.is_some());
        let path = &*output.path;
        (is_written_as_folder(path) || (path.is_dir() && named)).then_some(path)
    }
}

/// Checks what takes one image.
///
/// # Errors
/// When there are several.
pub fn one_image(option: &'static str, volumes: &[Volume]) -> Result<(), ArgumentError> {
    if volumes.len() == 1 {
        return Ok(());
    }
    Err(ArgumentError::SeveralImages {
        option,
        volumes: volumes.len(),
    })
}

/// The command `verify-build`.
#[derive(Debug, Args)]
#[command(after_help = "\
PROVENANCE is what `build --provenance` wrote. It has the whole spec; what that names is read where it is now, so be in the \
folder of the build. The image is made without a name and vanishes. The exit code is 0 if every byte is the same, and 1 if not; \
then what differs is said: inputs, formatters, versions and partitions, and where the bytes of IMAGE begin to be others.

Examples:
  cellblock build image.toml -o disk.img --provenance disk.json
  cellblock verify-build disk.json
  cellblock verify-build disk.json --image elsewhere/disk.img")]
pub struct VerifyBuild {
    /// The provenance
    #[arg(value_name = "PROVENANCE")]
    pub statement: PathBuf,
    /// The first image, to be told where bytes differ. Without it, the one that PROVENANCE names, if it is beside it
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<PathBuf>,
    /// What all commands have in common that make file systems.
    #[command(flatten)]
    pub run: Run,
}

/// Whether a path is written as that of a directory.
fn is_written_as_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// The command `convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
What is printed is complete and in a fixed form: `build` makes the same bytes of it as of FILE. Relative paths in it are \
relative to the current directory, so keep it there. Of several volumes, name one with --volume.

Examples:
  cellblock convert imagecraft.yaml --content rootfs=root/ > image.toml
  cellblock convert gadget/meta/gadget.yaml --volume pc > pc.toml")]
pub struct Convert {
    /// The file to read: a spec in TOML, an imagecraft.yaml or a gadget.yaml; `-` is standard input
    #[arg(id = "spec", value_name = "FILE")]
    pub file: PathBuf,
    /// Print the spec as JSON, whose members are the keys of the TOML
    #[arg(long)]
    pub json: bool,
    /// What goes in.
    #[command(flatten)]
    pub contents: Contents,
}

/// The command `mkfs`.
#[derive(Debug, Args)]
#[command(
    override_usage = "cellblock mkfs [OPTIONS] --output <FILE> <KIND>",
    after_help = "\
SOURCE is a directory, a tar archive (plain, or compressed as .tar.gz, .tar.zst, .tar.xz, .tar.bz2 or .tar.lz4), a \
container image (an OCI layout as a directory or a tar, or what `docker save` writes), or a \
single file. Its name and first bytes tell which, unless a prefix says it: `directory:`, `archive:`, `oci:` or `file:`; \
`composefs:` is a dumpfile of composefs, whose objects are in its option `basedir`; \
`image:` takes what is in a file system of ours or another: image:FILE, or of a disk image:FILE:PARTITION. \
`archive:-` is standard input. Options follow after commas:

  ,to=/PATH           where it goes
  ,owner=USER:GROUP   in numbers
  ,mode=0644          or clauses: ,mode=u=rwX,go=rX
  ,exclude=PATTERN    what is left out; repeatable
  ,from=DIR           what of it is taken
  ,strip=N            names taken off the beginning of each path
  ,follow=true        links become what they lead to
  ,hard-links=break   each name a file of its own
  ,metadata=FILE      owners, modes and times as an mtree(5) says
  ,times=keep         also those later than --time
  ,basedir=DIR        where the objects of a composefs dumpfile are
  ,reference=NAME     which image of a layout: its name, or a digest
  ,platform=OS/ARCH   which image, by what it is for: linux/arm64
  ,overlay-whiteouts=true
                      those of overlayfs count in an image's layers, too
  ,partition=NAME     which partition of a disk

A path or value that holds such an option is written in double quotes: '\"a,to=b\",to=/c'.

Examples:
  cellblock mkfs ext4 -o root.img --content root.tar --size \"minimum + 20%\"
  cellblock mkfs ext4 -o root.img --content oci:debian,reference=12
  cellblock mkfs vfat -o esp.img --size 64MiB --label UEFI --content esp/
  cellblock mkfs ext4 -o home.img --content skel/,to=/user,owner=1000:1000
  cellblock mkfs swap -o swap.img --size 1GiB"
)]
pub struct Mkfs {
    /// Which file system.
    #[command(flatten)]
    pub kind: TypedKind,
    /// The file to write. Its suffix says in which format: .qcow2, .zst and others, which `cellblock export --help`
    /// lists with what may be said behind the name; repeatable. One that exists is replaced once all new ones are
    /// complete
    #[arg(short, long, value_name = "FILE", required = true, value_parser = typed_output())]
    output: Vec<TypedOutput>,
    /// The format of the file, whatever its suffix
    #[arg(long, value_name = "FORMAT", add = ArgValueCandidates::new(completion::formats))]
    output_format: Option<String>,
    /// The size: 512MiB, minimum, "minimum + 20%" or "minimum + 64MiB"
    #[arg(long, default_value = "minimum", value_parser = size_rule)]
    size: SizeRule,
    /// What goes into it.
    #[command(flatten)]
    pub filesystem: Filesystem,
    /// Bytes in a sector of the disk that it is meant for: 512 or 4096
    #[arg(long, value_name = "BYTES", default_value = "512", value_parser = sector_size)]
    sector_size: SectorSize,
    /// What all commands have in common that make file systems.
    #[command(flatten)]
    pub run: Run,
}

impl Mkfs {
    /// What it becomes.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn targets(&self) -> Result<Vec<Target>, ArgumentError> {
        outputs::targets(&self.output, self.output_format.as_deref())
    }

    /// What is asked for, after a look at what each source is.
    ///
    /// # Errors
    /// When a source is missing, or the environment's time is no number.
    pub fn request(&self) -> Result<MkfsRequest, ArgumentError> {
        Ok(MkfsRequest {
            filesystem: self.filesystem.request(self.kind.name())?,
            size: self.size,
            sector_size: self.sector_size,
        })
    }
}

fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let no_number =
        |_| "it is no number: write how many, such as 2, or leave it out for one a processor";
    let number: usize = text.parse().map_err(no_number)?;
    NonZeroUsize::new(number).ok_or_else(|| {
        "nothing would be made: write 1 or more, or leave it out for one a processor".to_owned()
    })
}

/// What all commands have in common that make file systems.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it is made")]
pub struct Run {
    /// How many cells work at a time; without it, one for each processor. The image does not depend on it
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    jobs: Option<NonZeroUsize>,
    /// Write a record of what was made, as JSON, to FILE, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Show no progress and no result; warnings and errors are shown all the same
    #[arg(short, long)]
    pub quiet: bool,
    /// Say what is done while it is done: formatters, content, sizes, and how long each part took
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Flush what was made to the disk before it gets its name: it then survives a power cut
    #[arg(long)]
    pub sync: bool,
    /// Use a formatter of your own for the file system NAME, before one that is built in; with `,sha256=HEX` behind it only
    /// if the file has that digest; repeatable
    #[arg(long = "guest", value_name = "NAME=FILE", value_parser = TypedGuest::parse)]
    pub guests: Vec<TypedGuest>,
    /// Say how the formatter NAME is called, which then is a WASI command: words such as 'mkfs.fat [-n {label}]
    /// {partition}'. Words in brackets are left out where a placeholder in them is empty. There are {partition},
    /// {label}, {uuid}, {serial}, {seed}, {size}, {sector-size}, {time}, {disk-offset} and {option:KEY}; repeatable
    #[arg(long = "guest-command", value_name = "NAME=COMMAND", value_parser = guest_command)]
    pub commands: Vec<(String, CommandLine)>,
    /// Read each file system back before anything is published, and compare every path, attribute and byte with what went in.
    /// Without it, those that formatters of --guest and [guests] have made, if there is a reader of them
    // The caches have an option whose field is called `verify`.
    #[arg(long = "verify", conflicts_with = "no_verify")]
    read_back: bool,
    /// Read no file system back
    #[arg(long)]
    no_verify: bool,
    /// The sandbox around each formatter: WebAssembly alone, or also a process of its own that has given up every
    /// right. By default the process, where the kernel allows one; the record says which it was
    #[arg(long, value_name = "WALLS")]
    walls: Option<TypedWalls>,
    /// The bytes that the compressed archives of a file system may decompress to, such as 20GiB. Without it, what its
    /// partition could make use of; where its size follows from the content, and the disk's does too, 64GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub archive_limit: Option<u64>,
    /// Where partitions come from that were made before.
    #[cfg(feature = "cache")]
    #[command(flatten)]
    pub caches: Caches,
    /// What each cell may use.
    #[command(flatten)]
    pub limits: Limits,
}

/// What is to stand around each formatter.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedWalls {
    Wasm,
    Process,
}

fn chosen_walls(typed: Option<TypedWalls>) -> cell::Walls {
    match typed {
        None => cell::Walls::Strongest,
        Some(TypedWalls::Wasm) => cell::Walls::Wasm,
        Some(TypedWalls::Process) => cell::Walls::Process,
    }
}

impl Run {
    /// What is to stand around each formatter.
    pub fn walls(&self) -> cell::Walls {
        chosen_walls(self.walls)
    }

    /// Which file systems are read back.
    pub fn verify(&self) -> Verification {
        match (self.read_back, self.no_verify) {
            (true, _) => Verification::Always,
            (false, true) => Verification::Never,
            (false, false) => Verification::Foreign,
        }
    }

    /// How many cells work at a time.
    pub fn jobs(&self) -> NonZeroUsize {
        let processors = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.jobs.unwrap_or_else(processors)
    }

    /// Whether the result is said on standard output: not with `--quiet`, and not where the record goes there.
    pub fn says(&self) -> bool {
        !self.quiet && self.json.as_deref() != Some(Path::new("-"))
    }
}

/// What a cell may use. The defaults are limits that ordinary images never reach.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Limits of each cell")]
pub struct Limits {
    /// The memory of a formatter, such as 256MiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub memory_limit: u64,
    /// Seconds that a formatter may run
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = clap::value_parser!(u64).range(1..))]
    pub time_limit: u64,
    /// Elements in all of a formatter's WebAssembly tables, which hold its function pointers
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    pub table_limit: u32,
    /// WebAssembly instances inside a formatter's component
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub instance_limit: u32,
    /// Handles that a formatter holds at a time; it is given one, of its partition
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub handle_limit: u32,
    /// Compile the formatters anew, use no cache of partitions, and keep nothing for the next time
    #[arg(long)]
    pub no_cache: bool,
}

/// The time that the environment asks for, in seconds since 1970. Nothing else of the environment reaches an image.
///
/// # Errors
/// When the variable holds anything but a whole number; an empty one counts as unset.
pub fn source_date_epoch() -> Result<Option<i64>, ArgumentError> {
    match std::env::var_os(SOURCE_DATE_EPOCH) {
        Some(text) if !text.is_empty() => epoch(text).map(Some),
        _ => Ok(None),
    }
}

fn epoch(text: OsString) -> Result<i64, ArgumentError> {
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.ok_or(ArgumentError::SourceDateEpoch { text })
}

/// Sixteen bytes of the system's random source, for a seed that is to be random.
///
/// # Errors
/// When the system gives none.
pub fn drawn_seed() -> Result<[u8; 16], ArgumentError> {
    let mut bytes = [0; 16];
    File::open(RANDOM)
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|source| ArgumentError::Random { source })?;
    Ok(bytes)
}

fn size(text: &str) -> Result<u64, ValueError> {
    Ok(parse_size(text)?)
}

fn size_rule(text: &str) -> Result<SizeRule, ValueError> {
    Ok(SizeRule::parse(text)?)
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

fn option(text: &str) -> Result<(String, String), ValueError> {
    parse_assignment(text, "KEY=VALUE")
}

fn guest_command(text: &str) -> Result<(String, CommandLine), ValueError> {
    let (name, line) = parse_assignment(text, "NAME=COMMAND")?;
    Ok((name, CommandLine::parse(&line)?))
}

/// A formatter that somebody brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedGuest {
    /// The file system that it makes.
    pub name: String,
    /// The component.
    pub file: PathBuf,
    /// The digest that the file must have.
    pub sha256: Option<[u8; 32]>,
}

impl TypedGuest {
    fn parse(text: &str) -> Result<Self, ValueError> {
        let (name, rest) = parse_assignment(text, "NAME=FILE")?;
        let (file, digest) = match rest.rsplit_once(",sha256=") {
            Some((file, digest)) => (file, Some(digest)),
            None => (rest.as_str(), None),
        };
        Ok(Self {
            name,
            file: PathBuf::from(file),
            sha256: digest.map(parse_sha256).transpose()?,
        })
    }
}
