//! `cellblock fill`: a file system in a partition of an image that exists.

use std::collections::BTreeMap;
use std::sync::Arc;

use cellblock_build::footprint::Footprint;

use super::record::RecordFile;
use super::{Failure, print, print_log};
use crate::arguments::Fill;

pub(super) fn run(fill: &Fill) -> Result<(), Failure> {
    let request = fill
        .filesystem
        .request(fill.kind.name())
        .map_err(Failure::usage)?;
    let mut footprint = Footprint::default();
    footprint.reads_request(&request);
    super::reads_typed(&mut footprint, &fill.run);
    footprint.writes("the image", &fill.chosen.image);
    let mut record = RecordFile::prepare(&fill.run, &mut footprint, false)?;
    footprint.check()?;
    let mut options = super::build_options(&fill.run, request.time, fill.filesystem.has_time());
    super::use_caches(&mut options, &fill.run, None, &footprint, false)?;
    let asked = super::asked(
        &fill.chosen,
        fill.changing.atomic(),
        options.jobs,
        Arc::clone(&options.progress),
        fill.run.quiet,
    );
    let catalog = super::catalog(&fill.run, BTreeMap::new())?;
    let runtime = super::runtime(&fill.run)?;
    let filled = cellblock_build::fill_partition(&asked, request, &runtime, &catalog, &options);
    options.progress.clear();
    super::warn_of_walls(&runtime);
    let filled = filled?;
    super::print_findings(&fill.chosen.image, &filled);
    for line in &filled.log {
        print_log(&filled.partition, line, fill.run.verbose);
    }
    record.write(&filled.record)?;
    record.publish()?;
    if !fill.run.says() {
        return Ok(());
    }
    let mut text = super::changed(&filled, fill.kind.name());
    text.push_str(&super::properties(&filled.record));
    print(&text)
}
