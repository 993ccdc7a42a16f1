//! `cellblock mkfs`: one file system in a file.

use std::collections::BTreeMap;

use cellblock_build::footprint::Footprint;
use cellblock_build::{Target, assemble_filesystem};

use super::record::RecordFile;
use super::{Failure, print, print_log};
use crate::arguments::Mkfs;

pub(super) fn run(mkfs: &Mkfs) -> Result<(), Failure> {
    let targets = mkfs.targets().map_err(Failure::usage)?;
    let request = mkfs.request().map_err(Failure::usage)?;
    let mut footprint = Footprint::default();
    footprint.reads_request(&request.filesystem);
    super::reads_typed(&mut footprint, &mkfs.run);
    let to_stdout = super::writes(&mut footprint, &targets)?;
    let mut record = RecordFile::prepare(&mkfs.run, &mut footprint, to_stdout)?;
    footprint.check()?;
    let mut options = super::build_options(
        &mkfs.run,
        request.filesystem.time,
        mkfs.filesystem.has_time(),
    );
    super::use_caches(&mut options, &mkfs.run, None, &footprint, false)?;
    options.outputs.extend(super::files(&targets));
    let catalog = super::catalog(&mkfs.run, BTreeMap::new())?;
    let runtime = super::runtime(&mkfs.run)?;
    let output = &Target::first(&targets).output;
    let made = assemble_filesystem(request, output, &runtime, &catalog, &options);
    options.progress.clear();
    super::warn_of_walls(&runtime);
    let made = made?;
    for (_, line) in &made.log {
        print_log(mkfs.kind.name(), line, mkfs.run.verbose);
    }
    let packed = made.pack(&targets, &runtime, &options);
    options.progress.clear();
    let (packed, done) = packed?;
    super::warn_of_codecs(&runtime, &done);
    record.write(&done)?;
    if mkfs.run.says() && !to_stdout {
        let mut text = super::outputs_of(&done, mkfs.kind.name());
        text.push_str(&super::properties(&done));
        print(&text)?;
    }
    packed.deliver()?;
    record.publish()
}
