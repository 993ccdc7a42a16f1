//! A partition as an action.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::jobs;

/// The command `action`.
#[derive(Debug, Args)]
#[command(after_help = "\
It is what a worker of `cellblock build --remote` runs. Nothing in the folder is believed: the key of what is made is computed \
from what is there, and has to be the one that was asked for.

Example:
  cellblock action . -o out")]
pub struct Action {
    /// The folder with the files `action` and `tree`, and the content
    pub folder: PathBuf,
    /// The folder for what comes of it: chunks, and `made`, which lists them. It is made, or is empty
    #[arg(short, long, value_name = "FOLDER")]
    pub output: PathBuf,
    /// How many threads copy and compress; without it, one for each processor
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<NonZeroUsize>,
    /// The folder of compiled formatters, which saves a quarter of a second: one that nobody can write to but actions of
    /// cellblock. Without it, the one in CELLBLOCK_GUEST_CACHE, or none
    #[arg(long, value_name = "FOLDER")]
    pub guest_cache: Option<PathBuf>,
}

/// The environment's folder of compiled formatters.
const CELLBLOCK_GUEST_CACHE: &str = "CELLBLOCK_GUEST_CACHE";

impl Action {
    /// The folder of compiled formatters that was named, if one was.
    pub(crate) fn guest_cache(&self) -> Option<PathBuf> {
        let named = || std::env::var_os(CELLBLOCK_GUEST_CACHE).filter(|it| !it.is_empty());
        self.guest_cache
            .clone()
            .or_else(|| named().map(PathBuf::from))
    }
}
