//! `--remote` of those commands that make file systems.

use std::sync::Arc;
use std::time::Duration;

use cellblock_build::BuildOptions;
use cellblock_build::action::{Remote, RemoteOptions, Server};
use cellblock_build::cache::reapi::Address;

use super::Failure;
use crate::arguments::Run;

/// Gets ready to ask the workers of a run, if there are to be any.
pub(super) fn use_workers(options: &mut BuildOptions, run: &Run) -> Result<(), Failure> {
    let typed = &run.remotes;
    let Some(url) = &typed.url else {
        return Ok(());
    };
    let failed = |why: &dyn std::fmt::Display| Failure::usage(format_args!("--remote: {why}"));
    let address = Address::parse(url).map_err(|error| failed(&error))?;
    let patience = Duration::from_secs(run.caches.timeout);
    let deadline = Duration::from_secs(typed.timeout);
    let server = Server::new(&address, patience, deadline).map_err(|error| failed(&error))?;
    let remote = RemoteOptions {
        place: address.to_string(),
        platform: typed.platform.clone(),
        program: typed.program.clone(),
        least: typed.least,
        walls: run.walls(),
    };
    let remote = Remote::new(Box::new(server), remote).map_err(|error| {
        let path = typed.program.as_deref();
        let path = path.map_or_else(|| "this program".to_owned(), |it| it.display().to_string());
        failed(&format_args!("{path} cannot be read for workers: {error}"))
    })?;
    options.remote = Some(Arc::new(remote));
    Ok(())
}
