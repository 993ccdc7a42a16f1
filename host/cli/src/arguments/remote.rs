//! Workers that make partitions.

use std::path::PathBuf;

use cellblock_build::footprint::Footprint;
use cellblock_build::spec::value::{ValueError, parse_assignment};
use clap::Args;

use super::size;

fn property(text: &str) -> Result<(String, String), ValueError> {
    parse_assignment(text, "NAME=VALUE")
}

/// Workers that make partitions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Workers")]
pub struct Remotes {
    /// Have the workers of a farm make file systems: the address of a server of the Remote Execution API, grpc:// or grpcs://,
    /// with the instance as its path. Each worker gets this program, the content and what is asked. A file system with little
    /// content (--remote-least) is made here, and so is one that failed twice. The image does not depend on it, as long as
    /// the workers are honest
    #[arg(id = "remote", long = "remote", value_name = "URL")]
    pub url: Option<String>,
    /// A property that a worker has to have, such as OSFamily=linux; repeatable
    #[arg(
        id = "remote-platform",
        long = "remote-platform",
        value_name = "NAME=VALUE",
        value_parser = property,
        requires = "remote"
    )]
    pub platform: Vec<(String, String)>,
    /// The program that workers run, of this version; without it, the one that runs here. A static one runs anywhere
    #[arg(
        id = "remote-program",
        long = "remote-program",
        value_name = "FILE",
        requires = "remote"
    )]
    pub program: Option<PathBuf>,
    /// The bytes of content below which a file system is made here
    #[arg(id = "remote-least", long = "remote-least", value_name = "SIZE", default_value = "4MiB", value_parser = size)]
    pub least: u64,
    /// Seconds that a worker may take, waiting for its turn included
    #[arg(
        id = "remote-timeout",
        long = "remote-timeout",
        value_name = "SECONDS",
        default_value = "3600",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub timeout: u64,
}

impl Remotes {
    /// Tells of the program, which is read.
    pub fn read_by(&self, footprint: &mut Footprint) {
        if let Some(program) = &self.program {
            footprint.reads_aside("the program of workers", program);
        }
    }
}
