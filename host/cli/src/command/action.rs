//! `cellblock action`: a partition of what a folder says, as workers make it.

use std::num::NonZeroUsize;

use cellblock_build::action::{PerformOptions, perform_action};
use cellblock_build::footprint::Footprint;
use cellblock_build::text::human;

use super::{Failure, print};
use crate::arguments::Action;

pub(super) fn run(action: &Action) -> Result<(), Failure> {
    let mut footprint = Footprint::default();
    for name in ["action", "tree", "guest.wasm", "content"] {
        footprint.reads("the action", action.folder.join(name));
    }
    footprint.fills("the folder for what comes of it", &action.output);
    footprint.check()?;
    let processors = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let guest_cache = action.guest_cache().map(std::path::absolute);
    let guest_cache = guest_cache.transpose().map_err(Failure::failed)?;
    let options = PerformOptions {
        jobs: action.jobs.unwrap_or_else(processors).get(),
        // Not the one that other commands use: whoever else has actions run by this user could have written to it.
        cache: guest_cache,
    };
    let done = perform_action(&action.folder, &action.output, &options);
    let done = done.map_err(Failure::failed)?;
    if let Some(refusal) = &done.cache_refusal {
        tell!("warning: compiled formatters are not kept: {refusal}");
    }
    print(&format!(
        "{}: {} of {} in {} chunks, made behind {}\n",
        action.output.display(),
        human(done.data),
        human(done.size),
        done.chunks,
        done.wall.wall,
    ))
}
