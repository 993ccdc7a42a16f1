//! `cellblock export`: an image that exists, in other formats.

use cellblock_build::export_image;
use cellblock_build::footprint::Footprint;

use super::record::RecordFile;
use super::{Failure, print};
use crate::arguments::{self, Export};

pub(super) fn run(export: &Export) -> Result<(), Failure> {
    let targets = export.targets().map_err(Failure::usage)?;
    let mut footprint = Footprint::default();
    footprint.reads("the image", &export.image);
    let to_stdout = super::writes(&mut footprint, &targets)?;
    let mut record = RecordFile::prepare(&export.run, &mut footprint, to_stdout)?;
    footprint.check()?;
    let time = arguments::source_date_epoch().map_err(Failure::usage)?;
    let options = super::build_options(&export.run, time, false);
    let runtime = super::runtime(&export.run)?;
    let is_quiet = export.run.quiet;
    let waiting = || {
        if !is_quiet {
            super::waiting(&export.image);
        }
    };
    let exported = export_image(&export.image, &targets, &runtime, &options, &waiting);
    options.progress.clear();
    let (packed, done) = exported?;
    super::warn_of_codecs(&runtime, &done);
    record.write(&done)?;
    packed.deliver()?;
    record.publish()?;
    if export.run.says() && !to_stdout {
        print(&super::outputs(&done))?;
    }
    Ok(())
}
