//! Caches of partitions.

use std::path::PathBuf;

use cellblock_build::cache::{DEFAULT_LIMIT, Mode, Place, PlaceError};
use cellblock_build::footprint::Footprint;
use clap::{Args, ValueEnum};

use super::size;

/// The environment variable that names caches, with spaces between them.
const CELLBLOCK_CACHE: &str = "CELLBLOCK_CACHE";

/// Where partitions come from that were made before.
#[derive(Debug, Args)]
#[command(next_help_heading = "Caches of partitions")]
pub struct Caches {
    /// Take partitions that were made before from PLACE, and put those there that are made: a folder, or the address of a
    /// server (http:// or https:// for bazel-remote and WebDAV such as nginx, grpc:// or grpcs:// for a server of the Remote
    /// Execution API). The first that has one is used; repeatable. Without it, the places in CELLBLOCK_CACHE, separated by
    /// spaces. The image does not depend on it
    #[arg(long = "cache", value_name = "PLACE")]
    places: Vec<String>,
    /// Where no place is named, use those that the spec names in `[cache]`, and trust its keys. A spec is not believed unasked:
    /// who wrote it would learn what is built, and could put bytes into it
    #[arg(long)]
    pub spec_cache: bool,
    /// Whether caches are read and written [default: read-write; read for those of a spec]
    #[arg(long = "cache-mode", value_name = "MODE", value_enum)]
    mode: Option<TypedMode>,
    /// The Ed25519 private key (PKCS #8, PEM) that signs what is put into caches. A server needs it, and a folder that
    /// others can write to
    #[arg(long = "cache-key", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// An Ed25519 public key (PEM) whose entries are used, from servers and from folders that others can write to;
    /// repeatable
    #[arg(long = "cache-trust", value_name = "FILE")]
    pub trust: Vec<PathBuf>,
    /// What a folder may hold; what was used longest ago is removed
    #[arg(long = "cache-max", value_name = "SIZE", default_value = "20GiB", value_parser = size)]
    pub limit: u64,
    /// Seconds that a server may take for an answer, before it is left alone
    #[arg(
        long = "cache-timeout",
        value_name = "SECONDS",
        default_value = "10",
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    pub timeout: u64,
    /// Of a hundred partitions that a cache has, how many are made all the same and compared. One that differs is
    /// reported, and what was made is used
    #[arg(
        long = "cache-verify",
        value_name = "PERCENT",
        default_value = "0",
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    pub verify: u8,
    /// Hash all content for the keys by which caches are asked. Without it, files that have the inode, size and times with which
    /// they were hashed before are not read
    #[arg(long = "cache-paranoid")]
    pub paranoid: bool,
}

/// Whether caches are read and written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedMode {
    ReadWrite,
    Read,
    Write,
}

impl Caches {
    /// The places: those of the environment if none is typed.
    ///
    /// # Errors
    /// [`PlaceError`] if one of them is none.
    pub fn places(&self) -> Result<Vec<Place>, PlaceError> {
        places_or_environment(&self.places)
    }

    /// Whether caches are asked for by what is typed.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        !self.places.is_empty() || self.spec_cache
    }

    /// Tells of the keys, which are read.
    pub fn read_by(&self, footprint: &mut Footprint) {
        for key in self.key.iter().chain(&self.trust) {
            footprint.reads_aside("a key of the cache", key);
        }
    }

    /// What is done with them, if it is typed.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        self.mode.map(|mode| match mode {
            TypedMode::ReadWrite => Mode::ReadWrite,
            TypedMode::Read => Mode::Read,
            TypedMode::Write => Mode::Write,
        })
    }
}

/// They are read here and not by the parser of arguments, which would show a password in what it refuses.
fn places_or_environment(typed: &[String]) -> Result<Vec<Place>, PlaceError> {
    if !typed.is_empty() {
        return typed.iter().map(|text| Place::parse(text)).collect();
    }
    let named = std::env::var(CELLBLOCK_CACHE).unwrap_or_default();
    named.split_whitespace().map(Place::parse).collect()
}

/// The command `cache`.
#[derive(Debug, Args)]
#[command(after_help = "\
Servers look after themselves: only folders are counted and emptied. A build that has put something into a folder removes what \
is more than its --cache-max.

Examples:
  cellblock cache stats --cache ~/partitions
  cellblock cache gc --cache ~/partitions --max 5GiB
  cellblock cache clear --cache ~/partitions")]
pub struct CacheTool {
    /// What to do: `stats` counts, `gc` removes what was used longest ago, `clear` removes everything
    #[arg(value_enum)]
    pub action: CacheAction,
    /// The folder; repeatable. Without it, those in CELLBLOCK_CACHE
    #[arg(long = "cache", value_name = "FOLDER")]
    places: Vec<String>,
    /// What `gc` leaves
    #[arg(long, value_name = "SIZE", default_value_t = DEFAULT_LIMIT, value_parser = size, hide_default_value = true)]
    pub max: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What is done to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheAction {
    /// Count what it holds.
    Stats,
    /// Remove what was used longest ago.
    Gc,
    /// Remove everything.
    Clear,
}

impl CacheTool {
    /// The places: those of the environment if none is typed.
    ///
    /// # Errors
    /// [`PlaceError`] if one of them is none.
    pub fn places(&self) -> Result<Vec<Place>, PlaceError> {
        places_or_environment(&self.places)
    }
}
