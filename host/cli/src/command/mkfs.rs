//! `cellblock mkfs`: one file system in a file.

use std::collections::BTreeMap;

use super::{Failure, print, print_log, write_record};
use crate::arguments::Mkfs;
use cellblock_build::plan;
use cellblock_build::text::human;

pub(super) fn run(mkfs: &Mkfs) -> Result<(), Failure> {
    let request = mkfs.request().map_err(Failure::usage)?;
    let options = super::build_options(
        &mkfs.run,
        request.filesystem.time,
        mkfs.filesystem.has_time(),
    );
    let plan = plan::mkfs_plan(request).map_err(Failure::usage)?;
    let catalog = super::catalog(&mkfs.run, BTreeMap::new())?;
    let runtime = super::runtime(&mkfs.run)?;
    let made = cellblock_build::make_filesystem(&plan, &mkfs.output, &runtime, &catalog, &options);
    options.progress.clear();
    let (record, log) = made?;
    for line in &log {
        print_log(&mkfs.run, &mkfs.kind, line);
    }
    write_record(&mkfs.run, &record)?;
    if !mkfs.run.quiet && !mkfs.run.json_to_stdout() {
        let total = record.timings.total.unwrap_or_default();
        let mut text = format!(
            "{}: {}, {} in {total:.2} s\n",
            mkfs.output.display(),
            mkfs.kind,
            human(record.size)
        );
        text.push_str(&super::properties(&record));
        print(&text)?;
    }
    Ok(())
}
