//! How it is made: what all commands have in common that make file systems.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use cellblock_build::cell;
use cellblock_build::component::Fetch;
use cellblock_build::contract::CommandLine;
use cellblock_build::spec::GuestFile;
use cellblock_build::spec::value::{ValueError, parse_assignment, parse_sha256};
use cellblock_build::verify::Verify as Verification;

use super::size;
#[cfg(feature = "cache")]
use super::{Caches, Remotes};

/// The most threads or cells that may be asked for: the system ends a program that starts more threads than it has room for.
const MOST_JOBS: usize = 1024;

/// A number of threads or cells.
pub(super) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    let no_number =
        |_| "it is no number: write how many, such as 2, or leave it out for one a processor";
    let number: usize = text.parse().map_err(no_number)?;
    if number > MOST_JOBS {
        return Err(format!(
            "a machine starts no more than {MOST_JOBS} threads for it"
        ));
    }
    NonZeroUsize::new(number).ok_or_else(|| {
        "nothing would be made: write 1 or more, or leave it out for one a processor".to_owned()
    })
}

/// What all commands have in common that make file systems.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it is made")]
pub struct Run {
    /// How many cells run at a time; without it, one for each processor. The image does not depend on it
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    jobs: Option<NonZeroUsize>,
    /// Write a record of what was made, as JSON, to FILE, or to standard output for `-`
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Show no progress and no result; warnings and errors are still shown
    #[arg(short, long)]
    pub quiet: bool,
    /// Report each step as it happens: formatters, content, sizes, and how long each part took
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Flush what was made to the disk before it gets its name: it then survives a power cut
    #[arg(long)]
    pub sync: bool,
    /// Use a formatter of your own for the file system NAME, in place of a built-in one; followed by `,sha256=HEX`, only if the
    /// file has that digest; repeatable. FILE may be oci://HOST/PATH@sha256:DIGEST in a registry, from which it is fetched once,
    /// or oci:FOLDER, an image layout
    #[arg(long = "guest", value_name = "NAME=FILE", value_parser = TypedGuest::parse)]
    pub guests: Vec<TypedGuest>,
    /// Treat the formatter NAME as a WASI command, and call it with these words, such as 'mkfs.fat [-n {label}]
    /// {partition}'. Words in brackets are left out if a placeholder in them is empty. Placeholders: {partition},
    /// {label}, {uuid}, {serial}, {seed}, {size}, {sector-size}, {time}, {disk-offset} and {option:KEY}; repeatable
    #[arg(long = "guest-command", value_name = "NAME=COMMAND", value_parser = guest_command)]
    pub commands: Vec<(String, CommandLine)>,
    /// Read file systems by a reader of your own, which is asked before the built-in ones: what is read back, and images; followed
    /// by `,sha256=HEX`, only if the file has that digest; repeatable. FILE may be in a registry, as of --guest
    #[arg(long = "reader", value_name = "NAME=FILE", value_parser = TypedGuest::parse)]
    pub readers: Vec<TypedGuest>,
    /// Read each file system back before anything is published, and compare every path, attribute and byte with what went in.
    /// Without it, this is done for formatters of --guest and [guests] whose file system has a reader
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
    /// The bytes that the compressed archives of a file system may expand to, such as 20GiB. Without it, what its
    /// partition could use; 64GiB if the sizes of both partition and disk follow from the content
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub archive_limit: Option<u64>,
    /// Where partitions come from that were made before.
    #[cfg(feature = "cache")]
    #[command(flatten)]
    pub caches: Caches,
    /// Workers that make partitions.
    #[cfg(feature = "cache")]
    #[command(flatten)]
    pub remotes: Remotes,
    /// What each cell may use.
    #[command(flatten)]
    pub limits: Limits,
}

/// What is to stand around each formatter.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TypedWalls {
    Wasm,
    Process,
}

pub(super) fn chosen_walls(typed: Option<TypedWalls>) -> cell::Walls {
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
    /// The memory of a formatter or reader, such as 256MiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub memory_limit: u64,
    /// Seconds that a formatter or reader may run
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = clap::value_parser!(u64).range(1..))]
    pub time_limit: u64,
    /// Elements in all WebAssembly tables of a formatter or reader, which hold its function pointers
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    pub table_limit: u32,
    /// WebAssembly instances inside the component
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub instance_limit: u32,
    /// Handles that a formatter or reader may hold at a time; it is given one, of its partition
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub handle_limit: u32,
    /// Compile formatters and readers anew, use no cache of partitions, and keep nothing for the next time
    #[arg(long, help_heading = None::<&str>)]
    pub no_cache: bool,
}

fn guest_command(text: &str) -> Result<(String, CommandLine), ValueError> {
    let (name, line) = parse_assignment(text, "NAME=COMMAND")?;
    Ok((name, CommandLine::parse(&line)?))
}

impl Limits {
    /// How far one goes for a component of a registry that was typed.
    pub fn fetch(&self) -> Fetch {
        if self.no_cache {
            Fetch::Once
        } else {
            Fetch::Keep
        }
    }
}

/// A formatter that somebody brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedGuest {
    /// The file system that it makes.
    pub name: String,
    /// The component.
    pub file: GuestFile,
    /// The digest that the file must have.
    pub sha256: Option<[u8; 32]>,
}

impl TypedGuest {
    pub(super) fn parse(text: &str) -> Result<Self, ValueError> {
        let (name, rest) = parse_assignment(text, "NAME=FILE")?;
        let (file, digest) = match rest.rsplit_once(",sha256=") {
            Some((file, digest)) => (file, Some(digest)),
            None => (rest.as_str(), None),
        };
        Ok(Self {
            name,
            file: GuestFile::parse(file)?,
            sha256: digest.map(parse_sha256).transpose()?,
        })
    }
}
