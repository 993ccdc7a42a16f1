//! `cellblock build`: a spec in, an image out.

use std::path::Path;

use super::project::Described;
use super::{Failure, print, print_log, write_record};
use crate::arguments::{self, Build};
use crate::report::draw;
use cellblock_build::catalogue::Foreign;
use cellblock_build::cell::Runtime;
use cellblock_build::spec::Spec;
use cellblock_build::text::human;
use cellblock_build::{Built, Record};

pub(super) fn run(build: &Build) -> Result<(), Failure> {
    let described = Described::read(&build.spec, &build.contents)?;
    if !build.run.quiet {
        described.print_notes();
    }
    let volumes = &described.project.volumes;
    let outputs = build.outputs(volumes).map_err(Failure::usage)?;
    let runtime = super::runtime(&build.run)?;
    let mut records = Vec::with_capacity(volumes.len());
    for (volume, output) in volumes.iter().zip(&outputs) {
        records.push(build_one(
            build,
            &volume.spec,
            output,
            &runtime,
            &described,
        )?);
    }
    match &records[..] {
        [record] => write_record(&build.run, record),
        records => write_record(&build.run, &records),
    }
}

/// Builds one image, and shows it.
fn build_one(
    build: &Build,
    spec: &Spec,
    output: &Path,
    runtime: &Runtime,
    described: &Described,
) -> Result<Record, Failure> {
    let time = match &spec.disk.time {
        Some(time) => Some(time.value),
        None => arguments::source_date_epoch().map_err(Failure::usage)?,
    };
    let foreign = spec
        .guests
        .iter()
        .map(|(name, guest)| {
            let foreign = Foreign {
                file: guest.file.value.clone(),
                sha256: guest.sha256,
                command: guest.command.clone(),
            };
            (name.clone(), foreign)
        })
        .collect();
    let catalog = super::catalog(&build.run, foreign)?;
    let options = super::build_options(&build.run, time, spec.disk.time.is_some());
    let built = cellblock_build::build_image(spec, output, runtime, &catalog, &options);
    options.progress.clear();
    let built = built.map_err(|error| described.located(error))?;
    for (name, line) in &built.log {
        print_log(&build.run, name, line);
    }
    if !build.run.quiet && !build.run.json_to_stdout() {
        print(&shown(&built, output))?;
    }
    Ok(built.record)
}

fn shown(built: &Built, output: &Path) -> String {
    format!(
        "{}\n{}: {} in {:.2} s\n",
        draw(&built.table, super::width(), super::color()),
        output.display(),
        human(built.record.size),
        built.record.timings.total.unwrap_or_default(),
    )
}
