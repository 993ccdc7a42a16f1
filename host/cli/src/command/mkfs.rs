//! `cellblock mkfs`: one file system in a file.

use std::collections::BTreeMap;

use cellblock_build::footprint::Footprint;
use cellblock_build::text::human;
use cellblock_build::{Output, assemble_filesystem};

use super::record::RecordFile;
use super::{Failure, print, print_log};
use crate::arguments::Mkfs;

pub(super) fn run(mkfs: &Mkfs) -> Result<(), Failure> {
    let output = mkfs.output().map_err(Failure::usage)?;
    let request = mkfs.request().map_err(Failure::usage)?;
    let mut footprint = Footprint::default();
    for source in &request.filesystem.sources {
        footprint.reads_source(source);
    }
    super::reads_guests(&mut footprint, &mkfs.run);
    footprint.writes_output("the image", &output);
    let mut record = RecordFile::prepare(&mkfs.run, &mut footprint, output == Output::Stdout)?;
    footprint.check().map_err(Failure::usage)?;
    let mut options = super::build_options(
        &mkfs.run,
        request.filesystem.time,
        mkfs.filesystem.has_time(),
    );
    super::use_caches(&mut options, &mkfs.run, &footprint, false)?;
    let catalog = super::catalog(&mkfs.run, BTreeMap::new())?;
    let runtime = super::runtime(&mkfs.run)?;
    let made = assemble_filesystem(request, &output, &runtime, &catalog, &options);
    options.progress.clear();
    super::warn_of_walls(&runtime);
    let made = made?;
    for (_, line) in &made.log {
        print_log(mkfs.kind.name(), line, mkfs.run.verbose);
    }
    record.write(&made.record)?;
    let done = made.record.clone();
    made.deliver()?;
    record.publish()?;
    if mkfs.run.says() && output != Output::Stdout {
        let total = done.timings.total.unwrap_or_default();
        let mut text = format!(
            "{output}: {}, {} in {total:.2} s\n",
            mkfs.kind.name(),
            human(done.size)
        );
        text.push_str(&super::properties(&done));
        print(&text)?;
    }
    Ok(())
}
