//! A partition as an action.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

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
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}
