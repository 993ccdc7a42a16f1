//! What commands share that look at what a build would make, volume by volume, and give no image its name.

use cellblock_build::cell::Runtime;
use cellblock_build::spec::Spec;
use cellblock_build::{BuildOptions, Error, Output, Target};

use super::project::Described;
use super::record::RecordFile;
use super::{Failure, print_log};
use crate::arguments::Build;
use cellblock_build::Said;
use cellblock_build::catalogue::Catalog;

/// How one volume is looked at.
pub(super) struct Look<Seen> {
    /// Whether caches are only read.
    pub(super) only_reads: bool,
    /// Changes what a build would do, where less than that is wanted.
    pub(super) adjust: fn(&mut BuildOptions),
    /// Looks at it.
    pub(super) at: fn(&Spec, &Output, &Runtime, &Catalog, &BuildOptions) -> Result<Seen, Error>,
    /// What is to be said of it.
    pub(super) log: fn(&Seen) -> &[(String, Said)],
}

/// What was seen of all volumes, each with where it would go, and where the record of it goes.
pub(super) struct Foreseen<Seen> {
    pub(super) all: Vec<(Output, Seen)>,
    pub(super) record: RecordFile,
}

/// Looks at all volumes.
pub(super) fn foresee<Seen>(build: &Build, look: &Look<Seen>) -> Result<Foreseen<Seen>, Failure> {
    let described = Described::read(&build.spec, &build.contents)?;
    described.print_notes();
    let volumes = &described.project.volumes;
    if let Some(first) = volumes.first() {
        super::say_unused_caches(&build.run, &first.spec)?;
    }
    let targets = build.targets(volumes).map_err(Failure::usage)?;
    let outputs = targets.iter().map(|own| Target::first(own).output.clone());
    let mut footprint = super::build::reads(build, volumes);
    let record = RecordFile::prepare(&build.run, &mut footprint, false)?;
    footprint.check()?;
    let runtime = super::runtime(&build.run)?;
    let all: Result<Vec<(Output, Seen)>, Failure> = volumes
        .iter()
        .zip(outputs)
        .map(|(volume, output)| {
            let seen = one(build, look, &volume.spec, &output, &runtime, &described)?;
            Ok((output, seen))
        })
        .collect();
    super::warn_of_walls(&runtime);
    let all = all?;
    for (name, said) in all.iter().flat_map(|(_, seen)| (look.log)(seen)) {
        print_log(name, said, build.run.verbose);
    }
    Ok(Foreseen { all, record })
}

fn one<Seen>(
    build: &Build,
    look: &Look<Seen>,
    spec: &Spec,
    output: &Output,
    runtime: &Runtime,
    described: &Described,
) -> Result<Seen, Failure> {
    let catalog = super::catalog(&build.run, super::build::foreign(spec))?;
    let mut options = super::build::options(build, spec)?;
    (look.adjust)(&mut options);
    let footprint = super::build::reads(build, &described.project.volumes);
    super::use_caches(
        &mut options,
        &build.run,
        Some(spec),
        &footprint,
        look.only_reads,
    )?;
    let seen = (look.at)(spec, output, runtime, &catalog, &options);
    options.progress.clear();
    seen.map_err(|error| described.located(error))
}
