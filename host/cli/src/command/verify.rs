//! `cellblock verify`: an image that exists, held against a spec or a record.

use std::sync::Arc;

use cellblock_build::Error;
use cellblock_build::footprint::Footprint;
use cellblock_build::text::printable;
use cellblock_build::tree::volume::Decoders;
use cellblock_build::verify::{
    BuildRecord, Checked, How, sector_size, verify_image, verify_record,
};
use serde_json::json;

use super::project::Described;
use super::record::RecordFile;
use super::{Failure, build, print};
use crate::arguments::{self, Verify, one_image};

pub(super) fn run(verify: &Verify) -> Result<(), Failure> {
    super::uses_neither(&verify.run, "verify")?;
    let mut footprint = Footprint::default();
    footprint.reads("the image", &verify.image);
    let described = match (&verify.spec, &verify.record) {
        (Some(spec), _) => {
            footprint.reads("the spec", spec);
            let described = Described::read(spec, &verify.contents)?;
            described.print_notes();
            let volumes = &described.project.volumes;
            one_image("verify", volumes).map_err(Failure::usage)?;
            for volume in volumes {
                footprint.reads_spec(&volume.spec);
            }
            Some(described)
        }
        (None, record) => {
            if let Some(record) = record {
                footprint.reads("the record", record);
            }
            None
        }
    };
    super::reads_typed(&mut footprint, &verify.run);
    let mut document = RecordFile::prepare(&verify.run, &mut footprint, false)?;
    footprint.check()?;
    let runtime = super::runtime(&verify.run)?;
    let decoders: Arc<dyn Decoders> = runtime.codecs();
    let open = |sector_size| super::open_image(&verify.image, sector_size, &decoders);
    let checked = match (&described, &verify.record) {
        (Some(described), _) => {
            let mut volumes = described.project.volumes.iter();
            let spec = &volumes.next().expect("there is one").spec;
            let image = open(sector_size(spec))?;
            let catalog = super::catalog(&verify.run, build::foreign(spec))?;
            let time = match &spec.disk.time {
                Some(time) => Some(time.value),
                None => arguments::source_date_epoch().map_err(Failure::usage)?,
            };
            let options = super::build_options(&verify.run, time, spec.disk.time.is_some());
            let checked = verify_image(spec, &image, &runtime, &catalog, &options);
            options.progress.clear();
            checked.map_err(|error| described.located(error))
        }
        (None, Some(record)) => {
            let readers = arguments::brought(&verify.run.readers, &verify.run.limits);
            let record = BuildRecord::read(record, &verify.image)?;
            let image = open(record.sector_size())?;
            verify_record(record, &image, &runtime, &readers).map_err(|error: Error| error.into())
        }
        (None, None) => unreachable!("the command line has one of them"),
    };
    super::warn_of_walls(&runtime);
    let checked = checked?;
    for one in &checked {
        for warning in &one.warnings {
            let name = printable(&one.partition);
            tell!("warning: {name}: {}", printable(warning));
        }
    }
    document.write(&json!({ "partitions": checked }))?;
    document.publish()?;
    if verify.run.says() {
        checked.iter().try_for_each(|one| print(&text(one)))?;
    }
    let others = checked.iter().filter(|one| !one.differences.is_empty());
    match others.count() {
        0 => Ok(()),
        count => Err(Failure::different(format_args!(
            "{}: {count} of {} are not what they should be",
            verify.image.display(),
            checked.len()
        ))),
    }
}

fn text(checked: &Checked) -> String {
    let name = printable(&checked.partition);
    let by = match &checked.by {
        How::Reader(reader) => format!("path by path, read by {reader}"),
        How::Bytes => "byte by byte".to_owned(),
        How::Digest => "by its digest".to_owned(),
        How::Nothing => "with nothing".to_owned(),
    };
    let differences = checked.differences.len();
    if differences == 0 {
        let equal = match checked.by {
            How::Nothing => "not compared: nothing is said of what it holds",
            _ => return format!("{name}: equal, {by}\n"),
        };
        return format!("{name}: {equal}\n");
    }
    let mut text = format!("{name}: different, compared {by}\n");
    for difference in &checked.differences {
        text.push_str(&format!("{}\n", printable(&difference.to_string())));
    }
    text
}
