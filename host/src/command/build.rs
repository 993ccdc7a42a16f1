//! `cellblock build`: a spec in, an image out.

use std::path::Path;

use super::{Failure, print, print_log, write_record};
use crate::arguments::{self, Build};
use crate::builder::{self, Built};
use crate::error::{Error, PartitionError};
use crate::guests::Foreign;
use crate::report::{draw, human};
use crate::spec::Spec;

pub(super) fn run(build: &Build) -> Result<(), Failure> {
    let text = super::read_text(&build.spec)?;
    let folder = build.spec.parent().unwrap_or(Path::new(""));
    let located = |error: Error| render(error, build, &text);
    let spec = Spec::parse(&text, folder).map_err(|error| located(error.into()))?;
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
            };
            (name.clone(), foreign)
        })
        .collect();
    let catalog = super::catalog(&build.run, foreign);
    let runtime = super::runtime(build.run.limits)?;
    let options = super::build_options(&build.run, time);
    let output = build.output();
    let built = builder::build_image(&spec, &output, &runtime, &catalog, &options);
    options.progress.clear();
    let built = built.map_err(located)?;
    for (name, line) in &built.log {
        print_log(&build.run, name, line);
    }
    write_record(&build.run, &built.record)?;
    if !build.run.quiet && !build.run.json_to_stdout() {
        print(&shown(&built, &output))?;
    }
    Ok(())
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

fn render(error: Error, build: &Build, text: &str) -> Failure {
    let name = build.spec.display().to_string();
    let color = super::color_of_errors();
    match error {
        Error::Spec(error) => Failure::rendered(error.render(&name, text, color)),
        Error::Plan(error) => Failure::rendered(error.render(&name, text, color)),
        Error::Partition { name, reason } => match *reason {
            PartitionError::Template(error) => Failure::rendered(error.render(&name, color)),
            reason => Error::Partition {
                name,
                reason: Box::new(reason),
            }
            .into(),
        },
        other => other.into(),
    }
}
